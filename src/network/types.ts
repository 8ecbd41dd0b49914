/**
 * The records of which the network part of the engine's state consists. Plain, readonly, JSON-like: they go into the
 * store as they are. Addresses are canonical text (`172.17.0.2`, `fd00::2`), prefixes `172.17.0.0/16`, MACs
 * `02:42:ac:11:00:02`; arithmetic happens on bigints inside `address.ts` and `ipam/`.
 */

/** 64 lower-case hex digits. */
export type Id = string
export type Family = 4 | 6
export type Protocol = 'tcp' | 'udp' | 'sctp'

/** Per family what users may ask of a subnet; the shape of `IPAM.Config[]` in the Engine API. */
export interface PoolRequest {
  readonly subnet?: string
  readonly ipRange?: string
  readonly gateway?: string
  /** Auxiliary addresses by name; they are never handed out. */
  readonly auxiliary?: Readonly<Record<string, string>>
}

/** A subnet that a network owns. */
export interface Pool {
  readonly family: Family
  readonly subnet: string
  /** Dynamic addresses come from here only; absent = the whole subnet. */
  readonly range?: string
  /** Absent where the network has none (isolated mode). */
  readonly gateway?: string
  readonly auxiliary: Readonly<Record<string, string>>
  /** True if the engine chose the subnet itself. */
  readonly automatic: boolean
}

export interface Network {
  readonly id: Id
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly driver: 'bridge' | 'host' | 'null'
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  readonly internal: boolean
  readonly attachable: boolean
  readonly ipam: {
    readonly driver: string
    /** As the creator sent it; Docker echoes null for the default bridge. */
    readonly options: Readonly<Record<string, string>> | null
    /** What was asked for, kept where no pool answers it: in configuration networks. */
    readonly requests?: readonly PoolRequest[]
  }
  /** IPv4 first. Empty for host and none. */
  readonly pools: readonly Pool[]
  /** Driver options with the engine's defaults merged, echoed to users. */
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  /** What the bridge driver made of the options; present exactly when `driver` is `bridge`. */
  readonly bridge?: BridgeSettings
  /** A template that other networks name with `configFrom`: it owns no subnet and nothing in the kernel. */
  readonly configOnly?: true
  /** Name of the configuration network this one took its settings from. */
  readonly configFrom?: string
}

/** How a network is joined to the world, per family (`nat` where nothing else was asked for). */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

export interface BridgeSettings {
  /** Interface name: docker0, br-<12 hex> or what the user asked for. */
  readonly name: string
  readonly mac: string
  /** Bytes; absent = the kernel's default. */
  readonly mtu?: number
  /** Containers on this bridge may talk to each other. */
  readonly icc: boolean
  readonly masquerade: boolean
  /** Where `-p` without an address binds: `0.0.0.0` stands for every address of both families. */
  readonly hostBinding: string
  /** In-container interface names: prefix and lowest free index. */
  readonly interfacePrefix: string
  /** True if the interface existed before: it is used and never deleted. */
  readonly adopted: boolean
  /** True for docker0, whose containers have no names (Docker's rule). */
  readonly isDefault: boolean
  /** The exception to that rule: `linkspan daemon --default-bridge-dns`. */
  readonly names?: true
  /** Absent = nat. */
  readonly gatewayMode4?: GatewayMode
  readonly gatewayMode6?: GatewayMode
  /** The gateway address is not put on the bridge: somebody else manages it. */
  readonly inhibitIPv4?: boolean
  /** Host interfaces from which published ports may be reached by the containers' own addresses. */
  readonly trustedInterfaces?: readonly string[]
  /** Source address of outgoing traffic instead of masquerading. */
  readonly source4?: string
  readonly source6?: string
  /** Unsolicited ARP and NA messages per new address: how many, and milliseconds between them. */
  readonly advertiseMessages?: number
  readonly advertiseInterval?: number
}

/** What a user asks of one endpoint; the shape of `EndpointSettings` in the Engine API, in our spelling. */
export interface EndpointRequest {
  /** The client sent an IPAM object without anything in it, which is shown as it was sent. */
  readonly emptyIpam?: true
  readonly ipv4?: string
  readonly ipv6?: string
  readonly linkLocal?: readonly string[]
  readonly mac?: string
  readonly aliases?: readonly string[]
  /** `target:alias` as sent, for user-defined networks. */
  readonly links?: readonly string[]
  readonly driverOptions?: Readonly<Record<string, string>>
  readonly gatewayPriority?: number
}

/** One interface of one sandbox on one network. Exists exactly while the container runs and is connected. */
export interface Endpoint {
  readonly id: Id
  readonly networkId: Id
  readonly sandboxId: Id
  /** In the container: eth0, eth1, … */
  readonly ifname: string
  /** On the host: veth + 7 hex digits. */
  readonly hostIfname: string
  readonly mac: string
  /** With prefix length: `172.17.0.2/16`. */
  readonly ipv4?: string
  readonly ipv6?: string
  readonly linkLocal: readonly string[]
  /** Asked for with the endpoint, as typed: `net.ipv4.conf.IFNAME.log_martians=1,…`. */
  readonly sysctls?: string
  readonly gatewayPriority: number
  /** First is canonical (PTR): container name, aliases, short id, hostname; without repeats. */
  readonly dnsNames: readonly string[]
  /** Link aliases private to this endpoint: alias → id of the container it names. */
  readonly links: Readonly<Record<string, Id>>
}

/** The network side of one running container: a network namespace with its interfaces. */
export interface Sandbox {
  readonly id: Id
  readonly containerId: Id
  /** Name of the namespace's file under the run directory, 12 hex digits; absent in host mode. */
  readonly netns?: string
  /** Ports as they are published now. */
  readonly ports: readonly PublishedPort[]
  /** Name servers asked for with --dns: questions go to them from inside the namespace. */
  readonly dns: readonly string[]
  /** The user set ndots above 0: single-label names unknown here are not forwarded. */
  readonly ndotsSet: boolean
}

/** A run of consecutive ports published one to one. A single port has `to` equal to `from`. */
export interface PublishedPort {
  readonly protocol: Protocol
  /** `0.0.0.0`, `::`, or a specific host address. */
  readonly hostIp: string
  readonly hostFrom: number
  readonly hostTo: number
  /** The container's port that `hostFrom` leads to; the others follow one by one. */
  readonly containerFrom: number
  /** The endpoint that carries the mapping (the gateway endpoint of the family). */
  readonly endpointId: Id
}

/** What was asked: one container port (or run of them) and where on the host. */
export interface PortRequest {
  readonly protocol: Protocol
  readonly containerPort: number
  /** Last port of a run; absent = the one port. A run that names host ports names as many, one to one. */
  readonly containerTo?: number
  /** '' = every address of the network's host binding. */
  readonly hostIp: string
  /** 0..0 = any free one; from = to = that one; a wider range = the first free in it. */
  readonly hostFrom: number
  readonly hostTo: number
}
