import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RangeSet, firstFreeBlock } from './range-set.ts'

/** The model: a plain set of small numbers, moved to the far end of 128 bits so that precision is tested too. */
const size = 48
const origin = (1n << 128n) - BigInt(size)

const range = fc
  .tuple(fc.nat(size - 1), fc.nat(size - 1))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
const step = fc.record({ kind: fc.constantFrom('add', 'remove'), range })
const steps = fc.array(step, { maxLength: 30 })

function play(list: readonly { kind: string; range: readonly [number, number] }[]): {
  set: RangeSet
  model: Set<number>
} {
  let set = RangeSet.empty
  const model = new Set<number>()
  for (const {
    kind,
    range: [first, last],
  } of list) {
    const before = set
    const text = JSON.stringify(before.ranges, (_, value: unknown) => String(value))
    const bounds = [origin + BigInt(first), origin + BigInt(last)] as const
    set = kind === 'add' ? set.add(...bounds) : set.remove(...bounds)
    for (let value = first; value <= last; value++) {
      if (kind === 'add') model.add(value)
      else model.delete(value)
    }
    expect(JSON.stringify(before.ranges, (_, value: unknown) => String(value))).toBe(text)
  }
  return { set, model }
}

function modelFreeBlock(model: Set<number>, low: number, high: number, length: number): number | undefined {
  for (let at = low; at + length - 1 <= high; at++) {
    if ((origin + BigInt(at)) % BigInt(length) !== 0n) continue
    if (Array.from({ length }, (_, index) => at + index).every(value => !model.has(value))) return at
  }
  return undefined
}

describe('RangeSet behaves like a plain set', () => {
  it('in membership, size and form', () => {
    fc.assert(
      fc.property(steps, list => {
        const { set, model } = play(list)
        expect(set.size).toBe(BigInt(model.size))
        for (let value = 0; value < size; value++) {
          expect(set.has(origin + BigInt(value))).toBe(model.has(value))
        }
        // Ascending, disjoint, and never two where one would do.
        for (const [at, each] of set.ranges.entries()) {
          expect(each.first <= each.last).toBe(true)
          const next = set.ranges[at + 1]
          if (next !== undefined) expect(next.first > each.last + 1n).toBe(true)
        }
      }),
    )
  })

  it('in overlaps', () => {
    fc.assert(
      fc.property(steps, range, (list, [first, last]) => {
        const { set, model } = play(list)
        const hit = [...model].some(value => value >= first && value <= last)
        expect(set.overlaps(origin + BigInt(first), origin + BigInt(last))).toBe(hit)
      }),
    )
  })

  it('in how many numbers lie between two', () => {
    fc.assert(
      fc.property(steps, range, (list, [first, last]) => {
        const { set, model } = play(list)
        const expected = [...model].filter(value => value >= first && value <= last).length
        expect(set.countWithin(origin + BigInt(first), origin + BigInt(last))).toBe(BigInt(expected))
      }),
    )
  })

  it('in what is free first, alone and in aligned blocks', () => {
    fc.assert(
      fc.property(steps, range, fc.constantFrom(1, 2, 4, 8), (list, [low, high], length) => {
        const { set, model } = play(list)
        const expected = modelFreeBlock(model, low, high, length)
        const found = set.firstFreeBlock(origin + BigInt(low), origin + BigInt(high), BigInt(length))
        expect(found).toBe(expected === undefined ? undefined : origin + BigInt(expected))
        if (length === 1) {
          expect(set.firstFree(origin + BigInt(low), origin + BigInt(high))).toBe(found)
        }
      }),
    )
  })

  it('in what is free in several sets at once', () => {
    fc.assert(
      fc.property(steps, steps, range, fc.constantFrom(1, 2, 4), (one, two, [low, high], length) => {
        const left = play(one)
        const right = play(two)
        const expected = modelFreeBlock(new Set([...left.model, ...right.model]), low, high, length)
        expect(
          firstFreeBlock([left.set, right.set], origin + BigInt(low), origin + BigInt(high), BigInt(length)),
        ).toBe(expected === undefined ? undefined : origin + BigInt(expected))
      }),
    )
  })

  it('when made from ranges in any order', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), ranges => {
        const added = ranges.reduce((set, [a, b]) => set.add(BigInt(a), BigInt(b)), RangeSet.empty)
        const made = RangeSet.ofRanges(ranges.map(([a, b]) => ({ first: BigInt(a), last: BigInt(b) })))
        expect(made.ranges).toEqual(added.ranges)
      }),
    )
  })
})

it('holds the whole of IPv6 and finds nothing free in it', () => {
  const last = (1n << 128n) - 1n
  const full = RangeSet.empty.add(0n, last)
  expect(full.size).toBe(1n << 128n)
  expect(full.firstFree(0n, last)).toBeUndefined()
  expect(full.remove(last).firstFree(0n, last)).toBe(last)
})

it('refuses a range that runs backwards', () => {
  expect(() => RangeSet.empty.add(2n, 1n)).toThrow(RangeError)
  expect(() => RangeSet.empty.remove(2n, 1n)).toThrow(RangeError)
})

it('gives the same set back when nothing changes', () => {
  const set = RangeSet.of([1n, 2n, 3n])
  expect(set.add(2n)).toBe(set)
  expect(set.remove(9n)).toBe(set)
  expect(set.remove(1n, 3n)).toBe(RangeSet.empty)
})

/** No search and no edit takes more steps than this for so many ranges. */
const mostSteps = (ranges: number): number => 2 * Math.ceil(Math.log2(ranges + 1)) + 2

describe('stays shallow', () => {
  it('whatever is added and removed, in whatever order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 4000 }), fc.nat({ max: 3 })), { maxLength: 600 }),
        list => {
          let set = RangeSet.empty
          for (const [adds, at, length] of list) {
            const [first, last] = [BigInt(at), BigInt(at + length)]
            set = adds ? set.add(first, last) : set.remove(first, last)
          }
          expect(set.depth).toBeLessThanOrEqual(mostSteps(set.ranges.length))
        },
      ),
      { numRuns: 50 },
    )
  })

  it.each(['up', 'down'])('with 10,000 networks that are made %s', direction => {
    let set = RangeSet.empty
    for (let number = 0; number < 10_000; number++) {
      const at = BigInt(direction === 'up' ? number : 10_000 - number) * 512n
      set = set.add(at, at + 255n)
    }
    expect(set.ranges).toHaveLength(10_000)
    expect(set.depth).toBeLessThanOrEqual(mostSteps(10_000))
    // Every gap has 256 numbers at a multiple of 256; nothing larger is free before the end.
    const start = direction === 'up' ? 0n : 512n
    expect(set.firstFreeBlock(start, 1n << 32n, 256n)).toBe(start + 256n)
    expect(set.firstFreeBlock(start, 1n << 32n, 512n)).toBe(start + 512n * 10_000n)
    const full = Array.from({ length: 9_999 }, (_, at) => BigInt(at) * 512n + start).reduce(
      (each, at) => each.add(at + 256n, at + 511n),
      set,
    )
    expect(full.ranges).toHaveLength(1)
    expect(full.depth).toBe(1)
  })

  it('with sparse addresses in a /64', () => {
    const base = 0xfd00n << 112n
    const last = base + (1n << 64n) - 1n
    // A multiplicative generator (Knuth) spreads them over all of it.
    const addresses = Array.from(
      { length: 20_000 },
      (_, at) => base + ((BigInt(at + 1) * 6364136223846793005n) & ((1n << 64n) - 1n)),
    )
    const set = addresses.reduce((each, at) => each.add(at), RangeSet.empty)
    expect(set.size).toBe(20_000n)
    expect(set.depth).toBeLessThanOrEqual(mostSteps(20_000))
    expect(addresses.every(at => set.has(at))).toBe(true)
    expect(set.firstFree(base, last)).toBe(base)
    expect(set.countWithin(base, last)).toBe(20_000n)
    const rest = addresses.slice(1).reduce((each, at) => each.remove(at), set)
    expect(rest.ranges.map(({ first }) => first)).toEqual(addresses.slice(0, 1))
  })
})
