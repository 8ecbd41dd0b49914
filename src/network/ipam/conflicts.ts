/**
 * Routes of the host that cover addresses of a network. Automatic subnets keep clear of the routes that are there when
 * they are chosen; a VPN that comes up later can still take the same addresses, and then one of the two is not reached.
 */
import { parsePrefix, prefixRange } from '../address.ts'
import type { Family, Network } from '../types.ts'

export interface HostRoute {
  /** `default` or a prefix. */
  readonly destination: string
  /** Name of the outgoing interface. */
  readonly link: string | undefined
}

export interface RouteConflict {
  readonly network: Network
  readonly subnet: string
  readonly route: HostRoute
}

/**
 * Shorter prefixes stand for "everything else": the default route, and the halves and quarters of the address space
 * that VPN clients put over it.
 */
const shortestSpecific = 8

/** The range of addresses that a route claims for itself; undefined for one that takes what no other wants. */
export function claimedBy({ destination }: HostRoute): Owned | undefined {
  const prefix = destination === 'default' ? undefined : parsePrefix(destination)
  if (prefix === undefined || prefix.length < shortestSpecific) return undefined
  const [first, last] = prefixRange(prefix)
  return { family: prefix.family, first, last }
}

interface Owned {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

interface OwnedPool extends Owned {
  readonly network: Network
  readonly subnet: string
}

/** Subnets of networks never overlap: sorted by their beginning they are sorted by their end as well. */
function sortedPools(networks: readonly Network[], family: Family): readonly OwnedPool[] {
  return networks
    .flatMap(network => network.pools.map(({ subnet }) => ({ network, subnet })))
    .flatMap(({ network, subnet }) => {
      const prefix = parsePrefix(subnet)
      if (prefix === undefined || prefix.family !== family) return []
      const [first, last] = prefixRange(prefix)
      return [{ family, first, last, network, subnet }]
    })
    .sort((a, b) => (a.first < b.first ? -1 : 1))
}

/** Index of the first pool that ends at or after `value`. */
function search(pools: readonly OwnedPool[], value: bigint): number {
  let low = 0
  let high = pools.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((pools[middle]?.last ?? value) < value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Every route that shares addresses with a network and does not lead to the bridge of one, in the order of the routes.
 * Costs a sort of the subnets and a search per foreign route.
 */
export function routeConflicts(
  networks: readonly Network[],
  routes: readonly HostRoute[],
): readonly RouteConflict[] {
  const bridges = new Set(networks.flatMap(({ bridge }) => bridge?.name ?? []))
  const foreign = routes.flatMap(route => {
    const claimed = bridges.has(route.link ?? '') ? undefined : claimedBy(route)
    return claimed === undefined ? [] : [{ route, claimed }]
  })
  if (foreign.length === 0) return []
  const pools = { 4: sortedPools(networks, 4), 6: sortedPools(networks, 6) }
  return foreign.flatMap(({ route, claimed }) => {
    const own = pools[claimed.family]
    const conflicts: RouteConflict[] = []
    for (let at = search(own, claimed.first); at < own.length; at++) {
      const pool = own[at]
      if (pool === undefined || pool.first > claimed.last) break
      conflicts.push({ network: pool.network, subnet: pool.subnet, route })
    }
    return conflicts
  })
}

/** One conflict as a sentence for logs and warnings. */
export function conflictText({ network, subnet, route }: RouteConflict): string {
  const way = route.link === undefined ? '' : ` by ${route.link}`
  return `network ${network.name} (${subnet}) and the host's route to ${route.destination}${way} overlap: addresses of one of them cannot be reached`
}
