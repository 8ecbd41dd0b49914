/** The command that shows the same as the open view: its text twin, in the foot. */
import { signal } from '@preact/signals'

export const command = signal('linkspan graph')

/** A word of a shell line, quoted where it must be. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
