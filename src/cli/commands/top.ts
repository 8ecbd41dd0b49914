/** `top`: the processes of a container, as ps lists them. */
import { defineCommand } from '../command.ts'
import { alignColumns } from '../table.ts'
import { containerPath } from '../wire.ts'

export const top = defineCommand({
  usage: 'CONTAINER [ps OPTIONS]',
  flags: {},
  minimum: 1,
  passThrough: true,
  run: async (context, _values, [name = '', ...options]) => {
    const answer = await context.client.json<{
      Titles: readonly string[]
      Processes: readonly (readonly string[])[] | null
    }>('GET', containerPath(name, '/top'), {
      query: { ps_args: options.length === 0 ? undefined : options.join(' ') },
    })
    const lines = [answer.Titles, ...(answer.Processes ?? [])].map(cells => cells.join('\t'))
    context.stdout.write(alignColumns(`${lines.join('\n')}\n`, 20))
    return 0
  },
})
