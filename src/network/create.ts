/**
 * A network from what a client asks for. The order of the checks is Docker's, because a request with two faults is
 * answered for the first.
 */
import { fault } from '../base/index.ts'
import { overlaps, parsePrefix } from './address.ts'
import type { Prefix } from './address.ts'
import type { AddressPool } from './ipam/pools.ts'
import { withUla } from './ipam/pools.ts'
import type { RangeSet } from './ipam/range-set.ts'
import type { Families } from './ipam/request.ts'
import { checkPoolRequests, poolsFromRequests } from './ipam/request.ts'
import { bridgeSettings, familyOptions, mergeDefaults, optionKeys } from './options.ts'
import type { Options } from './options.ts'
import type { BridgeSettings, Family, Id, Network, Pool, PoolRequest } from './types.ts'
import { defaultGatewayKey } from './gateway.ts'

/** The body of `POST /networks/create`, in our spelling. What is absent takes Docker's default. */
export interface NetworkRequest {
  readonly name: string
  /** Default `bridge`. */
  readonly driver?: string | undefined
  /** Default true. */
  readonly enableIPv4?: boolean | undefined
  /** Default false. */
  readonly enableIPv6?: boolean | undefined
  readonly internal?: boolean | undefined
  readonly attachable?: boolean | undefined
  readonly ingress?: boolean | undefined
  readonly configOnly?: boolean | undefined
  /** Name of a configuration network. */
  readonly configFrom?: string | undefined
  /** Default `local`. */
  readonly scope?: string | undefined
  readonly ipam?:
    | {
        readonly driver?: string | undefined
        readonly options?: Options | null | undefined
        readonly config?: readonly PoolRequest[] | undefined
      }
    | undefined
  readonly options?: Options | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** What the engine knows and a request does not say. */
export interface NetworkContext {
  readonly id: Id
  /** For the bridge. */
  readonly mac: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly nameTaken: (name: string) => boolean
  /** All networks; walked only for singletons, configuration networks, bridges named by the user, and errors. */
  readonly networks: Iterable<Network>
  /** The pools of all networks. */
  readonly taken4: RangeSet
  readonly taken6: RangeSet
  /** Routes and name servers of the host, which automatic subnets keep clear of. */
  readonly avoid4: RangeSet
  readonly avoid6: RangeSet
  /** What the host reaches through a gateway: kept clear of while there is something else. */
  readonly routed4: RangeSet
  readonly routed6: RangeSet
  readonly pools: readonly AddressPool[]
  /** Where subnets come from when `pools` are used up. */
  readonly furtherPools: readonly AddressPool[]
  /** /48 for automatic IPv6 subnets, unless `pools` has IPv6 blocks. */
  readonly ulaBase: Prefix
  /** Driver → options for keys that requests lack. */
  readonly defaultOptions: Readonly<Record<string, Options>>
  /** The engine makes its own `bridge`, `host` or `none`. */
  readonly predefined?: boolean
}

const predefinedNames = new Set(['bridge', 'host', 'none', 'default'])

/** True for names that no user's network can have. */
export const isPredefinedName = (name: string): boolean => predefinedNames.has(name)

function find(networks: Iterable<Network>, matches: (network: Network) => boolean): Network | undefined {
  for (const network of networks) if (matches(network)) return network
  return undefined
}

function checkName(request: NetworkRequest, context: NetworkContext): void {
  if (request.name.trim() === '') throw fault('networkNameEmpty')
  if (context.predefined !== true && isPredefinedName(request.name)) {
    throw fault('networkPredefined', request.name)
  }
  if (context.nameTaken(request.name)) throw fault('networkNameTaken', request.name)
}

function checkSwarm(request: NetworkRequest): void {
  if (request.driver === 'overlay' || request.scope === 'swarm') throw fault('swarmManager')
  if (request.ingress === true && request.configOnly !== true) throw fault('ingressScope')
}

/** A request with every source of settings consulted: daemon defaults, or the configuration network it names. */
interface Settings extends Families {
  readonly options: Options
  readonly labels: Readonly<Record<string, string>>
  readonly ipam: Network['ipam']
  readonly requests: readonly PoolRequest[]
}

function ipamOf(request: NetworkRequest): Network['ipam'] {
  const driver = request.ipam?.driver ?? ''
  return { driver: driver === '' ? 'default' : driver, options: request.ipam?.options ?? null }
}

function ownSettings(request: NetworkRequest, driver: string, context: NetworkContext): Settings {
  const merged = mergeDefaults(request.options ?? {}, context.defaultOptions[driver])
  const asked = familyOptions(merged)
  // A switch that came from the defaults is not shown beside the field that overrides it.
  const hidden = (key: string, field: boolean | undefined): boolean =>
    field !== undefined && request.options?.[key] === undefined && key in merged
  const options = Object.fromEntries(
    Object.entries(merged).filter(
      ([key]) =>
        !(key === optionKeys.enableIPv4 && hidden(key, request.enableIPv4)) &&
        !(key === optionKeys.enableIPv6 && hidden(key, request.enableIPv6)),
    ),
  )
  return {
    options,
    enableIPv4: request.enableIPv4 ?? asked.ipv4 ?? true,
    enableIPv6: request.enableIPv6 ?? asked.ipv6 ?? false,
    labels: request.labels ?? {},
    ipam: ipamOf(request),
    requests: request.ipam?.config ?? [],
  }
}

function checkConfigOnly(request: NetworkRequest): void {
  const scope = request.scope ?? ''
  if (request.ingress === true || request.internal === true || request.attachable === true || scope !== '') {
    throw fault('configOnlyFields')
  }
  if ((request.configFrom ?? '') !== '') throw fault('configOnlyNested')
}

function configuredSettings(request: NetworkRequest, name: string, context: NetworkContext): Settings {
  const own = request.ipam
  const hasOwn =
    !['', 'default'].includes(own?.driver ?? '') ||
    Object.keys(own?.options ?? {}).length > 0 ||
    (own?.config ?? []).length > 0 ||
    Object.keys(request.labels ?? {}).length > 0 ||
    request.enableIPv4 === false ||
    request.enableIPv6 === true
  if (hasOwn) throw fault('configFromFields')
  if (Object.keys(request.options ?? {}).length > 0) throw fault('configFromOptions')
  const config = find(context.networks, network => network.name === name)
  if (config === undefined) throw fault('configNotFound', name)
  if (config.configOnly !== true) throw fault('notConfigNetwork', name)
  const { requests, ...ipam } = config.ipam
  return {
    enableIPv4: config.enableIPv4,
    enableIPv6: config.enableIPv6,
    options: config.options,
    labels: config.labels,
    ipam,
    requests: requests ?? [],
  }
}

type Base = Omit<Network, 'driver' | 'pools' | 'bridge' | 'configOnly'>

/** host and none: one of each, without pools. */
function specialNetwork(base: Base, driver: 'host' | 'null', context: NetworkContext): Network {
  if (
    find(context.networks, network => network.driver === driver && network.configOnly !== true) !== undefined
  ) {
    throw fault('singleInstance', driver)
  }
  return { ...base, driver, pools: [] }
}

const linkLocal: Prefix = { family: 6, base: 0xfe80n << 112n, length: 64 }
/** IPv4-mapped addresses (RFC 4291 §2.5.5.2) never appear on a wire. */
const mapped4: Prefix = { family: 6, base: 0xffffn << 32n, length: 96 }
const multicast: readonly Prefix[] = [
  { family: 4, base: 0xe0n << 24n, length: 4 },
  { family: 6, base: 0xffn << 120n, length: 8 },
]
/** Bridges with these addresses would take the host's own traffic away. */
const loopback: readonly Prefix[] = [
  { family: 4, base: 0x7fn << 24n, length: 8 },
  { family: 6, base: 1n, length: 128 },
]

/**
 * The kernel gives every interface an address in fe80::/64; a pool that shares only part of that prefix would put
 * link-local addresses of two lengths on one interface.
 */
function checkSubnet(text: string): void {
  const subnet = parsePrefix(text)
  if (subnet === undefined) return
  if (multicast.some(each => overlaps(subnet, each))) throw fault('subnetMulticast', text)
  if (loopback.some(each => overlaps(subnet, each))) throw fault('subnetLoopback', text)
  if (overlaps(subnet, mapped4)) throw fault('subnetMapped', text)
  const same = subnet.base === linkLocal.base && subnet.length === linkLocal.length
  if (!same && overlaps(subnet, linkLocal)) throw fault('subnetLinkLocal', text)
}

function checkBridgePools(pools: readonly Pool[], internal: boolean): void {
  for (const family of [4, 6] as const) {
    if (pools.filter(pool => pool.family === family).length > 1) throw fault('multipleSubnets')
  }
  for (const pool of pools) {
    checkSubnet(pool.subnet)
    if (internal && defaultGatewayKey(pool.family) in pool.auxiliary) throw fault('gatewayOnInternal')
  }
}

/** Names that the engine makes up carry the network's id and cannot meet. */
function checkBridgeName(settings: BridgeSettings, options: Options, context: NetworkContext): void {
  if ((options[optionKeys.bridgeName] ?? '') === '') return
  const other = find(context.networks, network => network.bridge?.name === settings.name)
  if (other === undefined) return
  throw fault(
    'bridgeConflict',
    context.id,
    settings.name,
    other.id,
    settings.name,
    'networks have same bridge name',
  )
}

/** A network whose bridge carries no address and whose containers have no default route needs no gateway. */
function familiesWithoutGateway(bridge: BridgeSettings, internal: boolean): Family[] {
  const families: Family[] = []
  if (bridge.gatewayMode4 === 'isolated' || (bridge.inhibitIPv4 === true && internal)) families.push(4)
  if (bridge.gatewayMode6 === 'isolated') families.push(6)
  return families
}

function bridgeNetwork(base: Base, settings: Settings, context: NetworkContext): Network {
  const bridge = bridgeSettings(settings.options, {
    id: context.id,
    mac: context.mac,
    internal: base.internal,
    predefined: context.predefined === true,
  })
  const pools = poolsFromRequests(settings.requests, {
    enableIPv4: settings.enableIPv4,
    enableIPv6: settings.enableIPv6,
    withoutGateway: familiesWithoutGateway(bridge, base.internal),
    taken4: context.taken4,
    taken6: context.taken6,
    avoid4: context.avoid4,
    avoid6: context.avoid6,
    routed4: context.routed4,
    routed6: context.routed6,
    furtherPools: context.furtherPools,
    pools: withUla(context.pools, context.ulaBase),
  })
  checkBridgePools(pools, base.internal)
  checkBridgeName(bridge, settings.options, context)
  return { ...base, driver: 'bridge', pools, bridge }
}

/** Walks what may be a one-way iterator once, when it is first needed, for any number of walks. */
function rewindable<T>(items: Iterable<T>): Iterable<T> {
  let all: readonly T[] | undefined
  return { [Symbol.iterator]: () => (all ??= [...items])[Symbol.iterator]() }
}

/** The network a request asks for, ready to be stored; throws the fault Docker would answer with. */
export function networkFromRequest(request: NetworkRequest, given: NetworkContext): Network {
  const context = { ...given, networks: rewindable(given.networks) }
  checkName(request, context)
  checkSwarm(request)
  const driver = (request.driver ?? '') === '' ? 'bridge' : (request.driver ?? '')
  const configFrom = request.configFrom ?? ''
  if (request.configOnly === true) checkConfigOnly(request)
  const settings =
    configFrom === ''
      ? ownSettings(request, driver, context)
      : configuredSettings(request, configFrom, context)
  if (!settings.enableIPv4 && !settings.enableIPv6) throw fault('noFamily')
  checkPoolRequests(settings.requests, settings)

  const base: Base = {
    id: context.id,
    name: request.name,
    created: context.created,
    enableIPv4: settings.enableIPv4,
    enableIPv6: settings.enableIPv6,
    internal: request.internal ?? false,
    attachable: request.attachable ?? false,
    ipam: settings.ipam,
    options: settings.options,
    labels: settings.labels,
    ...(configFrom === '' ? {} : { configFrom }),
  }
  if (request.configOnly === true) {
    const ipam = { ...settings.ipam, requests: settings.requests }
    return { ...base, driver: 'null', pools: [], ipam, configOnly: true }
  }
  if (driver !== 'bridge' && driver !== 'host' && driver !== 'null') throw fault('driverNotFound', driver)
  if (settings.ipam.driver !== 'default') throw fault('ipamDriverNotFound', settings.ipam.driver)
  return driver === 'bridge' ? bridgeNetwork(base, settings, context) : specialNetwork(base, driver, context)
}

/** Throws `configNetworkInUse` if another network took its settings from this configuration network. */
export function checkConfigUnused(network: Network, networks: Iterable<Network>): void {
  if (network.configOnly !== true) return
  if (find(networks, other => other.configFrom === network.name) !== undefined) {
    throw fault('configNetworkInUse', network.name)
  }
}
