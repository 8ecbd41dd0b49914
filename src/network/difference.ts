/**
 * What must change in the kernel to come from one part of the blueprint to another. Objects are compared by key and
 * value; the order of the result is the order in which the kernel can do it.
 */
import type { KernelObject } from './blueprint.ts'

export interface Change {
  readonly before: KernelObject
  readonly after: KernelObject
}

export interface Difference {
  readonly remove: readonly KernelObject[]
  readonly change: readonly Change[]
  readonly add: readonly KernelObject[]
}

/**
 * Creation order. Host ports come first because they fail most often and cost least to undo; a veth needs its bridge
 * and namespace, a route its veth; packets are let in when everything they need is there, names are told last.
 */
const rank: Readonly<Record<KernelObject['kind'], number>> = {
  reservation: 0,
  netns: 1,
  bridge: 2,
  segment: 3,
  veth: 4,
  route: 5,
  publish: 6,
  relay: 7,
  'zone-network': 8,
  'zone-endpoint': 9,
  'zone-sandbox': 10,
  listener: 11,
}

export function difference(before: Iterable<KernelObject>, after: Iterable<KernelObject>): Difference {
  const old = new Map<string, KernelObject>()
  for (const object of before) old.set(object.key, object)
  const add: KernelObject[] = []
  const change: Change[] = []
  for (const object of after) {
    const previous = old.get(object.key)
    if (previous === undefined) {
      add.push(object)
      continue
    }
    old.delete(object.key)
    if (!same(previous, object)) change.push({ before: previous, after: object })
  }
  const byRank = (a: KernelObject, b: KernelObject) => rank[a.kind] - rank[b.kind]
  return {
    remove: [...old.values()].sort((a, b) => byRank(b, a)),
    change: change.sort((a, b) => byRank(a.after, b.after)),
    add: add.sort(byRank),
  }
}

/** The difference that leads back. */
export function inverse({ remove, change, add }: Difference): Difference {
  return {
    remove: [...add].reverse(),
    change: change.map(({ before, after }) => ({ before: after, after: before })),
    add: [...remove].reverse(),
  }
}

export function isEmpty({ remove, change, add }: Difference): boolean {
  return remove.length === 0 && change.length === 0 && add.length === 0
}

/** Values are JSON-like and built by one function each, with their keys in one order. */
function same(a: KernelObject, b: KernelObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
