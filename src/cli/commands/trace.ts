/** `trace`: packets of containers as they pass the host's rules. */
import type { TracedPacket, TraceMessage } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { text } from '../flags.ts'
import { checkJsonFormat } from '../json-format.ts'

export const trace = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: {
    port: text('Only packets from or to this port'),
    format: text("'json' for one object per line"),
  },
  minimum: 1,
  examples: [
    ['linkspan trace web', 'Every packet from and to web, until Ctrl-C'],
    ['linkspan trace web db --port 5432', 'What web and db say to each other there'],
  ],
  run: async (context, values, containers) => {
    const asJson = checkJsonFormat(values.format)
    if (values.port !== '' && !/^\d{1,5}$/.test(values.port))
      throw new Failure(`invalid --port ${values.port}`)
    const query = { containers: containers.join(','), port: values.port === '' ? undefined : values.port }
    for await (const line of context.client.lines('GET', '/linkspan/v1/trace', { query })) {
      if (asJson) {
        context.print(line)
        continue
      }
      const message = JSON.parse(line) as TraceMessage
      if (message.Type === 'packet') context.print(packetText(message))
      else if (message.Type === 'overrun')
        context.warn('packets come faster than they can be told: some are missing')
      else
        context.warn(
          `following ${containers.join(', ')}; Ctrl-C ends it${message.Bridged ? '' : ' (traffic between ports of a bridge is not seen: the kernel lacks bridge tables)'}`,
        )
    }
    return 0
  },
})

export function packetText({
  Time,
  Protocol,
  Flags,
  From,
  To,
  Verdict,
  Path,
  Steps,
  Note,
}: TracedPacket): string {
  const time = new Date(Time).toTimeString().slice(0, 8)
  const port = ({ Name, Port }: TracedPacket['From']) => (Port === 0 ? Name : `${Name}:${Port}`)
  const last = Steps.at(-1)
  const end =
    Verdict === 'DROPPED'
      ? `DROPPED by ${last?.Table ?? ''} ${last?.Chain ?? ''}: ${last?.Rule || 'policy'}`
      : ''
  return [
    `${time}.${Time.slice(20, 23)} ${port(From)} → ${port(To)}`.padEnd(48),
    (Flags || Protocol).padEnd(8),
    Path.join(' ▸ '),
    Note === '' ? end : Note,
  ]
    .join('  ')
    .trimEnd()
}
