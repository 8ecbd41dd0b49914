/** `events`: what happens in the engine, as it happens. */
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { filterQuery, filters, text } from '../flags.ts'
import { compileTemplate, TemplateError } from '../template/index.ts'
import { nanoTime, toTimestamp } from '../units.ts'

interface EventMessage {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> | null }
  /** Seconds. */
  readonly time?: number
}

/** Nanoseconds since the epoch are too large for a number: they are read off the text itself. */
function momentOf(event: EventMessage, source: string): bigint {
  const digits = /"timeNano":(\d+)/.exec(source)?.[1]
  return digits === undefined ? BigInt(event.time ?? 0) * 1_000_000_000n : BigInt(digits)
}

function lineOf(event: EventMessage, source: string): string {
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
  const tail = attributes === '' ? '' : ` (${attributes})`
  return `${nanoTime(momentOf(event, source))} ${event.Type} ${event.Action} ${event.Actor.ID}${tail}`
}

function renderer(format: string): (event: EventMessage, source: string) => string {
  if (format === '') return lineOf
  if (format === 'json') return (_, source) => source
  try {
    const template = compileTemplate(format, { missing: 'empty' })
    return event => template.render(event)
  } catch (error) {
    if (error instanceof TemplateError)
      throw new Failure(`Error parsing format: ${error.message}`, 64, { cause: error })
    throw error
  }
}

export const events = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    filter: filters('Filter output based on conditions provided', { short: 'f' }),
    format: text("'json' or a Go template"),
    since: text('Show all events created since timestamp'),
    until: text('Stream events until this timestamp'),
  },
  minimum: 0,
  maximum: 0,
  examples: [['linkspan events --since 10m --filter type=network', 'Who was connected and disconnected']],
  run: async (context, values) => {
    const render = renderer(values.format)
    const time = (value: string): string | undefined =>
      value === '' ? undefined : toTimestamp(value, context.now())
    const messages = context.client.lines('GET', '/events', {
      query: { filters: filterQuery(values.filter), since: time(values.since), until: time(values.until) },
    })
    for await (const line of messages) context.print(render(JSON.parse(line) as EventMessage, line))
    return 0
  },
})
