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
  readonly time?: number
  readonly timeNano?: number
}

/** Nanoseconds do not fit a JSON number exactly; microseconds are what is left, and enough to order by eye. */
function lineOf(event: EventMessage): string {
  const nanoseconds =
    event.timeNano === undefined ? BigInt(event.time ?? 0) * 1_000_000_000n : BigInt(event.timeNano)
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
  const tail = attributes === '' ? '' : ` (${attributes})`
  return `${nanoTime(nanoseconds)} ${event.Type} ${event.Action} ${event.Actor.ID}${tail}`
}

function renderer(format: string): (event: EventMessage) => string {
  if (format === '') return lineOf
  if (format === 'json') return event => JSON.stringify(event)
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
    const messages = context.client.stream<EventMessage>('GET', '/events', {
      query: { filters: filterQuery(values.filter), since: time(values.since), until: time(values.until) },
    })
    for await (const message of messages) context.print(render(message))
    return 0
  },
})
