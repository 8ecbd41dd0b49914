/**
 * The one copy of everything the engine knows, in memory, with the indexes that make every question O(1) or O(log n).
 * Only `apply` changes it; the store holds the same records on disk.
 */
import { fault } from '../base/index.ts'
import { normaliseReference } from '../container/index.ts'
import {
  type BlueprintContext,
  type Endpoint,
  type Family,
  type Id,
  type Network,
  parseAddress,
  parsePrefix,
  PortTable,
  prefixRange,
  RangeSet,
  type Sandbox,
  stripLength,
} from '../network/index.ts'
import { IdIndex } from './id-index.ts'
import type { Container, Image } from './records.ts'
import type { StateView } from './types.ts'

/** Records by table. Keys are the ids of the records. */
export interface Records {
  readonly networks: Network
  readonly endpoints: Endpoint
  readonly sandboxes: Sandbox
  readonly containers: Container
  readonly images: Image
}

export type TableName = keyof Records

/** A set of changes that belong together: one command, one transaction. */
export type StateChange = {
  readonly [T in TableName]?: { readonly put?: readonly Records[T][]; readonly drop?: readonly Id[] }
}

/** The change that brings the state back once `change` has been applied to it. */
export function inverseChange(state: State, change: StateChange): StateChange {
  const back = <T extends TableName>(records: ReadonlyMap<Id, Records[T]>, part: StateChange[T]) => {
    const ids = [...new Set([...(part?.put ?? []).map(record => record.id), ...(part?.drop ?? [])])]
    return {
      put: ids.flatMap(id => records.get(id) ?? []),
      drop: ids.filter(id => !records.has(id)),
    }
  }
  return {
    networks: back<'networks'>(state.networks, change.networks),
    endpoints: back<'endpoints'>(state.endpoints, change.endpoints),
    sandboxes: back<'sandboxes'>(state.sandboxes, change.sandboxes),
    containers: back<'containers'>(state.containers, change.containers),
    images: back<'images'>(state.images, change.images),
  }
}

export class State implements StateView, BlueprintContext {
  readonly networks = new Map<Id, Network>()
  readonly endpoints = new Map<Id, Endpoint>()
  readonly sandboxes = new Map<Id, Sandbox>()
  readonly containers = new Map<Id, Container>()
  readonly images = new Map<string, Image>()

  readonly #networkIds = new IdIndex()
  readonly #containerIds = new IdIndex()
  readonly #imageIds = new IdIndex()
  /** name → id; names are unique. */
  readonly #networkNames = new Map<string, Id>()
  readonly #containerNames = new Map<string, Id>()
  /** Reference (`busybox:latest`, `busybox@sha256:…`) → image id. */
  readonly #imageNames = new Map<string, string>()
  readonly #endpointsByNetwork = new Map<Id, Map<Id, Endpoint>>()
  readonly #endpointsBySandbox = new Map<Id, Map<Id, Endpoint>>()
  readonly #sandboxByContainer = new Map<Id, Id>()
  /** Container → containers with a legacy link to it. */
  readonly #legacyLinkers = new Map<Id, Set<Id>>()
  /** Container → endpoints that have a link to it. */
  readonly #linkers = new Map<Id, Set<Id>>()
  /** `network family` → addresses of its endpoints. */
  readonly #addresses = new Map<string, RangeSet>()
  readonly #subnets = { 4: RangeSet.empty, 6: RangeSet.empty }
  #ports = PortTable.empty

  /** Takes a change over. The caller has made sure that it is consistent. */
  apply(change: StateChange): void {
    for (const id of change.endpoints?.drop ?? []) this.#setEndpoint(id, undefined)
    for (const id of change.sandboxes?.drop ?? []) this.#setSandbox(id, undefined)
    for (const id of change.containers?.drop ?? []) this.#setContainer(id, undefined)
    for (const id of change.networks?.drop ?? []) this.#setNetwork(id, undefined)
    for (const id of change.images?.drop ?? []) this.#setImage(id, undefined)
    for (const image of change.images?.put ?? []) this.#setImage(image.id, image)
    for (const network of change.networks?.put ?? []) this.#setNetwork(network.id, network)
    for (const container of change.containers?.put ?? []) this.#setContainer(container.id, container)
    for (const sandbox of change.sandboxes?.put ?? []) this.#setSandbox(sandbox.id, sandbox)
    for (const endpoint of change.endpoints?.put ?? []) this.#setEndpoint(endpoint.id, endpoint)
  }

  // Look-ups

  findNetwork(term: string): Network {
    const exact = this.networks.get(term) ?? this.networkNamed(term)
    if (exact !== undefined) return exact
    const matches = term === '' ? [] : this.#networkIds.withPrefix(term, 2)
    if (matches.length > 1) throw fault('networkAmbiguous', term, this.#networkIds.count(term))
    const network = this.networks.get(matches[0] ?? '')
    if (network === undefined) throw fault('networkNotFound', term)
    return network
  }

  /** As `findNetwork`; undefined if there is none, or more than one. */
  networkMeant(term: string): Network | undefined {
    const exact = this.networks.get(term) ?? this.networkNamed(term)
    if (exact !== undefined || term === '') return exact
    const matches = this.#networkIds.withPrefix(term, 2)
    return matches.length === 1 ? this.networks.get(matches[0] ?? '') : undefined
  }

  networkNamed(name: string): Network | undefined {
    return this.networks.get(this.#networkNames.get(name) ?? '')
  }

  findContainer(term: string): Container {
    const container = this.containerMeant(term)
    if (container === undefined) throw fault('containerNotFound', term)
    return container
  }

  /** By id, name or id prefix; undefined if there is none. Throws containerAmbiguous. */
  containerMeant(term: string): Container | undefined {
    const exact = this.containers.get(term) ?? this.containerNamed(term)
    if (exact !== undefined) return exact
    const matches = term === '' ? [] : this.#containerIds.withPrefix(term, 2)
    if (matches.length > 1) throw fault('containerAmbiguous', term)
    return this.containers.get(matches[0] ?? '')
  }

  containerNamed(name: string): Container | undefined {
    return this.containers.get(this.#containerNames.get(name.startsWith('/') ? name.slice(1) : name) ?? '')
  }

  findImage(term: string): Image {
    const image = this.imageNamed(term)
    if (image === undefined) throw fault('imageNotFound', normaliseReference(term) ?? term)
    return image
  }

  /** By reference, id with or without `sha256:`, or unique id prefix; undefined if there is none. */
  imageNamed(term: string): Image | undefined {
    const named = this.images.get(this.#imageNames.get(normaliseReference(term) ?? term) ?? '')
    if (named !== undefined) return named
    const digits = term.startsWith('sha256:') ? term.slice('sha256:'.length) : term
    if (!/^[0-9a-f]+$/.test(digits)) return undefined
    const matches = this.#imageIds.withPrefix(`sha256:${digits}`, 2)
    return matches.length === 1 ? this.images.get(matches[0] ?? '') : undefined
  }

  endpointsOfNetwork(id: Id): readonly Endpoint[] {
    return [...(this.#endpointsByNetwork.get(id)?.values() ?? [])]
  }

  endpointCount(networkId: Id): number {
    return this.#endpointsByNetwork.get(networkId)?.size ?? 0
  }

  endpointsOfSandbox(id: Id): readonly Endpoint[] {
    return [...(this.#endpointsBySandbox.get(id)?.values() ?? [])]
  }

  sandboxOf(containerId: Id): Sandbox | undefined {
    return this.sandboxes.get(this.#sandboxByContainer.get(containerId) ?? '')
  }

  containerOf(endpoint: Endpoint): Container | undefined {
    return this.containers.get(this.sandboxes.get(endpoint.sandboxId)?.containerId ?? '')
  }

  // For the blueprint

  network(id: Id): Network | undefined {
    return this.networks.get(id)
  }

  sandbox(id: Id): Sandbox | undefined {
    return this.sandboxes.get(id)
  }

  endpointOfContainer(containerId: Id, networkId: Id): Endpoint | undefined {
    const sandbox = this.sandboxOf(containerId)
    if (sandbox === undefined) return undefined
    return this.endpointsOfSandbox(sandbox.id).find(endpoint => endpoint.networkId === networkId)
  }

  /** Sandboxes that reach a container by a link alias: their part of the zone changes with it. */
  linkersOf(containerId: Id): readonly Sandbox[] {
    const endpoints = [...(this.#linkers.get(containerId) ?? [])]
    return endpoints.flatMap(id => this.sandboxes.get(this.endpoints.get(id)?.sandboxId ?? '') ?? [])
  }

  /** Containers that have a legacy link to this one: its address is in their hosts file. */
  legacyLinkersOf(containerId: Id): readonly Container[] {
    return [...(this.#legacyLinkers.get(containerId) ?? [])].flatMap(id => this.containers.get(id) ?? [])
  }

  // For allocation

  /** Addresses of a network's endpoints. */
  addressesIn(networkId: Id, family: Family): RangeSet {
    return this.#addresses.get(`${networkId} ${family}`) ?? RangeSet.empty
  }

  /** Every subnet that a network owns. */
  subnets(family: Family): RangeSet {
    return this.#subnets[family]
  }

  get ports(): PortTable {
    return this.#ports
  }

  // Index keeping: each setter takes the old record out and puts the new one in.

  #setNetwork(id: Id, network: Network | undefined): void {
    const old = this.networks.get(id)
    if (old !== undefined) {
      this.#networkNames.delete(old.name)
      for (const { family, subnet } of old.pools) {
        this.#subnets[family] = this.#subnets[family].remove(...subnetRange(subnet))
      }
    }
    if (network === undefined) {
      this.networks.delete(id)
      this.#networkIds.delete(id)
      return
    }
    this.networks.set(id, network)
    if (old === undefined) this.#networkIds.add(id)
    this.#networkNames.set(network.name, id)
    for (const { family, subnet } of network.pools) {
      this.#subnets[family] = this.#subnets[family].add(...subnetRange(subnet))
    }
  }

  #setContainer(id: Id, container: Container | undefined): void {
    const old = this.containers.get(id)
    if (old !== undefined) {
      this.#containerNames.delete(old.name)
      for (const target of Object.values(old.links)) this.#legacyLinkers.get(target)?.delete(id)
    }
    if (container === undefined) {
      this.containers.delete(id)
      this.#containerIds.delete(id)
      return
    }
    this.containers.set(id, container)
    if (old === undefined) this.#containerIds.add(id)
    this.#containerNames.set(container.name, id)
    for (const target of Object.values(container.links)) {
      entryOf(this.#legacyLinkers, target, () => new Set()).add(id)
    }
  }

  #setSandbox(id: Id, sandbox: Sandbox | undefined): void {
    const old = this.sandboxes.get(id)
    if (old !== undefined) {
      for (const port of old.ports) this.#ports = this.#ports.release(port)
      this.#sandboxByContainer.delete(old.containerId)
    }
    if (sandbox === undefined) {
      this.sandboxes.delete(id)
      return
    }
    this.sandboxes.set(id, sandbox)
    this.#sandboxByContainer.set(sandbox.containerId, id)
    for (const port of sandbox.ports) this.#ports = this.#ports.hold(port, sandbox.containerId)
  }

  #setEndpoint(id: Id, endpoint: Endpoint | undefined): void {
    const old = this.endpoints.get(id)
    if (old !== undefined) {
      // An endpoint never moves: when it is put again it keeps its place in the order of the sandbox's interfaces.
      if (endpoint === undefined) {
        this.#endpointsByNetwork.get(old.networkId)?.delete(id)
        this.#endpointsBySandbox.get(old.sandboxId)?.delete(id)
      }
      for (const target of Object.values(old.links)) this.#linkers.get(target)?.delete(id)
      this.#setAddresses(old, (set, value) => set.remove(value, value))
    }
    if (endpoint === undefined) {
      this.endpoints.delete(id)
      return
    }
    this.endpoints.set(id, endpoint)
    entryOf(this.#endpointsByNetwork, endpoint.networkId, () => new Map()).set(id, endpoint)
    entryOf(this.#endpointsBySandbox, endpoint.sandboxId, () => new Map()).set(id, endpoint)
    for (const target of Object.values(endpoint.links)) {
      entryOf(this.#linkers, target, () => new Set()).add(id)
    }
    this.#setAddresses(endpoint, (set, value) => set.add(value, value))
  }

  #setAddresses(endpoint: Endpoint, edit: (set: RangeSet, value: bigint) => RangeSet): void {
    for (const text of [endpoint.ipv4, endpoint.ipv6]) {
      const address = text === undefined ? undefined : parseAddress(stripLength(text))
      if (address === undefined) continue
      const key = `${endpoint.networkId} ${address.family}`
      this.#addresses.set(key, edit(this.#addresses.get(key) ?? RangeSet.empty, address.value))
    }
  }

  #setImage(id: string, image: Image | undefined): void {
    const old = this.images.get(id)
    for (const name of [...(old?.tags ?? []), ...(old?.digests ?? [])]) {
      if (this.#imageNames.get(name) === id) this.#imageNames.delete(name)
    }
    if (image === undefined) {
      this.images.delete(id)
      this.#imageIds.delete(id)
      return
    }
    this.images.set(id, image)
    if (old === undefined) this.#imageIds.add(id)
    for (const name of [...image.tags, ...image.digests]) this.#imageNames.set(name, id)
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const existing = map.get(key)
  if (existing !== undefined) return existing
  const made = make()
  map.set(key, made)
  return made
}

function subnetRange(text: string): [bigint, bigint] {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new Error(`the store holds a network with the malformed subnet ${text}`)
  return prefixRange(prefix)
}
