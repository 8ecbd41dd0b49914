/** nftables' rules in words close to nft's own, for people. */
import type { NftRule } from '../kernel/index.ts'
import { formatAddress } from '../network/index.ts'

const metaNames: Readonly<Record<number, string>> = {
  1: 'protocol',
  3: 'mark',
  4: 'iif',
  5: 'oif',
  6: 'iifname',
  7: 'oifname',
  15: 'nfproto',
  16: 'l4proto',
  19: 'pkttype',
}
const ctNames: Readonly<Record<number, string>> = {
  0: 'ct state',
  1: 'ct direction',
  2: 'ct status',
  3: 'ct mark',
}
const fields: Readonly<Record<string, string>> = {
  '1:12:4': 'ip saddr',
  '1:16:4': 'ip daddr',
  '1:8:16': 'ip6 saddr',
  '1:24:16': 'ip6 daddr',
  '1:9:1': 'ip protocol',
  '2:0:2': 'sport',
  '2:2:2': 'dport',
  '2:13:1': 'tcp flags',
  '2:0:1': 'icmp type',
}
const protocols: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
}
const states: Readonly<Record<number, string>> = {
  1: 'invalid',
  2: 'established',
  4: 'related',
  8: 'new',
  64: 'untracked',
}
const statuses: Readonly<Record<number, string>> = { 0x10: 'snat', 0x20: 'dnat' }
const tests = ['', '!= ', '< ', '<= ', '> ', '>= ']

export function ruleText({ expressions }: NftRule): string {
  const labels = new Map<number, string>()
  const words: string[] = []
  const values = new Map<number, string>()
  for (const [position, expression] of expressions.entries()) {
    const next = expressions[position + 1]
    switch (expression.op) {
      case 'meta':
        labels.set(expression.to, metaNames[expression.key] ?? `meta ${expression.key}`)
        break
      case 'payload': {
        const { base, offset, length } = expression
        labels.set(
          expression.to,
          fields[`${base}:${offset}:${length}`] ?? `@${base},${offset * 8},${length * 8}`,
        )
        break
      }
      case 'ct':
        labels.set(expression.to, ctNames[expression.key] ?? `ct ${expression.key}`)
        break
      case 'fib':
        labels.set(
          expression.to,
          `fib ${(expression.flags & 1) === 0 ? 'daddr' : 'saddr'} ${['', 'oif', 'oifname', 'type'][expression.result] ?? ''}`,
        )
        break
      case 'mask': {
        const label = labels.get(expression.from) ?? ''
        if (next?.op === 'compare' && isBits(label) && next.test === 1) {
          words.push(`${label} ${bits(label, expression.mask)}`)
          labels.delete(expression.to)
        } else if (next?.op === 'compare' && next.from === expression.to) {
          words.push(
            `${label} ${tests[next.test] ?? ''}${valueText(label, next.value)}/${ones(expression.mask)}`,
          )
          labels.delete(expression.to)
        }
        break
      }
      case 'compare': {
        const label = labels.get(expression.from)
        if (label !== undefined)
          words.push(`${label} ${tests[expression.test] ?? ''}${valueText(label, expression.value)}`)
        break
      }
      case 'range': {
        const label = labels.get(expression.from) ?? ''
        words.push(
          `${label} ${expression.inside ? '' : '!= '}${valueText(label, expression.first)}-${valueText(label, expression.last)}`,
        )
        break
      }
      case 'lookup': {
        const key = [...labels].filter(([at]) => at >= expression.from).map(([, label]) => label)
        const joined = `${key.join(' . ')} ${expression.invert ? '!= ' : ''}`
        const name = expression.set.startsWith('__') ? '{…}' : `@${expression.set}`
        const map = expression.to === -1 ? 'vmap ' : ''
        if (expression.to === undefined || expression.to === -1) words.push(`${joined}${map}${name}`)
        else values.set(expression.to, `${joined}map ${name}`)
        labels.clear()
        break
      }
      case 'immediate':
        values.set(
          expression.to,
          valueText(expression.value.length === 2 ? 'port' : 'address', expression.value),
        )
        break
      case 'verdict':
        words.push(
          'chain' in expression.verdict
            ? `${expression.verdict.verdict} ${expression.verdict.chain}`
            : expression.verdict.verdict,
        )
        break
      case 'nat': {
        const to = [expression.address, expression.port].flatMap(at =>
          at === undefined ? [] : (values.get(at) ?? []),
        )
        words.push(
          `${expression.kind === 'source' ? 'snat' : 'dnat'}${to.length === 0 ? '' : ` to ${to.join(':')}`}`,
        )
        break
      }
      case 'masquerade':
      case 'reject':
        words.push(expression.op)
        break
      case 'redirect':
        words.push(
          `redirect${expression.port === undefined ? '' : ` to :${values.get(expression.port) ?? ''}`}`,
        )
        break
      case 'other':
        words.push(expression.name)
        break
      case 'beside':
        if (expression.name === 'log' || expression.name === 'notrack') words.push(expression.name)
        break
      case 'counter':
      case 'meta-set':
        break
    }
  }
  return words.join(' ')
}

const isBits = (label: string): boolean => label === 'ct state' || label === 'ct status'

function bits(label: string, mask: Uint8Array): string {
  const value = Buffer.from(mask).readUInt32LE(0)
  const names = label === 'ct state' ? states : statuses
  const known = Object.entries(names).filter(([bit]) => (value & Number(bit)) !== 0)
  return known.length === 0 ? `0x${value.toString(16)}` : known.map(([, name]) => name).join(',')
}

function ones(mask: Uint8Array): number {
  return [...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
}

function valueText(label: string, value: Uint8Array): string {
  const bytes = Buffer.from(value)
  if (label.endsWith('name')) return JSON.stringify(bytes.toString('utf8').replace(/\0.*$/s, ''))
  if (label.endsWith('port') && bytes.length === 2) return String(bytes.readUInt16BE(0))
  if ((label.endsWith('addr') || label === 'address') && bytes.length <= 16) {
    // An address cut to a whole number of bytes is a prefix.
    const full = Buffer.alloc(label.startsWith('ip6') || bytes.length > 4 ? 16 : 4)
    bytes.copy(full)
    const text = formatAddress({
      family: full.length === 4 ? 4 : 6,
      value: BigInt(`0x${full.toString('hex')}`),
    })
    return bytes.length === full.length ? text : `${text}/${bytes.length * 8}`
  }
  if (label === 'l4proto' || label === 'ip protocol') return protocols[bytes[0] ?? 0] ?? String(bytes[0])
  if (label === 'nfproto') return bytes[0] === 2 ? 'ipv4' : 'ipv6'
  if (label.startsWith('fib') && label.endsWith('type'))
    return ['', 'unicast', 'local', 'broadcast', '', 'multicast'][bytes.readUInt32LE(0)] ?? ''
  if (isBits(label)) return bits(label, bytes)
  return `0x${bytes.toString('hex')}`
}
