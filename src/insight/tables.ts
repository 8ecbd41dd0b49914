/** The rules of a namespace as the kernel has them now, in both of its languages, and what they ask about. */
import { existsSync, readFileSync } from 'node:fs'
import type { KernelView } from '../engine/index.ts'
import type { IptablesTable, NftChain } from '../kernel/index.ts'
import { nftChains, type Surroundings } from './nft-rules.ts'
import { Ruleset } from './rules.ts'
import { xtablesChains } from './xtables-rules.ts'

const xtablesNames = new Set(['filter', 'nat', 'mangle', 'raw', 'security'])
const ownTables = new Set(['inet linkspan', 'ip linkspan-resolver', 'ip6 linkspan-resolver'])
/** Chains of the iptables backend; DOCKER-USER is the administrator's. */
const ownChain = /^DOCKER(?!-USER$)/

const addressTypes = { unicast: 1, local: 2, broadcast: 3, multicast: 5, unreachable: 7, other: 0 } as const

export interface Tables {
  readonly rules: Ruleset
  readonly around: Surroundings
  /** What stands there and cannot be read. */
  readonly unread: readonly string[]
}

/** Answers of the kernel are asked for once per explanation. */
export function surroundings(kernel: KernelView, netns?: string): Surroundings {
  const types = new Map<string, Promise<number>>()
  return {
    element: (family, table, set, key) => kernel.element(family, table, set, key, netns),
    addressType(address) {
      const known = types.get(address)
      if (known !== undefined) return known
      const asked = kernel
        .lookUpRoute({ destination: address }, netns)
        .then(route => ('refused' in route ? addressTypes.unreachable : addressTypes[route.type]))
      types.set(address, asked)
      return asked
    },
    linkIndex: async name => (await kernel.link(name, netns))?.index ?? 0,
  }
}

export async function readTables(kernel: KernelView, family: 4 | 6, netns?: string): Promise<Tables> {
  const chains = await kernel.ruleset(netns)
  const around = surroundings(kernel, netns)
  const nft = (list: readonly NftChain[]) => nftChains(list, family, table => ownTables.has(table), around)
  const unread = chains
    .filter(({ family: of, base, rules }) => (of === 5 || of === 7) && base !== undefined && rules.length > 0)
    .map(({ family: of, table, name }) => `table ${of === 5 ? 'netdev' : 'bridge'} ${table}, chain ${name}`)
  const own = family === 4 ? 2 : 10
  const xtables = (chain: NftChain) => chain.family === own && xtablesNames.has(chain.table)
  const hidden = chains.some(
    chain =>
      xtables(chain) &&
      chain.rules.some(({ expressions }) =>
        expressions.some(
          ({ op, ...rest }) => op === 'other' && 'name' in rest && rest.name.startsWith('xtables'),
        ),
      ),
  )
  const legacy = netns === undefined && hasLegacyTables(family)
  if (!hidden && !legacy) return { rules: new Ruleset(nft(chains)), around, unread }
  if (netns !== undefined) return { rules: new Ruleset(nft(chains)), around, unread }
  const found = await kernel.iptables(family, true).catch((): readonly IptablesTable[] => [])
  if (legacy && chains.some(xtables)) unread.push('tables of legacy iptables')
  return {
    rules: new Ruleset([
      ...nft(chains.filter(chain => !xtables(chain))),
      ...xtablesChains(found, family, chain => ownChain.test(chain), around),
    ]),
    around,
    unread,
  }
}

/** The kernel lists the tables of legacy iptables that somebody has used. */
function hasLegacyTables(family: 4 | 6): boolean {
  const path = `/proc/self/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`
  return existsSync(path) && readFileSync(path, 'utf8').trim() !== ''
}
