/**
 * What the resolver is told. It answers on sockets that were made inside containers' namespaces and knows nothing of
 * containers beyond this: sandboxes (who asks), networks (where names live) and endpoints (who has which name).
 * Every message is a plain value that crosses threads.
 */

export type Id = string

/** Who asks: one network namespace with its two sockets. */
export interface ZoneSandbox {
  readonly id: Id
  /** The sandbox's networks in the order in which a name is looked up (gateway order); the first that knows it answers alone. */
  readonly networks: readonly Id[]
  /** Link aliases, private to this sandbox, per network: alias → endpoint id. They hide names of the network. */
  readonly links: Readonly<Record<Id, Readonly<Record<string, Id>>>>
  /** Servers asked from inside the sandbox's namespace (--dns); when empty the host's servers are asked from the host. */
  readonly servers: readonly string[]
  /** False if all its networks are internal: the host's servers are then never asked. */
  readonly external: boolean
  /** ndots was set by the user to more than 0: single-label names not known here are answered empty, not forwarded. */
  readonly ndotsSet: boolean
}

export interface ZoneNetwork {
  readonly id: Id
  readonly name: string
}

export interface ZoneEndpoint {
  readonly id: Id
  readonly network: Id
  /** First is canonical. Compared without regard to case. */
  readonly names: readonly string[]
  /** Without prefix length. */
  readonly ipv4?: string
  readonly ipv6?: string
}

export type ZoneChange =
  | { readonly put: 'network'; readonly network: ZoneNetwork }
  | { readonly put: 'endpoint'; readonly endpoint: ZoneEndpoint }
  | { readonly put: 'sandbox'; readonly sandbox: ZoneSandbox }
  | { readonly drop: 'network' | 'endpoint' | 'sandbox'; readonly id: Id }

export interface ResolverSettings {
  /** Seconds that local answers may be kept. */
  readonly ttl: number
  /** The host's resolv.conf, re-read when it changes. */
  readonly resolvConf: string
  /** Replies of servers outside that are kept; 0 = none. */
  readonly cache: number
  /** Where the host itself may ask, on loopback. */
  readonly host?: { readonly host: string; readonly port: number } | undefined
}

/** A question that was answered, for those who watch a sandbox. */
export interface WatchedQuestion {
  readonly sandbox: Id
  /** Milliseconds since the epoch when it came. */
  readonly time: number
  /** As asked, without a trailing dot. */
  readonly name: string
  /** `A`, `AAAA`, `PTR`, …; `TYPE65` where we have no name for it. */
  readonly type: string
  /** `zone` = from here, `cache`, the address of a server, or `nobody`. */
  readonly from: string
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly code: string
  readonly answers: number
  /** Milliseconds until the answer. */
  readonly took: number
}

/** Opens an unbound, non-blocking socket inside a sandbox's namespace and gives its number. */
export type SocketSource = (sandbox: Id, family: 4 | 6, type: 'udp' | 'tcp') => Promise<number>

/** The resolver as the engine sees it; it runs on its own thread. */
export interface Resolver {
  /** Changes take effect together, before any later question is answered. Resolves when they have. */
  update(changes: readonly ZoneChange[]): Promise<void>
  /** Answers a sandbox's questions on these sockets from now on. The resolver owns and closes them. */
  listen(sandbox: Id, sockets: { readonly udp: number; readonly tcp: number }): Promise<void>
  /** Stops answering and closes the sandbox's sockets. */
  unlisten(sandbox: Id): Promise<void>
  /** Tells every question of a sandbox from now on, once it is answered. */
  watch(sandbox: Id, tell: (question: WatchedQuestion) => void): () => void
  close(): Promise<void>
}
