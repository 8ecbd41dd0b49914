/**
 * Docker's `filters` query parameter. Two encodings are in use: `{"key":{"value":true}}` and, from old clients,
 * `{"key":["value"]}`. A filter becomes a predicate once per request; every object is then tested against it.
 */
import { fault } from '../base/index.ts'
import { nowNanoseconds, parseTime } from './time.ts'

/** Values by key; a key is absent unless it has a value. */
export type Filters = ReadonlyMap<string, readonly string[]>

function valuesOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) {
    if (value.every(one => typeof one === 'string')) return value
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    if (entries.every(([, wanted]) => typeof wanted === 'boolean')) {
      return entries.filter(([, wanted]) => wanted === true).map(([one]) => one)
    }
  }
  throw fault('invalidParameter', 'invalid filter')
}

/** Decodes and checks the keys against those that the endpoint knows. */
export function parseFilters(text: string | null, known: readonly string[]): Filters {
  if (text === null || text === '') return new Map()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fault('invalidParameter', 'invalid filter')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault('invalidParameter', 'invalid filter')
  }
  const filters = new Map<string, readonly string[]>()
  for (const [key, values] of Object.entries(value)) {
    if (!known.includes(key)) throw fault('invalidFilter', key)
    const list = valuesOf(values)
    if (list.length > 0) filters.set(key, list)
  }
  return filters
}

/** Docker's `invalid filter 'key=value'`. */
export const invalidValue = (key: string, value: string) =>
  fault('invalidParameter', `invalid filter '${key}=${value}'`)

/** True if the key was not asked for or one of its values is `value`. */
export function exact(filters: Filters, key: string, value: string): boolean {
  return filters.get(key)?.includes(value) ?? true
}

/** A tester for Docker's name and id filters: equal, or found by the value as an unanchored regular expression. */
export function pattern(filters: Filters, key: string): (value: string) => boolean {
  const values = filters.get(key)
  if (values === undefined) return () => true
  const expressions = values.map(value => {
    try {
      return new RegExp(value, 'u')
    } catch {
      return undefined
    }
  })
  return value => values.includes(value) || expressions.some(expression => expression?.test(value) ?? false)
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [key = '', ...rest] = wanted.split('=')
  return Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join('='))
}

/** All of `label`, none of `label!`. */
export function labelled(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  return (
    (filters.get('label')?.every(wanted => hasLabel(labels, wanted)) ?? true) &&
    !(filters.get('label!')?.some(wanted => hasLabel(labels, wanted)) ?? false)
  )
}

/** The single boolean of a key such as `dangling`; undefined if it was not asked for. */
export function singleBoolean(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key)
  if (values === undefined) return undefined
  const [value = ''] = values
  if (values.length > 1) throw invalidValue(key, `[${values.join(' ')}]`)
  if (['1', 'true', 'True', 'TRUE', 't', 'T'].includes(value)) return true
  if (['0', 'false', 'False', 'FALSE', 'f', 'F'].includes(value)) return false
  throw invalidValue(key, `[${value}]`)
}

/** What prune endpoints filter by: `until` (created before), `label`, `label!`. */
export interface PruneFilter {
  /** Nanoseconds since the epoch. */
  readonly before: bigint | undefined
  readonly selectsLabels: (labels: Readonly<Record<string, string>>) => boolean
}

export function pruneFilter(text: string | null, others: readonly string[] = []): PruneFilter {
  const filters = parseFilters(text, ['until', 'label', 'label!', ...others])
  const until = filters.get('until')
  if (until !== undefined && until.length > 1) {
    throw fault('invalidParameter', 'more than one until filter specified')
  }
  return {
    before: until?.[0] === undefined ? undefined : parseTime(until[0], nowNanoseconds()),
    selectsLabels: labels => labelled(filters, labels),
  }
}
