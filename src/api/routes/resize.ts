/** The size of a terminal in a query: `h` rows, `w` columns. */
import { fault } from '../../base/index.ts'
import type { Call } from '../call.ts'
import { integer } from '../query.ts'

export async function resizeTo(
  { query }: Call,
  resize: (rows: number, columns: number) => Promise<void>,
): Promise<void> {
  const rows = integer(query, 'h') ?? 0
  const columns = integer(query, 'w') ?? 0
  // The kernel keeps both in 16 bits.
  if (rows < 0 || rows > 65535 || columns < 0 || columns > 65535) {
    throw fault('invalidParameter', `invalid terminal size: ${rows} rows, ${columns} columns`)
  }
  await resize(rows, columns)
}
