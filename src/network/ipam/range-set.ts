/**
 * A set of whole numbers up to 128 bits, kept as disjoint inclusive ranges.
 *
 * Values never change: `add` and `remove` give a new set, so that a failed command drops its copy and nothing has to
 * be undone. Neighbouring ranges are always merged; first-fit allocation keeps a subnet's addresses in a handful of
 * ranges whatever their number. Every edit and every search costs O(log n) in the number of ranges.
 */
import {
  align,
  before,
  beginningUpTo,
  behind,
  concat,
  countWithin,
  endingFrom,
  freeFrom,
  heightOf,
  join,
  type Range,
  rangesOf,
  type Tree,
  treeOf,
} from './range-tree.ts'

export type { Range } from './range-tree.ts'

export class RangeSet {
  static readonly empty = new RangeSet(undefined)

  readonly #tree: Tree

  private constructor(tree: Tree) {
    this.#tree = tree
  }

  static #of(tree: Tree): RangeSet {
    return tree === undefined ? RangeSet.empty : new RangeSet(tree)
  }

  static of(values: Iterable<bigint>): RangeSet {
    return RangeSet.ofRanges(Array.from(values, value => ({ first: value, last: value })))
  }

  /** From ranges in any order, overlapping or not: one sort. */
  static ofRanges(ranges: Iterable<Range>): RangeSet {
    const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
    const merged: Range[] = []
    for (const range of sorted) {
      checkOrder(range.first, range.last)
      const previous = merged.at(-1)
      if (previous === undefined || range.first > previous.last + 1n) merged.push(range)
      else if (range.last > previous.last) {
        merged[merged.length - 1] = { first: previous.first, last: range.last }
      }
    }
    return RangeSet.#of(treeOf(merged))
  }

  /** Ascending. */
  get ranges(): readonly Range[] {
    return [...rangesOf(this.#tree)]
  }

  /** How many numbers the set holds. */
  get size(): bigint {
    return this.#tree?.sum ?? 0n
  }

  /** How many steps the longest search takes. */
  get depth(): number {
    return heightOf(this.#tree)
  }

  has(value: bigint): boolean {
    return this.overlaps(value, value)
  }

  /** The lowest range of the set with a number in first..last, uncut. */
  firstOverlap(first: bigint, last: bigint): Range | undefined {
    checkOrder(first, last)
    const range = endingFrom(this.#tree, first)
    return range !== undefined && range.first <= last ? range : undefined
  }

  overlaps(first: bigint, last: bigint): boolean {
    return this.firstOverlap(first, last) !== undefined
  }

  /** How many numbers of first..last it holds. */
  countWithin(first: bigint, last: bigint): bigint {
    checkOrder(first, last)
    return countWithin(this.#tree, first, last)
  }

  add(first: bigint, last: bigint = first): RangeSet {
    checkOrder(first, last)
    // One to either side counts as touching, so that neighbours merge.
    const lowest = this.firstOverlap(first - 1n, last + 1n)
    if (lowest === undefined)
      return new RangeSet(join(before(this.#tree, first), { first, last }, behind(this.#tree, last)))
    if (lowest.first <= first && lowest.last >= last) return this
    const highest = beginningUpTo(this.#tree, last + 1n) ?? lowest
    const merged = {
      first: lowest.first < first ? lowest.first : first,
      last: highest.last > last ? highest.last : last,
    }
    return new RangeSet(join(before(this.#tree, lowest.first), merged, behind(this.#tree, highest.last)))
  }

  remove(first: bigint, last: bigint = first): RangeSet {
    const lowest = this.firstOverlap(first, last)
    if (lowest === undefined) return this
    const highest = beginningUpTo(this.#tree, last) ?? lowest
    let left = before(this.#tree, lowest.first)
    let right = behind(this.#tree, highest.last)
    if (lowest.first < first) left = join(left, { first: lowest.first, last: first - 1n }, undefined)
    if (highest.last > last) right = join(undefined, { first: last + 1n, last: highest.last }, right)
    return RangeSet.#of(concat(left, right))
  }

  /** The lowest number of low..high that is not in the set. */
  firstFree(low: bigint, high: bigint): bigint | undefined {
    return this.firstFreeBlock(low, high, 1n)
  }

  /** The lowest multiple of `size`, a power of two, at which `size` free numbers begin, all within low..high. */
  firstFreeBlock(low: bigint, high: bigint, size: bigint): bigint | undefined {
    const at = freeFrom(this.#tree, align(low, size), size)
    return at + size - 1n <= high ? at : undefined
  }
}

function checkOrder(first: bigint, last: bigint): void {
  if (first > last) throw new RangeError(`a range cannot run from ${first} down to ${last}`)
}

/** `firstFreeBlock` for the union of several sets, without making the union. */
export function firstFreeBlock(
  sets: readonly RangeSet[],
  low: bigint,
  high: bigint,
  size: bigint = 1n,
): bigint | undefined {
  let at = low
  // `at` only grows, and each set moves it past at least one of its ranges: the loop ends.
  for (let agreed = 0; agreed < sets.length;) {
    agreed = 0
    for (const set of sets) {
      const next = set.firstFreeBlock(at, high, size)
      if (next === undefined) return undefined
      if (next === at) agreed++
      at = next
    }
  }
  return at
}
