/**
 * The way of the first packet of a flow, hop by hop, without sending it. Routes are asked of the kernel, rules are read
 * from it and evaluated, links are looked at; what joins these is the engine's own record of who is where.
 *
 * The order is the kernel's: in the sender's namespace route, then output rules, then its veth; on the bridge either
 * straight to a port (through the IP rules only where br_netfilter is on) or up to the host; there prerouting, route,
 * forward or input, postrouting; then down again into the receiver's namespace.
 */
import type { ObservedEngine } from '../engine/index.ts'
import type { RouteAnswer } from '../kernel/index.ts'
import {
  canonicalAddress,
  type Endpoint,
  type Network,
  type PublishedPort,
  type RelayObject,
  sandboxBlueprint,
} from '../network/index.ts'
import { addressesOf, endpointAt, type Party } from './ends.ts'
import type { Code, Hop, HopKind, Verdict } from './explanation.ts'
import { linkFlag, readSwitch, socketsOf } from './host.ts'
import { endText, type Packet } from './packet.ts'
import type { Hook, Outcome, Step } from './rules.ts'
import { readTables, type Tables } from './tables.ts'

export interface End {
  readonly verdict: Verdict
  readonly code: Code | ''
  readonly why: string
  readonly fix: string
  readonly unknown: readonly string[]
}

export interface Walked extends End {
  readonly hops: readonly Hop[]
  readonly packet: Packet
  /** The address it was sent from. */
  readonly source: string
  readonly answers: string
  readonly asides: readonly { readonly code: Code | ''; readonly text: string }[]
}

/** A walk that is over. Thrown, because it can be over at any hop. */
class Arrived extends Error {
  readonly end: End

  constructor(end: End) {
    super(end.verdict)
    this.end = end
  }
}

const blocked = (code: Code, why: string, fix = ''): Arrived =>
  new Arrived({ verdict: 'BLOCKED', code, why, fix, unknown: [] })
const unknown = (why: string, what: readonly string[]): Arrived =>
  new Arrived({ verdict: 'UNKNOWN', code: '', why, fix: '', unknown: what })

export type Start = Omit<Packet, 'source' | 'sourcePort' | 'from' | 'to' | 'translated'>

/** An ephemeral port, as a client would pick one. */
const clientPort = 40_000

export class Walk {
  readonly #engine: ObservedEngine
  readonly #from: Party
  readonly #to: Party
  readonly #hops: Hop[] = []
  readonly #asides: { code: Code | ''; text: string }[] = []
  readonly #tables = new Map<string, Promise<Tables>>()
  #packet: Packet
  #answers = ''
  #source = ''
  #relayed = 0
  /** MTU of the sender's interface. */
  #mtu = 0

  constructor(engine: ObservedEngine, from: Party, to: Party, start: Start) {
    this.#engine = engine
    this.#from = from
    this.#to = to
    this.#packet = {
      ...start,
      source: start.family === 4 ? '0.0.0.0' : '::',
      sourcePort: start.protocol === 'icmp' ? 0 : clientPort,
      from: '',
      to: '',
      translated: { destination: false, source: false },
    }
  }

  async run(source: string | undefined): Promise<Walked> {
    let end: End = { verdict: 'REACHABLE', code: '', why: '', fix: '', unknown: [] }
    try {
      if (this.#from.kind === 'container' && this.#from.sandbox?.netns !== undefined) {
        await this.#fromContainer(this.#from, this.#from.sandbox.netns)
      } else if (this.#from.kind === 'outside') {
        await this.#fromOutside(source ?? this.#packet.source)
      } else await this.#fromHost()
    } catch (error) {
      if (!(error instanceof Arrived)) throw error
      end = error.end
    }
    return {
      ...end,
      hops: this.#hops,
      packet: this.#packet,
      source: this.#source,
      answers: this.#answers,
      asides: this.#asides,
    }
  }

  // Where packets begin

  async #fromContainer(from: Extract<Party, { kind: 'container' }>, netns: string): Promise<void> {
    const { destination } = this.#packet
    const route = await this.#engine.kernel.lookUpRoute({ destination }, netns)
    if ('refused' in route || route.type === 'unreachable') {
      const networks = from.endpoints.map(each => this.#network(each))
      const internal = networks.length > 0 && networks.every(each => each?.internal === true)
      this.#hop('route', 'route', `no route to ${destination}`, `in ${from.name}`, {
        container: from.container.id,
        passes: false,
      })
      throw internal
        ? blocked(
            'INTERNAL_NO_GATE',
            `${from.name} is on internal networks only: they have no gate to other networks.`,
            `docker network connect NETWORK ${from.name}`,
          )
        : blocked('NO_ROUTE', `${from.name} has no route to ${destination}.`, this.#connectFix())
    }
    this.#packet = {
      ...this.#packet,
      source: canonicalAddress(route.source ?? '') ?? destination,
      to: route.link,
    }
    this.#source = this.#packet.source
    if (route.type === 'local') return await this.#loopback(from, netns)
    await this.#rules('output', netns, from.container.id)
    await this.#rules('postrouting', netns, from.container.id)
    const endpoint = from.endpoints.find(({ ifname }) => ifname === route.link)
    const network = endpoint === undefined ? undefined : this.#network(endpoint)
    if (endpoint === undefined || network?.bridge === undefined) {
      throw unknown(`${from.name} sends it through ${route.link}, which this engine did not make.`, [
        `interface ${route.link} of ${from.name}`,
      ])
    }
    this.#hop('route', 'route', routeText(route), `in ${from.name}`, { container: from.container.id })
    await this.#cable(endpoint, network, 'out')
    await this.#onBridge(endpoint, network, network.bridge.name, route.gateway ?? this.#packet.destination)
  }

  async #fromOutside(source: string): Promise<void> {
    const { destination } = this.#packet
    const route = await this.#engine.kernel.lookUpRoute({ destination: source })
    const link = 'link' in route ? route.link : ''
    if (link === '') {
      this.#hop('route', 'route', `no route to ${source}`, 'on the host', { passes: false })
      throw blocked('NO_ROUTE', `the host has no route to ${source}: answers could not go back.`)
    }
    this.#packet = { ...this.#packet, source, from: link }
    const index = (await this.#engine.kernel.link(link))?.index ?? 0
    this.#hop(
      'arrives',
      'arrives',
      `${source} → ${endText(destination, this.#packet.destinationPort)}`,
      `${link} (if ${index})`,
      { link, index },
    )
    await this.#intoHost()
  }

  async #fromHost(): Promise<void> {
    const { destination } = this.#packet
    const route = await this.#engine.kernel.lookUpRoute({ destination })
    if ('refused' in route || route.type === 'unreachable') {
      this.#hop('route', 'route', `no route to ${destination}`, 'on the host', { passes: false })
      throw blocked('NO_ROUTE', `the host has no route to ${destination}.`)
    }
    const source = canonicalAddress(route.source ?? '') ?? destination
    const local = route.type === 'local'
    this.#packet = { ...this.#packet, source, from: '', to: local ? 'lo' : route.link }
    if (this.#source === '') this.#source = source
    const before = this.#packet.destination
    await this.#rules('output')
    if (this.#packet.destination === before) {
      this.#hop('route', 'route', routeText(route), `table ${tableName(route.table)}`, { link: route.link })
      if (local) return await this.#loopback({ kind: 'host', name: 'host' })
      await this.#rules('postrouting')
      return await this.#outOf(route.link, route.gateway)
    }
    // Translated on its way out: the route is looked for again.
    const again = await this.#engine.kernel.lookUpRoute({ destination: this.#packet.destination })
    if ('refused' in again) {
      throw blocked('NO_ROUTE', `the host has no route to ${this.#packet.destination}.`)
    }
    this.#packet = { ...this.#packet, to: again.type === 'local' ? 'lo' : again.link }
    this.#hop('route', 'route', routeText(again), `table ${tableName(again.table)}`, { link: again.link })
    if (again.type === 'local') return await this.#loopback({ kind: 'host', name: 'host' })
    await this.#rules('postrouting')
    await this.#outOf(again.link, again.gateway)
  }

  // On a bridge

  /** A frame has come in by a port: it goes to another port, or up to the host. */
  async #onBridge(sender: Endpoint, network: Network, bridge: string, nextHop: string): Promise<void> {
    const { kernel } = this.#engine
    const neighbour = endpointAt(this.#engine, nextHop, network.id)
    if (neighbour !== undefined) return await this.#acrossBridge(sender, neighbour, network, bridge)
    const owner = await kernel.lookUpRoute({ destination: nextHop })
    if (!('type' in owner) || owner.type !== 'local') {
      this.#hop('bridge', 'bridge', `${bridge}: nobody has ${nextHop}`, `network ${network.name}`, {
        network: network.id,
        link: bridge,
        passes: false,
      })
      throw blocked('NO_ARP', `nobody on ${network.name} answers for ${nextHop}.`)
    }
    const link = await kernel.link(bridge)
    this.#hop('bridge', 'bridge', `${bridge} (if ${link?.index ?? 0}) → host`, `gateway ${nextHop}`, {
      network: network.id,
      link: bridge,
      index: link?.index ?? 0,
    })
    this.#packet = { ...this.#packet, from: bridge, to: '' }
    await this.#intoHost(sender)
  }

  async #acrossBridge(sender: Endpoint, receiver: Endpoint, network: Network, bridge: string): Promise<void> {
    const link = await this.#engine.kernel.link(bridge)
    if (linkFlag(sender.hostIfname, 'brport/isolated') && linkFlag(receiver.hostIfname, 'brport/isolated')) {
      this.#hop('bridge', 'bridge', `${bridge}: both ports are isolated`, `network ${network.name}`, {
        network: network.id,
        link: bridge,
        passes: false,
      })
      throw this.#iccDisabled(network)
    }
    this.#packet = { ...this.#packet, from: bridge, to: bridge }
    const filtered =
      readSwitch(`net/bridge/bridge-nf-call-ip${this.#packet.family === 4 ? '' : '6'}tables`) ||
      linkFlag(bridge, `bridge/nf_call_ip${this.#packet.family === 4 ? '' : '6'}tables`)
    if (filtered) {
      await this.#rules('prerouting')
      await this.#rules('forward')
      await this.#rules('postrouting')
    }
    this.#hop(
      'bridge',
      'bridge',
      `${bridge} (if ${link?.index ?? 0}) → ${receiver.hostIfname}`,
      `fdb ${receiver.mac}${filtered ? ' · filtered (br_netfilter)' : ''}`,
      { network: network.id, link: bridge, index: link?.index ?? 0 },
    )
    await this.#deliver(receiver, network)
  }

  // On the host

  /** A packet has come in by a link of the host. `sender` if it is a container's. */
  async #intoHost(sender?: Endpoint): Promise<void> {
    const { kernel } = this.#engine
    await this.#rules('prerouting')
    const { destination, source, from, family } = this.#packet
    const route = await kernel.lookUpRoute({ destination, source, from })
    if ('refused' in route) throw await this.#refused(route.refused)
    if (route.type === 'local' || route.type === 'broadcast' || route.type === 'multicast') {
      await this.#rules('input')
      return await this.#onHost()
    }
    if (route.type !== 'unicast') throw await this.#refused('EHOSTUNREACH')
    const link = route.link
    this.#packet = { ...this.#packet, to: link }
    this.#hop('route', 'route', routeText(await this.#plainRoute(route)), `table ${tableName(route.table)}`, {
      link,
    })
    if (family === 6 && !readSwitch('net/ipv6/conf/all/forwarding')) throw await this.#refused('EHOSTUNREACH')
    await this.#rules('forward')
    const hairpin = sender !== undefined && from === link
    await this.#rules('postrouting')
    if (hairpin) this.#checkHairpin(sender)
    await this.#outOf(link, route.gateway)
  }

  /** The answer for packets that come in lacks the prefix; the one for packets of our own has it. */
  async #plainRoute(route: RouteAnswer): Promise<RouteAnswer> {
    const plain = await this.#engine.kernel.lookUpRoute({ destination: this.#packet.destination })
    return 'link' in plain && plain.link === route.link ? { ...route, prefix: plain.prefix } : route
  }

  /** br_netfilter translates on the bridge: the frame leaves by the port it came in by, if that port lets it. */
  #checkHairpin(sender: Endpoint): void {
    if (!addressesOf(sender).includes(this.#packet.destination)) return
    if (!readSwitch('net/bridge/bridge-nf-call-iptables')) return
    if (linkFlag(sender.hostIfname, 'brport/hairpin_mode')) return
    this.#hop(
      'bridge',
      'bridge',
      `${sender.hostIfname} does not send back where it came from`,
      'hairpin off',
      {
        link: sender.hostIfname,
        passes: false,
      },
    )
    throw blocked(
      'HAIRPIN_OFF',
      'the bridge port does not send frames back out of itself.',
      `bridge link set dev ${sender.hostIfname} hairpin on`,
    )
  }

  async #refused(code: string): Promise<Arrived> {
    const { destination, source, from, family } = this.#packet
    const told = (text: string, note: string) =>
      this.#hop('route', 'route', text, note, { link: from, passes: false })
    if (code === 'EXDEV' || code === 'EINVAL') {
      told(`${source} does not belong behind ${from}`, 'reverse path')
      return blocked(
        'RP_FILTER',
        `the host refuses packets from ${source} on ${from}: its route to it is another one.`,
      )
    }
    const key = family === 4 ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding'
    if (!readSwitch(key)) {
      told('the host does not forward', `${key.replaceAll('/', '.')} = 0`)
      return blocked(
        'HOST_FORWARD_DROP',
        `forwarding is off on the host (${key.replaceAll('/', '.')}).`,
        `sysctl -w ${key.replaceAll('/', '.')}=1`,
      )
    }
    told(`no route to ${destination}`, 'on the host')
    return blocked('NO_ROUTE', `the host has no route to ${destination}.`)
  }

  /** Through a link of the host: to a container on a bridge of ours, or out into the world. */
  async #outOf(link: string, gateway: string | undefined): Promise<void> {
    const network = [...this.#engine.state.networks.values()].find(({ bridge }) => bridge?.name === link)
    const { destination } = this.#packet
    const found = await this.#engine.kernel.link(link)
    if (network === undefined) {
      this.#hop(
        'leaves',
        'leaves',
        `${link} (if ${found?.index ?? 0})${gateway === undefined ? '' : ` → ${gateway}`}`,
        `as ${endText(this.#packet.source, this.#packet.sourcePort === clientPort ? 0 : this.#packet.sourcePort)}`,
        { link, index: found?.index ?? 0 },
      )
      if (found?.up === false) throw this.#down(link)
      if (this.#mtu > 0 && found !== undefined && found.mtu < this.#mtu) {
        this.#asides.push({
          code: 'MTU_TOO_SMALL',
          text: `${link} carries ${found.mtu} bytes, the sender's interface ${this.#mtu}: large packets depend on path MTU discovery.`,
        })
      }
      this.#asides.push({ code: '', text: 'what happens beyond this host cannot be seen from here.' })
      this.#answers = this.#answerText()
      return
    }
    const receiver = endpointAt(this.#engine, gateway ?? destination, network.id)
    if (receiver === undefined) {
      this.#hop(
        'bridge',
        'bridge',
        `${link}: nobody has ${gateway ?? destination}`,
        `network ${network.name}`,
        {
          network: network.id,
          link,
          passes: false,
        },
      )
      throw blocked('NO_ARP', `nobody on ${network.name} answers for ${gateway ?? destination}.`)
    }
    this.#hop(
      'bridge',
      'bridge',
      `${link} (if ${found?.index ?? 0}) → ${receiver.hostIfname}`,
      `fdb ${receiver.mac}`,
      {
        network: network.id,
        link,
        index: found?.index ?? 0,
      },
    )
    await this.#deliver(receiver, network)
  }

  /** Delivered to the host itself: a program of its own, or the engine carrying what no rule can translate. */
  async #onHost(): Promise<void> {
    const { destination, destinationPort, protocol } = this.#packet
    const relay = this.#relayAt()
    if (relay !== undefined && this.#relayed < 2) {
      this.#relayed += 1
      const port = relay.targetFrom + destinationPort - relay.hostFrom
      this.#hop(
        'relay',
        'relay',
        `${endText(destination, destinationPort)} → ${endText(relay.target, port)}`,
        'carried by the engine: no rule can translate it',
      )
      const family = relay.target.includes(':') ? 6 : 4
      this.#packet = {
        family,
        protocol,
        source: family === 4 ? '0.0.0.0' : '::',
        sourcePort: clientPort,
        destination: relay.target,
        destinationPort: port,
        from: '',
        to: '',
        translated: { destination: false, source: false },
      }
      return await this.#fromHost()
    }
    if (protocol === 'icmp') return this.#listening('host', 'the kernel answers')
    const held = this.#heldPort()
    if (held !== undefined) {
      const at = endText(held.hostIp, destinationPort)
      this.#hop(
        'listens',
        'listens',
        `nothing is translated to a container at ${endText(destination, destinationPort)}`,
        `held for ${at}`,
        {
          passes: false,
        },
      )
      throw blocked(
        'PUBLISHED_ON_OTHER_IP',
        `port ${destinationPort} is published on ${held.hostIp} only.`,
        `publish it on ${destination} or on every address: docker run -p ${destinationPort}:${held.containerFrom} …`,
      )
    }
    await this.#sockets('host', undefined, undefined)
  }

  // In a container

  async #deliver(receiver: Endpoint, network: Network): Promise<void> {
    const container = this.#engine.state.containerOf(receiver)
    const sandbox = this.#engine.state.sandboxes.get(receiver.sandboxId)
    if (container === undefined || sandbox?.netns === undefined)
      throw new Error('an endpoint without a container')
    await this.#cable(receiver, network, 'in')
    const { netns } = sandbox
    this.#packet = { ...this.#packet, from: receiver.ifname, to: '' }
    const { source, destination } = this.#packet
    const own = await this.#engine.kernel.lookUpRoute({ destination }, netns)
    if ('type' in own && own.type !== 'local') {
      throw unknown(`${container.name} would route it on: containers that forward are not followed.`, [
        `routing in ${container.name}`,
      ])
    }
    await this.#rules('prerouting', netns, container.id)
    await this.#rules('input', netns, container.id)
    const back = await this.#engine.kernel.lookUpRoute({ destination: source }, netns)
    if ('refused' in back) {
      this.#hop('route', 'route', `no route back to ${source}`, `in ${container.name}`, {
        container: container.id,
        passes: false,
      })
      throw blocked('NO_ROUTE', `${container.name} has no route back to ${source}.`)
    }
    if (container.state.status === 'paused') {
      this.#hop('listens', 'listens', `${container.name} is paused`, '', {
        container: container.id,
        passes: false,
      })
      throw blocked(
        'PAUSED',
        `${container.name} is paused: nobody answers.`,
        `docker unpause ${container.name}`,
      )
    }
    if (this.#packet.protocol === 'icmp')
      return this.#listening(container.name, 'the kernel answers', container.id)
    await this.#sockets(container.name, netns, container.id)
  }

  async #loopback(party: Party, netns?: string): Promise<void> {
    const id = party.kind === 'container' ? party.container.id : ''
    this.#packet = { ...this.#packet, from: 'lo', to: '' }
    if (netns === undefined) {
      await this.#rules('prerouting', undefined, '', false)
      await this.#rules('input')
      return await this.#onHost()
    }
    this.#hop('route', 'route', 'dev lo', `in ${party.name}`, { container: id })
    if (this.#packet.protocol === 'icmp') return this.#listening(party.name, 'the kernel answers', id)
    await this.#sockets(party.name, netns, id)
  }

  /** Whether a program waits there. */
  async #sockets(name: string, netns: string | undefined, container: string | undefined): Promise<void> {
    const { protocol, destination, destinationPort } = this.#packet
    if (protocol === 'icmp') return
    const bound = await this.#engine.kernel.listeners(protocol, netns)
    const onPort = bound.filter(({ port }) => port === destinationPort)
    const heard = onPort.find(({ address }) => hears(address, destination))
    if (heard !== undefined) {
      const who = await socketsOf(this.#engine, container, heard.inode)
      return this.#listening(name, endText(heard.address, heard.port), container, who)
    }
    const common = { container: container ?? '', passes: false }
    if (onPort.length > 0) {
      const [first] = onPort
      const at = endText(first?.address ?? '', destinationPort)
      this.#hop('listens', 'listens', `only ${at}`, `in ${name}`, common)
      throw blocked(
        'LISTENS_ON_LOOPBACK',
        `the program in ${name} listens on ${first?.address ?? ''} only.`,
        'let it listen on 0.0.0.0',
      )
    }
    const others = [
      ...new Set(bound.filter(({ address }) => hears(address, destination)).map(({ port }) => port)),
    ].sort((one, other) => one - other)
    this.#hop('listens', 'listens', `nothing on ${destinationPort}/${protocol}`, `in ${name}`, common)
    throw blocked(
      'NOT_LISTENING',
      `nothing in ${name} listens on ${destinationPort}/${protocol}${others.length === 0 ? '' : ` (but on ${others.slice(0, 8).join(', ')})`}.`,
    )
  }

  #listening(name: string, text: string, container = '', note = ''): void {
    this.#hop('listens', 'listens', text, note === '' ? `in ${name}` : note, { container })
    this.#answers = this.#answerText()
  }

  #answerText(): string {
    const { source, translated } = this.#packet
    const way =
      translated.destination || translated.source
        ? 'answers return through conntrack'
        : 'answers return the same way'
    return `${way}; ${translated.source ? `the receiver sees ${source}` : 'the source address is kept'}.`
  }

  // Parts of hops

  async #cable(endpoint: Endpoint, network: Network, direction: 'in' | 'out'): Promise<void> {
    const { kernel, state } = this.#engine
    const [link, bridge] = await Promise.all([
      kernel.link(endpoint.hostIfname),
      kernel.link(network.bridge?.name ?? ''),
    ])
    const container = state.containerOf(endpoint)
    const index = link?.index ?? 0
    const peer = link?.peer ?? 0
    const fine =
      link !== undefined && link.up && bridge !== undefined && link.master === bridge.index && bridge.up
    const name = container?.name ?? ''
    this.#hop(
      'veth',
      'veth',
      direction === 'out' ? `${peer} ⇄ ${index}` : `${index} ⇄ ${peer}`,
      direction === 'out'
        ? `${endpoint.ifname} of ${name} ⇄ ${endpoint.hostIfname} on ${network.bridge?.name ?? ''}`
        : `${endpoint.hostIfname} ⇄ ${endpoint.ifname} in the netns of ${name}`,
      {
        container: container?.id ?? '',
        network: network.id,
        endpoint: endpoint.id,
        link: endpoint.hostIfname,
        index,
        peerIndex: peer,
        passes: fine,
      },
    )
    if (direction === 'out') this.#mtu = link?.mtu ?? 0
    if (!fine)
      throw this.#down(
        endpoint.hostIfname,
        bridge !== undefined && link?.master !== bridge.index ? network : undefined,
      )
    const sandbox = state.sandboxes.get(endpoint.sandboxId)
    const inside =
      sandbox?.netns === undefined ? undefined : await kernel.link(endpoint.ifname, sandbox.netns)
    if (inside?.up !== true) throw this.#down(`${endpoint.ifname} of ${name}`)
  }

  #down(link: string, detached?: Network): Arrived {
    return blocked(
      'LINK_DOWN',
      detached === undefined
        ? `${link} is down or gone.`
        : `${link} is not on the bridge of ${detached.name}.`,
      'linkspan doctor --fix links',
    )
  }

  /** Leads the packet through the rules of a hook; those that decided become hops. */
  async #rules(hook: Hook, netns?: string, container = '', translations = true): Promise<void> {
    const tables = await this.#tablesOf(netns)
    const before = this.#packet
    const outcome = await tables.rules.pass(hook, before, () => this.#ownAddress(hook, netns), translations)
    this.#packet = outcome.packet
    this.#ruleHops(hook, before, outcome, container)
    if (outcome.verdict === 'unknown') {
      const what = outcome.doubts.map(
        ({ table, chain, rule, what: part }) => `${table} ${chain}: ${rule} (${part})`,
      )
      throw unknown('a rule stands in the way that cannot be evaluated.', what)
    }
    if (outcome.verdict === 'drop') {
      const last = outcome.steps.at(-1)
      throw last === undefined ? unknown('it is dropped', []) : this.#dropped(last, before)
    }
    if (netns === undefined && tables.unread.length > 0 && hook === 'prerouting') {
      throw unknown('rules stand there that cannot be read.', tables.unread)
    }
  }

  #tablesOf(netns: string | undefined): Promise<Tables> {
    const key = `${netns ?? ''} ${this.#packet.family}`
    const known = this.#tables.get(key)
    if (known !== undefined) return known
    const asked = readTables(this.#engine.kernel, this.#packet.family, netns)
    this.#tables.set(key, asked)
    return asked
  }

  /** The address that masquerading puts in, or that a redirect leads to. */
  async #ownAddress(hook: Hook, netns?: string): Promise<string | undefined> {
    const { kernel } = this.#engine
    if (hook === 'output') return this.#packet.family === 4 ? '127.0.0.1' : '::1'
    if (hook === 'prerouting') {
      const route = await kernel.lookUpRoute({ destination: this.#packet.source }, netns)
      return 'source' in route ? route.source : undefined
    }
    const route = await kernel.lookUpRoute({ destination: this.#packet.destination }, netns)
    return 'source' in route ? route.source : undefined
  }

  #ruleHops(hook: Hook, before: Packet, outcome: Outcome, container: string): void {
    for (const step of outcome.steps) {
      const { decision } = step
      const note = noteOf(step, this.#publishedBy(step, before))
      const place = {
        container,
        table: step.table,
        chain: step.chain,
        ours: step.ours,
        ...(step.hits === undefined ? {} : { hits: step.hits }),
      }
      if (decision.kind === 'translate') {
        const { packet } = outcome
        const text =
          decision.part === 'destination'
            ? `${endText(before.destination, before.destinationPort)} → ${endText(packet.destination, packet.destinationPort)}`
            : `${before.source} → ${packet.source}`
        const label =
          decision.part === 'destination' ? 'DNAT' : decision.address === 'own' ? 'MASQUERADE' : 'SNAT'
        this.#hop('translate', label, text, note, place)
      } else if (decision.kind === 'drop') this.#hop('rule', hook, 'DROP', note, { ...place, passes: false })
      else if (decision.kind === 'accept' && hook === 'forward')
        this.#hop('rule', hook, 'ACCEPT', note, place)
      else if (decision.kind === 'accept' && !step.ours && step.rule !== '')
        this.#hop('rule', hook, 'ACCEPT', note, place)
    }
  }

  /** The `docker run -p` that a translation stems from. */
  #publishedBy({ decision }: Step, { protocol, destinationPort }: Packet): string {
    if (decision.kind !== 'translate' || decision.part !== 'destination') return ''
    for (const { ports } of this.#engine.state.sandboxes.values()) {
      for (const { protocol: of, hostFrom, hostTo, containerFrom, hostIp } of ports) {
        if (of !== protocol || destinationPort < hostFrom || destinationPort > hostTo) continue
        if (hostIp.includes(':') !== (this.#packet.family === 6)) continue
        const host = hostIp === '0.0.0.0' || hostIp === '::' ? '' : `${hostIp}:`
        return `docker run -p ${host}${destinationPort}:${containerFrom + destinationPort - hostFrom}${of === 'tcp' ? '' : `/${of}`}`
      }
    }
    return ''
  }

  /** What a drop means: of ours by what it keeps apart, of others by where it stands. */
  #dropped(step: Step, packet: Packet): Arrived {
    if (!step.ours) {
      if (step.hook === 'forward' && step.rule === '') {
        return blocked(
          'HOST_FORWARD_DROP',
          `the policy of ${step.table} ${step.chain} is drop, and nothing in it accepts this.`,
          `linkspan doctor --fix forward`,
        )
      }
      return blocked(
        'USER_RULE_DROP',
        `a rule that this engine did not make drops it: ${step.table} ${step.chain}: ${step.rule || 'policy drop'}.`,
      )
    }
    if (packet.destination.startsWith('127.')) {
      return blocked('PUBLISHED_ON_OTHER_IP', 'it is published on loopback only.')
    }
    const from = this.#from.kind === 'container' ? this.#from.endpoints.map(each => this.#network(each)) : []
    const receiver = endpointAt(this.#engine, packet.destination)
    const target = receiver === undefined ? undefined : this.#network(receiver)
    const entered = from.find(each => each?.bridge?.name === packet.from)
    if (target !== undefined && entered?.id === target.id) return this.#iccDisabled(target)
    if (entered?.internal === true || target?.internal === true) {
      const name = entered?.internal === true ? entered.name : (target?.name ?? '')
      return blocked(
        'INTERNAL_NO_GATE',
        `${name} is internal: it has no gate to other networks.`,
        this.#connectFix(),
      )
    }
    if (entered !== undefined) {
      return blocked('NET_ISOLATED', 'the two containers share no network.', this.#connectFix())
    }
    const container = receiver === undefined ? undefined : this.#engine.state.containerOf(receiver)
    const port = packet.destinationPort
    return blocked(
      'PORT_NOT_PUBLISHED',
      `${container?.name ?? packet.destination} is behind NAT: only published ports are reachable from outside${port === 0 ? '' : `, and ${port} is not one`}.`,
      port === 0
        ? ''
        : `docker run -p ${port}:${port}${packet.protocol === 'tcp' ? '' : `/${packet.protocol}`} …`,
    )
  }

  #iccDisabled({ name }: Network): Arrived {
    return blocked(
      'ICC_DISABLED',
      `${name} does not let its containers talk to each other (icc=false).`,
      `put both on a network without com.docker.network.bridge.enable_icc=false`,
    )
  }

  #connectFix(): string {
    if (this.#from.kind !== 'container' || this.#to.kind !== 'container') return ''
    const [first] = this.#to.endpoints
    const network = first === undefined ? undefined : this.#network(first)
    return network === undefined ? '' : `docker network connect ${network.name} ${this.#from.name}`
  }

  // Look-ups in the records

  #network({ networkId }: Endpoint): Network | undefined {
    return this.#engine.state.networks.get(networkId)
  }

  #portHere(fits: (port: PublishedPort) => boolean) {
    const { protocol, destinationPort } = this.#packet
    for (const sandbox of this.#engine.state.sandboxes.values()) {
      for (const port of sandbox.ports) {
        if (port.protocol !== protocol || destinationPort < port.hostFrom || destinationPort > port.hostTo)
          continue
        if (fits(port)) return { port, sandbox }
      }
    }
    return undefined
  }

  /** A port that the engine's own sockets hold: they listen to nobody. */
  #heldPort(): PublishedPort | undefined {
    const v6 = this.#packet.family === 6
    return this.#portHere(({ hostIp }) => hostIp.includes(':') === v6)?.port
  }

  #relayAt(): RelayObject | undefined {
    const { destination } = this.#packet
    const held = this.#portHere(({ hostIp }) => hostIp === '::' || canonicalAddress(hostIp) === destination)
    if (held === undefined) return undefined
    const { state } = this.#engine
    const context = {
      network: (id: string) => state.networks.get(id),
      endpointOfContainer: () => undefined,
    }
    return sandboxBlueprint(held.sandbox, state.endpointsOfSandbox(held.sandbox.id), context).find(
      (object): object is RelayObject =>
        object.kind === 'relay' &&
        object.hostFrom === held.port.hostFrom &&
        object.hostIp === held.port.hostIp,
    )
  }

  #hop(
    kind: HopKind,
    label: string,
    text: string,
    note: string,
    rest: {
      readonly passes?: boolean
      readonly container?: string
      readonly network?: string
      readonly endpoint?: string
      readonly link?: string
      readonly index?: number
      readonly peerIndex?: number
      readonly table?: string
      readonly chain?: string
      readonly ours?: boolean
      readonly hits?: number
    } = {},
  ): void {
    this.#hops.push({
      Number: this.#hops.length + 1,
      Kind: kind,
      Label: label,
      Text: text,
      Note: note,
      Passes: rest.passes ?? true,
      Container: rest.container ?? '',
      Network: rest.network ?? '',
      Endpoint: rest.endpoint ?? '',
      Link: rest.link ?? '',
      Index: rest.index ?? 0,
      PeerIndex: rest.peerIndex ?? 0,
      Table: rest.table ?? '',
      Chain: rest.chain ?? '',
      Ours: rest.ours ?? false,
      Hits: rest.hits ?? null,
    })
  }
}

/** Whether a socket bound to `address` takes what is sent to `destination`: `::` hears both families. */
export function hears(address: string, destination: string): boolean {
  if (address === '0.0.0.0') return !destination.includes(':')
  if (address === '::' || address === '*') return true
  return address === destination || canonicalAddress(address.replace(/^::ffff:/, '')) === destination
}

function routeText({ prefix, link, gateway, type }: RouteAnswer): string {
  if (type === 'local') return 'local'
  return `${prefix ?? 'route'}${gateway === undefined ? '' : ` via ${gateway}`} dev ${link}`
}

function tableName(table: number): string {
  return table === 254 ? 'main' : table === 255 ? 'local' : String(table)
}

function noteOf(step: Step, published: string): string {
  const place = step.map === undefined ? `${step.table} ${step.chain}` : `map @${step.map}`
  const rule = step.comment !== '' ? step.comment : step.rule === '' ? 'policy' : step.rule
  const hits = step.hits === undefined ? '' : `${step.hits} ${step.hits === 1 ? 'hit' : 'hits'}`
  return [place, published === '' ? rule : published, hits].filter(part => part !== '').join(' · ')
}
