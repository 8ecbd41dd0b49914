/**
 * The picture: host, networks, containers and the cables between them, as one plain value. What is wanted comes from
 * the records; indexes, MTUs and whether a link is up come from the kernel.
 */
import type { Container, ObservedEngine } from '../engine/index.ts'
import type { ObservedLink } from '../kernel/index.ts'
import type { Endpoint, Network, PublishedPort } from '../network/index.ts'

export interface PictureUplink {
  readonly Name: string
  readonly Index: number
  readonly Mac: string
  readonly Mtu: number
  readonly Up: boolean
  readonly Addresses: readonly string[]
  readonly Gateway: string
}

export interface PictureBridge {
  readonly Name: string
  /** 0 = it is not there. */
  readonly Index: number
  readonly Mac: string
  readonly Mtu: number
  readonly Up: boolean
  readonly Addresses: readonly string[]
}

export interface PictureNetwork {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Internal: boolean
  readonly Icc: boolean
  readonly Masquerade: boolean
  readonly Subnets: readonly { readonly Subnet: string; readonly Gateway: string }[]
  readonly Bridge: PictureBridge | null
  readonly Labels: Readonly<Record<string, string>>
}

export interface PictureEndpoint {
  readonly Id: string
  readonly NetworkId: string
  /** In the container: `eth0`, and its ifindex there. */
  readonly Interface: string
  readonly Index: number
  /** On the host, the other end of the cable. */
  readonly HostInterface: string
  readonly HostIndex: number
  readonly Mac: string
  readonly Mtu: number
  readonly Up: boolean
  /** With prefix length; '' = none. */
  readonly IPv4: string
  readonly IPv6: string
}

export interface PicturePort {
  readonly Protocol: string
  readonly HostIp: string
  readonly HostFrom: number
  readonly HostTo: number
  readonly ContainerFrom: number
}

export interface PictureContainer {
  readonly Id: string
  readonly Name: string
  readonly Image: string
  readonly Status: string
  /** Compose project; '' = none. */
  readonly Project: string
  /** `host`, `none`, `container:ID`, or '' where it has interfaces of its own. */
  readonly Mode: string
  readonly Endpoints: readonly PictureEndpoint[]
  readonly Ports: readonly PicturePort[]
}

export interface Picture {
  /** RFC 3339. */
  readonly Time: string
  readonly Firewall: string
  /** null = the host has no default route. */
  readonly Uplink: PictureUplink | null
  readonly Networks: readonly PictureNetwork[]
  readonly Containers: readonly PictureContainer[]
}

type Links = ReadonlyMap<string, ObservedLink>

export async function takePicture(engine: ObservedEngine): Promise<Picture> {
  const [list, routes] = await Promise.all([engine.kernel.links(), engine.kernel.routes()])
  const links: Links = new Map(list.map(link => [link.name, link]))
  const route =
    routes.find(each => each.destination === 'default' && each.family === 4) ??
    routes.find(each => each.destination === 'default')
  const uplink = links.get(route?.link ?? '')
  const { state } = engine
  return {
    Time: new Date().toISOString(),
    Firewall: engine.info().firewall.driver,
    Uplink:
      uplink === undefined
        ? null
        : { ...linkView(uplink), Addresses: uplink.addresses, Gateway: route?.gateway ?? '' },
    Networks: [...state.networks.values()].map(network => networkView(network, links)),
    Containers: [...state.containers.values()].map(container => containerView(engine, container, links)),
  }
}

function linkView({ name, index, mac, mtu, up }: ObservedLink) {
  return { Name: name, Index: index, Mac: mac, Mtu: mtu, Up: up }
}

function networkView(network: Network, links: Links): PictureNetwork {
  const { bridge } = network
  const link = links.get(bridge?.name ?? '')
  return {
    Id: network.id,
    Name: network.name,
    Driver: network.driver,
    Internal: network.internal,
    Icc: bridge?.icc ?? true,
    Masquerade: bridge?.masquerade ?? false,
    Subnets: network.pools.map(({ subnet, gateway = '' }) => ({ Subnet: subnet, Gateway: gateway })),
    Bridge:
      bridge === undefined || network.configOnly === true
        ? null
        : link === undefined
          ? { Name: bridge.name, Index: 0, Mac: bridge.mac, Mtu: bridge.mtu ?? 0, Up: false, Addresses: [] }
          : { ...linkView(link), Addresses: link.addresses },
    Labels: network.labels,
  }
}

function containerView(engine: ObservedEngine, container: Container, links: Links): PictureContainer {
  const sandbox = engine.state.sandboxOf(container.id)
  const endpoints = sandbox === undefined ? [] : engine.state.endpointsOfSandbox(sandbox.id)
  const mode = container.hostConfig.NetworkMode
  return {
    Id: container.id,
    Name: container.name,
    Image: container.image,
    Status: container.state.status,
    Project: container.config.Labels?.['com.docker.compose.project'] ?? '',
    Mode: mode === 'host' || mode === 'none' || mode.startsWith('container:') ? mode : '',
    Endpoints: endpoints.map(endpoint => endpointView(endpoint, links)),
    Ports: (sandbox?.ports ?? []).map(portView),
  }
}

function endpointView(endpoint: Endpoint, links: Links): PictureEndpoint {
  const link = links.get(endpoint.hostIfname)
  return {
    Id: endpoint.id,
    NetworkId: endpoint.networkId,
    Interface: endpoint.ifname,
    Index: link?.peer ?? 0,
    HostInterface: endpoint.hostIfname,
    HostIndex: link?.index ?? 0,
    Mac: endpoint.mac,
    Mtu: link?.mtu ?? 0,
    Up: link?.up ?? false,
    IPv4: endpoint.ipv4 ?? '',
    IPv6: endpoint.ipv6 ?? '',
  }
}

function portView({ protocol, hostIp, hostFrom, hostTo, containerFrom }: PublishedPort): PicturePort {
  return {
    Protocol: protocol,
    HostIp: hostIp,
    HostFrom: hostFrom,
    HostTo: hostTo,
    ContainerFrom: containerFrom,
  }
}
