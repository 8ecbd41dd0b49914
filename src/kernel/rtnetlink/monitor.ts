/**
 * What changes in a namespace, told by the kernel as it happens. The socket sits in Node's event loop; it stays in the
 * namespace in which it was made, whichever thread listens.
 */

import { KernelError } from '../error.ts'
import type { Message } from '../netlink/message.ts'
import { NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts'
import { Watcher } from '../poll.ts'
import { parseLinkAddress, type LinkAddress } from './address.ts'
import { parseLink, type Link } from './link.ts'
import { parseNeighbour, type Neighbour } from './neighbour.ts'
import { parseRoute, type Route } from './route.ts'
import {
  AF_UNSPEC,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
} from './uapi.ts'

/** Multicast groups by what they tell; a group is a bit at its number less one. */
const groups = { link: [1], neighbour: [3], address: [5, 9], route: [7, 11] } as const

export type MonitorTopic = keyof typeof groups

/** `gone`: it was deleted; else it is new or has changed. */
export type MonitorEvent =
  | { readonly topic: 'link'; readonly gone: boolean; readonly link: Link }
  | { readonly topic: 'neighbour'; readonly gone: boolean; readonly neighbour: Neighbour }
  | { readonly topic: 'address'; readonly gone: boolean; readonly address: LinkAddress }
  | { readonly topic: 'route'; readonly gone: boolean; readonly route: Route }
  /** We were too slow and the kernel dropped events: what was learned from them must be read anew. */
  | { readonly topic: 'overrun' }

/** Messages are read in one go up to this many datagrams; then other work gets its turn. */
const DATAGRAMS_PER_TURN = 64

/** Tells changes until it is closed. */
export class Monitor {
  readonly #socket: NetlinkSocket
  readonly #watcher: Watcher
  readonly #tell: (event: MonitorEvent) => void
  #closed = false

  /** Listens in the namespace the thread is in; may be made inside `inNamespace`. */
  constructor(topics: readonly MonitorTopic[], tell: (event: MonitorEvent) => void) {
    const mask = topics
      .flatMap(topic => [...groups[topic]])
      .reduce((bits, group) => bits | (1 << (group - 1)), 0)
    this.#tell = tell
    this.#socket = new NetlinkSocket(NETLINK_ROUTE, mask)
    this.#watcher = new Watcher(this.#socket.descriptor, { readable: true, writable: false }, () =>
      this.#drain(),
    )
  }

  close(): void {
    this.#closed = true
    this.#watcher.close()
    this.#socket.close()
  }

  #drain(): void {
    for (let datagrams = 0; datagrams < DATAGRAMS_PER_TURN && !this.#closed; datagrams++) {
      try {
        const messages = this.#socket.receive('watch the network')
        if (messages === undefined) return
        for (const message of messages) {
          const event = parseEvent(message)
          if (event !== undefined && !this.#closed) this.#tell(event)
        }
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'ENOBUFS') throw error
        // The socket's error ends libuv's polling; it goes on anew.
        this.#watcher.change({ readable: true, writable: false })
        this.#tell({ topic: 'overrun' })
      }
    }
  }
}

export function parseEvent(message: Message): MonitorEvent | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      // A port that joins or leaves a bridge is told once more in the bridge's own family.
      if (message.payload[0] !== AF_UNSPEC) return undefined
      return { topic: 'link', gone: message.type === RTM_DELLINK, link: parseLink(message) }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const neighbour = parseNeighbour(message)
      return neighbour && { topic: 'neighbour', gone: message.type === RTM_DELNEIGH, neighbour }
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const address = parseLinkAddress(message)
      return address && { topic: 'address', gone: message.type === RTM_DELADDR, address }
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = parseRoute(message)
      return route && { topic: 'route', gone: message.type === RTM_DELROUTE, route }
    }
    default:
      return undefined
  }
}
