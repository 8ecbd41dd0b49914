/**
 * Where everything is, in pixels. A bridge is a rail across the host; its containers hang under it in rows of a fixed
 * grid. The gaps between columns are kept free from top to bottom: cables that go past a row or a rail run there.
 */
import { hangUnder, type Hanging } from './fold.ts'
import { railOrder } from './order.ts'
import type { Box, Cable, Rail, Scene, SceneInput, SceneOptions } from './types.ts'

export const metrics = {
  cloud: 150,
  margin: 24,
  title: 36,
  gate: 56,
  gateGap: 28,
  rail: 28,
  /** From a rail to the boxes under it: the straight stretch that carries a cable's label. */
  cable: 60,
  box: 156,
  gap: 24,
  /** A box: its name, then a line each. */
  boxHead: 34,
  line: 17,
  boxFoot: 8,
  rowGap: 34,
  railGap: 58,
} as const

const boxHeight = (lines: number): number => metrics.boxHead + lines * metrics.line + metrics.boxFoot

export function layout(input: SceneInput, options: SceneOptions): Scene {
  const order = railOrder(input)
  const hanging = hangUnder(order, input.containers, options)
  const columns = Math.max(
    3,
    ...order.map(network => Math.min(options.perRow, hanging.get(network.id)?.length ?? 0)),
  )
  const host = { x: metrics.cloud, y: metrics.margin }
  const gateX = host.x + metrics.margin
  const railX = gateX + metrics.gate + metrics.gateGap
  const railWidth = columns * (metrics.box + metrics.gap) + metrics.gap
  const rails: Rail[] = []
  const boxes: Box[] = []
  const railTop = host.y + metrics.title + metrics.margin / 2
  let y = railTop
  let gateBottom = railTop + 120
  for (const [color, network] of order.entries()) {
    rails.push({
      network: network.id,
      x: railX,
      y,
      width: railWidth,
      height: metrics.rail,
      gate: network.gate,
      color,
    })
    if (network.gate) gateBottom = Math.max(gateBottom, y + metrics.rail + metrics.margin)
    y += metrics.rail
    const placed = placeRows(hanging.get(network.id) ?? [], network.id, railX, y + metrics.cable, columns)
    boxes.push(...placed)
    const bottom = Math.max(y, ...placed.map(box => box.y + box.height))
    y = bottom + (placed.length > 0 ? metrics.railGap : metrics.margin)
  }
  const hostHeight = Math.max(y, gateBottom + metrics.margin) - host.y
  const hostWidth = railX + railWidth + metrics.margin - host.x
  return {
    width: host.x + hostWidth + metrics.margin,
    height: host.y + hostHeight + metrics.margin,
    host: { ...host, width: hostWidth, height: hostHeight },
    gate: { x: gateX, y: railTop - 10, width: metrics.gate, height: gateBottom - railTop + 10 },
    rails,
    boxes,
    cables: cables(rails, boxes, new Map([...hanging.values()].flat().map(one => [one.id, one]))),
  }
}

function placeRows(
  hanging: readonly Hanging[],
  home: string,
  railX: number,
  top: number,
  columns: number,
): readonly Box[] {
  const boxes: Box[] = []
  let y = top
  for (let start = 0; start < hanging.length; start += columns) {
    const row = hanging.slice(start, start + columns)
    const height = Math.max(...row.map(one => boxHeight(one.lines)))
    for (const [column, one] of row.entries()) {
      boxes.push({
        id: one.id,
        members: one.members.map(member => member.id),
        folded: one.folded,
        home,
        x: railX + metrics.gap + column * (metrics.box + metrics.gap),
        y,
        width: metrics.box,
        height,
      })
    }
    y += height + metrics.rowGap
  }
  return boxes
}

function cables(
  rails: readonly Rail[],
  boxes: readonly Box[],
  hanging: ReadonlyMap<string, Hanging>,
): readonly Cable[] {
  const rank = new Map(rails.map((rail, index) => [rail.network, index]))
  return boxes.flatMap(box => {
    const networks = (hanging.get(box.id)?.networks ?? []).filter(id => rank.has(id))
    const others = networks
      .filter(id => id !== box.home)
      .sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0))
    const result: Cable[] = []
    const home = rails[rank.get(box.home) ?? 0]
    if (home !== undefined && networks.includes(box.home)) result.push(fromAbove(home, box))
    for (const [index, network] of others.entries()) {
      const rail = rails[rank.get(network) ?? 0]
      if (rail !== undefined)
        result.push(fromBelow(rail, box, index, others.length, clear(rail, box, boxes, rails)))
    }
    return result
  })
}

/** Nothing between the bottom of the box and the rail below it. */
function clear(rail: Rail, box: Box, boxes: readonly Box[], rails: readonly Rail[]): boolean {
  const bottom = box.y + box.height
  const between = (y: number): boolean => y > bottom && y < rail.y
  return !rails.some(other => between(other.y)) && !boxes.some(other => other.x === box.x && between(other.y))
}

function fromAbove(rail: Rail, box: Box): Cable {
  const x = box.x + box.width / 2
  const top = rail.y + rail.height
  if (box.y - top <= metrics.cable) {
    return {
      network: rail.network,
      box: box.id,
      points: [
        [x, top],
        [x, box.y],
      ],
      label: [x, (top + box.y) / 2],
    }
  }
  // A lower row: down the gap on its left, then over.
  const lane = box.x - metrics.gap / 2 - 3
  const turn = box.y - metrics.rowGap / 2
  return {
    network: rail.network,
    box: box.id,
    points: [
      [lane, top],
      [lane, turn],
      [x, turn],
      [x, box.y],
    ],
    label: [x, box.y - metrics.rowGap / 4],
  }
}

function fromBelow(rail: Rail, box: Box, index: number, count: number, free: boolean): Cable {
  const x = box.x + (box.width * (index + 1)) / (count + 1) + (count === 1 ? box.width / 6 : 0)
  const bottom = box.y + box.height
  if (free) {
    const middle = (bottom + rail.y) / 2
    return {
      network: rail.network,
      box: box.id,
      points: [
        [x, rail.y],
        [x, bottom],
      ],
      label: [x, middle],
    }
  }
  const lane = box.x + box.width + metrics.gap / 2 + 3 - index * 4
  const turn = bottom + 10 + index * 5
  return {
    network: rail.network,
    box: box.id,
    points: [
      [lane, rail.y],
      [lane, turn],
      [x, turn],
      [x, bottom],
    ],
    label: [lane, rail.y - 16],
  }
}
