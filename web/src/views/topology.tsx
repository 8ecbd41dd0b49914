/** Topology: rails, cables and boxes, live; click one container to see whom it reaches, two for the path between them. */
import { computed, signal, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { layout, type Box, type Scene } from '../../../src/scene/index.ts'
import { command, quote } from '../command.ts'
import { BoxView } from '../drawing/box.tsx'
import { CableView } from '../drawing/cable.tsx'
import { GateView } from '../drawing/gate.tsx'
import { PathView } from '../drawing/path.tsx'
import { RailView } from '../drawing/rail.tsx'
import { usePanZoom } from '../drawing/zoom.ts'
import { answer, chosen, type Explanation, reach } from '../explain.ts'
import { containersById, picture, rates, sceneInput } from '../picture.ts'
import { question } from '../question.ts'
import { Side } from '../side.tsx'
import { TextPicture } from '../text-picture.tsx'
import { say } from '../words.ts'

/** Families that were unfolded. */
const opened = signal<ReadonlySet<string>>(new Set())

const drawn = computed<Scene>(() =>
  layout(sceneInput.value, { perRow: 7, foldAbove: 24, opened: opened.value }),
)

/** Above this many cables only the busiest are animated: moving dashes are what costs a browser. */
const mostFlows = 60

/** Host ends of the busiest cables. */
const busiest = computed<ReadonlySet<string>>(() => {
  const list = Object.entries(rates.value).sort(([, a], [, b]) => b.In + b.Out - (a.In + a.Out))
  return new Set(list.slice(0, mostFlows).map(([link]) => link))
})

const nameOf = (id: string): string => containersById.value.get(id)?.Name ?? id

function clear(): void {
  chosen.value = undefined
  question.value = undefined
}

function choose(box: Box): void {
  if (box.folded) {
    opened.value = new Set([...opened.value, box.id])
    return
  }
  const [id] = box.members
  if (id === undefined) return
  const from = chosen.value
  if (from === undefined || question.value !== undefined) {
    question.value = undefined
    chosen.value = id
  } else if (from === id) clear()
  else question.value = { from: nameOf(from), to: nameOf(id) }
}

export function Topology() {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') clear()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  useSignalEffect(() => {
    const asked = question.value
    if (asked !== undefined) command.value = `linkspan explain ${quote(asked.from)} ${quote(asked.to)}`
    else if (chosen.value === undefined) command.value = 'linkspan graph --svg'
    else command.value = `linkspan rules ${quote(nameOf(chosen.value))}`
  })
  return (
    <div class="topology">
      <Canvas />
      <Side onClose={clear} />
    </div>
  )
}

function Canvas() {
  const now = drawn.value
  const frame = useRef<HTMLDivElement>(null)
  const zoom = usePanZoom(frame, now)
  const showText = useSignal(false)
  const path = answer.value.state === 'answered' ? answer.value.explanation : undefined
  const lit = litContainers(path)
  const isLit = (box: Box): boolean => lit === undefined || box.members.some(id => lit.has(id))
  const colors = new Map(now.rails.map(rail => [rail.network, rail.color % 8]))
  const boxes = new Map(now.boxes.map(box => [box.id, box]))
  const ends = new Set([chosen.value, path?.From.Id, path?.To.Id])
  return (
    <div class={`canvas${now.boxes.length > 100 ? ' many' : ''}`} ref={frame}>
      <svg viewBox={zoom.viewBox} role="group" aria-label={say('pictureOf')} {...zoom.handlers}>
        <rect class="host" {...now.host} rx="12" />
        <text class="name" x={now.host.x + 22} y={now.host.y + 26}>
          {say('host')}
        </text>
        <text class="soft small" x={now.host.x + now.host.width - 20} y={now.host.y + 26} text-anchor="end">
          {picture.value?.Firewall}
        </text>
        <GateView scene={now} />
        {now.cables.map(cable => {
          const box = boxes.get(cable.box)
          return box === undefined ? null : (
            <CableView
              key={`${cable.network} ${cable.box}`}
              cable={cable}
              box={box}
              color={colors.get(cable.network) ?? 0}
              lit={isLit(box)}
              hot={path !== undefined && box.members.some(id => ends.has(id))}
              animated={busiest.value}
            />
          )
        })}
        {now.rails.map(rail => (
          <RailView key={rail.network} rail={rail} />
        ))}
        {now.boxes.map(box => (
          <BoxView
            key={box.id}
            box={box}
            colors={colors}
            lit={isLit(box)}
            chosen={box.members.some(id => ends.has(id))}
            onChoose={choose}
          />
        ))}
        {path === undefined ? null : <PathView scene={now} explanation={path} />}
      </svg>
      {now.boxes.length === 0 && picture.value !== undefined ? (
        <p class="empty nobody">{say('noContainers')}</p>
      ) : null}
      <div class="zoom">
        <button
          type="button"
          aria-expanded={showText.value}
          onClick={() => (showText.value = !showText.value)}
        >
          {say('asText')}
        </button>
        <button type="button" aria-label={say('zoomOut')} onClick={() => zoom.by(1.25)}>
          −
        </button>
        <button type="button" aria-label={say('zoomIn')} onClick={() => zoom.by(0.8)}>
          +
        </button>
        <button type="button" onClick={zoom.fit}>
          {say('fit')}
        </button>
      </div>
      {showText.value ? <TextPicture /> : null}
    </div>
  )
}

/** Whose boxes stay lit: the path's ends, or the chosen one and whom it reaches. undefined = everybody's. */
function litContainers(path: Explanation | undefined): ReadonlySet<string> | undefined {
  if (path !== undefined) return new Set([path.From.Id, path.To.Id])
  const from = chosen.value
  const reached = reach.value
  return from === undefined || reached === undefined ? undefined : new Set([from, ...reached])
}
