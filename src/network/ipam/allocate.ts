/**
 * Addresses of a subnet: which can never be handed out, which is the next, whether a given one may be used.
 *
 * Who holds an address is not kept here: callers pass the set of used addresses, derived from their endpoints.
 */
import { fault } from '../../base/index.ts'
import { contains, parseAddress, parsePrefix, prefixRange } from '../address.ts'
import type { Address, ParsedPrefix, Prefix } from '../address.ts'
import type { Pool } from '../types.ts'
import { RangeSet, firstFreeBlock } from './range-set.ts'

function readPrefix(text: string): ParsedPrefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new RangeError(`${text} is not a prefix`)
  return prefix
}

/**
 * Addresses at the edges of a subnet that belong to no host: IPv4's network and broadcast address, which a /31 does
 * not have (RFC 3021), and IPv6's subnet-router anycast address (RFC 4291 §2.6.1), which a /127 does not have (RFC 6164).
 */
export function edgesOf(subnet: Prefix): RangeSet {
  const [first, last] = prefixRange(subnet)
  if (last - first < 2n) return RangeSet.empty
  return subnet.family === 4 ? RangeSet.of([first, last]) : RangeSet.of([first])
}

/** Everything in the pool that no endpoint may have: the subnet's edges, the gateway, auxiliary addresses. */
export function reservedIn(pool: Pool): RangeSet {
  const texts = [...(pool.gateway === undefined ? [] : [pool.gateway]), ...Object.values(pool.auxiliary)]
  let reserved = edgesOf(readPrefix(pool.subnet))
  for (const text of texts) {
    const address = parseAddress(text)
    if (address !== undefined) reserved = reserved.add(address.value)
  }
  return reserved
}

/** The range dynamic addresses come from. */
function dynamicRange(pool: Pool): readonly [first: bigint, last: bigint] {
  return prefixRange(readPrefix(pool.range ?? pool.subnet))
}

/** The lowest address that is neither reserved nor used; undefined when there is none. */
export function allocateDynamic(pool: Pool, used: RangeSet): bigint | undefined {
  return firstFreeBlock([reservedIn(pool), used], ...dynamicRange(pool))
}

/**
 * Whether an endpoint may have the address `text`; `used` are the used addresses of that family on the network.
 * A static address may lie outside the ip-range. Throws `addressOutside` or `addressInUse`.
 */
export function checkStatic(
  pools: readonly Pool[],
  used: RangeSet,
  text: string,
): { readonly pool: Pool; readonly address: Address } {
  const address = parseAddress(text)
  const pool =
    address === undefined ? undefined : pools.find(each => contains(readPrefix(each.subnet), address))
  if (address === undefined || pool === undefined) throw fault('addressOutside', text)
  if (used.has(address.value) || reservedIn(pool).has(address.value)) throw fault('addressInUse')
  return { pool, address }
}

const saturation = (1n << 64n) - 1n

const saturate = (count: bigint): bigint => (count > saturation ? saturation : count)

/** The numbers of `Status.IPAM` in network inspect; both saturate at 2^64−1. */
export function poolUsage(
  pool: Pool,
  used: RangeSet,
): { readonly inUse: bigint; readonly dynamicAvailable: bigint } {
  const unavailable = reservedIn(pool).ranges.reduce((set, range) => set.add(range.first, range.last), used)
  const [first, last] = dynamicRange(pool)
  return {
    inUse: saturate(unavailable.countWithin(...prefixRange(readPrefix(pool.subnet)))),
    dynamicAvailable: saturate(last - first + 1n - unavailable.countWithin(first, last)),
  }
}
