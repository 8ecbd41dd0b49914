/** `rules`: what stands in the kernel because of one container, and what others wrote about it. */
import type { OwnRules } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { text } from '../flags.ts'
import { alignColumns } from '../table.ts'
import { checkJsonFormat } from '../json-format.ts'

export const rules = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  flags: { format: text("'json' for JSON") },
  minimum: 1,
  maximum: 1,
  examples: [
    [
      'linkspan rules web',
      'Rules and elements that concern web, why they are there, how often they were hit',
    ],
  ],
  run: async (context, values, [container = '']) => {
    const asJson = checkJsonFormat(values.format)
    const path = `/linkspan/v1/containers/${encodeURIComponent(container)}/rules`
    const found = await context.client.json<OwnRules>('GET', path)
    if (asJson) context.print(JSON.stringify(found))
    else {
      const rows = found.Rules.map(({ Table, Place, Rule, Reason, Hits }) =>
        [Table, Place, Rule, Reason, Hits === null ? '-' : String(Hits)].join('\t'),
      )
      context.print(alignColumns(['TABLE\tPLACE\tRULE\tREASON\tHITS', ...rows].join('\n')))
    }
    return 0
  },
})
