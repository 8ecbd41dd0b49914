/** Where the kernel differs from what the state says, found and mended while the engine runs. */
import type { Kernel } from '../kernel/index.ts'
import { difference, type Difference, isEmpty, type KernelObject } from '../network/index.ts'
import type { Core } from './core.ts'
import type { Firewall } from './firewall/firewall.ts'
import { observe } from './reconcile.ts'
import { wholeBlueprint } from './touched.ts'

export interface Drift {
  /** Keys of objects: `bridge docker0`, `veth …`. */
  readonly missing: readonly string[]
  readonly changed: readonly string[]
  /** Ours, and nobody wants them. */
  readonly stale: readonly string[]
  /** Firewall rules and elements that are missing or too many. */
  readonly rules: number
}

/** What lives in the engine's own process cannot be observed, and cannot have drifted. */
const inKernel = ({ kind }: KernelObject): boolean =>
  kind === 'bridge' || kind === 'netns' || kind === 'veth' || kind === 'route'

const maximumRounds = 3

async function find(core: Core, kernel: Kernel, firewall: Firewall) {
  // Deletions run behind the commands that asked for them.
  await core.applier.settled()
  const wanted = wholeBlueprint(core.state)
  const objects = wanted.filter(inKernel)
  const all = difference((await observe(kernel, objects)).filter(inKernel), objects)
  // A namespace that no record knows is one in stock, or of a container that is just being started. Those that a crash
  // left are cleared away at the next start, before anything is started.
  const found = { ...all, remove: all.remove.filter(({ kind }) => kind !== 'netns') }
  const intents = wanted.filter(object => object.kind === 'segment' || object.kind === 'publish')
  const mending = await firewall.reconcile(kernel, intents)
  // The nftables backend loads its constant text in any case.
  const changes = mending.map(operation => {
    if (operation.do === 'nft.elements') return operation.add.length + operation.delete.length
    if (operation.do === 'iptables.restore')
      return operation.changes.reduce((sum, { lines }) => sum + lines.length, 0)
    return 0
  })
  return { found, mending, rules: changes.reduce((sum, each) => sum + each, 0) }
}

function keys({ add, change, remove }: Difference, rules: number): Drift {
  return {
    missing: add.map(({ key }) => key),
    changed: change.map(({ after }) => after.key),
    stale: remove.map(({ key }) => key.replace(/^stale /, '')),
    rules,
  }
}

/** No command runs meanwhile. */
export function findDrift(core: Core, kernel: Kernel, firewall: Firewall): Promise<Drift> {
  return core.exclusively(async () => {
    const { found, rules } = await find(core, kernel, firewall)
    return keys(found, rules)
  })
}

/** Brings the kernel to the state and says what had to be done. */
export function mendDrift(core: Core, kernel: Kernel, firewall: Firewall): Promise<Drift> {
  return core.exclusively(async () => {
    const { found, mending, rules } = await find(core, kernel, firewall)
    if (mending.length > 0) await kernel.run(mending)
    // A link that is made anew takes its routes along: they are missed only then.
    let left = found
    for (let round = 0; round < maximumRounds && !isEmpty(left); round++) {
      await core.applier.apply(left, { write: async () => {}, unwrite: async () => {} })
      left = (await find(core, kernel, firewall)).found
    }
    return keys(found, rules)
  })
}
