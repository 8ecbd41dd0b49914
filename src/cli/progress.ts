/** What pull, load and import report on the way: one line per layer that changes in place on a terminal, else plain lines. */
import { Failure } from './failure.ts'
import { humanSize } from './units.ts'
import type { Output } from './context.ts'

export interface ProgressLine {
  readonly status?: string
  readonly id?: string
  readonly stream?: string
  readonly progress?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
}

function bar(detail: ProgressLine['progressDetail']): string {
  const { current = 0, total = 0 } = detail ?? {}
  if (current <= 0) return ''
  if (total <= 0) return humanSize(current)
  const done = Math.min(50, Math.floor((current / total) * 50))
  const arrow = done < 50 ? '>' : ''
  return `[${'='.repeat(done)}${arrow}${' '.repeat(Math.max(0, 50 - done - 1))}] ${humanSize(current)}/${humanSize(total)}`
}

/** Writes the messages to `output`; an error among them ends it. */
export async function showProgress(messages: AsyncIterable<ProgressLine>, output: Output): Promise<void> {
  const rows = new Map<string, number>()
  let height = 0
  for await (const message of messages) {
    if (message.error !== undefined) throw new Failure(message.errorDetail?.message ?? message.error)
    if (message.stream !== undefined) {
      output.write(message.stream)
      continue
    }
    const progress = message.progress ?? bar(message.progressDetail)
    const label = message.id === undefined || message.id === '' ? '' : `${message.id}: `
    const line = `${label}${message.status ?? ''}${progress === '' ? '' : ` ${progress}`}`
    if (output.isTTY !== true) {
      // Bars are for eyes; a log gets what happened only.
      if (progress === '') output.write(`${line}\n`)
      continue
    }
    if (label === '' || message.progressDetail === undefined) {
      output.write(`${line}\n`)
      rows.clear()
      height = 0
      continue
    }
    const row = rows.get(label)
    if (row === undefined) {
      rows.set(label, height)
      height += 1
      output.write(`${line}\n`)
    } else {
      const up = height - row
      output.write(`\u001B[${up}A\u001B[2K\r${line}\r\u001B[${up}B`)
    }
  }
}
