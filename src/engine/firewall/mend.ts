/**
 * From what iptables-save shows to what should be there, and to nothing of ours. Pure.
 *
 * What is ours: the constant rules; in our chains (Docker's names, DOCKER-USER excepted) every rule that names one of
 * our bridges; in nat POSTROUTING a masquerade of exactly a subnet and bridge that DOCKER-POSTROUTING knows. Bridges of
 * ours are the wanted ones and those that stand in chains which nobody but us makes, in either family's tables: every
 * bridge has a subnet in one of them. Everything else is somebody's.
 */
import type { IptablesChange, IptablesRule, IptablesTable } from '../../kernel/index.ts'
import type { Family } from '../../network/index.ts'
import {
  constantRules,
  hairpinMasquerade,
  masqueradeRule,
  ownChains,
  publishedPass,
  type Rule,
  type TableName,
  tableNames,
  userChain,
  userJump,
} from './chains.ts'

/** The tables of both families, as far as they were read. */
export type AllTables = Readonly<Partial<Record<Family, readonly IptablesTable[]>>>

/** Chains that no other program makes. */
const tellingChains: readonly (readonly [TableName, string])[] = [
  ['raw', 'DOCKER'],
  ['nat', 'DOCKER-POSTROUTING'],
  ['nat', 'DOCKER-HAIRPIN'],
]

/** Rules added and removed in one run; what is on both sides stays where it is. */
export function changesOf(add: readonly Rule[], remove: readonly Rule[]): readonly IptablesChange[] {
  const adding = without(add, remove)
  const removing = without(remove, add)
  return changes(table => [
    ...removing.filter(each => each.table === table).map(deletion),
    ...adding.filter(each => each.table === table).map(addition),
  ])
}

/**
 * Brings the tables to the constant rules and `intents`. `guarded`: what no rule accepts is not forwarded, so that the
 * host is no router for its neighbours; the policy of FORWARD is the only thing besides rules that is touched.
 */
export function mendingChanges(
  all: AllTables,
  family: Family,
  intents: readonly Rule[],
  guarded: boolean,
): readonly IptablesChange[] {
  const wanted = [...constantRules(family), ...intents]
  const tables = all[family] ?? []
  const ours = ownership(all, wanted)
  return changes(table => {
    const found = tables.find(({ name }) => name === table)
    const lines = ownChains[table]
      .filter(chain => found?.chains.has(chain) !== true)
      .map(chain => `-N ${chain}`)
    if (table === 'filter' && guarded && found?.chains.get('FORWARD') !== 'DROP') {
      lines.push(...forwardPolicy('DROP').lines)
    }
    const here = wanted.filter(each => each.table === table)
    const observed = (found?.rules ?? []).map(each => observedRule(table, each))
    const chains = new Set([...here, ...observed.filter(ours)].map(({ chain }) => chain))
    for (const name of chains) {
      const inChain = ({ chain }: Rule) => chain === name
      lines.push(...mendChain(observed.filter(inChain), inOrder(here.filter(inChain)), ours))
    }
    return lines
  })
}

/** Takes everything of ours out. An administrator's rules stay, and DOCKER-USER stays in force if it has any. */
export function removalChanges(all: AllTables, family: Family, guarded: boolean): readonly IptablesChange[] {
  const tables = all[family] ?? []
  if (!madeByUs(tables)) return []
  const ours = ownership(all, constantRules(family))
  return changes(table => {
    const found = tables.find(({ name }) => name === table)
    if (found === undefined) return []
    const rules = found.rules.map(each => observedRule(table, each))
    const userRules = rules.some(({ chain }) => chain === userChain)
    const goes = (each: Rule) => ours(each) && !(userRules && text(each) === text(userJump))
    const stay = rules.filter(each => !goes(each))
    const chains = ownChains[table].filter(
      chain =>
        found.chains.has(chain) && !stay.some(each => each.chain === chain || targetOf(each.spec) === chain),
    )
    const policy = table === 'filter' && guarded && found.chains.get('FORWARD') === 'DROP'
    return [
      ...rules.filter(goes).map(deletion),
      ...chains.map(chain => `-X ${chain}`),
      ...(policy ? forwardPolicy('ACCEPT').lines : []),
    ]
  })
}

export function forwardPolicy(policy: 'ACCEPT' | 'DROP'): IptablesChange {
  return { table: 'filter', chains: [], lines: [`-P FORWARD ${policy}`] }
}

function changes(linesOf: (table: TableName) => readonly string[]): readonly IptablesChange[] {
  return tableNames.flatMap(table => {
    const lines = linesOf(table)
    return lines.length === 0 ? [] : [{ table, chains: ownChains[table], lines }]
  })
}

function mendChain(
  found: readonly Rule[],
  wanted: readonly Rule[],
  ours: (rule: Rule) => boolean,
): readonly string[] {
  const present = found.filter(ours)
  const stale = without(present, wanted)
  const missing = without(wanted, present)
  const after = [
    ...missing.filter(({ place }) => place === 'top'),
    ...without(found, stale),
    ...missing.filter(({ place }) => place !== 'top'),
  ]
  if (isOrdered(after, wanted)) return [...stale.map(deletion), ...missing.map(addition)]
  return [
    ...present.map(deletion),
    ...wanted
      .filter(({ place }) => place !== 'bottom')
      .toReversed()
      .map(insertion),
    ...wanted.filter(({ place }) => place === 'bottom').map(addition),
  ]
}

const ranks = { head: 0, top: 1, bottom: 2 } as const

function inOrder(rules: readonly Rule[]): readonly Rule[] {
  return rules.toSorted((one, other) => ranks[one.place] - ranks[other.place])
}

/** Head rules come first of all, foreign ones included; then top ones before bottom ones. */
function isOrdered(rules: readonly Rule[], wanted: readonly Rule[]): boolean {
  const head = wanted.filter(({ place }) => place === 'head')
  if (!head.every((each, position) => rules[position]?.spec === each.spec)) return false
  const places = new Map(wanted.map(({ spec, place }) => [spec, ranks[place]]))
  const sequence = rules.flatMap(({ spec }) => places.get(spec) ?? [])
  return sequence.every((rank, position) => position === 0 || (sequence[position - 1] ?? 0) <= rank)
}

function ownership(all: AllTables, wanted: readonly Rule[]): (rule: Rule) => boolean {
  const recorded = [...(all[4] ?? []), ...(all[6] ?? [])].flatMap(({ name, rules }) =>
    rules.filter(({ chain }) => tellingChains.some(([table, own]) => table === name && own === chain)),
  )
  const bridges = new Set([...recorded, ...wanted].flatMap(({ spec }) => interfacesIn(spec)))
  const known = new Set([...wanted.map(text), ...recorded.flatMap(masqueradeOf).map(text)])
  return rule => {
    if (known.has(text(rule))) return true
    if (rule.chain === userChain || !ownChains[rule.table].includes(rule.chain)) return false
    return interfacesIn(rule.spec).some(name => bridges.has(name))
  }
}

function masqueradeOf({ spec }: IptablesRule): readonly Rule[] {
  const [, subnet, bridge] = /^-s (\S+) -o (\S+) /.exec(spec) ?? []
  if (subnet === undefined || bridge === undefined) return []
  return spec === hairpinMasquerade(subnet, bridge).spec ? [masqueradeRule(subnet, bridge)] : []
}

function madeByUs(tables: readonly IptablesTable[]): boolean {
  return tables.some(
    ({ name, chains, rules }) =>
      tellingChains.some(([table, chain]) => table === name && chains.has(chain)) ||
      (name === publishedPass.table && rules.some(each => isPublishedPass(each))),
  )
}

function isPublishedPass({ chain, spec }: IptablesRule): boolean {
  return chain === publishedPass.chain && spec === publishedPass.spec
}

/** Bridges that a rule names; the loopback is nobody's. */
function interfacesIn(spec: string): readonly string[] {
  return [...spec.matchAll(/(?:^| )-[io] (\S+)/g)].flatMap(([, name = 'lo']) => (name === 'lo' ? [] : name))
}

function targetOf(spec: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(spec)?.[1]
}

function observedRule(table: TableName, { chain, spec }: IptablesRule): Rule {
  return { table, chain, spec, place: 'bottom' }
}

const text = ({ table, chain, spec }: Rule): string => `${table} ${chain} ${spec}`
const insertion = ({ chain, spec }: Rule): string => `-I ${chain} ${spec}`
const deletion = ({ chain, spec }: Rule): string => `-D ${chain} ${spec}`
const addition = (rule: Rule): string =>
  rule.place === 'top' ? insertion(rule) : `-A ${rule.chain} ${rule.spec}`

/** Rules may be there several times: each one of `others` takes one away. */
function without(rules: readonly Rule[], others: readonly Rule[]): readonly Rule[] {
  const counts = new Map<string, number>()
  for (const other of others) counts.set(text(other), (counts.get(text(other)) ?? 0) + 1)
  return rules.filter(each => {
    const count = counts.get(text(each)) ?? 0
    if (count > 0) counts.set(text(each), count - 1)
    return count === 0
  })
}
