/** `explain`: whether FROM reaches TO, hop by hop, and if not, why. */
import type { Explanation, Hop, Verification } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { checkJsonFormat } from '../json-format.ts'
import { packetText } from './trace.ts'

/** Of --verify: the kernel does something else than was said. */
const disagreement = 3
const statuses = { REACHABLE: 0, BLOCKED: 1, UNKNOWN: 2 } as const
/** Of an error that is no answer: an unknown container, no engine. */
export const errorStatus = 125

export const explain = defineCommand({
  usage: '[OPTIONS] FROM TO[:PORT][/PROTO]',
  flags: {
    verify: boolean('Send a TCP probe, follow it, and say whether it does what was said'),
    format: text("'json' for JSON"),
  },
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
      .json<Explanation | Verification>('GET', '/linkspan/v1/explain', {
        query: { from, to, verify: values.verify },
      })
      .catch((error: unknown) => {
        throw new Failure(error instanceof Error ? error.message : String(error), errorStatus, {
          cause: error,
        })
      })
    context.print(asJson ? JSON.stringify(answer) : explanationText(answer))
    if (!('Probe' in answer)) return statuses[answer.Verdict]
    const { Result, Agrees, Packets } = answer.Probe
    if (!asJson) {
      for (const packet of Packets) context.print(packetText(packet))
      const word =
        Agrees === null
          ? 'the model did not commit itself'
          : Agrees
            ? 'model and kernel agree'
            : 'model and kernel DISAGREE: please report this'
      context.print(`probe ${Result}: ${word}`)
    }
    return Agrees === false ? disagreement : statuses[answer.Verdict]
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
