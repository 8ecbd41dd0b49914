/** Values in query strings, with Docker's leniency: booleans and numbers come in several spellings. */
import { fault } from '../base/index.ts'

/** Docker's rule: absent, empty, `0`, `no`, `false` and `none` are false in any case; everything else is true. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = (query.get(name) ?? '').trim().toLowerCase()
  return !['', '0', 'no', 'false', 'none'].includes(value)
}

/** Whole number, undefined when absent or empty; throws invalidParameter in Go's words otherwise. */
export function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name) ?? ''
  if (value === '') return undefined
  if (!/^[+-]?\d{1,15}$/.test(value)) {
    throw fault(
      'invalidParameter',
      `invalid value for ${name}: strconv.Atoi: parsing ${JSON.stringify(value.slice(0, 100))}: invalid syntax`,
    )
  }
  return Number(value)
}
