/**
 * From what a user asks of subnets to the pools a network owns.
 *
 * Two steps, as clients expect: `checkPoolRequests` collects every contradiction in the request itself and reports
 * them together; `poolsFromRequests` then fits the request to what other networks hold.
 */
import { fault } from '../../base/index.ts'
import {
  contains,
  formatAddress,
  formatPrefix,
  overlaps,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../address.ts'
import type { Address, ParsedPrefix, Prefix } from '../address.ts'
import type { Family, Pool, PoolRequest } from '../types.ts'
import { edgesOf } from './allocate.ts'
import type { AddressPool } from './pools.ts'
import { choosePool } from './pools.ts'
import { RangeSet, firstFreeBlock } from './range-set.ts'

/** Which families the network will have; entries of another family are skipped without a word, as in Docker. */
export interface Families {
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
}

const enabled = (families: Families, family: Family): boolean =>
  family === 4 ? families.enableIPv4 : families.enableIPv6

function rangeProblems(text: string | undefined, subnet: ParsedPrefix, subnetText: string): string[] {
  if (text === undefined || text === '') return []
  const range = parsePrefix(text)
  if (range === undefined) return [`invalid ip-range ${text}: invalid CIDR block notation`]
  if (range.family !== subnet.family) {
    return [`invalid ip-range ${text}: parent subnet is an IPv${subnet.family} block`]
  }
  const problems: string[] = []
  if (range.length < subnet.length) {
    problems.push(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${subnetText}`)
  }
  if (range.hostBits) problems.push(`invalid ip-range ${text}: it should be ${formatPrefix(range)}`)
  if (!overlaps(subnet, range)) {
    problems.push(`invalid ip-range ${text}: parent subnet ${subnetText} doesn't contain ip-range`)
  }
  return problems
}

function addressProblem(text: string, subnet: Prefix, subnetText: string): string | undefined {
  const address = parseAddress(text)
  if (address === undefined) return 'invalid address'
  if (address.family !== subnet.family) return `parent subnet is an IPv${subnet.family} block`
  return contains(subnet, address) ? undefined : `parent subnet ${subnetText} doesn't contain this address`
}

function addressProblems(request: PoolRequest, subnet: Prefix, subnetText: string): string[] {
  const problems: string[] = []
  if (request.gateway !== undefined && request.gateway !== '') {
    const problem = addressProblem(request.gateway, subnet, subnetText)
    if (problem !== undefined) problems.push(`invalid gateway ${request.gateway}: ${problem}`)
  }
  for (const [name, text] of Object.entries(request.auxiliary ?? {})) {
    const problem = text === '' ? undefined : addressProblem(text, subnet, subnetText)
    if (problem !== undefined) problems.push(`invalid auxiliary address ${name}: ${problem}`)
  }
  return problems
}

/** An entry without a subnet leaves the choice to the engine. */
const namesSubnet = (request: PoolRequest): boolean => request.subnet !== undefined && request.subnet !== ''

function entryProblems(request: PoolRequest, families: Families): string[] {
  if (!namesSubnet(request)) return []
  const text = request.subnet ?? ''
  const subnet = parsePrefix(text)
  if (subnet === undefined) return [`invalid subnet ${text}: invalid CIDR block notation`]
  if (!enabled(families, subnet.family)) return []
  const problems = subnet.hostBits ? [`invalid subnet ${text}: it should be ${formatPrefix(subnet)}`] : []
  return [
    ...problems,
    ...rangeProblems(request.ipRange, subnet, text),
    ...addressProblems(request, subnet, text),
  ]
}

/** Throws `networkConfigInvalid` with one line per problem if the entries contradict themselves. */
export function checkPoolRequests(requests: readonly PoolRequest[], families: Families): void {
  const problems = requests.flatMap(request => entryProblems(request, families))
  if (problems.length > 0) throw fault('networkConfigInvalid', problems.map(line => `* ${line}`).join('\n'))
}

export interface PoolContext extends Families {
  /** Families whose pool gets no gateway unless one is asked for by address. */
  readonly withoutGateway: readonly Family[]
  /** Pools of all other networks. */
  readonly taken4: RangeSet
  readonly taken6: RangeSet
  /** What automatic subnets keep clear of: routes and name servers of the host. */
  readonly avoid4: RangeSet
  readonly avoid6: RangeSet
  /** What automatic subnets keep clear of while they can: what the host reaches through a gateway. */
  readonly routed4: RangeSet
  readonly routed6: RangeSet
  /** Blocks for automatic subnets, of both families. */
  readonly pools: readonly AddressPool[]
  /** Blocks to go on with when those are used up. */
  readonly furtherPools: readonly AddressPool[]
}

/** Family of an entry without a subnet, from whatever address it does carry. */
function impliedFamily(request: PoolRequest): Family {
  const texts = [request.gateway, ...Object.values(request.auxiliary ?? {})]
  return texts.some(text => text?.includes(':') === true) ? 6 : 4
}

interface Entry {
  readonly family: Family
  readonly request: PoolRequest
  /** undefined = the engine chooses. */
  readonly subnet: Prefix | undefined
  /** Prefix length asked for with a subnet such as 0.0.0.0/24. */
  readonly size: number | undefined
}

function entryOf(request: PoolRequest): Entry {
  const subnet = parsePrefix(request.subnet ?? '')
  if (subnet === undefined) {
    if (request.ipRange !== undefined && request.ipRange !== '') throw fault('rangeWithoutSubnet')
    return { family: impliedFamily(request), request, subnet: undefined, size: undefined }
  }
  // The unspecified address with a length means "any subnet of that size".
  const { family, base, length } = subnet
  return base === 0n
    ? { family, request, subnet: undefined, size: length }
    : { family, request, subnet: { family, base, length }, size: undefined }
}

/** Entries in the order in which networks list them: IPv4 first, one automatic entry for a family without any. */
function entriesOf(requests: readonly PoolRequest[], families: Families): Entry[] {
  const entries = requests.map(entryOf).filter(entry => enabled(families, entry.family))
  return ([4, 6] as const).flatMap(family => {
    const own = entries.filter(entry => entry.family === family)
    if (own.length > 0 || !enabled(families, family)) return own
    return [{ family, request: {}, subnet: undefined, size: undefined }]
  })
}

function chooseSubnet(entry: Entry, taken: RangeSet, context: PoolContext): Prefix {
  if (entry.subnet !== undefined) {
    if (taken.overlaps(...prefixRange(entry.subnet))) throw fault('poolOverlap')
    return entry.subnet
  }
  const [avoid, routed] =
    entry.family === 4 ? [context.avoid4, context.routed4] : [context.avoid6, context.routed6]
  for (const occupied of [
    [taken, avoid, routed],
    [taken, avoid],
  ]) {
    for (const pools of [context.pools, context.furtherPools]) {
      const chosen = choosePool(entry.family, pools, occupied, entry.size)
      if (chosen !== undefined) return chosen
    }
  }
  throw fault('poolsExhausted')
}

function auxiliaryOf(entry: Entry, subnet: Prefix): Record<string, string> {
  const auxiliary: Record<string, string> = {}
  for (const [name, text] of Object.entries(entry.request.auxiliary ?? {})) {
    if (text === '') continue
    const address = parseAddress(text)
    // A subnet that the user named was checked before; this one was chosen after the names were given.
    if (address === undefined || !contains(subnet, address)) {
      throw fault('auxiliaryOutside', name, text, formatPrefix(subnet))
    }
    auxiliary[name] = formatAddress(address)
  }
  return auxiliary
}

function requestedGateway(text: string, subnet: Prefix): Address {
  const problem = addressProblem(text, subnet, formatPrefix(subnet))
  const address = parseAddress(text)
  if (problem !== undefined || address === undefined) {
    throw fault('networkConfigInvalid', `* invalid gateway ${text}: ${problem}`)
  }
  if (edgesOf(subnet).has(address.value)) throw fault('gatewayTaken', text)
  return address
}

/** The first address that may be used, of the ip-range if there is one. */
function defaultGateway(
  subnet: Prefix,
  range: Prefix | undefined,
  auxiliary: Readonly<Record<string, string>>,
): Address {
  const named = RangeSet.of(Object.values(auxiliary).flatMap(text => parseAddress(text)?.value ?? []))
  const value = firstFreeBlock([edgesOf(subnet), named], ...prefixRange(range ?? subnet))
  if (value === undefined) throw fault('noGatewayLeft')
  return { family: subnet.family, value }
}

function poolOf(entry: Entry, subnet: Prefix, withGateway: boolean): Pool {
  const range = parsePrefix(entry.request.ipRange ?? '')
  const auxiliary = auxiliaryOf(entry, subnet)
  const asked = entry.request.gateway ?? ''
  const gateway =
    asked !== ''
      ? requestedGateway(asked, subnet)
      : withGateway
        ? defaultGateway(subnet, range, auxiliary)
        : undefined
  return {
    family: entry.family,
    subnet: formatPrefix(subnet),
    ...(range === undefined ? {} : { range: formatPrefix(range) }),
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    auxiliary,
    automatic: entry.subnet === undefined,
  }
}

/**
 * The pools that answer requests which `checkPoolRequests` let pass, IPv4 first. Throws `poolOverlap`,
 * `poolsExhausted` and what an address inside the subnet can violate.
 */
export function poolsFromRequests(requests: readonly PoolRequest[], context: PoolContext): Pool[] {
  let taken = { 4: context.taken4, 6: context.taken6 }
  return entriesOf(requests, context).map(entry => {
    const subnet = chooseSubnet(entry, taken[entry.family], context)
    taken = { ...taken, [entry.family]: taken[entry.family].add(...prefixRange(subnet)) }
    return poolOf(entry, subnet, !context.withoutGateway.includes(entry.family))
  })
}
