/**
 * What the kernel worker can be asked to do: plain values, so that they cross threads, can be logged and can be
 * asserted in tests. Every operation knows its inverse; a batch that fails half-way is undone in reverse order.
 *
 * Nothing here knows Docker: a namespace has a name, a link has a name, an nftables set has elements.
 */

import type { NftChain, NftHit } from './nfnetlink/ruleset.ts'
import type { NoRoute, RouteAnswer, RouteQuestion } from './rtnetlink/lookup.ts'
import type { BoundSocket } from './sockdiag.ts'

/** A namespace by its file's name under the run directory; absent = the namespace the process started in. */
export type NetnsName = string

export type Protocol = 'tcp' | 'udp' | 'sctp'

/** Elements of nftables sets and maps as the kernel wants them: one byte string per field of the key, unpadded. */
export interface NftElement {
  readonly table: string
  readonly set: string
  readonly key: readonly Uint8Array[]
  /** Last key of an interval (inclusive); for sets with the interval flag. */
  readonly keyEnd?: readonly Uint8Array[]
  /** For maps: the value's fields, or a verdict. */
  readonly data?: readonly Uint8Array[] | NftVerdict
}

export type NftVerdict =
  | { readonly verdict: 'accept' | 'drop' | 'return' }
  | { readonly verdict: 'goto' | 'jump'; readonly chain: string }

/** A table of iptables, as iptables-save writes it. */
export interface IptablesTable {
  readonly name: string
  /** Chain → policy; `-` for chains that are not the kernel's own. */
  readonly chains: ReadonlyMap<string, string>
  readonly rules: readonly IptablesRule[]
}

export interface IptablesRule {
  readonly chain: string
  /** Matches and target: `-i docker0 -j ACCEPT`. */
  readonly spec: string
  /** How many packets it matched, if that was asked for. */
  readonly packets?: number
}

/** What changes in one table. */
export interface IptablesChange {
  readonly table: string
  /** Chains that the lines take for granted. They are made if somebody has deleted them. */
  readonly chains: readonly string[]
  /** As iptables-restore takes them: `-A CHAIN SPEC`, `-I …`, `-D …`, `-N CHAIN`, `-X CHAIN`, `-P CHAIN POLICY`. */
  readonly lines: readonly string[]
}

/** Where an interface's addresses come from: `172.17.0.2/16`, `fd00::2/64`. */
export type Cidr = string

export interface BridgeSpec {
  readonly name: string
  readonly mac: string
  readonly mtu?: number
  /** Written to IFLA_IFALIAS: how we recognise what is ours. */
  readonly alias: string
  readonly addresses: readonly Cidr[]
  /** Somebody else gives it its IPv4 addresses: those it has stay. */
  readonly keepIPv4?: boolean
  /** false: disable_ipv6=1. true: accept_ra=0, accept_dad=0 before it comes up. */
  readonly ipv6: boolean
}

export interface VethSpec {
  /** The host's end: created up, with `bridge` as master. */
  readonly name: string
  readonly alias: string
  readonly bridge: string
  readonly hairpin?: boolean
  readonly mtu?: number
  /** The other end, made inside `netns` under its final name. */
  readonly peer: {
    readonly netns: NetnsName
    readonly name: string
    readonly mac: string
    readonly addresses: readonly Cidr[]
    readonly ipv6: boolean
  }
}

export interface RouteSpec {
  readonly netns?: NetnsName
  /** `default` or a prefix. */
  readonly destination: Cidr
  readonly family: 4 | 6
  readonly gateway?: string
  readonly link: string
}

export interface ReservationSpec {
  readonly protocol: Protocol
  /** `0.0.0.0`, `::` or a specific address of the host. */
  readonly address: string
  readonly from: number
  /** Inclusive. */
  readonly to: number
}

export type Operation =
  | { readonly do: 'bridge.add'; readonly bridge: BridgeSpec }
  /** Brings an existing bridge to the spec: MAC, MTU, missing addresses; addresses of ours that are not named go. */
  | { readonly do: 'bridge.set'; readonly bridge: BridgeSpec }
  | { readonly do: 'veth.add'; readonly veth: VethSpec }
  /** Whether a bridge port sends a frame back out of the port it came in by. */
  | { readonly do: 'hairpin.set'; readonly link: string; readonly on: boolean }
  /** Undo: none (deletions come last in a batch). Absent links are not an error. */
  | { readonly do: 'links.delete'; readonly names: readonly string[] }
  | { readonly do: 'route.set'; readonly route: RouteSpec }
  | { readonly do: 'route.delete'; readonly route: RouteSpec }
  /** `key` is a path below /proc/sys with slashes, e.g. net/ipv4/ip_forward. Undo writes the old value back. */
  | { readonly do: 'sysctl.set'; readonly netns?: NetnsName; readonly key: string; readonly value: string }
  /** One transaction: all or nothing. Adding what is there and deleting what is not there are no errors. */
  | {
      readonly do: 'nft.elements'
      readonly add: readonly NftElement[]
      readonly delete: readonly NftElement[]
    }
  /** Loads a ruleset text through `nft -f` in one transaction. Undo: none; used at start and to mend. */
  | { readonly do: 'nft.load'; readonly text: string }
  /** One run of iptables-restore --noflush: all or nothing. Deleting rules that are not there is no error. */
  | {
      readonly do: 'iptables.restore'
      readonly family: 4 | 6
      readonly changes: readonly IptablesChange[]
      /** The changes that take these back; none if nobody will ask for that. */
      readonly undo: readonly IptablesChange[]
    }
  /** Holds host ports so that nobody else can bind them; never accepts. Fails with EADDRINUSE and the port. */
  | { readonly do: 'port.reserve'; readonly port: ReservationSpec }
  | { readonly do: 'port.release'; readonly port: ReservationSpec }

/** What operations answer, by position; operations without an answer give null. */
export type OperationResult =
  | null
  | { readonly hostIndex: number; readonly peerIndex: number }
  | { readonly index: number }

/** A namespace that is ready for use: lo up, sysctls written, name-service sockets open. */
export interface PreparedNamespace {
  readonly name: NetnsName
  /** The bind-mounted file other programs can enter. */
  readonly path: string
  readonly resolver: ResolverSockets
}

/** Sockets bound inside a namespace; the numbers are valid in every thread of the process. The receiver closes them. */
export interface ResolverSockets {
  readonly udp: number
  readonly tcp: number
}

export interface ObservedLink {
  readonly index: number
  readonly name: string
  readonly kind: string | undefined
  readonly alias: string | undefined
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** ifindex of the master, 0 = none. */
  readonly master: number
  /** ifindex of the other end (veth), 0 = none. */
  readonly peer: number
  /** Bridge port: frames may leave by the port they came in. */
  readonly hairpin: boolean
  readonly addresses: readonly Cidr[]
}

export interface ObservedRoute {
  readonly family: 4 | 6
  /** `default` or a prefix. */
  readonly destination: Cidr
  readonly gateway: string | undefined
  /** Name of the outgoing link. */
  readonly link: string | undefined
  /** RT_SCOPE_LINK or a kernel route: the subnet is directly attached. */
  readonly onLink: boolean
}

export interface KernelSettings {
  /** Directory for namespace files, e.g. /run/linkspan/netns; made by the kernel worker. */
  readonly netnsDirectory: string
  /** How many prepared namespaces are kept ready. 0 = none, each is made when asked for. */
  readonly poolSize: number
  /** Sysctls of every prepared namespace: path below /proc/sys → value. */
  readonly namespaceSysctls: Readonly<Record<string, string>>
  /** In every namespace `address`:53 (UDP and TCP) is rewritten statelessly to `port`, where the sockets listen. */
  readonly resolver: { readonly address: string; readonly port: number }
}

/** The kernel as the engine sees it: asynchronous, because it runs on its own thread. */
export interface Kernel {
  /**
   * Executes the operations in order as one unit. If one fails, the inverses of those already done run in reverse
   * order and the promise is rejected with a `KernelError` that has the operation's position.
   */
  run(operations: readonly Operation[]): Promise<readonly OperationResult[]>
  /** Takes a namespace out of the pool (or makes one); the pool is refilled behind the answer. */
  takeNamespace(): Promise<PreparedNamespace>
  /** Opens the resolver sockets anew in a namespace that exists (after a restart of the engine). */
  openResolver(netns: NetnsName): Promise<ResolverSockets>
  /** A UDP or TCP socket made inside a namespace, non-blocking, unbound; for questions to servers reachable there. */
  openSocket(netns: NetnsName, family: 4 | 6, type: 'udp' | 'tcp'): Promise<number>
  /**
   * Lets the sockets of a reservation through and hands out copies of them, one per port in order: the receiver serves
   * on them and closes them. Empty for SCTP and for ranges that are held without sockets.
   */
  serveReserved(port: ReservationSpec): Promise<readonly number[]>
  /** Unmounts and removes namespaces; the kernel then destroys their veths. Absent ones are not an error. */
  deleteNamespaces(names: readonly NetnsName[]): Promise<void>
  /** Names of the namespace files there are. Prepared but unused ones are marked free. */
  namespaces(): Promise<readonly { readonly name: NetnsName; readonly free: boolean }[]>
  links(netns?: NetnsName): Promise<readonly ObservedLink[]>
  routes(netns?: NetnsName): Promise<readonly ObservedRoute[]>
  /** Elements of one set or map; undefined where the table or set does not exist. */
  elements(table: string, set: string): Promise<readonly NftElement[] | undefined>
  /**
   * The tables of iptables or ip6tables; those that nobody has used are missing. ENOENT: it is not installed. `counted`:
   * with the kernel's counters.
   */
  iptables(family: 4 | 6, counted?: boolean): Promise<readonly IptablesTable[]>
  /** Gratuitous ARP and unsolicited NA for the addresses of a link inside a namespace: one now, `count - 1` behind. */
  announce(netns: NetnsName, link: string, count: number, intervalMs: number): Promise<void>
  /** One link; undefined if there is none. Costs the same however many there are. */
  link(name: string, netns?: NetnsName): Promise<Omit<ObservedLink, 'addresses'> | undefined>
  /** Where a packet would go, by the kernel's own look-up. */
  lookUpRoute(question: RouteQuestion, netns?: NetnsName): Promise<RouteAnswer | NoRoute>
  /** Every nftables chain of a namespace with its rules, whoever made it. */
  ruleset(netns?: NetnsName): Promise<readonly NftChain[]>
  /** The element of a set that a key (fields as in registers) falls on. */
  element(
    family: number,
    table: string,
    set: string,
    key: Uint8Array,
    netns?: NetnsName,
  ): Promise<NftHit | undefined>
  /** Listening sockets of a namespace (UDP: bound ones). */
  listeners(protocol: Protocol, netns?: NetnsName): Promise<readonly BoundSocket[]>
  /** Who listens on a host port, for error messages: `pid 812 (nginx)`; '' if not found. */
  portHolder(port: ReservationSpec): Promise<string>
  /** Releases ports, closes sockets, deletes pooled namespaces nobody took. */
  close(): Promise<void>
}
