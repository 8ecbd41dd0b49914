/**
 * The filters of `GET /events`. Object filters (`container=`, `network=`, …) all ask the same: is the value the id or
 * the name of the event's actor, or the beginning of one of them? They do not restrict the type. `image=` is another
 * kind: it finds the image, with or without its tag, and the containers made of it.
 */
import type { EngineEvent } from '../engine/index.ts'
import { exact, labelled, type Filters } from './filters.ts'

const objectKeys = [
  'config',
  'container',
  'daemon',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'volume',
]

export const eventFilterKeys = [...objectKeys, 'event', 'image', 'label', 'scope', 'type']

const families = ['exec_create', 'exec_start', 'health_status']

/** `exec_create: ls` is found by `exec_create`. */
function actionMatches(filters: Filters, action: string): boolean {
  const family = families.find(one => action.startsWith(`${one}:`))
  return exact(filters, 'event', action) || (family !== undefined && exact(filters, 'event', family))
}

function objectMatches(filters: Filters, key: string, { actor }: EngineEvent): boolean {
  const name = actor.attributes['name'] ?? ''
  return filters.get(key)?.some(value => actor.id.startsWith(value) || name.startsWith(value)) ?? true
}

/** `box:1` → `box`; a registry's port is no tag. */
const withoutTag = (reference: string): string => reference.replace(/:[^:/]*$/, '')

function imageMatches(filters: Filters, { type, actor }: EngineEvent): boolean {
  const name = actor.attributes[type === 'container' ? 'image' : 'name'] ?? ''
  const names = [actor.id, name, withoutTag(name)]
  return filters.get('image')?.some(value => names.includes(value)) ?? true
}

export function eventSelector(filters: Filters): (event: EngineEvent) => boolean {
  return event =>
    exact(filters, 'type', event.type) &&
    exact(filters, 'scope', 'local') &&
    actionMatches(filters, event.action) &&
    labelled(filters, event.actor.attributes) &&
    imageMatches(filters, event) &&
    objectKeys.every(key => objectMatches(filters, key, event))
}
