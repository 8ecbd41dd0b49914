/** Real packets of containers as they pass the host's rules, in names: one value per packet. */
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { type TraceEvent, Tracer, type TraceSelector } from '../kernel/index.ts'
import { formatAddress } from '../network/index.ts'
import { addressesOf, containerParty, endpointAt } from './ends.ts'
import { ruleText } from './rule-text.ts'

/** A packet about which the kernel has said nothing for this long is through. */
const quietMs = 40
/** Ports published by one container that are followed one by one. */
const maximumPorts = 64

export interface TracedEnd {
  readonly Name: string
  readonly Address: string
  readonly Port: number
}

export interface TracedStep {
  readonly Table: string
  readonly Chain: string
  /** Rule that decided, in words; '' = the chain's policy. */
  readonly Rule: string
  readonly Verdict: string
}

export interface TracedPacket {
  readonly Time: string
  readonly Protocol: string
  /** `SYN`, `SYN,ACK`, …; '' where there are none. */
  readonly Flags: string
  readonly From: TracedEnd
  readonly To: TracedEnd
  readonly Verdict: 'PASSED' | 'DROPPED'
  /** Links (of cables, their containers) and what happened between them: `eth0`, `→ 172.17.0.2:80`, `docker0`, `web`. */
  readonly Path: readonly string[]
  /** Who decided, in order. */
  readonly Steps: readonly TracedStep[]
  /** What it means, where that is not plain. */
  readonly Note: string
}

export type TraceMessage =
  | { readonly Type: 'ready'; readonly Bridged: boolean }
  | ({ readonly Type: 'packet' } & TracedPacket)
  /** Packets came faster than they could be read: some are missing. */
  | { readonly Type: 'overrun' }

export interface TraceQuestion {
  readonly containers: readonly string[]
  /** Only packets from or to this port. */
  readonly port?: number
}

interface Headers {
  /** What translation leaves as it is, and what tells packets of one flow apart. */
  readonly identity: string
  readonly protocol: string
  readonly flags: string
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

interface Following {
  readonly time: string
  readonly first: Headers
  readonly path: string[]
  readonly steps: TraceEvent[]
  last: Headers
  dropped: boolean
  timer: NodeJS.Timeout | undefined
}

export class Trace {
  readonly #engine: ObservedEngine
  readonly #tracer: Tracer
  readonly #tell: (message: TraceMessage) => void
  readonly #port: number | undefined
  /** By identity. */
  readonly #following = new Map<string, Following>()
  /** Which packet a number of the kernel's stands for at the moment. */
  readonly #meant = new Map<number, Following>()
  /** Connections being opened, by `address:port address:port`. */
  readonly #opening = new Map<string, number>()
  #rules: { readonly at: number; readonly texts: Promise<ReadonlyMap<string, string>> } | undefined
  #turn: Promise<void> = Promise.resolve()

  /** Throws containerNotFound, containerNotRunning, invalidParameter. */
  constructor(
    engine: ObservedEngine,
    { containers, port }: TraceQuestion,
    tell: (message: TraceMessage) => void,
  ) {
    this.#engine = engine
    this.#tell = tell
    this.#port = port
    const selectors = containers.flatMap(term => selectorsOf(engine, term))
    this.#tracer = new Tracer(selectors, event => this.#take(event))
    tell({ Type: 'ready', Bridged: this.#tracer.bridged })
  }

  close(): void {
    this.#tracer.close()
    for (const { timer } of this.#following.values()) clearTimeout(timer)
    this.#following.clear()
    this.#meant.clear()
  }

  #take(event: TraceEvent | 'overrun'): void {
    if (event === 'overrun') return this.#tell({ Type: 'overrun' })
    const headers = readHeaders(event)
    let packet = headers === undefined ? this.#meant.get(event.packet) : this.#following.get(headers.identity)
    if (packet === undefined) {
      if (headers === undefined) return
      packet = {
        time: new Date().toISOString(),
        first: headers,
        last: headers,
        path: [],
        steps: [],
        dropped: false,
        timer: undefined,
      }
      this.#following.set(headers.identity, packet)
    }
    this.#meant.set(event.packet, packet)
    this.#note(packet, event, headers)
    clearTimeout(packet.timer)
    const done = packet
    packet.timer = setTimeout(() => this.#finish(done), packet.dropped ? 0 : quietMs)
  }

  #note(packet: Following, event: TraceEvent, headers: Headers | undefined): void {
    const add = (part: string) => {
      if (part !== '' && !packet.path.includes(part)) packet.path.push(part)
    }
    add(this.#linkName(event.from))
    if (headers !== undefined) {
      const { last } = packet
      if (headers.destination !== last.destination || headers.destinationPort !== last.destinationPort)
        add(`→ ${endText(headers.destination, headers.destinationPort)}`)
      if (headers.source !== last.source) add(`from ${headers.source}`)
      packet.last = headers
    }
    add(this.#linkName(event.to))
    if (!event.table.startsWith('linkspan-trace-')) packet.steps.push(event)
    // A drop of a rule or a policy ends the packet.
    if (event.verdict === 'drop') packet.dropped = true
  }

  /** The host's end of a container's cable is called by the container. */
  #linkName(link: string): string {
    if (!link.startsWith('veth')) return link
    for (const endpoint of this.#engine.state.endpoints.values()) {
      if (endpoint.hostIfname === link) return this.#engine.state.containerOf(endpoint)?.name ?? link
    }
    return link
  }

  #finish(packet: Following): void {
    const { first, last } = packet
    this.#following.delete(first.identity)
    for (const [number, meant] of this.#meant) if (meant === packet) this.#meant.delete(number)
    if (
      this.#port !== undefined &&
      ![first, last].some(each => [each.sourcePort, each.destinationPort].includes(this.#port ?? 0))
    )
      return
    const note = this.#meaning(first)
    this.#turn = this.#turn.then(async () => {
      const texts = await this.#ruleTexts().catch((): ReadonlyMap<string, string> => new Map())
      this.#tell({
        Type: 'packet',
        Time: packet.time,
        Protocol: first.protocol,
        Flags: first.flags,
        From: this.#end(first.source, first.sourcePort),
        To: this.#end(first.destination, first.destinationPort, last),
        Verdict: packet.dropped ? 'DROPPED' : 'PASSED',
        Path: packet.path,
        Steps: packet.steps
          .filter(({ verdict, kind }) => ['accept', 'drop'].includes(verdict) && kind !== 'return')
          .map(event => ({
            Table: event.table,
            Chain: event.chain,
            Rule:
              event.kind === 'policy'
                ? ''
                : (texts.get(`${event.family} ${event.table} ${event.rule}`) ?? `handle ${event.rule}`),
            Verdict: event.verdict,
          })),
        Note: note,
      })
    })
  }

  /** A reset that answers an opening says that nobody listens. */
  #meaning({ flags, source, sourcePort, destination, destinationPort, protocol }: Headers): string {
    if (protocol !== 'tcp') return ''
    const key = `${source}:${sourcePort} ${destination}:${destinationPort}`
    if (flags === 'SYN') {
      if (this.#opening.size > 1000) this.#opening.clear()
      this.#opening.set(key, Date.now())
      return ''
    }
    const answered = `${destination}:${destinationPort} ${source}:${sourcePort}`
    const opened = this.#opening.delete(answered)
    return opened && flags.includes('RST') ? `nothing listens on ${sourcePort}` : ''
  }

  #end(address: string, port: number, translated?: Headers): TracedEnd {
    const name = this.#nameOf(address)
    const behind =
      translated !== undefined && translated.destination !== address
        ? this.#nameOf(translated.destination)
        : undefined
    return { Name: behind ?? name, Address: address, Port: port }
  }

  #nameOf(address: string): string {
    const endpoint = endpointAt(this.#engine, address)
    const container = endpoint === undefined ? undefined : this.#engine.state.containerOf(endpoint)
    return container?.name ?? address
  }

  /** Rules in words by family, table and handle; read again after a while, because rules change. */
  #ruleTexts(): Promise<ReadonlyMap<string, string>> {
    const now = Date.now()
    if (this.#rules === undefined || now - this.#rules.at > 2_000) {
      const texts = this.#engine.kernel
        .ruleset()
        .then(
          chains =>
            new Map(
              chains.flatMap(({ family, table, rules }) =>
                rules.map(
                  rule => [`${family} ${table} ${rule.handle}`, rule.comment || ruleText(rule)] as const,
                ),
              ),
            ),
        )
      this.#rules = { at: now, texts }
    }
    return this.#rules.texts
  }
}

function selectorsOf(engine: ObservedEngine, term: string): readonly TraceSelector[] {
  const container = engine.state.findContainer(term)
  const party = containerParty(engine, container)
  if (party.kind !== 'container' || party.sandbox === undefined)
    throw fault('containerNotRunning', container.id)
  if (party.endpoints.length === 0) {
    throw fault(
      'invalidParameter',
      `${container.name} has no interface of its own: there is nothing to follow`,
    )
  }
  const ports = party.sandbox.ports
    .flatMap(({ protocol, hostFrom, hostTo }) =>
      Array.from({ length: Math.min(maximumPorts, hostTo - hostFrom + 1) }, (_, at) => ({
        protocol,
        port: hostFrom + at,
      })),
    )
    .slice(0, maximumPorts)
  const known = new Map(ports.map(each => [`${each.protocol} ${each.port}`, each]))
  return [...party.endpoints.flatMap(addressesOf).map(address => ({ address })), ...known.values()]
}

const flagNames = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG']
const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp',
  132: 'sctp',
}

function readHeaders({ network, transport }: TraceEvent): Headers | undefined {
  if (network === undefined || network.length < 20) return undefined
  const four = network.readUInt8(0) >> 4 === 4
  if (!four && network.length < 40) return undefined
  const size = four ? 4 : 16
  const at = (offset: number) =>
    formatAddress({
      family: four ? 4 : 6,
      value: BigInt(`0x${network.subarray(offset, offset + size).toString('hex')}`),
    })
  const number = network.readUInt8(four ? 9 : 6)
  const ports = ['tcp', 'udp', 'sctp'].includes(protocolNames[number] ?? '') && (transport?.length ?? 0) >= 4
  const bits = number === 6 && transport !== undefined && transport.length >= 14 ? transport.readUInt8(13) : 0
  const sequence =
    number === 6 && (transport?.length ?? 0) >= 12 ? (transport?.toString('hex', 4, 12) ?? '') : ''
  const length = network.readUInt16BE(four ? 2 : 4)
  const identification = four ? network.readUInt16BE(4) : 0
  // Datagrams over IPv6 have no number: their ends that translation may change must do.
  const ends = number !== 6 && !four ? network.toString('hex', 8, 40) : ''
  return {
    identity: `${number} ${identification} ${length} ${sequence} ${bits} ${ends}`,
    protocol: protocolNames[number] ?? String(number),
    flags: flagNames.filter((_, bit) => (bits & (1 << bit)) !== 0).join(','),
    source: at(four ? 12 : 8),
    destination: at(four ? 16 : 24),
    sourcePort: ports ? (transport?.readUInt16BE(0) ?? 0) : 0,
    destinationPort: ports ? (transport?.readUInt16BE(2) ?? 0) : 0,
  }
}

function endText(address: string, port: number): string {
  return port === 0 ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
