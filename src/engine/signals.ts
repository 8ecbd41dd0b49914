/** Signals as users write them: `SIGTERM`, `term`, `15`. */
import { constants } from 'node:os'
import { fault } from '../base/index.ts'

const highestSignal = 64

export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number > 0 && number <= highestSignal) return number
  } else {
    const name = text.toUpperCase()
    const signals: Readonly<Record<string, number>> = constants.signals
    const number = signals[name.startsWith('SIG') ? name : `SIG${name}`]
    if (number !== undefined) return number
  }
  throw fault('invalidParameter', `Invalid signal: ${text}`)
}
