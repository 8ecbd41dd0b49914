/** The nftables backend: intents become elements of the constant ruleset's sets and maps. */
import { field, type NftElement, type NftVerdict, type Operation } from '../../kernel/index.ts'
import {
  type FirewallIntent,
  parsePrefix,
  prefixRange,
  formatAddress,
  type PublishObject,
  type SegmentObject,
} from '../../network/index.ts'
import type { Firewall } from './firewall.ts'
import { rulesetText, type RulesetOptions, type SetName, sets, table } from './ruleset.ts'

export function nftablesFirewall(options: () => RulesetOptions, reason: string): Firewall {
  const load = (): Operation => ({ do: 'nft.load', text: rulesetText(options()) })
  return {
    driver: 'nftables',
    tables: [table],
    reason,
    guard: () => [load()],
    update(add, remove) {
      const adding = add.flatMap(elementsOf)
      const removing = remove.flatMap(elementsOf)
      return adding.length + removing.length === 0 ? [] : [elementsOperation(adding, removing)]
    },
    async reconcile(kernel, intents) {
      const wanted = new Map(intents.flatMap(elementsOf).map(element => [identity(element), element]))
      const stale: NftElement[] = []
      for (const set of Object.keys(sets)) {
        for (const element of (await kernel.elements(table, set)) ?? []) {
          if (!wanted.delete(identity(element))) stale.push(element)
        }
      }
      return stale.length + wanted.size === 0
        ? [load()]
        : [load(), elementsOperation([...wanted.values()], stale)]
    },
    async remove(kernel) {
      const there = await kernel.elements(table, 'to_bridge')
      return there === undefined ? [] : [{ do: 'nft.load', text: `delete table inet ${table}\n` }]
    },
  }
}

function elementsOperation(add: readonly NftElement[], remove: readonly NftElement[]): Operation {
  return { do: 'nft.elements', add, delete: remove }
}

/** Elements are equal if set, key and value are. */
function identity({ set, key, keyEnd, data }: NftElement): string {
  const bytes = (fields: readonly Uint8Array[] | undefined) =>
    (fields ?? []).map(part => Buffer.from(part).toString('hex')).join('.')
  const value = data === undefined ? '' : 'verdict' in data ? JSON.stringify(data) : bytes(data)
  return `${set} ${bytes(key)}-${bytes(keyEnd)} ${value}`
}

export function elementsOf(intent: FirewallIntent): readonly NftElement[] {
  return intent.kind === 'segment' ? segmentElements(intent) : publishElements(intent)
}

function element(
  set: SetName,
  key: readonly Uint8Array[],
  rest: { readonly keyEnd?: readonly Uint8Array[]; readonly data?: readonly Uint8Array[] | NftVerdict } = {},
): NftElement {
  return { table, set, key, ...rest }
}

function segmentElements({ bridge, subnets, mode, icc, masquerade }: SegmentObject): readonly NftElement[] {
  const name = field.ifname(bridge)
  const jump = (chain: string): NftVerdict => ({ verdict: 'goto', chain })
  const elements = [
    element('to_bridge', [name], { data: jump(mode === 'nat' ? 'to_nat' : 'to_internal') }),
    element('from_bridge', [name], { data: jump(mode === 'nat' ? 'from_nat' : 'from_internal') }),
    element('same_bridge', [name, name], { data: icc ? { verdict: 'accept' } : jump('icc_off') }),
  ]
  if (mode === 'internal') elements.push(element('internal_bridge', [name]))
  for (const subnet of subnets) {
    const prefix = parsePrefix(subnet)
    if (prefix === undefined) throw new Error(`malformed subnet ${subnet} in the blueprint`)
    const [first, last] = prefixRange(prefix).map(value =>
      address(formatAddress({ family: prefix.family, value })),
    )
    if (first === undefined || last === undefined) continue
    const v4 = prefix.family === 4
    elements.push(element(v4 ? 'subnet4' : 'subnet6', [first], { keyEnd: [last] }))
    elements.push(element(v4 ? 'subnet4_bridge' : 'subnet6_bridge', [first, name], { keyEnd: [last, name] }))
    if (masquerade) elements.push(element(v4 ? 'masquerade4' : 'masquerade6', [first], { keyEnd: [last] }))
  }
  return elements
}

/**
 * A run of equal ports is one interval; a single port, and each port of a shifted run, is one exact element, because
 * the kernel's port translation by map has no arithmetic.
 */
function publishElements(intent: PublishObject): readonly NftElement[] {
  const { protocol, hostIp, hostFrom, hostTo, target, targetFrom } = intent
  const v4 = !hostIp.includes(':')
  const any = hostIp === '0.0.0.0' || hostIp === '::'
  const where = any ? [] : [address(hostIp)]
  const key = (port: number) => [...where, field.protocol(protocol), field.port(port)]
  const to = address(target)
  if (hostFrom !== hostTo && hostFrom === targetFrom) {
    const set = v4
      ? any
        ? 'publish4_any_range'
        : 'publish4_range'
      : any
        ? 'publish6_any_range'
        : 'publish6_range'
    return [element(set, key(hostFrom), { keyEnd: key(hostTo), data: [to] })]
  }
  const set = v4 ? (any ? 'publish4_any' : 'publish4') : any ? 'publish6_any' : 'publish6'
  const elements: NftElement[] = []
  for (let port = hostFrom; port <= hostTo; port++) {
    elements.push(element(set, key(port), { data: [to, field.port(targetFrom + port - hostFrom)] }))
  }
  return elements
}

function address(text: string): Uint8Array {
  return text.includes(':') ? field.ipv6(text) : field.ipv4(text)
}
