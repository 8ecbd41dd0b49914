/** Who is meant: what a user writes for the two ends of a flow, resolved as the sender would resolve it. */
import { fault } from '../base/index.ts'
import { type Container, isUp, type ObservedEngine } from '../engine/index.ts'
import {
  canonicalAddress,
  type Endpoint,
  hasNames,
  type Network,
  type PublishedPort,
  type Sandbox,
  stripLength,
} from '../network/index.ts'
import type { Code } from './explanation.ts'
import type { FlowProtocol } from './packet.ts'

export interface Target {
  readonly name: string
  /** 0 = none given. */
  readonly port: number
  readonly protocol: FlowProtocol
}

/** `web`, `web:80`, `web:53/udp`, `[fd00::2]:80`, `fd00::2`. Without a port it is a ping, or the first published one. */
export function parseTarget(text: string): Target {
  const [, body = '', suffix] = /^(.*?)(?:\/(\w+))?$/s.exec(text) ?? []
  const protocol = suffix ?? 'tcp'
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp' && protocol !== 'icmp') {
    throw fault('invalidParameter', `unknown protocol ${protocol}: there are tcp, udp, sctp and icmp`)
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(body) ?? []
  const name = bracketed ?? plain ?? (canonicalAddress(body) === undefined ? undefined : body)
  const port = Number(digits ?? 0)
  if (name === undefined || name === '' || port > 65_535 || (digits !== undefined && port === 0)) {
    throw fault(
      'invalidParameter',
      `cannot read ${JSON.stringify(text)}: write NAME, NAME:PORT or NAME:PORT/PROTO`,
    )
  }
  if (port === 0 && suffix !== undefined && protocol !== 'icmp') {
    throw fault('invalidParameter', `${text} lacks the port: write ${name}:PORT/${protocol}`)
  }
  return { name, port, protocol: port === 0 ? 'icmp' : protocol }
}

/** A network stack: of the host, of a container, or somewhere outside. */
export type Party =
  | {
      readonly kind: 'container'
      readonly name: string
      readonly container: Container
      /** Undefined: it does not run. */
      readonly sandbox: Sandbox | undefined
      readonly endpoints: readonly Endpoint[]
    }
  | { readonly kind: 'host'; readonly name: string }
  | { readonly kind: 'outside'; readonly name: string; readonly address: string | undefined }

/** Addresses that stand for somebody out there (RFC 5737, RFC 3849). */
export const specimen = { 4: '203.0.113.9', 6: '2001:db8::9' } as const

export async function findParty(engine: ObservedEngine, term: string): Promise<Party> {
  const address = canonicalAddress(term)
  if (address !== undefined) return await partyAt(engine, address)
  if (term === 'internet') return { kind: 'outside', name: term, address: undefined }
  if (term === 'host') return { kind: 'host', name: term }
  return containerParty(engine, engine.state.findContainer(term))
}

export function containerParty(engine: ObservedEngine, container: Container): Party {
  const mode = container.hostConfig.NetworkMode
  const owner = mode.startsWith('container:')
    ? engine.state.findContainer(mode.slice('container:'.length))
    : container
  const sandbox = isUp(container) ? engine.state.sandboxOf(owner.id) : undefined
  return {
    kind: 'container',
    name: container.name,
    container,
    sandbox,
    endpoints: sandbox === undefined ? [] : engine.state.endpointsOfSandbox(sandbox.id),
  }
}

/** Whose address it is. */
export async function partyAt(engine: ObservedEngine, address: string): Promise<Party> {
  const endpoint = endpointAt(engine, address)
  const container = endpoint === undefined ? undefined : engine.state.containerOf(endpoint)
  if (container !== undefined) return containerParty(engine, container)
  const route = await engine.kernel.lookUpRoute({ destination: address })
  return 'type' in route && route.type === 'local'
    ? { kind: 'host', name: 'host' }
    : { kind: 'outside', name: address, address }
}

export function endpointAt(
  engine: ObservedEngine,
  address: string,
  networkId?: string,
): Endpoint | undefined {
  const { state } = engine
  const candidates = networkId === undefined ? state.endpoints.values() : state.endpointsOfNetwork(networkId)
  for (const endpoint of candidates) {
    if (addressesOf(endpoint).includes(address)) return endpoint
  }
  return undefined
}

export function addressesOf({ ipv4, ipv6, linkLocal }: Endpoint): readonly string[] {
  return [ipv4, ipv6, ...linkLocal].flatMap(text =>
    text === undefined ? [] : (canonicalAddress(stripLength(text)) ?? []),
  )
}

export interface Aside {
  readonly code: Code | ''
  readonly text: string
}

/** What the sender writes into the packet, and how it came to it. */
export interface Resolved {
  readonly address: string
  readonly port: number
  readonly party: Party
  readonly note: string
  readonly asides: readonly Aside[]
}

export interface Unresolved {
  readonly code: Code | ''
  readonly why: string
  readonly fix: string
  readonly verdict: 'BLOCKED' | 'UNKNOWN'
}

export async function resolveTarget(
  engine: ObservedEngine,
  from: Party,
  target: Target,
): Promise<Resolved | Unresolved> {
  const { port } = target
  const address = canonicalAddress(target.name)
  if (address !== undefined) {
    return { address, port, party: await partyAt(engine, address), note: '', asides: [] }
  }
  if (target.name === 'internet') {
    const party: Party = { kind: 'outside', name: 'internet', address: undefined }
    return { address: specimen[4], port, party, note: `${specimen[4]} stands for it`, asides: [] }
  }
  if (target.name === 'host') {
    return {
      address: await hostAddressFor(engine, from),
      port,
      party: { kind: 'host', name: 'host' },
      note: from.kind === 'container' ? 'as host.docker.internal' : '',
      asides: [],
    }
  }
  const container = meantContainer(engine, target.name)
  if (container !== undefined) return resolveContainer(engine, from, target, container)
  return resolveName(engine, from, target)
}

function meantContainer(engine: ObservedEngine, name: string): Container | undefined {
  try {
    return engine.state.findContainer(name)
  } catch {
    return undefined
  }
}

function resolveContainer(
  engine: ObservedEngine,
  from: Party,
  { port, protocol }: Target,
  container: Container,
): Resolved | Unresolved | Promise<Resolved | Unresolved> {
  const party = containerParty(engine, container)
  if (party.kind !== 'container') throw new Error('a container is no container')
  const { sandbox, endpoints, name } = party
  if (sandbox === undefined) {
    return {
      code: 'LINK_DOWN',
      why: `${name} does not run: it has no interface.`,
      fix: `docker start ${name}`,
      verdict: 'BLOCKED',
    }
  }
  if (sandbox.netns === undefined) {
    return hostAddressFor(engine, from).then(address => ({
      address,
      port,
      party,
      note: 'it is in the network of the host',
      asides: [],
    }))
  }
  if (from.kind === 'container' && from.sandbox?.id === sandbox.id && endpoints.length === 0) {
    return { address: '127.0.0.1', port, party, note: 'the container itself', asides: [] }
  }
  if (from.kind === 'outside') {
    const published = publishedPort(sandbox, port, protocol)
    if (published !== undefined) {
      const { hostIp, hostFrom, containerFrom } = published
      const hostPort = hostFrom + (port === 0 ? 0 : port - containerFrom)
      const any = hostIp === '0.0.0.0' || hostIp === '::'
      return uplinkAddress(engine, hostIp.includes(':') ? 6 : 4).then(own => ({
        address: any || isLoopback(hostIp) ? own : hostIp,
        port: hostPort,
        party,
        note: `published as ${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${hostPort}`,
        asides: [],
      }))
    }
  }
  return { ...ownAddress(engine, from, endpoints, name), port, party }
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** The mapping of a container's port that a client out there would use: on any address before a specific one. */
export function publishedPort(
  sandbox: Sandbox,
  port: number,
  protocol: FlowProtocol,
): PublishedPort | undefined {
  const fitting = sandbox.ports.filter(
    each =>
      port === 0 ||
      (each.protocol === protocol &&
        port >= each.containerFrom &&
        port <= each.containerFrom + each.hostTo - each.hostFrom),
  )
  const rank = ({ hostIp }: PublishedPort) =>
    hostIp === '0.0.0.0' ? 0 : isLoopback(hostIp) ? 3 : hostIp.includes(':') ? 2 : 1
  return fitting.sort((one, other) => rank(one) - rank(other))[0]
}

function ownAddress(
  engine: ObservedEngine,
  from: Party,
  endpoints: readonly Endpoint[],
  name: string,
): Pick<Resolved, 'address' | 'note' | 'asides'> {
  const { networks } = engine.state
  const shared =
    from.kind === 'container'
      ? from.endpoints.flatMap(one => endpoints.find(other => other.networkId === one.networkId) ?? [])
      : []
  const chosen = shared[0] ?? endpoints[0]
  const network = networks.get(chosen?.networkId ?? '')
  const address = chosen === undefined ? undefined : addressesOf(chosen)[0]
  return {
    address: address ?? '127.0.0.1',
    note: network === undefined ? '' : `on ${network.name}`,
    asides: from.kind === 'container' ? nameAsides(from, network, shared.length > 0, name) : [],
  }
}

/** Addresses work where names do not: that is worth saying. */
function nameAsides(
  from: Extract<Party, { kind: 'container' }>,
  network: Network | undefined,
  shared: boolean,
  name: string,
): readonly Aside[] {
  if (from.sandbox?.netns === undefined) return []
  if (shared && network !== undefined && hasNames(network)) return []
  const onlyDefault = from.container.memberships.every(
    ({ network: each }) => each === 'bridge' || each === 'default',
  )
  if (onlyDefault || (network !== undefined && shared)) {
    return [
      {
        code: 'NO_DNS_ON_DEFAULT_BRIDGE',
        text: `the name "${name}" would not resolve from ${from.name}: the default bridge has no DNS.`,
      },
    ]
  }
  return [
    {
      code: 'NO_SUCH_NAME',
      text: `the name "${name}" would not resolve from ${from.name}: they share no network.`,
    },
  ]
}

/** Aliases, links and hostnames, as the sender's resolver answers them. */
async function resolveName(
  engine: ObservedEngine,
  from: Party,
  target: Target,
): Promise<Resolved | Unresolved> {
  if (from.kind !== 'container' || from.sandbox?.netns === undefined) {
    return {
      code: '',
      why: `the name "${target.name}" is asked of name servers: no packet is sent here, give the address.`,
      fix: '',
      verdict: 'UNKNOWN',
    }
  }
  const service = engine.namesSeenBy(from.container.id)
  const seen = service.names.find(({ name, hidden }) => name === target.name && !hidden)
  const [first] = seen?.addresses ?? []
  const address = first === undefined ? undefined : canonicalAddress(first)
  if (address !== undefined && seen !== undefined) {
    return {
      address,
      port: target.port,
      party: await partyAt(engine, address),
      note: `${seen.link ? 'link' : 'name'} on ${seen.network}${seen.addresses.length > 1 ? `, one of ${seen.addresses.length} addresses` : ''}`,
      asides: [],
    }
  }
  if (target.name.includes('.') && (service.external || service.servers.length > 0)) {
    return {
      code: '',
      why: `the name "${target.name}" is asked of name servers outside: no packet is sent here, give the address.`,
      fix: `docker exec ${from.name} nslookup ${target.name}`,
      verdict: 'UNKNOWN',
    }
  }
  const noNames = service.resolver === 'file'
  return {
    code: noNames ? 'NO_DNS_ON_DEFAULT_BRIDGE' : 'NO_SUCH_NAME',
    why: noNames
      ? `no container is called "${target.name}", and the default bridge has no DNS.`
      : `nothing that ${from.name} can see is called "${target.name}".`,
    fix: `linkspan dns ${from.name}`,
    verdict: 'BLOCKED',
  }
}

/** By which address a sender reaches the host itself. */
async function hostAddressFor(engine: ObservedEngine, from: Party): Promise<string> {
  if (from.kind === 'host') return '127.0.0.1'
  if (from.kind === 'container') {
    if (from.sandbox !== undefined && from.sandbox.netns === undefined) return '127.0.0.1'
    for (const endpoint of from.endpoints) {
      const network = engine.state.networks.get(endpoint.networkId)
      const gateway = network?.pools.find(({ gateway: each }) => each !== undefined)?.gateway
      if (gateway !== undefined) return canonicalAddress(gateway) ?? gateway
    }
  }
  return await uplinkAddress(engine, 4)
}

/** The address that the host's own packets to the outside have. */
export async function uplinkAddress(engine: ObservedEngine, family: 4 | 6): Promise<string> {
  const route = await engine.kernel.lookUpRoute({ destination: specimen[family] })
  if ('source' in route && route.source !== undefined) return route.source
  return family === 6 ? await uplinkAddress(engine, 4) : '127.0.0.1'
}
