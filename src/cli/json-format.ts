/** Commands that know text and JSON only. */
import { Failure } from './failure.ts'

/** Says whether JSON was asked for. */
export function checkJsonFormat(format: string): boolean {
  if (format !== '' && format !== 'json') throw new Failure(`invalid --format ${format}: there is json`, 125)
  return format === 'json'
}
