/**
 * What `linkspan daemon` was asked to do, once flags and daemon.json are merged, checked and defaults filled in. The
 * command line produces it, `runDaemon` consumes it: plain values, no text left to parse but addresses.
 *
 * `undefined` means "nobody asked": the engine then decides (it may look at the kernel), and says what it chose.
 */

/** Where the API listens. TCP is without TLS: the command line refuses what it cannot honour. */
export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** The sockets systemd hands over (fd 3 on). */
  | { readonly kind: 'systemd' }

/** Pool that automatic subnets are cut from: `base` as CIDR, `size` as prefix length of each subnet. */
export interface AddressPool {
  readonly base: string
  readonly size: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface DefaultBridgeOptions {
  /** Existing bridge to use instead of docker0; `none` = there is no default network. undefined = docker0. */
  readonly name: string | undefined
  /** Address of the bridge with prefix length: `192.168.5.1/24`. */
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
  /** Containers get addresses of this part of the subnet only. */
  readonly fixedCidr: string | undefined
  readonly fixedCidrV6: string | undefined
  /** Gateway that containers get instead of the bridge's own address. */
  readonly gateway: string | undefined
  readonly gatewayV6: string | undefined
  readonly enableIPv6: boolean
  /** Containers on the bridge may talk to each other. */
  readonly icc: boolean
  readonly masquerade: boolean
  /** Where `-p` without an address binds; `0.0.0.0` stands for every address of both families. */
  readonly hostBinding: string
  /** Its containers have names among themselves, which Docker's have not. */
  readonly names: boolean
  /** Bytes; undefined = 1500, as Docker. */
  readonly mtu: number | undefined
}

export interface WebOptions {
  /** Loopback address. */
  readonly host: string
  readonly port: number
  /** Served from the start; otherwise when `linkspan ui` asks for it, on another port if this one is taken. */
  readonly atStart: boolean
}

export interface DaemonOptions {
  /** In the order given; never empty. */
  readonly listen: readonly ListenAddress[]
  /** Persistent state. Default /var/lib/linkspan. */
  readonly dataRoot: string
  /** Volatile state (sockets, namespaces, bundles). Default /run/linkspan. */
  readonly execRoot: string
  readonly pidfile: string
  /** Group that owns the unix sockets: name or number. */
  readonly group: string

  readonly bridge: DefaultBridgeOptions
  /** Empty = the built-in pools. Replaces them entirely otherwise, and is shown in /info. */
  readonly defaultAddressPools: readonly AddressPool[]
  /** Driver options merged into every new network of that driver: driver → key → value. */
  readonly defaultNetworkOptions: Readonly<Record<string, Readonly<Record<string, string>>>>

  /** May the engine switch on forwarding (ip_forward). */
  readonly ipForward: boolean
  /** Bring back what foreign hands change of links and rules while the engine runs. */
  readonly mend: boolean
  /** May the engine write firewall rules for IPv4, for IPv6. */
  readonly iptables: boolean
  readonly ip6tables: boolean
  /** undefined = chosen at start with a stated reason. */
  readonly firewallBackend: 'nftables' | 'iptables' | undefined
  /** Containers may be reached by their own address from outside. */
  readonly allowDirectRouting: boolean

  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOptions: readonly string[]
  /** Seconds for which answers about containers may be kept. */
  readonly dnsTtl: number
  /** Replies of servers outside that are kept; 0 = none. */
  readonly dnsCache: number
  /** Loopback address where the host itself can ask for containers; undefined = nowhere. */
  readonly hostDns: { readonly host: string; readonly port: number } | undefined
  /** What `host-gateway` in --add-host stands for; empty = the default bridge's address. At most one per family. */
  readonly hostGatewayIps: readonly string[]

  /** crun, runc or a path; undefined = probe. */
  readonly runtime: string | undefined
  /** The web page; undefined = off. */
  readonly web: WebOptions | undefined
  /** Labels of the engine, shown in /info. */
  readonly labels: readonly string[]
  /** Default log driver and options, echoed in /info and into containers that ask for none. */
  readonly logDriver: string
  readonly logOptions: Readonly<Record<string, string>>
  /** Seconds to wait for containers at shutdown; containers survive it, so this bounds requests in flight only. */
  readonly shutdownTimeout: number
  readonly logLevel: LogLevel
  readonly debug: boolean
  /** Registries spoken to without TLS verification: host[:port] or CIDR. Loopback always is one. */
  readonly insecureRegistries: readonly string[]
  /** Mirrors of Docker Hub, tried in order. */
  readonly registryMirrors: readonly string[]
  /** Things that were asked for and are ignored on purpose; the daemon logs each once at start. */
  readonly warnings: readonly string[]
}
