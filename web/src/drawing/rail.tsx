import type { Rail } from '../../../src/scene/index.ts'
import { networksById } from '../picture.ts'
import { say } from '../words.ts'

/** A bridge: a coloured rail with its name, ifindex, subnets and gateways. */
export function RailView({ rail }: { readonly rail: Rail }) {
  const network = networksById.value.get(rail.network)
  if (network === undefined) return null
  const facts = [
    network.Bridge === null ? '' : `${network.Bridge.Index}: ${network.Bridge.Name}`,
    ...network.Subnets.map(each => each.Subnet),
    ...network.Subnets.slice(0, 1).map(each =>
      each.Gateway === '' ? '' : `${say('gateway')} ${each.Gateway}`,
    ),
  ]
  const text = facts.filter(fact => fact !== '').join(' · ')
  const middle = rail.y + rail.height / 2 + 4
  const stub = rail.x - 46
  return (
    <g class={`rail rail-${rail.color % 8}`}>
      {rail.gate ? null : (
        <>
          <text class="soft small stub" x={stub - 6} y={middle} text-anchor="end">
            {say('internal')}
          </text>
          <path class="wire" d={`M${stub} ${middle - 4}h14m-3 8l8-16m-2 8h${rail.x - stub - 17}`} />
        </>
      )}
      <rect x={rail.x} y={rail.y} width={rail.width} height={rail.height} rx="7" />
      <text class="name" x={rail.x + 14} y={middle + 1}>
        {network.Name}
      </text>
      <text class="mono" x={rail.x + rail.width - 14} y={middle} text-anchor="end">
        {text}
      </text>
      <title>{`${network.Name} · ${text} · MTU ${network.Bridge?.Mtu ?? ''}`}</title>
    </g>
  )
}
