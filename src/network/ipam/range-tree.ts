/**
 * Disjoint ranges of whole numbers in a balanced tree that never changes: every edit shares all but a path of the tree
 * before it. Each node knows the largest aligned block that is free somewhere below it, so that a search for a free
 * block goes straight to it.
 *
 * Balance: siblings differ in height by two at most, kept by joining trees (Blelloch, Ferizovic and Sun: "Just Join for
 * Parallel Ordered Sets", 2016).
 */

export interface Range {
  readonly first: bigint
  readonly last: bigint
}

export type Tree = Node | undefined

interface Node extends Range {
  readonly left: Tree
  readonly right: Tree
  readonly height: number
  /** First and last number of the whole subtree. */
  readonly low: bigint
  readonly high: bigint
  /** How many numbers the subtree holds. */
  readonly sum: bigint
  /** Size of the largest block of 2^k numbers at a multiple of 2^k that is free between two of its ranges; 0 = none. */
  readonly block: bigint
}

export const heightOf = (tree: Tree): number => tree?.height ?? 0

const largest = (...values: readonly bigint[]): bigint =>
  values.reduce((most, value) => (value > most ? value : most), 0n)

/** The lowest multiple of `size` from `value` on. */
export const align = (value: bigint, size: bigint): bigint => ((value + size - 1n) / size) * size

/** The largest aligned block within first..last; 0 if there is nothing in between. */
function alignedBlock(first: bigint, last: bigint): bigint {
  if (first > last) return 0n
  const size = 1n << BigInt((last - first + 1n).toString(2).length - 1)
  // Half of it has room for an aligned one in any case.
  return align(first, size) + size - 1n <= last ? size : size >> 1n
}

function node(left: Tree, { first, last }: Range, right: Tree): Node {
  return {
    first,
    last,
    left,
    right,
    height: Math.max(heightOf(left), heightOf(right)) + 1,
    low: left?.low ?? first,
    high: right?.high ?? last,
    sum: (left?.sum ?? 0n) + last - first + 1n + (right?.sum ?? 0n),
    block: largest(
      left === undefined ? 0n : largest(left.block, alignedBlock(left.high + 1n, first - 1n)),
      right === undefined ? 0n : largest(right.block, alignedBlock(last + 1n, right.low - 1n)),
    ),
  }
}

/** As `node`, for siblings that differ in height by three at most. */
function balanced(left: Tree, range: Range, right: Tree): Node {
  const lead = heightOf(left) - heightOf(right)
  if (left !== undefined && lead > 2) {
    if (heightOf(left.left) >= heightOf(left.right) || left.right === undefined) {
      return node(left.left, left, node(left.right, range, right))
    }
    const middle = left.right
    return node(node(left.left, left, middle.left), middle, node(middle.right, range, right))
  }
  if (right !== undefined && lead < -2) {
    if (heightOf(right.right) >= heightOf(right.left) || right.left === undefined) {
      return node(node(left, range, right.left), right, right.right)
    }
    const middle = right.left
    return node(node(left, range, middle.left), middle, node(middle.right, right, right.right))
  }
  return node(left, range, right)
}

/** Everything in `left` lies before `range`, everything in `right` behind it, and no two of them touch. */
export function join(left: Tree, range: Range, right: Tree): Node {
  const lead = heightOf(left) - heightOf(right)
  if (left !== undefined && lead > 2) return balanced(left.left, left, join(left.right, range, right))
  if (right !== undefined && lead < -2) return balanced(join(left, range, right.left), right, right.right)
  return node(left, range, right)
}

/** As `join`, with nothing in between. */
export function concat(left: Tree, right: Tree): Tree {
  if (left === undefined || right === undefined) return left ?? right
  let first: Node = right
  while (first.left !== undefined) first = first.left
  return join(left, first, behind(right, first.last))
}

/** The ranges that end before `value`. */
export function before(tree: Tree, value: bigint): Tree {
  if (tree === undefined || tree.high < value) return tree
  return tree.last < value ? join(tree.left, tree, before(tree.right, value)) : before(tree.left, value)
}

/** The ranges that begin behind `value`. */
export function behind(tree: Tree, value: bigint): Tree {
  if (tree === undefined || tree.low > value) return tree
  return tree.first > value ? join(behind(tree.left, value), tree, tree.right) : behind(tree.right, value)
}

/** The lowest range that ends at or after `value`. */
export function endingFrom(tree: Tree, value: bigint): Range | undefined {
  let found: Range | undefined
  for (let at = tree; at !== undefined;) {
    if (at.last < value) at = at.right
    else {
      found = at
      at = at.left
    }
  }
  return found
}

/** The highest range that begins at or before `value`. */
export function beginningUpTo(tree: Tree, value: bigint): Range | undefined {
  let found: Range | undefined
  for (let at = tree; at !== undefined;) {
    if (at.first > value) at = at.left
    else {
      found = at
      at = at.right
    }
  }
  return found
}

/** How many numbers of first..last the tree holds. */
export function countWithin(tree: Tree, first: bigint, last: bigint): bigint {
  if (tree === undefined || tree.low > last || tree.high < first) return 0n
  if (tree.low >= first && tree.high <= last) return tree.sum
  const from = tree.first > first ? tree.first : first
  const to = tree.last < last ? tree.last : last
  const own = from > to ? 0n : to - from + 1n
  return countWithin(tree.left, first, last) + own + countWithin(tree.right, first, last)
}

/** The lowest multiple of `size` from `at` (one as well) on from which `size` numbers are free; `size` is a power of two. */
export function freeFrom(tree: Tree, at: bigint, size: bigint): bigint {
  if (tree === undefined || at > tree.high || at + size - 1n < tree.low) return at
  // None of the gaps is large enough, and in front there is no room either.
  if (tree.block < size) return align(tree.high + 1n, size)
  const next = freeFrom(tree.left, at, size)
  if (next + size - 1n < tree.first) return next
  return freeFrom(tree.right, next > tree.last ? next : align(tree.last + 1n, size), size)
}

/** A tree of ranges that are in order and do not touch. */
export function treeOf(ranges: readonly Range[], from = 0, to = ranges.length): Tree {
  const middle = (from + to) >>> 1
  const range = from < to ? ranges[middle] : undefined
  if (range === undefined) return undefined
  return node(treeOf(ranges, from, middle), range, treeOf(ranges, middle + 1, to))
}

export function* rangesOf(tree: Tree): Generator<Range> {
  if (tree === undefined) return
  yield* rangesOf(tree.left)
  yield { first: tree.first, last: tree.last }
  yield* rangesOf(tree.right)
}
