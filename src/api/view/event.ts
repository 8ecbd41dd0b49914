/** Events as `GET /events` streams them. */
import type { EngineEvent } from '../../engine/index.ts'
import { present, sorted } from './order.ts'

/**
 * One line, without the newline. Nanoseconds exceed what a double holds, so the number is written by hand. `status`,
 * `id` and `from` are the form that containers and images had before events had actors.
 */
export function eventLine(event: EngineEvent): string {
  const old = event.type === 'container' || event.type === 'image'
  const head = JSON.stringify(
    present({
      status: old ? event.action : undefined,
      id: old ? event.actor.id : undefined,
      from: event.type === 'container' ? event.actor.attributes['image'] : undefined,
      Type: event.type,
      Action: event.action,
      Actor: { ID: event.actor.id, Attributes: sorted(event.actor.attributes) },
      scope: 'local',
      time: Number(event.time / 1_000_000_000n),
    }),
  )
  return `${head.slice(0, -1)},"timeNano":${event.time}}`
}
