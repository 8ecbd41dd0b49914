/**
 * In which order rails are stacked: networks with a gate first, the internal ones last, and within each group every rail
 * next to the one with which it shares most containers, so that a container on two networks can sit between them.
 */
import type { SceneContainer, SceneInput, SceneNetwork } from './types.ts'

export function railOrder({ networks, containers }: SceneInput): readonly SceneNetwork[] {
  const shared = sharedContainers(containers)
  const gated = chain(
    networks.filter(network => network.gate),
    undefined,
    shared,
  )
  const internal = chain(
    networks.filter(network => !network.gate),
    gated.at(-1),
    shared,
  )
  return [...gated, ...internal]
}

type Shared = ReadonlyMap<string, number>

const pairKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`)

function sharedContainers(containers: readonly SceneContainer[]): Shared {
  const shared = new Map<string, number>()
  for (const { networks } of containers) {
    for (const [index, one] of networks.entries()) {
      for (const other of networks.slice(index + 1)) {
        const key = pairKey(one, other)
        shared.set(key, (shared.get(key) ?? 0) + 1)
      }
    }
  }
  return shared
}

/** Greedy: the nearest neighbour of the last one; as given where nothing is shared. */
function chain(
  networks: readonly SceneNetwork[],
  before: SceneNetwork | undefined,
  shared: Shared,
): readonly SceneNetwork[] {
  const left = [...networks]
  const order: SceneNetwork[] = []
  let last = before
  while (left.length > 0) {
    let best = 0
    for (const [index, candidate] of left.entries()) {
      if (closeness(last, candidate, shared) > closeness(last, left[best], shared)) best = index
    }
    const [next] = left.splice(best, 1)
    if (next === undefined) break
    order.push(next)
    last = next
  }
  return order
}

function closeness(a: SceneNetwork | undefined, b: SceneNetwork | undefined, shared: Shared): number {
  return a === undefined || b === undefined ? 0 : (shared.get(pairKey(a.id, b.id)) ?? 0)
}
