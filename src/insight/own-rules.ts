/** The rules and elements that concern one container, of all that stand in the kernel, each with its reason. */
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { ownSets, ownTable } from '../engine/index.ts'
import type { NftElement } from '../kernel/index.ts'
import { formatAddress, type Network, parseAddress, parsePrefix, prefixRange } from '../network/index.ts'
import { addressesOf, containerParty } from './ends.ts'
import { addressBytes } from './packet.ts'
import { ruleText } from './rule-text.ts'

export interface OwnRule {
  /** `inet linkspan`, `ip filter`. */
  readonly Table: string
  /** Chain, or set or map with an @ in front. */
  readonly Place: string
  readonly Rule: string
  readonly Reason: string
  /** null = the kernel does not count here. */
  readonly Hits: number | null
  /** Made by this engine. */
  readonly Ours: boolean
}

export interface OwnRules {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Rules: readonly OwnRule[]
}

interface Concern {
  readonly addresses: readonly string[]
  readonly bridges: ReadonlyMap<string, Network>
  readonly ports: readonly { readonly from: number; readonly to: number; readonly protocol: string }[]
}

export async function rulesOf(engine: ObservedEngine, term: string): Promise<OwnRules> {
  const container = engine.state.findContainer(term)
  const party = containerParty(engine, container)
  if (party.kind !== 'container' || party.sandbox === undefined)
    throw fault('containerNotRunning', container.id)
  const networks = party.endpoints.flatMap(({ networkId }) => engine.state.networks.get(networkId) ?? [])
  const concern: Concern = {
    addresses: party.endpoints.flatMap(addressesOf),
    bridges: new Map(
      networks.flatMap(each => (each.bridge === undefined ? [] : [[each.bridge.name, each] as const])),
    ),
    ports: party.sandbox.ports.map(({ hostFrom, hostTo, protocol }) => ({
      from: hostFrom,
      to: hostTo,
      protocol,
    })),
  }
  const { driver } = engine.info().firewall
  const own = driver === 'nftables' ? await elementsFor(engine, concern) : await chainsFor(engine, concern)
  return {
    Id: container.id,
    Name: container.name,
    Driver: driver,
    Rules: [...own, ...(await foreignFor(engine, concern))],
  }
}

async function elementsFor(engine: ObservedEngine, concern: Concern): Promise<readonly OwnRule[]> {
  const found: OwnRule[] = []
  for (const set of ownSets) {
    const v6 = set.includes('6')
    for (const element of (await engine.kernel.elements(ownTable, set)) ?? []) {
      const network = concerns(element, concern, v6)
      if (network === undefined) continue
      const hit = await engine.kernel.element(1, ownTable, set, joined(element.key))
      found.push({
        Table: `inet ${ownTable}`,
        Place: `@${set}`,
        Rule: elementText(element, v6),
        Reason: reasonOf(set, network, element),
        Hits: hit?.packets ?? null,
        Ours: true,
      })
    }
  }
  return found
}

/** Fields of a concatenation are padded to four bytes each. */
function joined(key: readonly Uint8Array[]): Buffer {
  if (key.length === 1) return Buffer.from(key[0] ?? [])
  return Buffer.concat(key.map(part => Buffer.concat([part, Buffer.alloc(-part.length & 3)])))
}

const nameIn = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8').replace(/\0.*$/s, '')

/** Name of the network by which an element concerns the container; '' = its own address or port. */
function concerns({ key, keyEnd, data }: NftElement, concern: Concern, v6: boolean): string | undefined {
  const size = v6 ? 16 : 4
  const own = concern.addresses.filter(text => text.includes(':') === v6).map(addressBytes)
  if (data !== undefined && !('verdict' in data)) {
    const [target] = data
    return target !== undefined && own.some(each => each.equals(Buffer.from(target))) ? '' : undefined
  }
  for (const [at, part] of key.entries()) {
    if (part.length === 16 && concern.bridges.has(nameIn(part)))
      return concern.bridges.get(nameIn(part))?.name ?? ''
    const last = keyEnd?.[at] ?? part
    if (part.length !== size) continue
    const inside = own.some(each => Buffer.compare(each, part) >= 0 && Buffer.compare(each, last) <= 0)
    if (inside && !key.some(other => other.length === 16 && other !== part)) {
      return (
        [...concern.bridges.values()].find(({ pools }) => pools.some(({ subnet }) => startsAt(subnet, part)))
          ?.name ?? ''
      )
    }
  }
  return undefined
}

function startsAt(subnet: string, first: Uint8Array): boolean {
  const prefix = parsePrefix(subnet)
  if (prefix === undefined) return false
  const [start] = prefixRange(prefix)
  return addressBytes(formatAddress({ family: prefix.family, value: start })).equals(Buffer.from(first))
}

function elementText({ key, keyEnd, data }: NftElement, v6: boolean): string {
  const text = (parts: readonly Uint8Array[], ends: readonly Uint8Array[] | undefined) =>
    parts
      .map((part, at) => {
        const first = fieldText(part, v6)
        const last = fieldText(ends?.[at] ?? part, v6)
        return first === last ? first : `${first}-${last}`
      })
      .join(' . ')
  if (data === undefined) return text(key, keyEnd)
  if ('verdict' in data)
    return `${text(key, keyEnd)} : ${'chain' in data ? `${data.verdict} ${data.chain}` : data.verdict}`
  return `${text(key, keyEnd)} : ${text(data, undefined)}`
}

const protocols: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

function fieldText(part: Uint8Array, v6: boolean): string {
  const bytes = Buffer.from(part)
  if (bytes.length === 1) return protocols[bytes[0] ?? 0] ?? String(bytes[0])
  if (bytes.length === 2) return String(bytes.readUInt16BE(0))
  const isAddress = bytes.length === 4 || (v6 && !/^[\w.@~-]+\0*$/.test(bytes.toString('latin1')))
  if (!isAddress) return nameIn(part)
  return formatAddress({ family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${bytes.toString('hex')}`) })
}

function reasonOf(set: string, network: string, { key, data }: NftElement): string {
  if (set.startsWith('publish')) {
    const port = key.find(({ length }) => length === 2)
    const target = data !== undefined && !('verdict' in data) ? data[1] : undefined
    const host = port === undefined ? '' : String(Buffer.from(port).readUInt16BE(0))
    return `docker run -p ${host}:${target === undefined ? host : Buffer.from(target).readUInt16BE(0)}`
  }
  if (set.startsWith('masquerade')) return `${network} goes out by the host's address`
  if (set.startsWith('subnet')) return `addresses of ${network} are private`
  if (set === 'to_bridge') return `who may enter ${network}`
  if (set === 'from_bridge') return `where ${network} may go`
  if (set === 'same_bridge') return `containers on ${network} among themselves`
  if (set === 'internal_bridge') return `${network} is internal`
  return network === '' ? '' : `network ${network}`
}

/** Rules of iptables that name the container's address or its bridge. */
async function chainsFor(engine: ObservedEngine, concern: Concern): Promise<readonly OwnRule[]> {
  const found: OwnRule[] = []
  for (const family of [4, 6] as const) {
    for (const { name, rules } of await engine.kernel.iptables(family, true).catch(() => [])) {
      for (const { chain, spec, packets } of rules) {
        const network = mentions(spec, concern)
        if (network === undefined) continue
        const to = /--to-destination (\S+)/.exec(spec)?.[1]
        const published = /--dport (\S+) .*-j DNAT/.exec(spec)?.[1]
        found.push({
          Table: `${family === 4 ? 'ip' : 'ip6'} ${name}`,
          Place: chain,
          Rule: spec,
          Reason:
            published !== undefined
              ? `docker run -p ${published}:${to?.split(':').at(-1) ?? published}`
              : network === ''
                ? 'its own address'
                : `network ${network}`,
          Hits: packets ?? null,
          Ours: chain.startsWith('DOCKER') && chain !== 'DOCKER-USER',
        })
      }
    }
  }
  return found
}

function mentions(spec: string, { addresses, bridges }: Concern): string | undefined {
  const words = spec.split(/[\s"{},]+/)
  const mine = addresses.some(address =>
    words.some(word => word === address || word.startsWith(`${address}/`) || word.startsWith(`${address}:`)),
  )
  const named = [...bridges].find(([name]) => words.includes(name))
  const network = named?.[1].name
  if (mine) return ''
  // A rule that names another container's address on the same bridge is about that one.
  const other = words.some(
    word => parseAddress(word.replace(/\/(32|128)$/, '')) !== undefined && !word.endsWith('/0'),
  )
  return network !== undefined && !other ? network : undefined
}

/** Rules of others, in nftables, that name its addresses or bridges. */
async function foreignFor(engine: ObservedEngine, concern: Concern): Promise<readonly OwnRule[]> {
  const families: Readonly<Record<number, string>> = {
    1: 'inet',
    2: 'ip',
    10: 'ip6',
    7: 'bridge',
    5: 'netdev',
  }
  const xtables = new Set(['filter', 'nat', 'mangle', 'raw', 'security'])
  const chains = await engine.kernel.ruleset()
  return chains
    .filter(({ family, table }) => table !== ownTable && !(family !== 1 && xtables.has(table)))
    .flatMap(({ family, table, name, rules }) =>
      rules.flatMap((rule): readonly OwnRule[] => {
        const text = ruleText(rule)
        if (mentions(text, concern) === undefined) return []
        const counter = rule.expressions.find(each => each.op === 'counter')
        return [
          {
            Table: `${families[family] ?? family} ${table}`,
            Place: name,
            Rule: text,
            Reason: rule.comment === '' ? 'not made by this engine' : rule.comment,
            Hits: counter?.op === 'counter' ? counter.packets : null,
            Ours: false,
          },
        ]
      }),
    )
}
