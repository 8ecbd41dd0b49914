/**
 * Who holds which host port.
 *
 * The table is an immutable value derived from the containers' records, never stored. A socket on a specific address
 * cannot be bound while the wildcard of its family holds the port, nor the other way round; the two families are
 * apart, because wildcard IPv6 sockets are bound with IPV6_V6ONLY.
 */
import { fault } from '../../base/index.ts'
import type { PublishedPort } from '../types.ts'
import type { Order, Tree } from './interval-tree.ts'
import { findLast, findOverlap, insert, remove } from './interval-tree.ts'

/** Ports of one host address: what of a published port can be in another's way. */
export type HostPorts = Pick<PublishedPort, 'protocol' | 'hostIp' | 'hostFrom' | 'hostTo'>

export interface HeldPorts extends HostPorts {
  readonly holder: string
}

interface Entry {
  readonly from: number
  readonly to: number
  readonly hostIp: string
  readonly held: HeldPorts
}

/** One protocol in one family, twice: in order of ports for wildcards, in order of addresses for all others. */
interface Space {
  readonly byPort: Tree<Entry>
  readonly byAddress: Tree<Entry>
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const portOrder: Order<Entry> = (a, b) => a.from - b.from || compareText(a.hostIp, b.hostIp)
const addressOrder: Order<Entry> = (a, b) => compareText(a.hostIp, b.hostIp) || a.from - b.from

const wildcardOf = (hostIp: string): string => (hostIp.includes(':') ? '::' : '0.0.0.0')
const spaceKey = (ports: HostPorts): string => `${ports.protocol} ${wildcardOf(ports.hostIp)}`

const emptySpace: Space = { byPort: undefined, byAddress: undefined }

/** `0.0.0.0:80`, `[::]:80`. */
export function bindingText(hostIp: string, port: number): string {
  return hostIp.includes(':') ? `[${hostIp}]:${port}` : `${hostIp}:${port}`
}

export class PortTable {
  static readonly empty = new PortTable(new Map())

  /** At most six: protocols times families. */
  readonly #spaces: ReadonlyMap<string, Space>

  private constructor(spaces: ReadonlyMap<string, Space>) {
    this.#spaces = spaces
  }

  #space(ports: HostPorts): Space {
    return this.#spaces.get(spaceKey(ports)) ?? emptySpace
  }

  #with(ports: HostPorts, space: Space): PortTable {
    return new PortTable(new Map(this.#spaces).set(spaceKey(ports), space))
  }

  /** What is in the way of binding all of these ports; undefined = nothing. */
  conflict(ports: HostPorts): HeldPorts | undefined {
    const { hostIp, hostFrom, hostTo } = ports
    const space = this.#space(ports)
    const wildcard = wildcardOf(hostIp)
    if (hostIp === wildcard) return findOverlap(space.byPort, hostFrom, hostTo)?.held
    return overlapOn(space, hostIp, ports) ?? overlapOn(space, wildcard, ports)
  }

  /** Gives the ports to `holder`. Throws `portAllocated` if somebody has one of them: ask `conflict` first. */
  hold(ports: HostPorts, holder: string): PortTable {
    const rival = this.conflict(ports)
    if (rival !== undefined) throw portConflict(ports, rival, rival.holder)
    const { protocol, hostIp, hostFrom, hostTo } = ports
    const held: HeldPorts = { protocol, hostIp, hostFrom, hostTo, holder }
    const entry: Entry = { from: hostFrom, to: hostTo, hostIp, held }
    const space = this.#space(ports)
    return this.#with(ports, {
      byPort: insert(space.byPort, entry, portOrder),
      byAddress: insert(space.byAddress, entry, addressOrder),
    })
  }

  /** Takes back what was held with exactly these ports; nothing happens if they were not. */
  release(ports: HostPorts): PortTable {
    const space = this.#space(ports)
    const { hostIp, hostFrom, hostTo } = ports
    const found = findLast(space.byAddress, probe(hostIp, hostFrom), addressOrder)
    if (found?.hostIp !== hostIp || found.from !== hostFrom || found.to !== hostTo) return this
    return this.#with(ports, {
      byPort: remove(space.byPort, found, portOrder),
      byAddress: remove(space.byAddress, found, addressOrder),
    })
  }
}

function probe(hostIp: string, port: number): Entry {
  const held: HeldPorts = { protocol: 'tcp', hostIp, hostFrom: port, hostTo: port, holder: '' }
  return { from: port, to: port, hostIp, held }
}

/** Ranges of one address are disjoint, so the last one that begins by the end of ours is the only one to look at. */
function overlapOn(space: Space, hostIp: string, { hostFrom, hostTo }: HostPorts): HeldPorts | undefined {
  const found = findLast(space.byAddress, probe(hostIp, hostTo), addressOrder)
  return found !== undefined && found.hostIp === hostIp && found.to >= hostFrom ? found.held : undefined
}

/** The fault for ports that `rival` is in the way of, naming the first of them and the holder by `name`. */
export function portConflict(ports: HostPorts, rival: HeldPorts, name: string): Error {
  return fault('portAllocated', bindingText(ports.hostIp, Math.max(ports.hostFrom, rival.hostFrom)), name)
}
