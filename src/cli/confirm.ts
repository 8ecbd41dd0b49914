/** Asks before something is removed for good. */
import { createInterface } from 'node:readline'
import type { Context } from './context.ts'

export async function confirm(context: Context, warning: string): Promise<boolean> {
  context.stdout.write(`${warning}\nAre you sure you want to continue? [y/N] `)
  const lines = createInterface({ input: context.stdin })
  for await (const line of lines) {
    lines.close()
    return /^y$/i.test(line.trim())
  }
  return false
}
