import type { Box } from '../../../src/scene/index.ts'
import { containersById, type PictureContainer, portTexts } from '../picture.ts'
import { say } from '../words.ts'

interface Props {
  readonly box: Box
  /** Network id → place in the palette. */
  readonly colors: ReadonlyMap<string, number>
  readonly lit: boolean
  readonly chosen: boolean
  readonly onChoose: (box: Box) => void
}

const shortened = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`

/** A container, or a folded family of them: a button to whoever uses the keyboard or a screen reader. */
export function BoxView({ box, colors, lit, chosen, onChoose }: Props) {
  const members = box.members.flatMap(id => containersById.value.get(id) ?? [])
  const [first] = members
  if (first === undefined) return null
  const choose = () => onChoose(box)
  const label = box.folded
    ? `${familyOf(box)}: ${members.length} ${say('folded')}`
    : `${first.Name}, ${first.Status}, ${first.Endpoints.map(each => bare(each.IPv4 || each.IPv6)).join(', ')}`
  return (
    <g
      class={`box${lit ? '' : ' dim'}${chosen ? ' chosen' : ''}`}
      transform={`translate(${box.x} ${box.y})`}
      role="button"
      tabindex={0}
      aria-label={label}
      aria-pressed={chosen}
      data-name={box.folded ? box.id : first.Name}
      onClick={choose}
      onKeyDown={event => {
        if (event.key !== 'Enter' && event.key !== ' ') return
        event.preventDefault()
        choose()
      }}
    >
      <g class="arrives">
        {box.folded ? (
          <rect class="body" x="5" y="-5" width={box.width} height={box.height} rx="7" aria-hidden="true" />
        ) : null}
        <rect class="body" width={box.width} height={box.height} rx="7" />
        {box.folded ? (
          <Folded box={box} count={members.length} />
        ) : (
          <Single container={first} colors={colors} />
        )}
      </g>
    </g>
  )
}

const bare = (cidr: string): string => cidr.replace(/\/.*/, '')
const familyOf = (box: Box): string => box.id.slice(box.id.indexOf('/') + 1)

function Folded({ box, count }: { readonly box: Box; readonly count: number }) {
  return (
    <>
      <text class="name" x="14" y="24">
        {shortened(familyOf(box), 14)} ×{count}
      </text>
      <text class="soft small" x="14" y="44">
        {shortened(say('folded'), 26)}
      </text>
    </>
  )
}

function Single({
  container,
  colors,
}: {
  readonly container: PictureContainer
  readonly colors: ReadonlyMap<string, number>
}) {
  const ports = portTexts(container)
  const last = 34 + container.Endpoints.length * 17
  return (
    <>
      <circle class={`state ${container.Status}`} cx="14" cy="18" r="4" />
      <text class="name" x="24" y="22">
        {shortened(container.Name, 17)}
      </text>
      {container.Endpoints.map((endpoint, line) => (
        <g
          key={endpoint.Id}
          class={`eth rail-${colors.get(endpoint.NetworkId) ?? 0}`}
          transform={`translate(12 ${33 + line * 17})`}
        >
          <rect width="34" height="14" rx="3" />
          <text class="mono" x="17" y="10.5" text-anchor="middle">
            {shortened(endpoint.Interface, 5)}
          </text>
          <text class="mono address" x="41" y="11">
            {shortened(bare(endpoint.IPv4 || endpoint.IPv6), 17)}
          </text>
        </g>
      ))}
      {ports.length === 0 ? (
        <text class="soft small" x="12" y={last + 12}>
          {shortened(container.Status === 'running' ? container.Image : container.Status, 24)}
        </text>
      ) : (
        <g class="port" transform={`translate(12 ${last})`}>
          <rect width={Math.min(132, 12 + portText(ports).length * 6.4)} height="16" rx="4" />
          <text class="mono" x="6" y="12">
            {portText(ports)}
          </text>
        </g>
      )}
    </>
  )
}

/** As many as the box has room for. */
function portText(ports: readonly string[]): string {
  const shown: string[] = []
  for (const port of ports) {
    if ([...shown, port].join(' ').length > 15 && shown.length > 0)
      return `${shown.join(' ')} +${ports.length - shown.length}`
    shown.push(port)
  }
  return shortened(shown.join(' '), 18)
}
