/** The functions a template may call: Go's own and those docker adds (json, join, split, upper, pad, …). */
import { isObject, isTrue, show, type TemplateFunction } from './evaluate.ts'

const text = (value: unknown): string => (typeof value === 'string' ? value : show(value))

/** Integers and floats compare with each other, strings with strings; anything else is an error, as in Go. */
function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  throw new Error('incompatible types for comparison')
}

function same(a: unknown, b: unknown): boolean {
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null)
  if (typeof a === 'object' || typeof b === 'object') throw new Error('non-comparable types')
  if (typeof a !== typeof b) throw new Error('incompatible types for comparison')
  return a === b
}

/** A missing key of a Go map of strings, which is what labels are, gives an empty string. */
function missing(map: Readonly<Record<string, unknown>>): string | undefined {
  return Object.values(map).every(value => typeof value === 'string') ? '' : undefined
}

function index(value: unknown, ...keys: readonly unknown[]): unknown {
  let current = value
  for (const key of keys) {
    if (current === null || current === undefined) throw new Error('index of untyped nil')
    if (isObject(current)) {
      current = Object.hasOwn(current, text(key)) ? current[text(key)] : missing(current)
    } else if (Array.isArray(current) || typeof current === 'string') {
      if (typeof key !== 'number') throw new Error(`cannot index slice/array with type ${typeof key}`)
      if (key < 0 || key >= current.length) throw new Error(`index out of range: ${key}`)
      current = typeof current === 'string' ? current.codePointAt(key) : (current as readonly unknown[])[key]
    } else throw new Error(`can't index item of type ${typeof current}`)
  }
  return current
}

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (!Array.isArray(value) && typeof value !== 'string')
    throw new Error(`can't slice item of type ${typeof value}`)
  const end = to ?? value.length
  if (typeof from !== 'number' || typeof end !== 'number')
    throw new Error('cannot index slice/array with a non-number')
  if (from < 0 || from > end || end > value.length) throw new Error(`index out of range: ${end}`)
  return value.slice(from, end)
}

function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (isObject(value)) return Object.keys(value).length
  if (value === null || value === undefined) throw new Error('len of nil pointer')
  throw new Error(`len of type ${typeof value}`)
}

/** fmt.Sprintf for what templates use: %s %v %d %q %t %x %f %g, width, precision, zero and left padding. */
function format(pattern: string, values: readonly unknown[]): string {
  let next = 0
  const body = pattern.replace(
    /%([-+0# ]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      if (next >= values.length) return `%!${verb}(MISSING)`
      const value = values[next]
      next += 1
      const rendered = render(
        verb,
        value,
        precision === undefined ? undefined : Number(precision),
        flags.includes('+'),
      )
      const size = Number(width ?? 0)
      if (flags.includes('-')) return rendered.padEnd(size)
      return rendered.padStart(size, flags.includes('0') && typeof value === 'number' ? '0' : ' ')
    },
  )
  return next < values.length
    ? `${body}%!(EXTRA ${values
        .slice(next)
        .map(value => `${typeof value}=${show(value)}`)
        .join(', ')})`
    : body
}

function render(verb: string, value: unknown, precision: number | undefined, sign: boolean): string {
  switch (verb) {
    case 's':
    case 'v': {
      const shown = show(value, false)
      return verb === 's' && precision !== undefined ? shown.slice(0, precision) : shown
    }
    case 'd':
      return typeof value === 'number'
        ? `${sign && value >= 0 ? '+' : ''}${Math.trunc(value)}`
        : `%!d(${typeof value}=${show(value)})`
    case 'q':
      return JSON.stringify(text(value))
    case 't':
      return show(value)
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(text(value)).toString('hex')
    case 'f':
      return Number(value).toFixed(precision ?? 6)
    case 'g':
      return String(value)
    default:
      return `%!${verb}(${typeof value}=${show(value)})`
  }
}

const title = (value: string): string =>
  value.replace(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (all: string) => all.toUpperCase())

export const templateFunctions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  // Go's
  ['and', (...values) => values.find(value => !isTrue(value)) ?? values.at(-1)],
  ['or', (...values) => values.find(isTrue) ?? values.at(-1)],
  ['not', value => !isTrue(value)],
  ['eq', (value, ...others) => others.some(other => same(value, other))],
  ['ne', (a, b) => !same(a, b)],
  ['lt', (a, b) => compare(a, b) < 0],
  ['le', (a, b) => compare(a, b) <= 0],
  ['gt', (a, b) => compare(a, b) > 0],
  ['ge', (a, b) => compare(a, b) >= 0],
  ['index', index],
  ['slice', slice],
  ['len', length],
  // Print puts a space between two values when neither is a string.
  [
    'print',
    (...values) =>
      values.reduce<string>((all, value, at) => {
        const gap = at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string' ? ' ' : ''
        return all + gap + show(value, false)
      }, ''),
  ],
  ['println', (...values) => `${values.map(value => show(value, false)).join(' ')}\n`],
  ['printf', (pattern, ...values) => format(text(pattern), values)],
  [
    'html',
    (...values) =>
      values
        .map(text)
        .join('')
        .replace(/[&<>"']/g, sign => `&#${sign.codePointAt(0)};`),
  ],
  ['js', (...values) => JSON.stringify(values.map(text).join('')).slice(1, -1)],
  ['urlquery', (...values) => encodeURIComponent(values.map(text).join('')).replaceAll('%20', '+')],
  // docker's
  ['json', value => JSON.stringify(value ?? null)],
  ['split', (value, separator) => text(value).split(text(separator))],
  [
    'join',
    (values, separator) => (Array.isArray(values) ? values.map(text).join(text(separator)) : text(values)),
  ],
  ['title', value => title(text(value))],
  ['lower', value => text(value).toLowerCase()],
  ['upper', value => text(value).toUpperCase()],
  [
    'pad',
    (value, before, after) =>
      text(value) === '' ? '' : ' '.repeat(Number(before)) + text(value) + ' '.repeat(Number(after)),
  ],
  ['truncate', (value, limit) => text(value).slice(0, Number(limit))],
])
