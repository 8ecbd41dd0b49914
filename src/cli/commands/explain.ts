/** `explain`: whether FROM reaches TO, hop by hop, and if not, why. */
import type { Explanation, Hop } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { text } from '../flags.ts'

export function checkJsonFormat(format: string): boolean {
  if (format !== '' && format !== 'json') throw new Failure(`invalid --format ${format}: there is json`, 125)
  return format === 'json'
}

const statuses = { REACHABLE: 0, BLOCKED: 1, UNKNOWN: 2 } as const
/** Of an error that is no answer: an unknown container, no engine. */
export const errorStatus = 125

export const explain = defineCommand({
  usage: '[OPTIONS] FROM TO[:PORT][/PROTO]',
  flags: { format: text("'json' for JSON") },
  minimum: 2,
  maximum: 2,
  examples: [
    ['linkspan explain web db:5432', 'Does web reach port 5432 of db, and by which way'],
    ['linkspan explain internet web:80', 'Can somebody outside reach it; FROM may be an address, too'],
    ['linkspan explain web host:53/udp', 'host and internet are ends like containers'],
    ['linkspan explain ci db:5432 && make test', 'Status 0 reachable, 1 blocked, 2 unknown'],
  ],
  run: async (context, values, [from = '', to = '']) => {
    const asJson = checkJsonFormat(values.format)
    const answer = await context.client
      .json<Explanation>('GET', '/linkspan/v1/explain', { query: { from, to } })
      .catch((error: unknown) => {
        throw new Failure(error instanceof Error ? error.message : String(error), errorStatus, {
          cause: error,
        })
      })
    context.print(asJson ? JSON.stringify(answer) : explanationText(answer))
    return statuses[answer.Verdict]
  },
})

const width = 78

function head({ From, To, Protocol, Verdict, Hop: hop }: Explanation): string {
  const target = To.Port === 0 ? To.Name : `${To.Name.includes(':') ? `[${To.Name}]` : To.Name}:${To.Port}`
  const title = `${From.Name} → ${target}/${Protocol}`
  const verdict = Verdict === 'REACHABLE' || hop === 0 ? Verdict : `${Verdict} at hop ${hop}`
  return `${title.padEnd(width - verdict.length - 1)} ${verdict}`
}

function hopLine(hop: Hop, widest: number, code: string): string {
  const counted = hop.Note === '' ? '' : `  ${hop.Note}`
  const mark = hop.Passes || code === '' ? '' : `  [${code}]`
  return `${String(hop.Number).padStart(2)}  ${hop.Label.padEnd(10)}  ${hop.Text.padEnd(widest)}${counted}${mark}`.trimEnd()
}

export function explanationText(answer: Explanation): string {
  const widest = Math.min(36, Math.max(0, ...answer.Hops.map(({ Text }) => Text.length)))
  const extra = (label: string, value: string) => (value === '' ? [] : [`${label.padEnd(5)} ${value}`])
  const codeless = answer.Hops.length === 0 && answer.Code !== '' ? `  [${answer.Code}]` : ''
  return [
    head(answer),
    ...answer.Hops.map(hop => hopLine(hop, widest, answer.Code)),
    ...extra('why', answer.Why === '' ? '' : answer.Why + codeless),
    ...extra('fix', answer.Fix),
    ...answer.Unknown.flatMap(each => extra('not', `evaluated: ${each}`)),
    ...answer.Also.flatMap(({ Code, Text }) => extra('also', Code === '' ? Text : `${Text}  [${Code}]`)),
    ...(answer.Return === '' ? [] : [answer.Return]),
  ].join('\n')
}
