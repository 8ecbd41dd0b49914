/**
 * The filters of `GET /events`. Object filters (`container=`, `network=`, …) all ask the same: is the value the id or
 * the name of the event's actor, or the beginning of one of them? They do not restrict the type.
 */
import type { EngineEvent } from '../engine/index.ts'
import { exact, labelled, type Filters } from './filters.ts'

const objectKeys = [
  'config',
  'container',
  'daemon',
  'image',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'volume',
]

export const eventFilterKeys = [...objectKeys, 'event', 'label', 'scope', 'type']

const families = ['exec_create', 'exec_start', 'health_status']

/** `exec_create: ls` is found by `exec_create`. */
function actionMatches(filters: Filters, action: string): boolean {
  const family = families.find(one => action.startsWith(`${one}:`))
  return exact(filters, 'event', action) || (family !== undefined && exact(filters, 'event', family))
}

function objectMatches(filters: Filters, key: string, { actor }: EngineEvent): boolean {
  const name = actor.attributes['name'] ?? ''
  // An image is found by its name without the tag as well: that is a prefix.
  return filters.get(key)?.some(value => actor.id.startsWith(value) || name.startsWith(value)) ?? true
}

export function eventSelector(filters: Filters): (event: EngineEvent) => boolean {
  return event =>
    exact(filters, 'type', event.type) &&
    exact(filters, 'scope', 'local') &&
    actionMatches(filters, event.action) &&
    labelled(filters, event.actor.attributes) &&
    objectKeys.every(key => objectMatches(filters, key, event))
}
