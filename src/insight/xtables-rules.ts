/** iptables' rules, read from what iptables-save writes. The matches that people and Docker use are known. */
import type { IptablesTable } from '../kernel/index.ts'
import { parseAddress, parsePrefix, prefixRange } from '../network/index.ts'
import type { Surroundings } from './nft-rules.ts'
import type { Packet } from './packet.ts'
import type { Chain, Decision, Hook, Rule, Told } from './rules.ts'

const hooks: Readonly<Record<string, Hook>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
}
const priorities: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  nat: -100,
  filter: 0,
  security: 50,
}

export function xtablesChains(
  tables: readonly IptablesTable[],
  family: 4 | 6,
  ours: (chain: string) => boolean,
  around: Surroundings,
): readonly Chain[] {
  return tables.flatMap(table => {
    const name = `${family === 4 ? 'ip' : 'ip6'} ${table.name}`
    const byChain = new Map<string, Rule[]>()
    for (const rule of table.rules) {
      const made = xtablesRule(rule.spec, rule.packets, around)
      const known = byChain.get(rule.chain)
      if (known === undefined) byChain.set(rule.chain, [made])
      else known.push(made)
    }
    return [...table.chains].map(([chain, policy]): Chain => {
      const hook = policy === '-' ? undefined : hooks[chain]
      return {
        table: name,
        name: chain,
        ours: ours(chain),
        ...(hook === undefined
          ? {}
          : {
              base: {
                hook,
                priority: priorities[table.name] ?? 0,
                nat: table.name === 'nat',
                policy: policy === 'DROP' ? 'drop' : 'accept',
              },
            }),
        rules: byChain.get(chain) ?? [],
      }
    })
  })
}

/** Words of a rule; quoted ones have spaces. */
function wordsOf(spec: string): readonly string[] {
  return [...spec.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => plain ?? quoted ?? '')
}

/** Yes, no, or what it is that we cannot tell. */
type Seen = boolean | { readonly unknown: string }
type Test = (packet: Packet, around: Surroundings) => Seen | Promise<Seen>

interface Parsed {
  readonly tests: readonly Test[]
  readonly decision: Decision | undefined
  readonly comment: string
  readonly unknown: string | undefined
}

function xtablesRule(spec: string, packets: number | undefined, around: Surroundings): Rule {
  let parsed: Parsed | undefined
  return {
    text: spec,
    comment: /--comment (?:"((?:[^"\\]|\\.)*)"|(\S+))/.exec(spec)?.slice(1).find(Boolean) ?? '',
    async look(packet): Promise<Told | undefined> {
      parsed ??= parse(wordsOf(spec))
      let doubt = parsed.unknown
      for (const test of parsed.tests) {
        const seen = await test(packet, around)
        if (seen === false) return undefined
        if (seen !== true) doubt ??= seen.unknown
      }
      if (parsed.decision === undefined) return undefined
      return {
        decision: parsed.decision,
        ...(doubt === undefined ? {} : { doubt }),
        ...(packets === undefined ? {} : { hits: packets }),
      }
    },
  }
}

const harmless = new Set([
  'LOG',
  'NFLOG',
  'MARK',
  'CONNMARK',
  'TRACE',
  'CT',
  'TCPMSS',
  'CLASSIFY',
  'SET',
  'AUDIT',
  'CHECKSUM',
])
/** Options that stand without a value. */
const flagOptions = new Set([
  '--syn',
  '--random',
  '--random-fully',
  '--persistent',
  '--physdev-is-bridged',
  '--ctexpire',
])

function parse(words: readonly string[]): Parsed {
  const tests: Test[] = []
  let decision: Decision | undefined
  let unknown: string | undefined
  let comment = ''
  const options = new Map<string, string>()
  let target: { readonly name: string; readonly jump: boolean } | undefined
  let match = ''
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '!') continue
    const negated = words[at - 1] === '!'
    if (flagOptions.has(word)) {
      if (word === '--syn') tests.push(({ protocol }) => (protocol === 'tcp') !== negated)
      else if (target === undefined) unknown ??= word
      continue
    }
    const value = words[++at] ?? ''
    if (word === '-j' || word === '-g') target = { name: value, jump: word === '-j' }
    else if (word === '-m') match = value
    else if (target !== undefined) options.set(word, value)
    else if (word === '--comment') comment = value
    else if (word === '--tcp-flags') {
      const wanted = words[++at] ?? ''
      tests.push(() => flagsOfSyn(value, wanted) !== negated)
    } else {
      const test = testOf(word, value)
      if (test === undefined) unknown ??= `-m ${match} ${word}`
      else tests.push(negated ? inverse(test) : test)
    }
  }
  if (target !== undefined) {
    decision = decisionOf(target, options)
    if (decision.kind === 'other' && harmless.has(target.name)) decision = undefined
  }
  return { tests, decision, comment, unknown }
}

const inverse =
  (test: Test): Test =>
  async (packet, around) => {
    const seen = await test(packet, around)
    return typeof seen === 'boolean' ? !seen : seen
  }

/** The first packet of a TCP flow has SYN alone. */
function flagsOfSyn(mask: string, wanted: string): boolean {
  const looked = mask === 'ALL' ? ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'] : mask.split(',')
  const set = wanted === 'NONE' ? [] : wanted.split(',')
  return looked.every(flag => set.includes(flag) === (flag === 'SYN'))
}

const addressTypes: Readonly<Record<string, number>> = { UNICAST: 1, LOCAL: 2, BROADCAST: 3, MULTICAST: 5 }

function testOf(option: string, value: string): Test | undefined {
  switch (option) {
    case '-i':
    case '--in-interface':
      return ({ from }) => interfaceFits(value, from)
    case '-o':
    case '--out-interface':
      return ({ to }) => interfaceFits(value, to)
    case '-s':
      return ({ source }) => prefixHolds(value, source)
    case '-d':
      return ({ destination }) => prefixHolds(value, destination)
    case '-p':
      return ({ protocol }) =>
        value === 'all' || value === protocol || (value === 'ipv6-icmp' && protocol === 'icmp')
    case '--dport':
    case '--dports':
      return ({ destinationPort }) => portsHold(value, destinationPort)
    case '--sport':
    case '--sports':
      // The port a client picks is not known before it does.
      return ({ sourcePort }) => portsHold(value, sourcePort)
    case '--icmp-type':
    case '--icmpv6-type':
      return () => ['8', '8/0', '128', '128/0', 'any', 'echo-request'].includes(value)
    case '--ctstate':
    case '--state':
      return ({ translated }) =>
        value
          .split(',')
          .some(
            state =>
              state === 'NEW' ||
              (state === 'DNAT' && translated.destination) ||
              (state === 'SNAT' && translated.source),
          )
    case '--dst-type':
      return async ({ destination }, around) =>
        (await around.addressType(destination)) === addressTypes[value]
    case '--src-type':
      return async ({ source }, around) => (await around.addressType(source)) === addressTypes[value]
    case '--mark':
      return () => Number(value.split('/')[0]) === 0
    default:
      return undefined
  }
}

function interfaceFits(pattern: string, name: string): boolean {
  return pattern.endsWith('+') ? name !== '' && name.startsWith(pattern.slice(0, -1)) : pattern === name
}

function prefixHolds(text: string, address: string): boolean {
  const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
  const parsed = parseAddress(address)
  if (prefix === undefined || parsed === undefined || prefix.family !== parsed.family) return false
  const [first, last] = prefixRange(prefix)
  return parsed.value >= first && parsed.value <= last
}

function portsHold(text: string, port: number): boolean {
  return text.split(',').some(part => {
    const [first = '', last = first] = part.split(':')
    return port >= Number(first === '' ? 0 : first) && port <= Number(last === '' ? 65_535 : last)
  })
}

function decisionOf(
  target: { readonly name: string; readonly jump: boolean },
  options: ReadonlyMap<string, string>,
): Decision {
  switch (target.name) {
    case 'ACCEPT':
      return { kind: 'accept' }
    case 'DROP':
    case 'REJECT':
      return { kind: 'drop' }
    case 'RETURN':
      return { kind: 'return' }
    case 'MASQUERADE':
      return { kind: 'translate', part: 'source', address: 'own' }
    case 'DNAT':
      return { kind: 'translate', part: 'destination', ...destination(options.get('--to-destination') ?? '') }
    case 'SNAT':
      return { kind: 'translate', part: 'source', ...destination(options.get('--to-source') ?? '') }
    case 'REDIRECT':
      return {
        kind: 'translate',
        part: 'destination',
        address: 'own',
        port: Number(options.get('--to-ports')?.split('-')[0] ?? 0),
      }
    case 'NFQUEUE':
    case 'QUEUE':
    case 'TPROXY':
    case 'SYNPROXY':
    case 'NETMAP':
      return { kind: 'other', name: target.name }
    default:
      if (harmless.has(target.name)) return { kind: 'other', name: target.name }
      return { kind: target.jump ? 'jump' : 'goto', chain: target.name }
  }
}

/** `10.0.0.1`, `10.0.0.1:80`, `[fd00::1]:80`; a run of ports `10.0.0.1:8000-8002/9000` moves ports by a difference. */
function destination(text: string): {
  readonly address?: string
  readonly port?: number
  readonly shift?: number
} {
  const [, bracketed, plain, first, , base] =
    /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+)(?:-(\d+)(?:\/(\d+))?)?)?$/.exec(text) ?? []
  const address = bracketed ?? plain
  return {
    ...(address === undefined || address === '' ? {} : { address }),
    ...(first === undefined ? {} : { port: Number(first) }),
    ...(first === undefined || base === undefined ? {} : { shift: Number(first) - Number(base) }),
  }
}
