/**
 * Where subnets come from when the user names none: blocks (`base`) cut into subnets of one size each.
 *
 * The choice is deterministic, lowest first, so a freed subnet is used again at once. A subnet is taken only if it
 * overlaps no other network of this engine, nothing that is on the host's own links and none of its name servers.
 * Networks that the host reaches through a gateway are kept clear of as well, as long as there is something else.
 */
import { bitsOf, formatPrefix, parsePrefix, prefixRange } from '../address.ts'
import type { Prefix } from '../address.ts'
import type { Family } from '../types.ts'
import { fault } from '../../base/index.ts'
import type { RangeSet } from './range-set.ts'
import { firstFreeBlock } from './range-set.ts'

/** `base` as CIDR; `size` is the prefix length of each subnet cut from it. */
export interface AddressPool {
  readonly base: string
  readonly size: number
}

/** Docker's: fifteen /16, then sixteen /20. */
export const defaultPools: readonly AddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
]

/**
 * Where subnets come from when all of Docker's are taken: 65,536 networks of 253 containers each. Not used where the
 * user has named pools, because then nothing else is to be used.
 */
export const furtherPools: readonly AddressPool[] = [{ base: '10.0.0.0/8', size: 24 }]

/** Prefix length of automatic IPv6 subnets: stateless addressing needs 64 host bits (RFC 4291 §2.5.1). */
const subnetSize6 = 64

/** Checks one `--default-address-pool`; gives it with a canonical base or throws `invalidParameter`. */
export function checkAddressPool(pool: AddressPool): AddressPool {
  const base = parsePrefix(pool.base)
  if (base === undefined) {
    throw fault('invalidParameter', `invalid default address pool: invalid CIDR address: ${pool.base}`)
  }
  if (!Number.isInteger(pool.size) || pool.size < base.length || pool.size > bitsOf(base.family)) {
    throw fault(
      'invalidParameter',
      `invalid default address pool: size ${pool.size} does not fit into ${formatPrefix(base)}`,
    )
  }
  return { base: formatPrefix(base), size: pool.size }
}

/** The /48 of unique local addresses (RFC 4193) of a host: `fd` and the first 40 bits of a digest of its id. */
export function ulaBase(digest: Uint8Array): Prefix {
  let base = 0xfdn
  for (let at = 0; at < 5; at++) base = (base << 8n) | BigInt(digest[at] ?? 0)
  return { family: 6, base: base << 80n, length: 48 }
}

/** `pools` and, unless they have IPv6 blocks of their own, the host's unique local block. */
export function withUla(pools: readonly AddressPool[], ula: Prefix): readonly AddressPool[] {
  return pools.some(pool => pool.base.includes(':'))
    ? pools
    : [...pools, { base: formatPrefix(ula), size: subnetSize6 }]
}

/**
 * The lowest free subnet of a family, cut from the lowest block that has one. `size` overrides the blocks' own subnet
 * size; blocks too small for it are passed over.
 */
export function choosePool(
  family: Family,
  bases: readonly AddressPool[],
  occupied: readonly RangeSet[],
  size?: number,
): Prefix | undefined {
  const blocks = bases
    .flatMap(pool => {
      const prefix = parsePrefix(pool.base)
      return prefix === undefined || prefix.family !== family ? [] : [{ prefix, length: size ?? pool.size }]
    })
    .sort((a, b) => (a.prefix.base < b.prefix.base ? -1 : a.prefix.base > b.prefix.base ? 1 : 0))
  for (const { prefix, length } of blocks) {
    const [first, last] = prefixRange(prefix)
    const base = firstFreeBlock(occupied, first, last, 1n << BigInt(bitsOf(family) - length))
    if (base !== undefined) return { family, base, length }
  }
  return undefined
}
