/**
 * Flags as data: each knows its type, its help and how it reads its text. Their meaning is that of docker's flags:
 * repeated lists add up, booleans may be written `--rm=false`, a value that is wrong is refused in docker's words.
 */
import { readFileSync } from 'node:fs'
import { parseDuration, parseSize } from './units.ts'
import { Failure } from './failure.ts'

export interface Flag<T> {
  /** A boolean takes no value. */
  readonly takesValue: boolean
  /** One letter. */
  readonly short?: string
  /** What stands for the value in the help: `list`, `string`, `int`. */
  readonly placeholder: string
  readonly summary: string
  readonly initial: T
  readonly hidden?: boolean
  /** The new value after this text was given; throws Error with the reason if it is wrong. */
  read(text: string, previous: T): T
}

export type Flags = Readonly<Record<string, Flag<never> | Flag<unknown>>>
/** What a command receives: by flag name, e.g. `values['no-trunc']`. */
export type Values<F> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never }

interface Common {
  readonly short?: string
  readonly hidden?: boolean
  readonly placeholder?: string
}

const truths = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const untruths = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

export function parseBoolean(text: string): boolean {
  if (truths.has(text)) return true
  if (untruths.has(text)) return false
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
}

export function boolean(
  summary: string,
  options: Common & { readonly initial?: boolean } = {},
): Flag<boolean> {
  return { initial: false, ...options, takesValue: false, placeholder: '', summary, read: parseBoolean }
}

/** A boolean that knows whether it was given at all. */
export function maybe(summary: string, options: Common = {}): Flag<boolean | undefined> {
  return { ...options, initial: undefined, takesValue: false, placeholder: '', summary, read: parseBoolean }
}

export function text(
  summary: string,
  options: Common & { readonly initial?: string; readonly check?: (text: string) => string } = {},
): Flag<string> {
  const { check = (value: string) => value, ...rest } = options
  return { initial: '', placeholder: 'string', ...rest, takesValue: true, summary, read: check }
}

/** A text that knows whether it was given at all: `--entrypoint ''` is not no entrypoint. */
export function optional(summary: string, options: Common = {}): Flag<string | undefined> {
  return {
    placeholder: 'string',
    ...options,
    initial: undefined,
    takesValue: true,
    summary,
    read: value => value,
  }
}

export function list(
  summary: string,
  options: Common & { readonly check?: (text: string) => string } = {},
): Flag<readonly string[]> {
  const { check = (value: string) => value, ...rest } = options
  return {
    placeholder: 'list',
    ...rest,
    initial: [],
    takesValue: true,
    summary,
    read: (value, previous) => [...previous, check(value)],
  }
}

/** Several values in one text, separated by commas. */
export function commas(
  summary: string,
  options: Common & { readonly check?: (text: string) => string } = {},
): Flag<readonly string[]> {
  const { check = (value: string) => value, ...rest } = options
  return {
    placeholder: 'strings',
    ...rest,
    initial: [],
    takesValue: true,
    summary,
    read: (value, previous) => [...previous, ...value.split(',').map(check)],
  }
}

/** `key=value`, repeated; without `=` the value is empty. The last of one key wins. */
export function map(
  summary: string,
  options: Common & { readonly check?: (text: string) => string } = {},
): Flag<Readonly<Record<string, string>>> {
  const { check = (value: string) => value, ...rest } = options
  return {
    placeholder: 'map',
    ...rest,
    initial: {},
    takesValue: true,
    summary,
    read: (value, previous) => ({ ...previous, ...keyValue(check(value)) }),
  }
}

export function keyValue(value: string): Readonly<Record<string, string>> {
  const at = value.indexOf('=')
  return at === -1 ? { [value]: '' } : { [value.slice(0, at)]: value.slice(at + 1) }
}

export function integer<I extends number | undefined>(
  summary: string,
  options: Common & { readonly initial: I },
): Flag<number | I> {
  return {
    placeholder: 'int',
    ...options,
    takesValue: true,
    summary,
    read: value => {
      if (!/^[-+]?\d+$/.test(value)) {
        throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`)
      }
      return Number(value)
    },
  }
}

/** Bytes, with a unit: `64m`. */
export function size(summary: string, options: Common & { readonly unlimited?: boolean } = {}): Flag<number> {
  return {
    placeholder: 'bytes',
    ...options,
    initial: 0,
    takesValue: true,
    summary,
    read: value => {
      if (options.unlimited === true && value === '-1') return -1
      const bytes = parseSize(value)
      if (bytes === undefined) throw new Error(`invalid size: '${value}'`)
      return bytes
    },
  }
}

/** Nanoseconds, from `30s`, `1m30s`. */
export function duration(summary: string, options: Common = {}): Flag<number> {
  return {
    placeholder: 'duration',
    ...options,
    initial: 0,
    takesValue: true,
    summary,
    read: value => {
      const nanoseconds = parseDuration(value)
      if (nanoseconds === undefined) throw new Error(`time: invalid duration ${JSON.stringify(value)}`)
      return nanoseconds
    },
  }
}

/** `--filter name=value`, repeated; the values of one name add up. */
export function filters(summary: string, options: Common = {}): Flag<Filters> {
  return {
    placeholder: 'filter',
    ...options,
    initial: {},
    takesValue: true,
    summary,
    read: (value, previous) => {
      const at = value.indexOf('=')
      if (at === -1) throw new Error('bad format of filter (expected name=value)')
      const name = value.slice(0, at).trim().toLowerCase()
      return { ...previous, [name]: { ...previous[name], [value.slice(at + 1).trim()]: true } }
    },
  }
}

export type Filters = Readonly<Record<string, Readonly<Record<string, true>>>>

/** The query parameter, or undefined where nothing is asked. */
export function filterQuery(asked: Filters): string | undefined {
  return Object.keys(asked).length === 0 ? undefined : JSON.stringify(asked)
}

/** How docker names a flag in a complaint: `-m, --memory`. */
export function flagTitle(name: string, flag: Pick<Flag<unknown>, 'short'>): string {
  return flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`
}

/** Lines of a file that are neither empty nor comments, for --env-file and --label-file. */
export function readLines(path: string): string[] {
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw new Failure(`open ${path}: ${missing ? 'no such file or directory' : describeCode(error)}`, 125, {
      cause: error,
    })
  }
  return content
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map(line => line.trimStart())
    .filter(line => line !== '' && !line.startsWith('#'))
}

function describeCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
