/** What a container can resolve without asking outside, in the order in which the resolver looks it up. */
import { stripLength } from './address.ts'
import { hasNames } from './blueprint.ts'
import { networkOrder } from './gateway.ts'
import type { Endpoint, Id, Network } from './types.ts'

export interface SeenName {
  readonly name: string
  readonly network: string
  readonly addresses: readonly string[]
  /** Containers that answer to it. More than one: replicas, all addresses in turn. */
  readonly containers: readonly Id[]
  /** A link alias, which only this container knows. */
  readonly link: boolean
  /** An earlier network, or a link, answers to this name in its place; `name.network` still gets here. */
  readonly hidden: boolean
}

export interface SeenNamesContext {
  endpointsOfNetwork(id: Id): readonly Endpoint[]
  containerOf(endpoint: Endpoint): Id | undefined
  endpointOfContainer(containerId: Id, networkId: Id): Endpoint | undefined
}

interface Joined {
  readonly endpoint: Endpoint
  readonly network: Network
}

export function seenNames(joined: readonly Joined[], context: SeenNamesContext): readonly SeenName[] {
  const known = new Set<string>()
  const named = networkOrder(joined.filter(({ network }) => hasNames(network)))
  return named.flatMap(({ endpoint, network }) => {
    const links = Object.entries(endpoint.links).flatMap(([alias, containerId]) => {
      const target = context.endpointOfContainer(containerId, network.id)
      return target === undefined ? [] : [entryOf(alias, network, [target], true, context)]
    })
    const linked = new Set(links.map(link => link.name.toLowerCase()))
    const holders = holdersByName(context.endpointsOfNetwork(network.id))
    const names = [...holders.values()].map(({ name, endpoints }) => ({
      ...entryOf(name, network, endpoints, false, context),
      hidden: linked.has(name.toLowerCase()) || known.has(name.toLowerCase()),
    }))
    const all = [...links.map(link => ({ ...link, hidden: known.has(link.name.toLowerCase()) })), ...names]
    for (const { name } of all) known.add(name.toLowerCase())
    return all
  })
}

function holdersByName(
  endpoints: readonly Endpoint[],
): ReadonlyMap<string, { readonly name: string; readonly endpoints: Endpoint[] }> {
  const holders = new Map<string, { readonly name: string; readonly endpoints: Endpoint[] }>()
  for (const endpoint of endpoints) {
    for (const name of endpoint.dnsNames) {
      const held = holders.get(name.toLowerCase())
      if (held === undefined) holders.set(name.toLowerCase(), { name, endpoints: [endpoint] })
      else held.endpoints.push(endpoint)
    }
  }
  return holders
}

function entryOf(
  name: string,
  network: Network,
  endpoints: readonly Endpoint[],
  link: boolean,
  context: SeenNamesContext,
): SeenName {
  return {
    name,
    network: network.name,
    addresses: endpoints.flatMap(({ ipv4, ipv6 }) =>
      [ipv4, ipv6].flatMap(address => (address === undefined ? [] : [stripLength(address)])),
    ),
    containers: endpoints.flatMap(endpoint => context.containerOf(endpoint) ?? []),
    link,
    hidden: false,
  }
}
