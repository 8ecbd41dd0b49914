/**
 * The network side of a container as the API shows it: derived from the container's memberships (what it is configured
 * to be connected to) and, while it runs, from its endpoints.
 */
import type { Container, Membership, StateView } from '../../engine/index.ts'
import type { ContainerFiles } from '../../container/index.ts'
import type { Endpoint, EndpointRequest, Network, PublishedPort } from '../../network/index.ts'
import type { ApiVersion } from '../version.ts'
import { present, sorted } from './order.ts'
import { singlePorts } from './ports.ts'

interface Address {
  readonly address: string
  readonly length: number
}

const noAddress: Address = { address: '', length: 0 }

function splitAddress(prefixed: string | undefined): Address {
  if (prefixed === undefined) return noAddress
  const [address = '', length = '0'] = prefixed.split('/')
  return { address, length: Number(length) }
}

/** Containers of an internal network have no default route, whatever the network's own gateway is. */
function gatewayOf(network: Network | undefined, endpoint: Endpoint | undefined, family: 4 | 6): string {
  if (network === undefined || endpoint === undefined || network.internal) return ''
  if ((family === 4 ? endpoint.ipv4 : endpoint.ipv6) === undefined) return ''
  const pool = network.pools.find(one => one.family === family)
  return pool?.auxiliary[family === 4 ? 'DefaultGatewayIPv4' : 'DefaultGatewayIPv6'] ?? pool?.gateway ?? ''
}

function ipamConfig(request: EndpointRequest): Record<string, unknown> | null {
  const config = present({
    IPv4Address: request.ipv4,
    IPv6Address: request.ipv6,
    LinkLocalIPs: request.linkLocal,
  })
  return Object.keys(config).length > 0 || request.emptyIpam === true ? config : null
}

function aliasesOf(
  container: Container,
  membership: Membership,
  userDefined: boolean,
  version: ApiVersion,
): readonly string[] | null {
  const asked = membership.request.aliases ?? []
  // Since 1.45 the names that the engine adds are in DNSNames only.
  const added = version < 45 && userDefined ? [container.id.slice(0, 12)] : []
  const aliases = [...new Set([...asked, ...added])]
  return aliases.length === 0 ? null : aliases
}

/** What the engine tells of a container beside its record. */
export interface ContainerFacts {
  readonly ports: readonly PublishedPort[]
  /** See EngineInfo. */
  readonly netnsDirectory: string
  /** Absent until it ran for the first time: the files are written then. */
  readonly files?: ContainerFiles | undefined
}

export interface EndpointView {
  readonly network: string
  readonly fields: Record<string, unknown>
}

function endpointView(
  state: StateView,
  container: Container,
  membership: Membership,
  endpoint: Endpoint | undefined,
  version: ApiVersion,
): EndpointView {
  const network = state.networks.get(membership.networkId)
  const userDefined = network?.driver === 'bridge' && network.bridge?.isDefault !== true
  const ipv4 = splitAddress(endpoint?.ipv4)
  const ipv6 = splitAddress(endpoint?.ipv6)
  const { request } = membership
  return {
    network: network?.name ?? membership.network,
    fields: {
      IPAMConfig: ipamConfig(request),
      Links: request.links ?? null,
      Aliases: aliasesOf(container, membership, userDefined, version),
      MacAddress: endpoint?.mac ?? '',
      DriverOpts: request.driverOptions === undefined ? null : sorted(request.driverOptions),
      GwPriority: request.gatewayPriority ?? 0,
      NetworkID: membership.networkId,
      EndpointID: endpoint?.id ?? '',
      Gateway: gatewayOf(network, endpoint, 4),
      IPAddress: ipv4.address,
      IPPrefixLen: ipv4.length,
      IPv6Gateway: gatewayOf(network, endpoint, 6),
      GlobalIPv6Address: ipv6.address,
      GlobalIPv6PrefixLen: ipv6.length,
      DNSNames: userDefined && endpoint !== undefined ? endpoint.dnsNames : null,
    },
  }
}

/** `NetworkSettings.Networks`: by network name, sorted. */
export function networksView(
  state: StateView,
  container: Container,
  version: ApiVersion,
): Record<string, Record<string, unknown>> {
  const sandbox = state.sandboxOf(container.id)
  const endpoints = sandbox === undefined ? [] : state.endpointsOfSandbox(sandbox.id)
  return sorted(
    Object.fromEntries(
      container.memberships.map(membership => {
        const endpoint = endpoints.find(
          one => membership.networkId !== '' && one.networkId === membership.networkId,
        )
        const view = endpointView(state, container, membership, endpoint, version)
        return [view.network, view.fields]
      }),
    ),
  )
}

function portsView(container: Container, ports: readonly PublishedPort[]): Record<string, unknown> {
  const running = container.state.status === 'running' || container.state.status === 'paused'
  if (!running) return {}
  const view = new Map<string, { HostIp: string; HostPort: string }[] | null>(
    Object.keys(container.config.ExposedPorts ?? {}).map(port => [port, null]),
  )
  for (const port of singlePorts(ports)) {
    const key = `${port.containerPort}/${port.protocol}`
    view.set(key, [...(view.get(key) ?? []), { HostIp: port.hostIp, HostPort: String(port.hostPort) }])
  }
  return sorted(Object.fromEntries(view))
}

/** A path that `nsenter --net=` takes. Host mode has no file of its own: what is there is every process's of the host. */
function sandboxKey(container: Container, state: StateView, netnsDirectory: string): string {
  const sandbox = state.sandboxOf(container.id)
  if (sandbox === undefined) return ''
  if (sandbox.netns !== undefined) return `${netnsDirectory}/${sandbox.netns}`
  return `/proc/${container.state.process?.pid ?? 'self'}/ns/net`
}

/** `NetworkSettings` of inspect. The single-network fields mirror the network called bridge. */
export function networkSettingsView(
  state: StateView,
  container: Container,
  { ports, netnsDirectory }: ContainerFacts,
  version: ApiVersion,
): Record<string, unknown> {
  const networks = networksView(state, container, version)
  const bridge = networks['bridge']
  return {
    Bridge: '',
    SandboxID: state.sandboxOf(container.id)?.id ?? '',
    SandboxKey: sandboxKey(container, state, netnsDirectory),
    Ports: portsView(container, ports),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.['EndpointID'] ?? '',
    Gateway: bridge?.['Gateway'] ?? '',
    GlobalIPv6Address: bridge?.['GlobalIPv6Address'] ?? '',
    GlobalIPv6PrefixLen: bridge?.['GlobalIPv6PrefixLen'] ?? 0,
    IPAddress: bridge?.['IPAddress'] ?? '',
    IPPrefixLen: bridge?.['IPPrefixLen'] ?? 0,
    IPv6Gateway: bridge?.['IPv6Gateway'] ?? '',
    MacAddress: bridge?.['MacAddress'] ?? '',
    Networks: networks,
  }
}
