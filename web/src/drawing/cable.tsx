import type { Box, Cable } from '../../../src/scene/index.ts'
import { containersById, rateOf } from '../picture.ts'
import { cableWidth, rateText } from '../units.ts'
import { say } from '../words.ts'

interface Props {
  readonly cable: Cable
  readonly box: Box
  readonly color: number
  readonly lit: boolean
  readonly animated: ReadonlySet<string>
  /** The path runs over it: its label makes room. */
  readonly hot: boolean
}

const labelWidth = 62

/** A veth pair: socket on the rail, plug on the container, both ifindexes on it; as thick as its traffic. */
export function CableView({ cable, box, color, lit, animated, hot }: Props) {
  const endpoints = box.members.flatMap(id =>
    (containersById.value.get(id)?.Endpoints ?? []).filter(endpoint => endpoint.NetworkId === cable.network),
  )
  const [first] = endpoints
  const [start, end] = [cable.points[0], cable.points.at(-1)]
  if (first === undefined || start === undefined || end === undefined) return null
  const rate = endpoints.reduce((sum, endpoint) => sum + rateOf(endpoint.HostInterface), 0)
  const path = cable.points.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('')
  const up = endpoints.every(endpoint => endpoint.Up)
  const label = endpoints.length === 1 ? `${first.HostIndex} ⇄ ${first.Index}` : `${endpoints.length} ×`
  const [x, y] = cable.label
  const shift = hot ? labelWidth / 2 + 12 : 0
  const below = end[1] < start[1]
  return (
    <g class={`rail-${color}${lit ? '' : ' dim'}${up ? '' : ' down'}`}>
      <path class="cable" d={path} stroke-width={cableWidth(rate)} />
      {animated.has(first.HostInterface) ? <path class="flow" d={path} /> : null}
      <rect class="socket" x={start[0] - 5} y={start[1] - (below ? 5 : 4)} width="10" height="9" rx="2" />
      <rect class="plug" x={end[0] - 7} y={end[1] - (below ? 0 : 5)} width="14" height="5" rx="1" />
      <g class="cable-label" transform={`translate(${x + shift} ${y})`}>
        <rect x={-labelWidth / 2} y="-9" width={labelWidth} height="18" rx="9" />
        <text class="mono" text-anchor="middle" y="4">
          {label}
        </text>
        <text class="soft small" x={labelWidth / 2 + 5} y="4">
          {up ? (rateText(rate) ?? '') : say('down')}
        </text>
      </g>
    </g>
  )
}
