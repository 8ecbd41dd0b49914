/** The way of a packet over the picture: numbered hops, red, from where it starts to where it ends. */
import type { Scene } from '../../../src/scene/index.ts'
import type { End, Explanation, Hop } from '../explain.ts'
import { containersById } from '../picture.ts'

type Point = readonly [x: number, y: number]

export function PathView({
  scene,
  explanation,
}: {
  readonly scene: Scene
  readonly explanation: Explanation
}) {
  const places = placesOf(scene, explanation)
  if (places.length === 0) return null
  const line = places
    .map(({ at: [x, y], alongRail }, index) =>
      index === 0 ? `M${x} ${y}` : alongRail === true ? `V${y}H${x}` : `H${x}V${y}`,
    )
    .join('')
  return (
    <g aria-hidden="true" class="walk">
      <path class="path" d={line} />
      <path class="path over" d={line} />
      {numbered(places).map(({ numbers, at: [x, y] }) => (
        <g key={`${x} ${y}`} class="hop" transform={`translate(${x} ${y})`}>
          <circle r={numbers.length > 1 ? 12 : 9} />
          <text text-anchor="middle" y="4">
            {numbers.length > 1 ? `${numbers[0]}-${numbers.at(-1)}` : numbers[0]}
          </text>
        </g>
      ))}
    </g>
  )
}

interface Place {
  readonly number: number | undefined
  readonly at: Point
  /** Reached along its rail, not across it. */
  readonly alongRail?: true
}

/** Hops in one spot share a mark. */
function numbered(places: readonly Place[]): readonly { readonly numbers: number[]; readonly at: Point }[] {
  const marks: { numbers: number[]; at: Point }[] = []
  for (const { number, at } of places) {
    if (number === undefined) continue
    const same = marks.find(mark => Math.hypot(mark.at[0] - at[0], mark.at[1] - at[1]) < 14)
    if (same === undefined) marks.push({ numbers: [number], at })
    else same.numbers.push(number)
  }
  return marks
}

/** Corners between hops belong to no hop. */
export function placesOf(scene: Scene, { From, To, Hops, Hop: last }: Explanation): readonly Place[] {
  const places: Place[] = []
  const add = (at: Point | undefined, number?: number): void => {
    if (at !== undefined) places.push({ number, at })
  }
  add(endPlace(scene, From))
  const upTo = last === 0 ? Hops.length : last
  let column = 0
  for (const hop of Hops.slice(0, upTo)) {
    const cable = cableOf(scene, hop)
    if (cable !== undefined) {
      const outward = hop.Container === From.Id && From.Id !== ''
      const points = outward ? cable.points.toReversed() : cable.points
      const [start, ...others] = points
      const middle = others.pop()
      add(start)
      for (const corner of others) add(corner)
      if (start !== undefined && middle !== undefined) {
        const from = others.at(-1) ?? start
        add([(from[0] + middle[0]) / 2, (from[1] + middle[1]) / 2], hop.Number)
        add(middle)
      }
      continue
    }
    if (hop.Kind === 'bridge') {
      const rail = scene.rails.find(each => each.network === hop.Network)
      const [x] = socketNear(scene, Hops, hop) ?? places.at(-1)?.at ?? [0, 0]
      if (rail !== undefined)
        places.push({ number: hop.Number, at: [clamp(x, rail), rail.y + rail.height / 2], alongRail: true })
      continue
    }
    // A decision inside a container is made in its box.
    const inside = scene.boxes.find(each => hop.Container !== '' && each.members.includes(hop.Container))
    if (inside !== undefined && hop.Kind !== 'listens') {
      add([inside.x + inside.width / 2, inside.y + 18], hop.Number)
      continue
    }
    if (hop.Kind === 'arrives' || hop.Kind === 'leaves') add(uplinkPlace(scene), hop.Number)
    else if (hop.Kind === 'listens' || hop.Kind === 'name')
      add(endPlace(scene, hop.Kind === 'name' ? From : To), hop.Number)
    else {
      // Routes, rules and translation are the host's: one under the other in the gate.
      add(gatePlace(scene, column), hop.Number)
      column += 1
    }
  }
  if (last === 0) add(endPlace(scene, To))
  return places
}

/** Where the cable of the hop before or after a bridge is plugged in. */
function socketNear(scene: Scene, hops: readonly Hop[], bridge: Hop): Point | undefined {
  const near = [hops[bridge.Number], hops[bridge.Number - 2]]
  for (const hop of near) {
    const cable = hop === undefined ? undefined : cableOf(scene, hop)
    if (cable?.network === bridge.Network) return cable.points[0]
  }
  return undefined
}

const clamp = (x: number, rail: { readonly x: number; readonly width: number }): number =>
  Math.max(rail.x + 10, Math.min(rail.x + rail.width - 10, x))

function cableOf(scene: Scene, hop: Hop) {
  if (hop.Kind !== 'veth') return undefined
  const box = scene.boxes.find(each => each.members.includes(hop.Container))
  return scene.cables.find(
    each => each.box === box?.id && (hop.Network === '' || each.network === hop.Network),
  )
}

function endPlace(scene: Scene, end: End): Point | undefined {
  if (end.Kind === 'outside') return [108, scene.gate.y + scene.gate.height / 2]
  if (end.Kind === 'host') return [scene.host.x + 120, scene.host.y + 22]
  const id = containersById.value.has(end.Id) ? end.Id : undefined
  const box = scene.boxes.find(each => id !== undefined && each.members.includes(id))
  return box === undefined ? undefined : [box.x + box.width / 2, box.y + 18]
}

const uplinkPlace = (scene: Scene): Point => [scene.host.x, scene.gate.y + scene.gate.height / 2]

function gatePlace(scene: Scene, column: number): Point {
  const { x, y, width, height } = scene.gate
  return [x + width / 2, y + Math.min(height - 12, 16 + column * 26)]
}
