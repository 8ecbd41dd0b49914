/**
 * `npm run bench [-- SECTION…] [--rounds N] [--json FILE] [--base CHECKOUT]`: measures, and prints ratios to what was measured in the
 * same run. scripts/bench runs it in a network namespace of its own, so nothing here can touch the machine's, and takes
 * away what a run leaves that is ended by force.
 */
import { writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import { connect } from './connect.ts'
import { openContext, type Context } from './context.ts'
import { dns } from './dns.ts'
import { makeBusyboxArchive } from './engine.ts'
import { explain } from './explain.ts'
import { network } from './network.ts'
import { ports } from './ports.ts'
import { run } from './run-container.ts'
import { renderSection, summarize, type Section } from './table.ts'

const sections: Readonly<Record<string, (context: Context) => Promise<Section>>> = {
  connect,
  network,
  run,
  ports,
  dns,
  explain,
}

const directory = process.env['LINKSPAN_BENCH_DIR']
if (directory === undefined) throw new Error('start it with scripts/bench, which makes namespaces for it')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, rounds: { type: 'string', default: '15' }, base: { type: 'string' } },
})
const names = positionals.length === 0 ? Object.keys(sections) : positionals
const unknown = names.filter(name => sections[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`no section ${unknown.join(', ')}; there are ${Object.keys(sections).join(', ')}\n`)
  process.exit(2)
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(`ended by ${signal}`)))
}

const machine = {
  kernel: release(),
  cores: cpus().length,
  model: cpus()[0]?.model ?? '',
  node: process.version,
  load: loadavg()[0] ?? 0,
}
const context = openContext({
  directory,
  rounds: Math.max(1, Number(values.rounds)),
  base: values.base,
  signal: stop.signal,
})
const done: Section[] = []
try {
  await makeBusyboxArchive(directory)
  process.stdout.write(
    `kernel ${machine.kernel}, ${machine.cores} cores (${machine.model}), node ${machine.node}, load ${machine.load.toFixed(1)}\n`,
  )
  for (const name of names) {
    const section = await sections[name]?.(context)
    if (section === undefined) continue
    done.push(section)
    process.stdout.write(renderSection(section))
  }
} catch (error) {
  process.exitCode = 1
  process.stderr.write(
    `${stop.signal.aborted ? String(stop.signal.reason) : ((error as Error).stack ?? '')}\n`,
  )
} finally {
  await context.close()
  if (values.json !== undefined) {
    const notes = Object.fromEntries(done.map(({ name, notes }) => [name, notes]))
    const samples = Object.fromEntries(
      done.flatMap(section => section.rows.map(row => [`${section.name}: ${row.name}`, row.wall])),
    )
    const report = { machine, at: new Date().toISOString(), results: done.flatMap(summarize), notes, samples }
    writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
}
// Kept connections and the kernel worker are closed; what a failed section left open must not hold us.
process.exit()
