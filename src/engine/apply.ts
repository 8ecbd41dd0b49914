/**
 * Brings a difference of the blueprint into the kernel and the resolver, all of it or nothing.
 *
 * Deleting links is what the kernel is slow at (an RCU grace period each), so deletions run behind the answer; the
 * kernel worker gathers them into groups, and makes whoever wants a name again wait for it.
 */
import { closeSync } from 'node:fs'
import { fault } from '../base/index.ts'
import {
  type Kernel,
  KernelError,
  type NetnsName,
  type Operation,
  type ResolverSockets,
  type VethSpec,
} from '../kernel/index.ts'
import type { Resolver, ZoneChange } from '../dns/index.ts'
import {
  type BridgeObject,
  type Difference,
  type FirewallIntent,
  inverse,
  type KernelObject,
  type ListenerObject,
  type RelayObject,
  type ReservationObject,
  type RouteObject,
  type VethObject,
} from '../network/index.ts'
import type { Firewall } from './firewall/firewall.ts'
import type { Log } from './log.ts'
import { openRelay, type Relay } from './relay.ts'

/** How we recognise a link as ours after a crash. */
export const aliasPrefix = 'linkspan:'

/** How a change becomes durable, and how that is taken back. */
export interface RecordedChange {
  readonly write: () => Promise<void>
  readonly unwrite: () => Promise<void>
}

export class Applier {
  readonly #kernel: Kernel
  readonly #resolver: Resolver
  readonly #firewall: Firewall
  readonly #log: Log
  /** Sockets of namespaces taken from the pool, until the resolver listens on them. */
  readonly #sockets = new Map<NetnsName, ResolverSockets>()
  readonly #relays = new Map<string, Relay>()
  /** Deletions under way. */
  readonly #deletions = new Set<Promise<void>>()

  constructor(kernel: Kernel, resolver: Resolver, firewall: Firewall, log: Log) {
    this.#kernel = kernel
    this.#resolver = resolver
    this.#firewall = firewall
    this.#log = log
  }

  /** A namespace for a new sandbox. Give it back with `discardNamespace` if it is not used. */
  async takeNamespace(): Promise<{ readonly name: NetnsName; readonly path: string }> {
    const { name, path, resolver } = await this.#kernel.takeNamespace()
    this.#sockets.set(name, resolver)
    return { name, path }
  }

  /** Deletes a namespace that no sandbox came to own. */
  discardNamespace(name: NetnsName): void {
    void this.#tearDown([{ kind: 'netns', key: `netns ${name}`, owner: '', name }])
  }

  /**
   * Applies the difference and writes the records that it stems from. If any of it fails everything is put back and the
   * error is thrown.
   *
   * Kernel, names and disk each take their millisecond, so all are at work at once: the disk first, which is waited for
   * most, and the kernel worker last, because the scheduler likes to let a thread that was woken run on the waker's
   * core at once. A crash in between finds the records written or not, and in both cases the next start brings the
   * kernel to them.
   */
  async apply(difference: Difference, records: RecordedChange): Promise<void> {
    const [written, named, operated] = await Promise.allSettled([
      records.write(),
      this.#name(difference),
      this.#operate(difference),
    ])
    try {
      for (const part of [operated, named, written]) if (part.status === 'rejected') throw part.reason
      await this.#relay(difference)
    } catch (error) {
      if (written.status === 'fulfilled') await this.#attempt(() => records.unwrite())
      if (operated.status === 'fulfilled') await this.#undo(difference)
      else await this.#attempt(() => this.#name(withoutDeferred(inverse(difference))))
      throw error
    }
    const deletion = this.#tearDown(difference.remove)
    this.#announce(difference.add)
    // A container that goes on running must not be seen with an interface it was told to have lost.
    if (leavesLiveNamespace(difference)) await deletion
  }

  /** Ends what lives in this process; the kernel's objects stay. */
  async close(): Promise<void> {
    for (const relay of this.#relays.values()) relay.close()
    await this.settled()
  }

  /** Resolves when every deletion asked for so far is done. */
  async settled(): Promise<void> {
    await Promise.all(this.#deletions)
  }

  /** The kernel's part: one batch, all or nothing. */
  async #operate(difference: Difference): Promise<void> {
    const operations = this.#operations(difference)
    if (operations.length === 0) return
    try {
      await this.#kernel.run(operations)
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      const failed = operations[error.position ?? -1]
      if (failed?.do === 'veth.add' && error.code === 'EXFULL') throw fault('bridgeFull', failed.veth.bridge)
      // Only what a user asks of an endpoint is set inside a namespace.
      if (failed?.do !== 'sysctl.set' || failed.netns === undefined) throw error
      throw fault('sysctlRefused', failed.key, error.code)
    }
  }

  /** What cannot be undone is told and left to the next reconciliation; the rest is undone all the same. */
  async #undo(difference: Difference): Promise<void> {
    const back = withoutDeferred(inverse(difference))
    for (const step of [() => this.#operate(back), () => this.#name(back), () => this.#relay(back)]) {
      await this.#attempt(step)
    }
    await this.#tearDown(difference.add)
  }

  async #attempt(undo: () => Promise<void>): Promise<void> {
    await undo().catch((error: unknown) => this.#log.error({ err: error }, 'undoing a command failed'))
  }

  /** The resolver's part: what it knows, and the sockets it serves. It takes requests in the order they are made. */
  async #name({ add, change, remove }: Difference): Promise<void> {
    const names = zoneChanges({ add, change, remove })
    await Promise.all([
      ...(names.length === 0 ? [] : [this.#resolver.update(names)]),
      ...add.map(object => (object.kind === 'listener' ? this.#listen(object) : undefined)),
      ...remove.map(object =>
        object.kind === 'listener' ? this.#resolver.unlisten(object.owner) : undefined,
      ),
    ])
  }

  /** Relays serve sockets of reservations, which the kernel's part makes. */
  async #relay(difference: Difference): Promise<void> {
    for (const object of [...difference.remove, ...difference.change.map(c => c.before)]) {
      if (object.kind === 'relay') this.#closeRelay(object)
    }
    for (const object of [...difference.add, ...difference.change.map(c => c.after)]) {
      if (object.kind === 'relay') await this.#openRelay(object)
    }
  }

  async #listen({ netns, owner }: ListenerObject): Promise<void> {
    const sockets = this.#sockets.get(netns) ?? (await this.#kernel.openResolver(netns))
    this.#sockets.delete(netns)
    await this.#resolver.listen(owner, sockets)
  }

  async #openRelay(object: RelayObject): Promise<void> {
    const { protocol, hostIp: address, hostFrom: from, hostTo: to } = object
    const sockets = await this.#kernel.serveReserved({ protocol, address, from, to })
    this.#relays.set(object.key, openRelay(object, sockets, this.#log))
  }

  #closeRelay({ key }: RelayObject): void {
    this.#relays.get(key)?.close()
    this.#relays.delete(key)
  }

  #operations({ add, change, remove }: Difference): readonly Operation[] {
    const operations: Operation[] = []
    for (const object of remove) if (object.kind === 'reservation') operations.push(release(object))
    for (const object of add) if (object.kind === 'reservation') operations.push(reserve(object))
    for (const object of add) if (object.kind === 'bridge') operations.push(...createBridge(object))
    for (const { after } of change) if (after.kind === 'bridge') operations.push(...setBridge(after))
    for (const { before, after } of change) {
      if (before.kind === 'veth' && after.kind === 'veth') operations.push(...changeVeth(before, after))
    }
    for (const object of add) if (object.kind === 'veth') operations.push(...createVeth(object))
    // With its link the route goes by itself; a route that only moves is replaced in place.
    for (const object of remove) {
      if (object.kind === 'route' && !remove.some(o => o.kind === 'netns' && o.name === object.netns)) {
        operations.push({ do: 'route.delete', route: routeSpec(object) })
      }
    }
    for (const { after } of change) {
      if (after.kind === 'route') operations.push({ do: 'route.set', route: routeSpec(after) })
    }
    for (const object of add) {
      if (object.kind === 'route') operations.push({ do: 'route.set', route: routeSpec(object) })
    }
    operations.push(
      ...this.#firewall.update(
        [...add, ...change.map(c => c.after)].filter(isIntent),
        [...remove, ...change.map(c => c.before)].filter(isIntent),
      ),
    )
    return operations
  }

  /** Deletes links and namespaces. A namespace takes its veths with it, which the kernel does in the background. */
  #tearDown(objects: readonly KernelObject[]): Promise<void> {
    const namespaces = objects.flatMap(object => (object.kind === 'netns' ? [object.name] : []))
    const links = objects.flatMap(object => {
      if (object.kind === 'bridge') return object.adopted ? [] : [object.name]
      return object.kind === 'veth' && !namespaces.includes(object.netns) ? [object.hostName] : []
    })
    const deletion = this.#delete(links, namespaces)
      .catch((error: unknown) =>
        this.#log.error({ err: error, links, namespaces }, 'deleting kernel objects failed'),
      )
      .finally(() => this.#deletions.delete(deletion))
    this.#deletions.add(deletion)
    return deletion
  }

  async #delete(links: readonly string[], namespaces: readonly NetnsName[]): Promise<void> {
    for (const name of namespaces) {
      const sockets = this.#sockets.get(name)
      this.#sockets.delete(name)
      // Taken but never listened in: nobody else closes them.
      if (sockets !== undefined) for (const fd of [sockets.udp, sockets.tcp]) closeSync(fd)
    }
    if (namespaces.length > 0) await this.#kernel.deleteNamespaces(namespaces)
    if (links.length > 0) await this.#kernel.run([{ do: 'links.delete', names: links }])
  }

  #announce(objects: readonly KernelObject[]): void {
    for (const object of objects) {
      if (object.kind !== 'veth' || object.announcements.count === 0) continue
      const { count, intervalMs } = object.announcements
      this.#kernel
        .announce(object.netns, object.name, count, intervalMs)
        .catch((error: unknown) =>
          this.#log.debug({ err: error, veth: object.name }, 'announcing addresses failed'),
        )
    }
  }
}

/** An interface is taken out of a namespace that stays. */
function leavesLiveNamespace({ remove }: Difference): boolean {
  const gone = new Set(remove.flatMap(object => (object.kind === 'netns' ? [object.name] : [])))
  return remove.some(object => object.kind === 'veth' && !gone.has(object.netns))
}

/** What is deleted behind the answer is still there when a command is undone. */
function withoutDeferred(difference: Difference): Difference {
  const deferred = (object: KernelObject) =>
    object.kind === 'netns' || object.kind === 'veth' || object.kind === 'bridge'
  return { ...difference, add: difference.add.filter(object => !deferred(object)) }
}

function isIntent(object: KernelObject): object is FirewallIntent {
  return object.kind === 'segment' || object.kind === 'publish'
}

function createBridge(bridge: BridgeObject): readonly Operation[] {
  return [
    { do: bridge.adopted ? 'bridge.set' : 'bridge.add', bridge: bridgeSpec(bridge) },
    loopbackRouting(bridge),
  ]
}

function setBridge(bridge: BridgeObject): readonly Operation[] {
  return [{ do: 'bridge.set', bridge: bridgeSpec(bridge) }, loopbackRouting(bridge)]
}

function bridgeSpec({ name, owner, mac, mtu, addresses, keepIPv4, ipv6, adopted }: BridgeObject) {
  // An adopted bridge stays its owner's: with our alias a later start would take it for a leftover of ours.
  const alias = adopted ? '' : `${aliasPrefix}${owner}`

  return {
    name,
    alias,
    mac,
    addresses,
    ipv6,
    ...(mtu === undefined ? {} : { mtu }),
    ...(keepIPv4 === true ? { keepIPv4 } : {}),
  }
}

/**
 * 127.0.0.1:PORT of the host reaches a container by DNAT in the output hook; without route_localnet the kernel drops
 * a packet with a loopback source that leaves by a bridge. The `direct` chain keeps others from using it.
 */
function loopbackRouting({ name }: BridgeObject): Operation {
  return { do: 'sysctl.set', key: `net/ipv4/conf/${name}/route_localnet`, value: '1' }
}

function createVeth(object: VethObject): readonly Operation[] {
  const { hostName, owner, bridge, netns, name, mac, mtu, addresses, ipv6, hairpin, sysctls } = object
  const veth: VethSpec = {
    name: hostName,
    alias: `${aliasPrefix}${owner}`,
    bridge,
    hairpin,
    ...(mtu === undefined ? {} : { mtu }),
    peer: { netns, name, mac, addresses, ipv6 },
  }
  return [
    { do: 'veth.add', veth },
    ...sysctls.map(({ key, value }): Operation => ({ do: 'sysctl.set', netns, key, value })),
  ]
}

/** A published port moves without touching the interface; anything else makes a new one. */
function changeVeth(before: VethObject, after: VethObject): readonly Operation[] {
  if (JSON.stringify({ ...before, hairpin: after.hairpin }) === JSON.stringify(after)) {
    return [{ do: 'hairpin.set', link: after.hostName, on: after.hairpin }]
  }
  return [{ do: 'links.delete', names: [before.hostName] }, ...createVeth(after)]
}

function routeSpec({ netns, family, gateway, link }: RouteObject) {
  return { netns, destination: 'default' as const, family, gateway, link }
}

function reserve({ protocol, address, from, to }: ReservationObject): Operation {
  return { do: 'port.reserve', port: { protocol, address, from, to } }
}

function release({ protocol, address, from, to }: ReservationObject): Operation {
  return { do: 'port.release', port: { protocol, address, from, to } }
}

function zoneChanges({ add, change, remove }: Difference): readonly ZoneChange[] {
  const changes: ZoneChange[] = []
  for (const object of remove) {
    if (object.kind === 'zone-network') changes.push({ drop: 'network', id: object.id })
    else if (object.kind === 'zone-endpoint') changes.push({ drop: 'endpoint', id: object.id })
    else if (object.kind === 'zone-sandbox') changes.push({ drop: 'sandbox', id: object.id })
  }
  for (const object of [...add, ...change.map(c => c.after)]) {
    if (object.kind === 'zone-network') {
      changes.push({ put: 'network', network: { id: object.id, name: object.name } })
    } else if (object.kind === 'zone-endpoint') {
      const { id, network, names, ipv4, ipv6 } = object
      const addresses = { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) }
      changes.push({ put: 'endpoint', endpoint: { id, network, names, ...addresses } })
    } else if (object.kind === 'zone-sandbox') {
      const { id, networks, links, servers, external, ndotsSet } = object
      changes.push({ put: 'sandbox', sandbox: { id, networks, links, servers, external, ndotsSet } })
    }
  }
  return changes
}
