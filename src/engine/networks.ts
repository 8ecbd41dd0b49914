/** Commands on networks: create, remove, prune, and the three that are always there. */
import { readFileSync } from 'node:fs'
import { fault } from '../base/index.ts'
import type { ObservedLink } from '../kernel/index.ts'
import {
  checkConfigUnused,
  defaultPools,
  furtherPools,
  type Endpoint,
  type Family,
  type Id,
  isPredefinedName,
  macFromBytes,
  type Network,
  networkFromRequest,
  type NetworkContext,
  type NetworkRequest,
  optionKeys,
  parseAddress,
  parseResolvConf,
  RangeSet,
  ulaBase,
} from '../network/index.ts'
import { aliasPrefix } from './apply.ts'
import type { Core } from './core.ts'
import { timestamp } from './events.ts'
import type { HostRoutes, Occupied } from './host-routes.ts'
import { randomBytesOf, randomId } from './names.ts'

const hostResolvConf = '/etc/resolv.conf'

const nothing: Occupied = {
  onLink: { 4: RangeSet.empty, 6: RangeSet.empty },
  routed: { 4: RangeSet.empty, 6: RangeSet.empty },
}

export class Networks {
  readonly #core: Core
  readonly #routes: HostRoutes
  readonly #needForwarding: (family: Family) => Promise<void>

  constructor(core: Core, routes: HostRoutes, needForwarding: (family: Family) => Promise<void>) {
    this.#core = core
    this.#routes = routes
    this.#needForwarding = needForwarding
  }

  async create(request: NetworkRequest): Promise<{ readonly id: Id; readonly warning: string }> {
    const network = await this.make(request, { predefined: false })
    if (network.configOnly !== true) this.#emit('create', network)
    return { id: network.id, warning: '' }
  }

  /** As `create`, without an event. `adoptable`: a bridge of that name that is not ours may be used. */
  async make(
    request: NetworkRequest,
    { predefined, mac }: { readonly predefined: boolean; readonly mac?: string },
  ): Promise<Network> {
    const avoid = needsSubnet(request) ? await this.#avoid() : nothing
    const bridgeName = request.options?.[optionKeys.bridgeName]
    // A name that the engine makes up carries the network's id: no link on the host can have it.
    const links = bridgeName === undefined ? [] : await this.#core.kernel.links()
    const network = await this.#core.write(() => {
      const context = { ...this.#context(avoid), predefined, ...(mac === undefined ? {} : { mac }) }
      const network = adopt(networkFromRequest(request, context), links)
      return { change: { networks: { put: [network] } }, result: network }
    })
    await this.forward(network)
    return network
  }

  /** Containers on a bridge that is joined to the world need the host to forward. */
  async forward(network: Network): Promise<void> {
    if (network.bridge === undefined || network.internal) return
    for (const { family } of network.pools) await this.#needForwarding(family)
  }

  async remove(term: string): Promise<void> {
    const network = await this.#core.write(() => {
      const found = this.#core.state.findNetwork(term)
      this.#checkRemovable(found)
      return { change: { networks: { drop: [found.id] } }, result: found }
    })
    if (network.configOnly !== true) this.#emit('destroy', network)
  }

  /** Removes unused user-defined networks for which `selects` holds; one that cannot be removed is logged and left. */
  async prune(selects: (network: Network) => boolean, signal: AbortSignal): Promise<readonly string[]> {
    const { state, log } = this.#core
    const candidates = [...state.networks.values()].filter(
      network =>
        !isPredefinedName(network.name) &&
        network.configOnly !== true &&
        state.endpointsOfNetwork(network.id).length === 0 &&
        selects(network),
    )
    const removed: string[] = []
    for (const { id, name } of candidates) {
      if (signal.aborted) break
      try {
        await this.remove(id)
        removed.push(name)
      } catch (error) {
        log.warn({ err: error, network: name }, 'pruning a network failed')
      }
    }
    this.#core.events.emit('network', 'prune', '', { reclaimed: '0' })
    return removed
  }

  #checkRemovable(network: Network): void {
    const { state } = this.#core
    if (isPredefinedName(network.name)) throw fault('networkPredefinedRemove', network.name)
    checkConfigUnused(network, state.networks.values())
    const endpoints = state.endpointsOfNetwork(network.id)
    if (endpoints.length > 0) {
      throw fault('networkActive', network.name, endpoints.map(e => this.#describe(e)).join(', '))
    }
  }

  #describe(endpoint: Endpoint): string {
    const container = this.#core.state.containerOf(endpoint)
    return `name:${JSON.stringify(container?.name ?? '')} id:${JSON.stringify(endpoint.id.slice(0, 12))}`
  }

  #emit(action: 'create' | 'destroy', { id, name, driver }: Network): void {
    this.#core.events.emit('network', action, id, { name, type: driver })
  }

  async #avoid(): Promise<Occupied> {
    const { onLink, routed } = await this.#routes.occupied()
    const avoid = { ...onLink }
    for (const server of hostNameServers()) {
      const address = parseAddress(server)
      if (address !== undefined)
        avoid[address.family] = avoid[address.family].add(address.value, address.value)
    }
    return { onLink: avoid, routed }
  }

  #context(avoid: Occupied): NetworkContext {
    const { state, options, store } = this.#core
    const ownPools = options.defaultAddressPools.length > 0
    return {
      id: randomId(),
      mac: macFromBytes(randomBytesOf(6)),
      created: timestamp(),
      nameTaken: name => state.networkNamed(name) !== undefined,
      networks: state.networks.values(),
      taken4: state.subnets(4),
      taken6: state.subnets(6),
      avoid4: avoid.onLink[4],
      avoid6: avoid.onLink[6],
      routed4: avoid.routed[4],
      routed6: avoid.routed[6],
      pools: ownPools ? options.defaultAddressPools : defaultPools,
      furtherPools: ownPools ? [] : furtherPools,
      ulaBase: ulaBase(Buffer.from(store.meta.hostId, 'hex')),
      defaultOptions: options.defaultNetworkOptions,
    }
  }
}

/**
 * True if the engine may have to choose a subnet itself. The host's routes are read only then. A request that names
 * one family's subnet can still leave the other one open.
 */
function needsSubnet({ ipam, driver, configOnly, enableIPv6 }: NetworkRequest): boolean {
  if (configOnly === true || (driver ?? 'bridge') !== 'bridge') return false
  const subnets = (ipam?.config ?? []).flatMap(pool => pool.subnet ?? [])
  return (
    enableIPv6 === true || subnets.length === 0 || subnets.some(subnet => /^(0\.0\.0\.0|::)\//.test(subnet))
  )
}

function hostNameServers(): readonly string[] {
  try {
    return parseResolvConf(readFileSync(hostResolvConf, 'utf8')).nameservers
  } catch {
    return []
  }
}

/** A bridge that exists under the wanted name and is not one of ours is used as it is, and never deleted. */
function adopt(network: Network, links: readonly ObservedLink[]): Network {
  const { bridge } = network
  const existing = links.find(link => link.name === bridge?.name)
  if (bridge === undefined || existing === undefined) return network
  if (existing.kind !== 'bridge') throw fault('notABridge', bridge.name)
  // Ours, but of a network that is just being deleted: it is made anew.
  if (existing.alias?.startsWith(aliasPrefix) === true) return network
  return { ...network, bridge: { ...bridge, adopted: true, mac: existing.mac } }
}
