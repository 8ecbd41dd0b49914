/**
 * A set of whole numbers up to 128 bits, kept as disjoint inclusive ranges in ascending order.
 *
 * Values never change: `add` and `remove` give a new set, so that a failed command drops its copy and nothing has to
 * be undone. Neighbouring ranges are always merged; hence the number after a range is free, and `firstFree` is one
 * binary search. First-fit allocation keeps a subnet's addresses in a handful of ranges whatever their number.
 */

export interface Range {
  readonly first: bigint
  readonly last: bigint
}

export class RangeSet {
  static readonly empty = new RangeSet([])

  readonly #ranges: readonly Range[]

  private constructor(ranges: readonly Range[]) {
    this.#ranges = ranges
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
    return merged.length === 0 ? RangeSet.empty : new RangeSet(merged)
  }

  get ranges(): readonly Range[] {
    return this.#ranges
  }

  /** How many numbers the set holds. Linear in the number of ranges. */
  get size(): bigint {
    return this.#ranges.reduce((sum, range) => sum + range.last - range.first + 1n, 0n)
  }

  /** Index of the first range that ends at or after `value`. */
  #search(value: bigint): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = this.#ranges[middle]
      if (range !== undefined && range.last < value) low = middle + 1
      else high = middle
    }
    return low
  }

  has(value: bigint): boolean {
    const range = this.#ranges[this.#search(value)]
    return range !== undefined && range.first <= value
  }

  /** The lowest range of the set with a number in first..last, uncut. */
  firstOverlap(first: bigint, last: bigint): Range | undefined {
    checkOrder(first, last)
    const range = this.#ranges[this.#search(first)]
    return range !== undefined && range.first <= last ? range : undefined
  }

  overlaps(first: bigint, last: bigint): boolean {
    return this.firstOverlap(first, last) !== undefined
  }

  add(first: bigint, last: bigint = first): RangeSet {
    checkOrder(first, last)
    // One to either side counts as touching, so that neighbours merge.
    const from = this.#search(first - 1n)
    let to = from
    let merged: Range = { first, last }
    for (; to < this.#ranges.length; to++) {
      const range = this.#ranges[to]
      if (range === undefined || range.first > last + 1n) break
      if (range.first <= first && range.last >= last) return this
      merged = {
        first: range.first < merged.first ? range.first : merged.first,
        last: range.last > merged.last ? range.last : merged.last,
      }
    }
    return new RangeSet(this.#ranges.toSpliced(from, to - from, merged))
  }

  remove(first: bigint, last: bigint = first): RangeSet {
    checkOrder(first, last)
    const from = this.#search(first)
    let to = from
    const rest: Range[] = []
    for (; to < this.#ranges.length; to++) {
      const range = this.#ranges[to]
      if (range === undefined || range.first > last) break
      if (range.first < first) rest.push({ first: range.first, last: first - 1n })
      if (range.last > last) rest.push({ first: last + 1n, last: range.last })
    }
    if (to === from) return this
    const ranges = this.#ranges.toSpliced(from, to - from, ...rest)
    return ranges.length === 0 ? RangeSet.empty : new RangeSet(ranges)
  }

  /** The lowest number of low..high that is not in the set. */
  firstFree(low: bigint, high: bigint): bigint | undefined {
    return this.firstFreeBlock(low, high, 1n)
  }

  /**
   * The lowest multiple of `size` at which `size` free numbers begin, all within low..high. Costs one search and a
   * step per range that lies between `low` and the answer.
   */
  firstFreeBlock(low: bigint, high: bigint, size: bigint): bigint | undefined {
    const align = (value: bigint): bigint => ((value + size - 1n) / size) * size
    let at = align(low)
    for (let index = this.#search(at); at + size - 1n <= high; index++) {
      const range = this.#ranges[index]
      if (range === undefined || range.first > at + size - 1n) return at
      // Also right for a range that the last step jumped over: nothing aligned lies between it and `at`.
      at = align(range.last + 1n)
    }
    return undefined
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
