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
