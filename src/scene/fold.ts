/** Which boxes hang under which rail, folded where there are too many to look at. */
import type { SceneContainer, SceneNetwork, SceneOptions } from './types.ts'

export interface Hanging {
  /** Container id, or `network/family` of a tile. */
  readonly id: string
  readonly members: readonly SceneContainer[]
  readonly folded: boolean
  /** Networks of any member. */
  readonly networks: readonly string[]
  readonly lines: number
}

/** Above this many members an opened family still shows only this many, and a tile for the rest. */
const mostOpened = 120

/** By network id: containers hang under the first of their networks in the order of the rails. */
export function hangUnder(
  order: readonly SceneNetwork[],
  containers: readonly SceneContainer[],
  options: SceneOptions,
): ReadonlyMap<string, readonly Hanging[]> {
  const rank = new Map(order.map((network, index) => [network.id, index]))
  const homes = new Map<string, SceneContainer[]>(order.map(network => [network.id, []]))
  for (const container of containers) {
    const home = container.networks
      .filter(id => rank.has(id))
      .sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0))[0]
    if (home !== undefined) homes.get(home)?.push(container)
  }
  return new Map([...homes].map(([network, members]) => [network, fold(network, members, options)]))
}

function fold(
  network: string,
  members: readonly SceneContainer[],
  options: SceneOptions,
): readonly Hanging[] {
  // Those on several networks last: they end up in the lowest row, with a clear way to the next rail.
  const ordered = [...members].sort((a, b) => Number(a.networks.length > 1) - Number(b.networks.length > 1))
  if (ordered.length <= options.foldAbove) return ordered.map(single)
  const families = new Map<string, SceneContainer[]>()
  for (const member of ordered) {
    const family = families.get(member.family)
    if (family === undefined) families.set(member.family, [member])
    else family.push(member)
  }
  return [...families].flatMap(([family, these]) => {
    const id = `${network}/${family}`
    if (these.length === 1) return these.map(single)
    if (!options.opened.has(id)) return [tile(id, these)]
    const rest = these.slice(mostOpened)
    return [...these.slice(0, mostOpened).map(single), ...(rest.length > 0 ? [tile(id, rest)] : [])]
  })
}

const single = (container: SceneContainer): Hanging => ({
  id: container.id,
  members: [container],
  folded: false,
  networks: container.networks,
  lines: container.lines,
})

const tile = (id: string, members: readonly SceneContainer[]): Hanging => ({
  id,
  members,
  folded: true,
  networks: [...new Set(members.flatMap(member => member.networks))],
  lines: 1,
})
