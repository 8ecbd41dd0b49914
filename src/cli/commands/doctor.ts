/** `doctor`: the host looked over, and mended where that is asked for. */
import type { Diagnosis, Finding } from '../../insight/index.ts'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { checkJsonFormat } from '../json-format.ts'

const marks = { ok: '✓', warning: '!', error: '✗' } as const

export const doctor = defineCommand({
  usage: '[OPTIONS] [CHECK...]',
  flags: {
    fix: boolean('Mend what can be mended, or the checks that are named'),
    format: text("'json' for JSON"),
  },
  minimum: 0,
  examples: [
    ['linkspan doctor', 'Status 0: all is well, 1: warnings, 2: errors'],
    ['linkspan doctor --fix', 'Mend forwarding, links and rules of this engine'],
    ['linkspan doctor --fix forward', "Let containers through a foreign firewall's FORWARD policy, too"],
  ],
  run: async (context, values, checks) => {
    const asJson = checkJsonFormat(values.format)
    if (checks.length > 0 && !values.fix)
      throw new Failure('CHECK goes with --fix: linkspan doctor --fix CHECK')
    const found = values.fix
      ? await context.client.json<Diagnosis>('POST', '/linkspan/v1/doctor/fix', {
          query: { checks: checks.join(',') },
        })
      : await context.client.json<Diagnosis>('GET', '/linkspan/v1/doctor')
    if (asJson) context.print(JSON.stringify(found))
    else {
      for (const finding of found.Findings) context.print(line(finding))
      context.print(`${counted(found.Warnings, 'warning')}, ${counted(found.Errors, 'error')}`)
    }
    return found.Errors > 0 ? 2 : found.Warnings > 0 ? 1 : 0
  },
})

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

function line({ Status, Text, Fix }: Finding): string {
  return `${marks[Status]} ${Text}${Fix === '' ? '' : `\n    fix: ${Fix}`}`
}
