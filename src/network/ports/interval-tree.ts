/**
 * An immutable balanced tree (AVL) of intervals, each node knowing the highest end below it. Finding an interval that
 * overlaps a given one, adding and removing cost O(log n); an edit shares all but the path to its place with the tree
 * it came from.
 *
 * The order is the caller's. `findOverlap` needs ascending `from` as the leading key; `findLast` works with any.
 */

export interface Interval {
  readonly from: number
  readonly to: number
}

export type Order<T> = (a: T, b: T) => number

interface Node<T extends Interval> {
  readonly value: T
  readonly left: Tree<T>
  readonly right: Tree<T>
  readonly height: number
  /** Highest `to` in this subtree. */
  readonly reach: number
}

export type Tree<T extends Interval> = Node<T> | undefined

const heightOf = (tree: Tree<Interval>): number => tree?.height ?? 0
const reachOf = (tree: Tree<Interval>): number => tree?.reach ?? -1

function node<T extends Interval>(value: T, left: Tree<T>, right: Tree<T>): Node<T> {
  return {
    value,
    left,
    right,
    height: 1 + Math.max(heightOf(left), heightOf(right)),
    reach: Math.max(value.to, reachOf(left), reachOf(right)),
  }
}

/** A node whose subtrees may differ by two in height, turned so that they differ by one at most. */
function balanced<T extends Interval>(value: T, left: Tree<T>, right: Tree<T>): Node<T> {
  const lean = heightOf(left) - heightOf(right)
  if (lean > 1 && left !== undefined) {
    const { left: outer, right: inner } = left
    if (inner === undefined || heightOf(outer) >= heightOf(inner)) {
      return node(left.value, outer, node(value, inner, right))
    }
    return node(inner.value, node(left.value, outer, inner.left), node(value, inner.right, right))
  }
  if (lean < -1 && right !== undefined) {
    const { left: inner, right: outer } = right
    if (inner === undefined || heightOf(outer) >= heightOf(inner)) {
      return node(right.value, node(value, left, inner), outer)
    }
    return node(inner.value, node(value, left, inner.left), node(right.value, inner.right, outer))
  }
  return node(value, left, right)
}

/** Adds `value`, in place of one that is equal in order. */
export function insert<T extends Interval>(tree: Tree<T>, value: T, order: Order<T>): Node<T> {
  if (tree === undefined) return node(value, undefined, undefined)
  const side = order(value, tree.value)
  if (side < 0) return balanced(tree.value, insert(tree.left, value, order), tree.right)
  if (side > 0) return balanced(tree.value, tree.left, insert(tree.right, value, order))
  return node(value, tree.left, tree.right)
}

function lowest<T extends Interval>(tree: Node<T>): T {
  return tree.left === undefined ? tree.value : lowest(tree.left)
}

/** Removes what is equal to `value` in order, if anything is. */
export function remove<T extends Interval>(tree: Tree<T>, value: T, order: Order<T>): Tree<T> {
  if (tree === undefined) return undefined
  const side = order(value, tree.value)
  if (side < 0) return balanced(tree.value, remove(tree.left, value, order), tree.right)
  if (side > 0) return balanced(tree.value, tree.left, remove(tree.right, value, order))
  if (tree.left === undefined) return tree.right
  if (tree.right === undefined) return tree.left
  const next = lowest(tree.right)
  return balanced(next, tree.left, remove(tree.right, next, order))
}

/** The last value that does not come after `probe`. */
export function findLast<T extends Interval>(tree: Tree<T>, probe: T, order: Order<T>): T | undefined {
  let found: T | undefined
  for (let at = tree; at !== undefined;) {
    if (order(at.value, probe) <= 0) {
      found = at.value
      at = at.right
    } else at = at.left
  }
  return found
}

/** An interval that shares a number with from..to: the one that begins lowest. */
export function findOverlap<T extends Interval>(tree: Tree<T>, from: number, to: number): T | undefined {
  // If the left subtree reaches `from`, either it holds the answer or everything that reaches begins beyond `to`,
  // and then so does all that follows in order: one path down is enough.
  for (let at = tree; at !== undefined;) {
    if (reachOf(at.left) >= from) at = at.left
    else if (at.value.from <= to && at.value.to >= from) return at.value
    else at = at.right
  }
  return undefined
}
