import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Interval, Order, Tree } from './interval-tree.ts'
import { findLast, findOverlap, insert, remove } from './interval-tree.ts'

const order: Order<Interval> = (a, b) => a.from - b.from || a.to - b.to

/** Height, after a check that every node is balanced and knows its reach. */
function check(tree: Tree<Interval>): { readonly height: number; readonly reach: number } {
  if (tree === undefined) return { height: 0, reach: -1 }
  const left = check(tree.left)
  const right = check(tree.right)
  expect(Math.abs(left.height - right.height)).toBeLessThanOrEqual(1)
  expect(tree.height).toBe(1 + Math.max(left.height, right.height))
  expect(tree.reach).toBe(Math.max(tree.value.to, left.reach, right.reach))
  return tree
}

it('stays balanced and finds what a search through a list finds', () => {
  const interval = fc
    .tuple(fc.nat(30), fc.nat(8))
    .map(([from, length]): Interval => ({ from, to: from + length }))
  const step = fc.record({ drop: fc.boolean(), interval })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), interval, (steps, asked) => {
      let tree: Tree<Interval>
      let list: Interval[] = []
      for (const each of steps) {
        tree = each.drop ? remove(tree, each.interval, order) : insert(tree, each.interval, order)
        list = list.filter(other => order(other, each.interval) !== 0)
        if (!each.drop) list.push(each.interval)
        check(tree)
      }
      list.sort(order)
      expect(findOverlap(tree, asked.from, asked.to)).toEqual(
        list.find(other => other.from <= asked.to && other.to >= asked.from),
      )
      expect(findLast(tree, asked, order)).toEqual(list.findLast(other => order(other, asked) <= 0))
    }),
    { numRuns: 300 },
  )
})

it('stays balanced while it is taken apart in any order', () => {
  const all = Array.from({ length: 64 }, (_, from): Interval => ({ from, to: from }))
  const shuffled = fc.shuffledSubarray(all, { minLength: all.length })
  fc.assert(
    fc.property(shuffled, shuffled, (added, removed) => {
      let tree: Tree<Interval>
      for (const each of added) tree = insert(tree, each, order)
      for (const each of removed) {
        tree = remove(tree, each, order)
        check(tree)
        expect(findOverlap(tree, each.from, each.to)).toBeUndefined()
      }
      expect(tree).toBeUndefined()
    }),
    { numRuns: 50 },
  )
})
