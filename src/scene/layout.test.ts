import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  layout,
  railOrder,
  type Box,
  type Rail,
  type Scene,
  type SceneContainer,
  type SceneInput,
} from './index.ts'

const options = { perRow: 7, foldAbove: 24, opened: new Set<string>() }

const network = (id: string, gate = true) => ({ id, name: id, gate })
const container = (id: string, networks: readonly string[], family = 'busybox'): SceneContainer => ({
  id,
  name: id,
  family,
  lines: networks.length,
  networks,
})
const many = (count: number, net: string, family = 'busybox') =>
  Array.from({ length: count }, (_, index) => container(`${net}-${family}-${index}`, [net], family))

const railOf = (scene: Scene, id: string): Rail => {
  const rail = scene.rails.find(one => one.network === id)
  if (rail === undefined) throw new Error(`no rail ${id}`)
  return rail
}
const boxOf = (scene: Scene, id: string): Box => {
  const box = scene.boxes.find(one => one.id === id)
  if (box === undefined) throw new Error(`no box ${id}`)
  return box
}

const overlap = (a: Box | Rail, b: Box | Rail): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

const inputs: fc.Arbitrary<SceneInput> = fc
  .record({
    gates: fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }),
    members: fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.nat(3)), { maxLength: 60 }),
  })
  .map(({ gates, members }) => ({
    networks: gates.map((gate, index) => network(`n${index}`, gate)),
    containers: members.map(([first, second, family], index) =>
      container(`c${index}`, [...new Set([first, second].map(n => `n${n % gates.length}`))], `f${family}`),
    ),
  }))

describe('the order of rails', () => {
  it('puts networks with a gate first and neighbours together', () => {
    const order = railOrder({
      networks: [network('bridge'), network('data', false), network('other'), network('front')],
      containers: [container('api', ['front', 'data']), container('edge', ['bridge', 'front'])],
    })
    expect(order.map(one => one.id)).toEqual(['bridge', 'front', 'other', 'data'])
  })
})

describe('the layout', () => {
  it('hangs a container on two networks between their rails', () => {
    const scene = layout(
      {
        networks: [network('front'), network('data', false)],
        containers: [container('api', ['front', 'data']), container('db', ['data'])],
      },
      options,
    )
    const api = boxOf(scene, 'api')
    expect(api.y).toBeGreaterThan(railOf(scene, 'front').y)
    expect(api.y + api.height).toBeLessThan(railOf(scene, 'data').y)
    const cables = scene.cables.filter(cable => cable.box === 'api')
    expect(cables.map(cable => cable.network)).toEqual(['front', 'data'])
    // Both are straight: nothing is in their way.
    expect(cables.every(cable => cable.points.length === 2)).toBe(true)
  })

  it('goes around what stands between a container and its other rail', () => {
    const scene = layout(
      {
        networks: [network('a'), network('b'), network('c')],
        containers: [container('x', ['a', 'b']), container('y', ['b', 'c']), container('z', ['a', 'c'])],
      },
      options,
    )
    const [, far] = scene.cables.filter(cable => cable.box === 'z')
    expect(far?.points.length).toBe(4)
  })

  it('wraps after a row and folds families above the limit', () => {
    const scene = layout({ networks: [network('n')], containers: many(9, 'n') }, options)
    expect(new Set(scene.boxes.map(box => box.y)).size).toBe(2)
    const folded = layout(
      { networks: [network('n')], containers: [...many(20, 'n', 'a'), ...many(20, 'n', 'b')] },
      options,
    )
    expect(folded.boxes.map(box => [box.id, box.members.length])).toEqual([
      ['n/a', 20],
      ['n/b', 20],
    ])
    const opened = layout(
      { networks: [network('n')], containers: [...many(20, 'n', 'a'), ...many(20, 'n', 'b')] },
      { ...options, opened: new Set(['n/a']) },
    )
    expect(opened.boxes).toHaveLength(21)
  })

  it('draws a thousand containers as a few tiles, and an opened family only in part', () => {
    const input = { networks: [network('n')], containers: many(1000, 'n') }
    expect(layout(input, options).boxes).toHaveLength(1)
    const opened = layout(input, { ...options, opened: new Set(['n/busybox']) })
    expect(opened.boxes).toHaveLength(121)
    expect(opened.boxes.at(-1)?.members).toHaveLength(880)
  })

  it('never puts one thing on another, and every container somewhere once', () => {
    fc.assert(
      fc.property(inputs, input => {
        const scene = layout(input, options)
        const things = [...scene.boxes, ...scene.rails]
        for (const [index, one] of things.entries()) {
          expect(things.slice(index + 1).filter(other => overlap(one, other))).toEqual([])
          expect(one.x + one.width).toBeLessThanOrEqual(scene.host.x + scene.host.width)
          expect(one.y + one.height).toBeLessThanOrEqual(scene.host.y + scene.host.height)
        }
        const drawn = scene.boxes.flatMap(box => box.members)
        expect(drawn.toSorted()).toEqual(input.containers.map(one => one.id).toSorted())
      }),
      { numRuns: 60 },
    )
  })

  it('lets no cable cross a box that is not its own', () => {
    fc.assert(
      fc.property(inputs, input => {
        const scene = layout(input, { ...options, foldAbove: 1000 })
        for (const cable of scene.cables) {
          for (const [index, [x, y]] of cable.points.slice(1).entries()) {
            const [fromX, fromY] = cable.points[index] ?? [x, y]
            const stretch = {
              x: Math.min(x, fromX),
              y: Math.min(y, fromY),
              width: Math.abs(x - fromX),
              height: Math.abs(y - fromY),
            }
            const crossed = scene.boxes.filter(
              box =>
                box.id !== cable.box &&
                stretch.x < box.x + box.width &&
                box.x < stretch.x + stretch.width &&
                stretch.y < box.y + box.height &&
                box.y < stretch.y + stretch.height,
            )
            expect(crossed.map(box => box.id)).toEqual([])
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})
