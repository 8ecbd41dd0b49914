/** `logs` */
import { defineCommand } from '../command.ts'
import { boolean, text } from '../flags.ts'
import { createDemultiplexer } from '../stdcopy.ts'
import { toTimestamp } from '../units.ts'
import { containerPath, type ContainerDetails } from '../wire.ts'

export const logs = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  flags: {
    details: boolean('Show extra details provided to logs'),
    follow: boolean('Follow log output', { short: 'f' }),
    since: text(
      'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    ),
    tail: text('Number of lines to show from the end of the logs', { short: 'n', initial: 'all' }),
    timestamps: boolean('Show timestamps', { short: 't' }),
    until: text('Show logs before a timestamp or relative (e.g. "42m" for 42 minutes)'),
  },
  minimum: 1,
  maximum: 1,
  examples: [['linkspan logs -f --tail 20 web', 'The last 20 lines, then what comes']],
  run: async (context, values, [name = '']) => {
    const { Id: id, Config: config } = await context.client.json<ContainerDetails>(
      'GET',
      containerPath(name, '/json'),
    )
    const time = (value: string): string | undefined => {
      const stamp = toTimestamp(value, context.now())
      return stamp === '' ? undefined : stamp
    }
    const answer = await context.client.open('GET', containerPath(id, '/logs'), {
      query: {
        details: values.details,
        follow: values.follow,
        since: time(values.since),
        stderr: true,
        stdout: true,
        tail: values.tail,
        timestamps: values.timestamps,
        until: time(values.until),
      },
    })
    const demultiplex = createDemultiplexer()
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (config.Tty) context.stdout.write(chunk)
      else
        for (const { stream, data } of demultiplex(chunk))
          (stream === 1 ? context.stdout : context.stderr).write(data)
    }
    return 0
  },
})
