/** The iptables backend: intents become rules in the chains people know; one iptables-restore per command and family. */
import { type IptablesChange, type Kernel, KernelError, type Operation } from '../../kernel/index.ts'
import type { Family, FirewallIntent } from '../../network/index.ts'
import { type ChainOptions, rulesOf } from './chains.ts'
import type { Firewall } from './firewall.ts'
import { type AllTables, changesOf, forwardPolicy, mendingChanges, removalChanges } from './mend.ts'
import type { RulesetOptions } from './ruleset.ts'

/** `families`: IPv6 rules are needed on bridges without IPv6 too, because their containers can write any packet. */
export function iptablesFirewall(
  families: readonly Family[],
  options: () => RulesetOptions & ChainOptions,
  reason: string,
): Firewall {
  const isGuarded = (family: Family) => options().guarded.includes(family)
  const render = (intents: readonly FirewallIntent[], family: Family) =>
    intents.flatMap(intent => rulesOf(intent, family, options()))

  return {
    driver: 'iptables',
    // Shared with everybody who uses iptables, and legacy tables tell nobody of changes.
    tables: [],
    reason,
    update: (add, remove) =>
      families.flatMap(family => {
        const adding = render(add, family)
        const removing = render(remove, family)
        return restore(family, changesOf(adding, removing), changesOf(removing, adding))
      }),
    async reconcile(kernel, intents) {
      const tables = await readAll(families, family => kernel.iptables(family))
      return families.flatMap(family =>
        restore(family, mendingChanges(tables, family, render(intents, family), isGuarded(family)), []),
      )
    },
    guard: family => (families.includes(family) ? restore(family, [forwardPolicy('DROP')], []) : []),
    async remove(kernel) {
      const tables = await readAll(families, family => tablesIfAny(kernel, family))
      return families.flatMap(family =>
        restore(family, removalChanges(tables, family, isGuarded(family)), []),
      )
    },
  }
}

async function readAll(
  families: readonly Family[],
  read: (family: Family) => ReturnType<Kernel['iptables']>,
): Promise<AllTables> {
  const tables = await Promise.all(families.map(async family => [family, await read(family)] as const))
  return Object.fromEntries(tables)
}

/** Where iptables is not installed nobody has used it. */
async function tablesIfAny(kernel: Kernel, family: Family): ReturnType<Kernel['iptables']> {
  try {
    return await kernel.iptables(family)
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return []
    throw error
  }
}

function restore(
  family: Family,
  changes: readonly IptablesChange[],
  undo: readonly IptablesChange[],
): readonly Operation[] {
  return changes.length === 0 ? [] : [{ do: 'iptables.restore', family, changes, undo }]
}
