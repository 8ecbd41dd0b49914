/**
 * What is known here: who has which name on which network, and who may ask for it. A pure data structure; it knows
 * neither sockets nor messages.
 *
 * Invariants:
 * - A change costs as much as the object changed has names, however large the zone is. A look-up costs as many map
 *   accesses as the name has dots and the asker has networks.
 * - The order of changes does not matter: what refers to something that is not there (yet) is kept and finds nothing.
 *   A network that was never put knows no names.
 * - The first network that knows a name answers alone; addresses of several networks are never mixed, because the
 *   asker may reach them by different ways.
 */

import { addressBytes, reverseName } from './address.ts'
import type { Id, ZoneChange, ZoneEndpoint, ZoneNetwork, ZoneSandbox } from './types.ts'
import { encodeName, nameKey } from './wire.ts'

/** The addresses behind a name. Both lists may be empty: the name is known, but has no address of that family. */
export interface Addresses {
  readonly ipv4: readonly Uint8Array[]
  readonly ipv6: readonly Uint8Array[]
}

interface Endpoint extends Addresses {
  readonly record: ZoneEndpoint
  readonly keys: readonly string[]
  readonly reverse: readonly string[]
}

/** Everybody who has a name on a network. The address lists are made when they are asked for. */
class Holders implements Addresses {
  readonly #endpoints = new Set<Endpoint>()
  #addresses: Addresses | undefined

  add(endpoint: Endpoint): void {
    this.#endpoints.add(endpoint)
    this.#addresses = undefined
  }

  delete(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint)
    this.#addresses = undefined
  }

  get empty(): boolean {
    return this.#endpoints.size === 0
  }

  get ipv4(): readonly Uint8Array[] {
    return this.#list().ipv4
  }

  get ipv6(): readonly Uint8Array[] {
    return this.#list().ipv6
  }

  #list(): Addresses {
    return (this.#addresses ??= {
      ipv4: distinct([...this.#endpoints].flatMap(endpoint => endpoint.ipv4)),
      ipv6: distinct([...this.#endpoints].flatMap(endpoint => endpoint.ipv6)),
    })
  }
}

/** What is known on one network. It exists while the network or an endpoint on it does. */
interface Network {
  record: ZoneNetwork | undefined
  /** The network's name as the last labels of a question. */
  key: string
  /** Name → who has it. */
  readonly names: Map<string, Holders>
  /** Name below in-addr.arpa or ip6.arpa → who has that address, newest last: an address may change hands in any order. */
  readonly reverse: Map<string, Set<Endpoint>>
  endpoints: number
}

interface Sandbox {
  readonly record: ZoneSandbox
  /** Network → alias → endpoint. */
  readonly links: ReadonlyMap<Id, ReadonlyMap<string, Id>>
}

export class Zone {
  readonly #networks = new Map<Id, Network>()
  /** Key of a network's name → its id. */
  readonly #networkIds = new Map<string, Id>()
  readonly #endpoints = new Map<Id, Endpoint>()
  readonly #sandboxes = new Map<Id, Sandbox>()
  /** Endpoints whose address a server outside has given out too: their reverse names are left to that server. */
  readonly #published = new WeakSet<Endpoint>()

  apply(changes: readonly ZoneChange[]): void {
    for (const change of changes) {
      if ('drop' in change) this.#drop(change.drop, change.id)
      else if (change.put === 'network') this.#putNetwork(change.network)
      else if (change.put === 'endpoint') this.#putEndpoint(change.endpoint)
      else this.#sandboxes.set(change.sandbox.id, compileSandbox(change.sandbox))
    }
  }

  sandbox(id: Id): ZoneSandbox | undefined {
    return this.#sandboxes.get(id)?.record
  }

  /** The addresses behind a name (a `nameKey`) as that sandbox sees it; undefined: nobody here has the name. */
  lookup(sandboxId: Id, name: string): Addresses | undefined {
    const sandbox = this.#sandboxes.get(sandboxId)
    if (sandbox === undefined) return undefined
    for (const id of sandbox.record.networks) {
      const found = this.#lookupOn(sandbox, id, name)
      if (found !== undefined) return found
    }
    // Names and names of networks may both have dots: every split is tried, the shortest network's name first.
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
      const length = name.length - dot - 1
      for (const id of sandbox.record.networks) {
        const key = this.#networks.get(id)?.key
        if (key === undefined || key.length !== length || !name.endsWith(key)) continue
        const found = this.#lookupOn(sandbox, id, name.slice(0, dot))
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  /**
   * The addresses behind `name.network` whoever asks, for the host; 'network' for a network's own name. Both may have
   * dots: the shortest network's name wins.
   */
  lookupAnywhere(name: string): Addresses | 'network' | undefined {
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
      const id = this.#networkIds.get(name.slice(dot + 1))
      const found = id === undefined ? undefined : this.#networks.get(id)?.names.get(name.slice(0, dot))
      if (found !== undefined) return found
    }
    return this.#networkIds.has(name) ? 'network' : undefined
  }

  /** What a reverse name stands for on any network, in wire form below `domain`. */
  reverseAnywhere(name: string, domain: string): Uint8Array | undefined {
    for (const { record, reverse } of this.#networks.values()) {
      const endpoint = [...(reverse.get(name) ?? [])].at(-1)
      if (record === undefined || endpoint === undefined) continue
      return encodeName(`${endpoint.record.names[0] ?? ''}.${record.name}.${domain}`)
    }
    return undefined
  }

  /**
   * What a reverse name stands for, in wire form: `canonical.network.`. undefined: nobody here has that address, or a
   * server outside has published it. null: somebody has it, but under a name that DNS cannot write.
   */
  reverse(sandboxId: Id, name: string): Uint8Array | null | undefined {
    const found = this.#holder(sandboxId, name)
    if (found === undefined || this.#published.has(found.endpoint)) return undefined
    return encodeName(`${found.endpoint.record.names[0] ?? ''}.${found.network.name}`) ?? null
  }

  /** A server outside has given this address out: if it is one of the sandbox's peers, that server names it from now on. */
  publish(sandboxId: Id, address: Uint8Array): void {
    const found = this.#holder(sandboxId, reverseName(address))
    if (found !== undefined) this.#published.add(found.endpoint)
  }

  #holder(sandboxId: Id, name: string): { endpoint: Endpoint; network: ZoneNetwork } | undefined {
    for (const id of this.#sandboxes.get(sandboxId)?.record.networks ?? []) {
      const network = this.#networks.get(id)
      const holders = network?.reverse.get(name)
      if (network?.record === undefined || holders === undefined) continue
      const endpoint = [...holders].at(-1)
      if (endpoint !== undefined) return { endpoint, network: network.record }
    }
    return undefined
  }

  #lookupOn(sandbox: Sandbox, id: Id, name: string): Addresses | undefined {
    const network = this.#networks.get(id)
    if (network?.record === undefined) return undefined
    const linked = sandbox.links.get(id)?.get(name)
    return linked === undefined ? network.names.get(name) : this.#endpoints.get(linked)
  }

  #putNetwork(record: ZoneNetwork): void {
    const network = this.#network(record.id)
    this.#forgetName(record.id, network)
    network.record = record
    network.key = nameKey(record.name)
    this.#networkIds.set(network.key, record.id)
  }

  #putEndpoint(record: ZoneEndpoint): void {
    this.#dropEndpoint(record.id)
    const endpoint = compileEndpoint(record)
    const network = this.#network(record.network)
    this.#endpoints.set(record.id, endpoint)
    network.endpoints += 1
    for (const key of endpoint.keys) entry(network.names, key, () => new Holders()).add(endpoint)
    for (const key of endpoint.reverse) entry(network.reverse, key, () => new Set<Endpoint>()).add(endpoint)
  }

  #drop(kind: 'network' | 'endpoint' | 'sandbox', id: Id): void {
    if (kind === 'sandbox') this.#sandboxes.delete(id)
    else if (kind === 'endpoint') this.#dropEndpoint(id)
    else {
      const network = this.#networks.get(id)
      if (network === undefined) return
      this.#forgetName(id, network)
      network.record = undefined
      this.#forgetIfUnused(id, network)
    }
  }

  #dropEndpoint(id: Id): void {
    const endpoint = this.#endpoints.get(id)
    if (endpoint === undefined) return
    this.#endpoints.delete(id)
    const network = this.#network(endpoint.record.network)
    network.endpoints -= 1
    for (const key of endpoint.keys) {
      const holders = network.names.get(key)
      holders?.delete(endpoint)
      if (holders?.empty === true) network.names.delete(key)
    }
    for (const key of endpoint.reverse) {
      const holders = network.reverse.get(key)
      holders?.delete(endpoint)
      if (holders?.size === 0) network.reverse.delete(key)
    }
    this.#forgetIfUnused(endpoint.record.network, network)
  }

  #network(id: Id): Network {
    return entry(this.#networks, id, () => ({
      record: undefined,
      key: '',
      names: new Map(),
      reverse: new Map(),
      endpoints: 0,
    }))
  }

  #forgetName(id: Id, network: Network): void {
    if (network.record !== undefined && this.#networkIds.get(network.key) === id)
      this.#networkIds.delete(network.key)
  }

  #forgetIfUnused(id: Id, network: Network): void {
    if (network.record === undefined && network.endpoints === 0) this.#networks.delete(id)
  }
}

function compileEndpoint(record: ZoneEndpoint): Endpoint {
  const ipv4 = present(record.ipv4)
  const ipv6 = present(record.ipv6)
  return {
    record,
    keys: [...new Set(record.names.map(nameKey))].filter(key => key !== ''),
    ipv4,
    ipv6,
    reverse: [...ipv4, ...ipv6].map(reverseName),
  }
}

function compileSandbox(record: ZoneSandbox): Sandbox {
  const links = Object.entries(record.links).map(([network, aliases]): [Id, ReadonlyMap<string, Id>] => [
    network,
    new Map(Object.entries(aliases).map(([alias, endpoint]) => [nameKey(alias), endpoint])),
  ])
  return { record, links: new Map(links) }
}

function present(text: string | undefined): readonly Uint8Array[] {
  const bytes = text === undefined ? undefined : addressBytes(text)
  return bytes === undefined ? [] : [bytes]
}

function distinct(addresses: readonly Uint8Array[]): readonly Uint8Array[] {
  if (addresses.length < 2) return addresses
  return [...new Map(addresses.map(address => [address.join(), address])).values()]
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
