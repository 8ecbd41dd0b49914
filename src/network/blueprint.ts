/**
 * The blueprint: everything that must exist in the kernel (and in the resolver) because the state says so.
 *
 * Pure functions, composed per object: a network and a sandbox each have their own part, so a command recomputes only
 * what it touches, and reconciliation is the union of all parts. Every object has a key that is unique among all
 * objects and the id of the network, sandbox, endpoint or container it stems from.
 */
import { addressWithLength, formatPrefix, parseAddress, parsePrefix, stripLength } from './address.ts'
import { endpointSysctls, type InterfaceSysctl } from './endpoint-sysctls.ts'
import { chooseGateway, gatewayThrough, networkOrder } from './gateway.ts'
import type {
  BridgeSettings,
  Endpoint,
  Family,
  Id,
  Network,
  Pool,
  Protocol,
  PublishedPort,
  Sandbox,
} from './types.ts'

interface Described {
  /** Unique among all objects of a blueprint. */
  readonly key: string
  /** Id of the record it stems from. */
  readonly owner: Id
}

export interface BridgeObject extends Described {
  readonly kind: 'bridge'
  readonly name: string
  readonly mac: string
  readonly mtu?: number
  readonly addresses: readonly string[]
  /** Its IPv4 addresses are somebody else's business. */
  readonly keepIPv4?: true
  readonly ipv6: boolean
  /** It was there before: never created, never deleted. */
  readonly adopted: boolean
}

export interface NetnsObject extends Described {
  readonly kind: 'netns'
  readonly name: string
}

export interface VethObject extends Described {
  readonly kind: 'veth'
  readonly hostName: string
  readonly bridge: string
  readonly netns: string
  readonly name: string
  readonly mac: string
  readonly mtu?: number
  readonly addresses: readonly string[]
  readonly ipv6: boolean
  /**
   * It carries published ports. Where the host runs bridged frames through its packet filter (br_netfilter), a
   * container that asks its own published port is translated on the bridge, and the frame has to leave by the port it
   * came in by.
   */
  readonly hairpin: boolean
  /** Unsolicited ARP/NA for each of its addresses: how many, and milliseconds between them. */
  readonly announcements: { readonly count: number; readonly intervalMs: number }
  /** Written once it has its addresses. */
  readonly sysctls: readonly InterfaceSysctl[]
}

export interface RouteObject extends Described {
  readonly kind: 'route'
  readonly netns: string
  readonly family: Family
  readonly gateway: string
  readonly link: string
}

/** A host port held for a container, so that no other program can bind it. */
export interface ReservationObject extends Described {
  readonly kind: 'reservation'
  readonly protocol: Protocol
  readonly address: string
  readonly from: number
  readonly to: number
}

/** Firewall intent: what lies behind a bridge and who may pass. Rendered by the firewall backend. */
export interface SegmentObject extends Described {
  readonly kind: 'segment'
  readonly bridge: string
  readonly subnets: readonly string[]
  readonly mode: 'nat' | 'internal'
  readonly icc: boolean
  readonly masquerade: boolean
}

/** Firewall intent: packets to these host ports go to the container. */
export interface PublishObject extends Described {
  readonly kind: 'publish'
  readonly bridge: string
  readonly protocol: Protocol
  readonly hostIp: string
  readonly hostFrom: number
  readonly hostTo: number
  readonly target: string
  readonly targetFrom: number
}

/** Packets to these host ports that no rule can translate are carried to the container by the engine's own process. */
export interface RelayObject extends Described {
  readonly kind: 'relay'
  readonly protocol: Protocol
  readonly hostIp: string
  readonly hostFrom: number
  readonly hostTo: number
  readonly target: string
  readonly targetFrom: number
}

/** The embedded resolver answers in this namespace. */
export interface ListenerObject extends Described {
  readonly kind: 'listener'
  readonly netns: string
}

export interface ZoneNetworkObject extends Described {
  readonly kind: 'zone-network'
  readonly id: Id
  readonly name: string
}

export interface ZoneEndpointObject extends Described {
  readonly kind: 'zone-endpoint'
  readonly id: Id
  readonly network: Id
  readonly names: readonly string[]
  readonly ipv4?: string
  readonly ipv6?: string
}

export interface ZoneSandboxObject extends Described {
  readonly kind: 'zone-sandbox'
  readonly id: Id
  readonly networks: readonly Id[]
  readonly links: Readonly<Record<Id, Readonly<Record<string, Id>>>>
  readonly servers: readonly string[]
  readonly external: boolean
  readonly ndotsSet: boolean
}

export type KernelObject =
  | BridgeObject
  | NetnsObject
  | VethObject
  | RouteObject
  | ReservationObject
  | SegmentObject
  | PublishObject
  | RelayObject
  | ListenerObject
  | ZoneNetworkObject
  | ZoneEndpointObject
  | ZoneSandboxObject

export type FirewallIntent = SegmentObject | PublishObject

/** Docker's defaults. */
const defaultAnnouncements = { count: 3, intervalMs: 1000 }

/** Objects by key. */
export type Blueprint = ReadonlyMap<string, KernelObject>

/** What a part of the blueprint may look up; the state provides it. */
export interface BlueprintContext {
  network(id: Id): Network | undefined
  /** The endpoint by which a container is reachable on a network, for links. */
  endpointOfContainer(containerId: Id, networkId: Id): Endpoint | undefined
}

/** What a network needs: its bridge, its segment in the firewall, its name in the zone. */
export function networkBlueprint(network: Network): readonly KernelObject[] {
  const { bridge } = network
  if (bridge === undefined || network.configOnly === true) return []
  const objects: KernelObject[] = [
    {
      kind: 'bridge',
      key: `bridge ${bridge.name}`,
      owner: network.id,
      name: bridge.name,
      mac: bridge.mac,
      ...(bridge.mtu === undefined ? {} : { mtu: bridge.mtu }),
      addresses: network.pools.flatMap(pool => bridgeAddress(pool, bridge)),
      ...(bridge.inhibitIPv4 === true ? { keepIPv4: true } : {}),
      ipv6: network.enableIPv6,
      adopted: bridge.adopted,
    },
    {
      kind: 'segment',
      key: `segment ${bridge.name}`,
      owner: network.id,
      bridge: bridge.name,
      subnets: network.pools.map(pool => canonicalPrefix(pool.subnet)),
      mode: network.internal ? 'internal' : 'nat',
      icc: bridge.icc,
      masquerade: bridge.masquerade && !network.internal,
    },
  ]
  // Also where containers have no names among themselves: the host may ask for them (--host-dns).
  objects.push({
    kind: 'zone-network',
    key: `zone-network ${network.id}`,
    owner: network.id,
    id: network.id,
    name: network.name,
  })
  return objects
}

/** The gateway's, unless the network is cut off from the host or somebody else manages the bridge. */
function bridgeAddress({ family, gateway, subnet }: Pool, bridge: BridgeSettings): readonly string[] {
  const mode = family === 4 ? bridge.gatewayMode4 : bridge.gatewayMode6
  if (mode === 'isolated' || (family === 4 && bridge.inhibitIPv4 === true)) return []
  const prefix = parsePrefix(subnet)
  const address = gateway === undefined ? undefined : parseAddress(gateway)
  return prefix === undefined || address === undefined ? [] : [addressWithLength(address, prefix)]
}

/** What a running container's network side needs. */
export function sandboxBlueprint(
  sandbox: Sandbox,
  endpoints: readonly Endpoint[],
  context: BlueprintContext,
): readonly KernelObject[] {
  const objects: KernelObject[] = []
  const { netns } = sandbox
  const joined = endpoints.flatMap(endpoint => {
    const network = context.network(endpoint.networkId)
    return network === undefined ? [] : [{ endpoint, network }]
  })

  if (netns !== undefined) {
    objects.push({ kind: 'netns', key: `netns ${netns}`, owner: sandbox.id, name: netns })
    for (const { endpoint, network } of joined) {
      const publishes = sandbox.ports.some(port => port.endpointId === endpoint.id)
      const veth = vethObject(endpoint, network, netns, publishes)
      if (veth !== undefined) objects.push(veth)
    }
    for (const family of [4, 6] as const) {
      const route = defaultRoute(joined, family, netns)
      if (route !== undefined) objects.push(route)
    }
    objects.push(...zoneObjects(sandbox, joined, netns, context))
  }
  for (const port of sandbox.ports) objects.push(...portObjects(port, joined))
  return objects
}

interface Joined {
  readonly endpoint: Endpoint
  readonly network: Network
}

function vethObject(
  endpoint: Endpoint,
  network: Network,
  netns: string,
  hairpin: boolean,
): VethObject | undefined {
  if (network.bridge === undefined) return undefined
  const addresses = [endpoint.ipv4, endpoint.ipv6, ...endpoint.linkLocal].filter(a => a !== undefined)
  return {
    kind: 'veth',
    key: `veth ${endpoint.id}`,
    owner: endpoint.id,
    hostName: endpoint.hostIfname,
    bridge: network.bridge.name,
    netns,
    name: endpoint.ifname,
    mac: endpoint.mac,
    ...(network.bridge.mtu === undefined ? {} : { mtu: network.bridge.mtu }),
    addresses,
    ipv6: network.enableIPv6,
    hairpin,
    announcements: {
      count: network.bridge.advertiseMessages ?? defaultAnnouncements.count,
      intervalMs: network.bridge.advertiseInterval ?? defaultAnnouncements.intervalMs,
    },
    sysctls: endpointSysctls(endpoint.sysctls ?? '', endpoint.ifname),
  }
}

function defaultRoute(joined: readonly Joined[], family: Family, netns: string): RouteObject | undefined {
  const chosen = chooseGateway(joined, family)
  const gateway = chosen === undefined ? undefined : gatewayThrough(chosen, family)
  if (chosen === undefined || gateway === undefined) return undefined
  return {
    kind: 'route',
    key: `route ${netns} ${family}`,
    owner: chosen.endpoint.id,
    netns,
    family,
    gateway,
    link: chosen.endpoint.ifname,
  }
}

/** The default bridge has no names unless the daemon was told so: Docker's rule, and what the tutorial shows. */
export function hasNames({ bridge }: Network): boolean {
  return bridge !== undefined && (!bridge.isDefault || bridge.names === true)
}

function zoneObjects(
  sandbox: Sandbox,
  joined: readonly Joined[],
  netns: string,
  context: BlueprintContext,
): readonly KernelObject[] {
  const named = joined.filter(({ network }) => hasNames(network))
  const onBridges = joined.filter(({ network }) => network.bridge !== undefined)
  const endpoints = onBridges.map(({ endpoint, network }): ZoneEndpointObject => ({
    kind: 'zone-endpoint',
    key: `zone-endpoint ${endpoint.id}`,
    owner: endpoint.id,
    id: endpoint.id,
    network: network.id,
    names: endpoint.dnsNames,
    ...(endpoint.ipv4 === undefined ? {} : { ipv4: stripLength(endpoint.ipv4) }),
    ...(endpoint.ipv6 === undefined ? {} : { ipv6: stripLength(endpoint.ipv6) }),
  }))
  const asker: ZoneSandboxObject = {
    kind: 'zone-sandbox',
    key: `zone-sandbox ${sandbox.id}`,
    owner: sandbox.id,
    id: sandbox.id,
    networks: networkOrder(named).map(({ network }) => network.id),
    links: Object.fromEntries(
      named.map(({ endpoint }) => [endpoint.networkId, linkTargets(endpoint, context)]),
    ),
    servers: sandbox.dns,
    external: joined.some(({ network }) => network.bridge !== undefined && !network.internal),
    ndotsSet: sandbox.ndotsSet,
  }
  return [...endpoints, asker, { kind: 'listener', key: `listener ${netns}`, owner: sandbox.id, netns }]
}

function linkTargets(endpoint: Endpoint, context: BlueprintContext): Record<string, Id> {
  const targets: Record<string, Id> = {}
  for (const [alias, containerId] of Object.entries(endpoint.links)) {
    const target = context.endpointOfContainer(containerId, endpoint.networkId)
    if (target !== undefined) targets[alias] = target.id
  }
  return targets
}

function portObjects(port: PublishedPort, joined: readonly Joined[]): readonly KernelObject[] {
  const carrier = joined.find(({ endpoint }) => endpoint.id === port.endpointId)
  if (carrier?.network.bridge === undefined) return []
  const name = `${port.protocol} ${port.hostIp} ${port.hostFrom}-${port.hostTo}`
  const reservation: ReservationObject = {
    kind: 'reservation',
    key: `reservation ${name}`,
    owner: port.endpointId,
    protocol: port.protocol,
    address: port.hostIp,
    from: port.hostFrom,
    to: port.hostTo,
  }
  const v6 = port.hostIp.includes(':')
  const target = v6 ? carrier.endpoint.ipv6 : carrier.endpoint.ipv4
  const objects: KernelObject[] = [reservation]
  if (target !== undefined) {
    objects.push({
      kind: 'publish',
      key: `publish ${name}`,
      owner: port.endpointId,
      bridge: carrier.network.bridge.name,
      protocol: port.protocol,
      hostIp: port.hostIp,
      hostFrom: port.hostFrom,
      hostTo: port.hostTo,
      target: stripLength(target),
      targetFrom: port.containerFrom,
    })
  }
  // What a v6 address receives untranslated: ::1, and everything if the container has only IPv4.
  const relayed = target ?? carrier.endpoint.ipv4
  if (v6 && relayed !== undefined) {
    objects.push({
      kind: 'relay',
      key: `relay ${name}`,
      owner: port.endpointId,
      protocol: port.protocol,
      hostIp: port.hostIp,
      hostFrom: port.hostFrom,
      hostTo: port.hostTo,
      target: stripLength(relayed),
      targetFrom: port.containerFrom,
    })
  }
  return objects
}

function canonicalPrefix(text: string): string {
  const prefix = parsePrefix(text)
  return prefix === undefined ? text : formatPrefix(prefix)
}
