import type { Scene } from '../../../src/scene/index.ts'
import { picture, portTexts } from '../picture.ts'
import { rateOf } from '../picture.ts'
import { rateText } from '../units.ts'
import { say } from '../words.ts'

const cloudWidth = 120

/** The internet, the host's uplink, and the amber column between them and the rails: what is translated on the way. */
export function GateView({ scene }: { readonly scene: Scene }) {
  const { Uplink, Networks = [], Containers = [] } = picture.value ?? { Uplink: null }
  const { gate, host, rails } = scene
  const middle = gate.y + gate.height / 2
  const ports = Containers.reduce((sum, container) => sum + portTexts(container).length, 0)
  const masquerades = Networks.filter(
    network => network.Masquerade && !network.Internal && network.Bridge !== null,
  )
  const gated = rails.filter(rail => rail.gate)
  const uplinkX = host.x - 19
  return (
    <g>
      <path class="wire" d={`M${cloudWidth} ${middle}H${gate.x}`} />
      <path
        class="cloud"
        d={`M38 ${middle + 16}c-16 0-18-20-4-24c-2-18 20-24 28-12c8-14 32-8 30 8c16 0 18 28 2 28z`}
      />
      <text class="name" x="65" y={middle + 7} text-anchor="middle">
        {say('internet')}
      </text>
      <text class="soft small" x="65" y={middle + 34} text-anchor="middle">
        {Uplink === null || Uplink.Gateway === '' ? '' : `${say('gateway')} ${Uplink.Gateway}`}
      </text>
      {Uplink === null ? null : (
        <g>
          <rect class="uplink" x={uplinkX} y={middle - 22} width="38" height="44" rx="5" />
          <text class="mono" x={uplinkX + 19} y={middle - 8} text-anchor="middle">
            {Uplink.Index}:
          </text>
          <text class="mono" x={uplinkX + 19} y={middle + 6} text-anchor="middle">
            {Uplink.Name.slice(0, 5)}
          </text>
          <title>{Uplink.Addresses.join(' ')}</title>
          <text class="soft small" x={uplinkX + 19} y={middle + 34} text-anchor="middle">
            {rateText(rateOf(Uplink.Name)) ?? ''}
          </text>
        </g>
      )}
      {gated.map(rail => (
        <path
          key={rail.network}
          class="wire"
          d={`M${gate.x + gate.width} ${rail.y + rail.height / 2}H${rail.x}`}
        />
      ))}
      {gated.length === 0 ? null : (
        <>
          <rect class="gate" {...gate} rx="9" />
          <text
            class="name gate-text"
            transform={`translate(${gate.x + 22} ${gate.y + gate.height - 14}) rotate(-90)`}
          >
            {say('gate')}
          </text>
          <text
            class="small gate-text"
            transform={`translate(${gate.x + 40} ${gate.y + gate.height - 14}) rotate(-90)`}
          >
            {`${say('ports')} ×${ports} · ${say('masquerade')} ×${masquerades.length}`.slice(
              0,
              Math.max(8, Math.floor(gate.height / 5.6)),
            )}
          </text>
        </>
      )}
    </g>
  )
}
