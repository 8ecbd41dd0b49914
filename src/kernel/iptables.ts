/**
 * iptables(8) as typed functions: the tables as iptables-save writes them, changes as iptables-restore takes them.
 *
 * Facts it lives by:
 * - The plain command's name decides which of the two kernel interfaces is used (nf_tables or legacy xtables); the
 *   administrator sets it for the whole host, and rules of the other one are invisible to it.
 * - With --noflush each table is one transaction. Tables are committed in the order of the text; at the first line that
 *   fails it stops, and the tables before it stay changed.
 * - Naming an existing chain with `:CHAIN` empties it even with --noflush. `-N` does not, and fails if it exists.
 * - Deleting a rule that is not there fails.
 */
import { spawnSync } from 'node:child_process'
import { KernelError, toKernelError } from './error.ts'
import type { IptablesChange, IptablesRule, IptablesTable } from './operation.ts'

/** iptables waits for the lock of whoever else is changing rules; not for ever. */
const timeoutMs = 30_000

const programs = {
  4: { save: 'iptables-save', restore: 'iptables-restore' },
  6: { save: 'ip6tables-save', restore: 'ip6tables-restore' },
} as const

/** What iptables-save wrote. Tables that nobody has used yet are missing. */
export function parseTables(text: string): readonly IptablesTable[] {
  const tables: { name: string; chains: Map<string, string>; rules: IptablesRule[] }[] = []
  for (const line of text.split('\n')) {
    const table = tables.at(-1)
    const [, packets, sign = '', rest = ''] = /^(?:\[(\d+):\d+\] )?(\*|:|-A )(.*)$/.exec(line) ?? []
    const [first = '', ...others] = rest.split(' ')
    if (sign === '*') tables.push({ name: first, chains: new Map(), rules: [] })
    else if (sign === ':') table?.chains.set(first, others[0] ?? '-')
    else if (sign === '-A ') {
      const counted = packets === undefined ? {} : { packets: Number(packets) }
      table?.rules.push({ chain: first, spec: others.join(' '), ...counted })
    }
  }
  return tables
}

/** The text for iptables-restore --noflush. */
export function emitChanges(changes: readonly IptablesChange[]): string {
  return changes.map(({ table, lines }) => [`*${table}`, ...lines, 'COMMIT', ''].join('\n')).join('')
}

/**
 * The same changes for tables that somebody else has changed: rules that are gone need no deletion, chains that are
 * gone are made again.
 */
export function fitChanges(
  changes: readonly IptablesChange[],
  tables: readonly IptablesTable[],
): readonly IptablesChange[] {
  return changes.map(change => {
    const found = tables.find(({ name }) => name === change.table)
    const missing = change.chains.filter(chain => found?.chains.has(chain) !== true)
    const made = new Set(missing)
    const left = (found?.rules ?? []).map(({ chain, spec }) => `${chain} ${spec}`)
    const lines = change.lines.filter(line => {
      if (line.startsWith('-N ')) return !made.has(line.slice(3)) && found?.chains.has(line.slice(3)) !== true
      if (!line.startsWith('-D ')) return true
      const at = left.indexOf(line.slice(3))
      if (at >= 0) left.splice(at, 1)
      return at >= 0
    })
    return { ...change, lines: [...missing.map(chain => `-N ${chain}`), ...lines] }
  })
}

/** All tables there are. Fails with ENOENT where the program is not installed. */
export function readTables(family: 4 | 6, counted = false): readonly IptablesTable[] {
  const { save } = programs[family]
  const { status, stdout, stderr, error } = spawnSync(save, counted ? ['-c'] : [], {
    encoding: 'utf8',
    timeout: timeoutMs,
    maxBuffer: 256 * 1024 * 1024,
  })
  const doing = `read the tables of ${save}`
  if (error !== undefined) throw toKernelError(error, doing)
  if (status !== 0) throw new KernelError({ code: 'EIO', syscall: save, doing, detail: stderr.trim() })
  return parseTables(stdout)
}

/**
 * Applies the changes, all of them or none. Only if that fails are the tables read, and the changes fitted to what is
 * there: the usual case is one process.
 */
export function restoreTables(
  family: 4 | 6,
  changes: readonly IptablesChange[],
  undo: readonly IptablesChange[],
): void {
  const failed = restore(family, changes)
  if (failed === undefined) return
  const rest = fitChanges(changes.slice(failed.position), readTables(family))
  const again = restore(family, rest)
  if (again === undefined) return
  const committed = changes.slice(0, failed.position + again.position).map(({ table }) => table)
  const back = undo.filter(({ table }) => committed.includes(table))
  const rollback = restore(family, fitChanges(back, readTables(family)))
  throw again.error.with(rollback === undefined ? {} : { rollback: [rollback.error.message] })
}

interface Failed {
  /** Of the table whose changes failed; those before it are committed. */
  readonly position: number
  readonly error: KernelError
}

function restore(family: 4 | 6, changes: readonly IptablesChange[]): Failed | undefined {
  if (changes.length === 0) return undefined
  const program = programs[family].restore
  const doing = 'change the rules of iptables'
  const { status, stderr, error } = spawnSync(program, ['--noflush', '--wait'], {
    input: emitChanges(changes),
    encoding: 'utf8',
    timeout: timeoutMs,
  })
  if (error !== undefined) throw toKernelError(error, doing)
  if (status === 0) return undefined
  return {
    position: failedTable(changes, Number(/line:? (\d+)/.exec(stderr)?.[1] ?? 1)),
    error: new KernelError({ code: 'EINVAL', syscall: program, doing, detail: stderr.trim() }),
  }
}

/** The table to which a line of the text (counted from 1) belongs. */
function failedTable(changes: readonly IptablesChange[], line: number): number {
  let end = 0
  const position = changes.findIndex(({ lines }) => {
    end += lines.length + 2
    return line <= end
  })
  return Math.max(position, 0)
}
