/**
 * Lists of objects in every form people ask for: docker's table, `--format json`, `--format 'table {{.ID}}\t{{.Names}}'`,
 * a bare template, or ids alone (-q). A listing is described once, as columns.
 */
import type { Context } from './context.ts'
import { describe, EngineError, Failure } from './failure.ts'
import { alignColumns } from './table.ts'
import { compileTemplate, TemplateError } from './template/index.ts'

export interface View {
  /** --no-trunc */
  readonly full: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface Column<T> {
  /** As in templates: `ID`. */
  readonly name: string
  readonly title: string
  readonly value: (item: T, view: View) => string
}

interface Method<T> {
  readonly call: (item: T, argument: string) => string
}

export interface Listing<T> {
  readonly columns: readonly Column<T>[]
  /** Names of the columns of the default table. */
  readonly table: readonly string[]
  /** Column that -q prints. */
  readonly quiet: string
  /** Methods with arguments, e.g. `.Label "key"`; not part of the JSON form. */
  readonly methods?: Readonly<Record<string, Method<T>>>
  /** Go's name of a row, for error messages. */
  readonly typeName: string
}

export interface ListOptions {
  /** '' = the default table. */
  readonly format: string
  readonly quiet: boolean
  readonly full: boolean
  readonly now: number
}

const cell = (name: string): string => `{{.${name}}}`

/**
 * Makes the function that turns items into text, each row closed by a newline. A template that is wrong is refused here,
 * before the engine is asked for anything.
 */
export function prepareList<T>(listing: Listing<T>, options: ListOptions): (items: readonly T[]) => string {
  const asked = options.format === 'table' ? '' : options.format
  if (options.quiet && asked === '') return prepare(listing, cell(listing.quiet), false, options)
  if (asked === '') return prepare(listing, listing.table.map(cell).join('\t'), true, options)
  if (asked === 'json') return prepare(listing, '{{json .}}', false, options)
  const source = asked.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  const columns = /^table\s+([^]*)$/.exec(source)?.[1]
  return columns === undefined
    ? prepare(listing, source, false, options)
    : prepare(listing, columns, true, options)
}

function prepare<T>(
  listing: Listing<T>,
  source: string,
  isTable: boolean,
  options: ListOptions,
): (items: readonly T[]) => string {
  const template = guarded(() => compileTemplate(source, { missing: 'error', typeName: listing.typeName }))
  // Unknown fields show on any row: one without content will do.
  guarded(() =>
    template.render(
      row(
        listing,
        () => '',
        () => '',
      ),
    ),
  )
  const view = { full: options.full, now: options.now }
  return items => {
    const lines = items.map(item =>
      guarded(() =>
        template.render(
          row(
            listing,
            column => column.value(item, view),
            (method, argument) => method.call(item, argument),
          ),
        ),
      ),
    )
    const body = lines.map(line => `${line}\n`).join('')
    if (!isTable) return body
    const header = guarded(() =>
      template.header(
        row(
          listing,
          column => column.title,
          (_, argument) => columnTitle(argument),
        ),
      ),
    )
    return alignColumns(`${header}\n${body}`)
  }
}

/** What a template sees as one row: columns by name, in the order in which JSON lists them, and methods. */
function row<T>(
  listing: Listing<T>,
  value: (column: Column<T>) => string,
  call: (method: Method<T>, argument: string) => string,
): Record<string, unknown> {
  const columns = [...listing.columns].sort((a, b) => (a.name < b.name ? -1 : 1))
  const fields: Record<string, unknown> = Object.fromEntries(
    columns.map(column => [column.name, value(column)]),
  )
  for (const [name, method] of Object.entries(listing.methods ?? {})) {
    fields[name] = (argument: unknown) => call(method, String(argument))
  }
  return fields
}

function guarded<R>(step: () => R): R {
  try {
    return step()
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    const parsing = !error.message.includes(': executing ')
    throw new Failure(`failed to ${parsing ? 'parse' : 'execute'} template: ${error.message}`, 1, {
      cause: error,
    })
  }
}

/** `k=v,k2=v2`, by key. */
export function labelText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** Title of a column that shows one label: the last part of its key. */
function columnTitle(key: string): string {
  return (key.split('.').at(-1) ?? '').replace(/[-_]/g, ' ')
}

/** How inspect prints: each object by itself, then all of them together. */
interface InspectForm {
  readonly one: (object: unknown) => string
  readonly all: (texts: readonly string[]) => string
}

/**
 * JSON indented by four spaces in the engine's order, or a template per object, each closed by a newline. A text that
 * is no template is refused here.
 */
function prepareInspect(format: string): InspectForm {
  if (format === '') {
    return {
      one: object => JSON.stringify(object, null, 4).replaceAll('\n', '\n    '),
      all: texts => (texts.length === 0 ? '[]\n' : `[\n    ${texts.join(',\n    ')}\n]\n`),
    }
  }
  if (format === 'json')
    return { one: object => JSON.stringify(object), all: texts => `[${texts.join(',')}]\n` }
  const told = <R>(status: number, step: () => R): R => {
    try {
      return step()
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error
      throw new Failure(`template parsing error: ${error.message}`, status, { cause: error })
    }
  }
  const template = told(64, () => compileTemplate(format, { missing: 'error' }))
  return {
    one: object => told(1, () => `${template.render(object)}\n`),
    // docker ends a line even if nothing stands on it.
    all: texts => (texts.length === 0 ? '\n' : texts.join('')),
  }
}

/**
 * What `inspect` and its kin do: prints what was found, then what went wrong with the others. `find` gives undefined
 * where there is no such object.
 */
export async function printInspected(
  context: Context,
  names: readonly string[],
  format: string,
  find: (name: string) => Promise<unknown>,
): Promise<number> {
  const form = prepareInspect(format)
  const texts: string[] = []
  const failures: string[] = []
  for (const name of names) {
    try {
      const object = await find(name)
      if (object === undefined) failures.push(`Error: No such object: ${name}`)
      else texts.push(form.one(object))
    } catch (error) {
      if (!(error instanceof EngineError || error instanceof Failure)) throw error
      failures.push(describe(error))
    }
  }
  context.stdout.write(form.all(texts))
  for (const failure of failures) context.warn(failure)
  return failures.length === 0 ? 0 : 1
}

/** The same for one object: `json` is the object, not a list of one. */
export function prepareObject(format: string): (object: unknown) => string {
  return prepareInspect(format === 'json' ? '{{json .}}' : format).one
}
