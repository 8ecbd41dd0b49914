import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAlive } from './process.ts'
import { openRuntime } from './runtime.ts'
import { leftovers, openFixture, whyNoContainers, type Fixture } from './testing.ts'
import type { RunningProcess, RunSpec } from './types.ts'

const reason = whyNoContainers()
if (reason !== undefined) process.stderr.write(`crash: skipped, ${reason}\n`)

/** An engine that does nothing but start containers one after the other, and says of each what it has. */
const program = (index: string): string => `
import { readFileSync, writeFileSync } from 'node:fs'
import { openRuntime } from ${JSON.stringify(index)}

const { settings, specs } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const runtime = await openRuntime(settings)
for (const spec of specs) {
  const files = await runtime.files(spec.id)
  for (const path of Object.values(files)) writeFileSync(path, '')
  const process_ = await runtime.create(spec)
  console.log(JSON.stringify({ id: spec.id, state: 'created', process: process_ }))
  await runtime.start(spec.id)
  console.log(JSON.stringify({ id: spec.id, state: 'started', process: process_ }))
}
console.log('{}')
setInterval(() => undefined, 1000)
`

interface Report {
  readonly id?: string
  readonly state?: 'created' | 'started'
  readonly process?: RunningProcess
}

describe.runIf(reason === undefined)('an engine that is killed', () => {
  let fixture: Fixture
  let directory = ''
  let entry = ''

  beforeAll(async () => {
    fixture = await openFixture()
    directory = mkdtempSync('/tmp/lscrash-')
    const source = join(directory, 'engine.ts')
    writeFileSync(source, program(join(import.meta.dirname, 'runtime.ts')))
    const bundle = await rolldown({ input: source, platform: 'node', external: ['koffi'] })
    await bundle.write({ dir: directory, format: 'esm', entryFileNames: 'engine.mjs' })
    await bundle.close()
    entry = join(directory, 'engine.mjs')
  })
  afterAll(() => {
    fixture.remove()
    rmSync(directory, { recursive: true })
  })

  /** Runs an engine until `until` says so, kills it with SIGKILL, and answers with what it had reported. */
  async function runAndKill(
    specs: readonly RunSpec[],
    until: (reported: Promise<void>) => Promise<unknown>,
  ): Promise<Map<string, Report>> {
    const settings = join(directory, 'settings.json')
    writeFileSync(settings, JSON.stringify({ settings: fixture.settings, specs }))
    const modules = join(import.meta.dirname, '../../node_modules')
    const engine = spawn(process.execPath, [entry, settings], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_PATH: modules },
    })
    const reports = new Map<string, Report>()
    const all = new Promise<void>(resolve => {
      createInterface(engine.stdout).on('line', line => {
        const report = JSON.parse(line) as Report
        if (report.id === undefined) resolve()
        else reports.set(report.id, report)
      })
    })
    const gone = new Promise(resolve => engine.once('close', resolve))
    await until(all)
    engine.kill('SIGKILL')
    await gone
    return reports
  }

  const sleepers = (count: number): RunSpec[] =>
    Array.from({ length: count }, () => fixture.spec(['sh', '-c', 'echo up; exec sleep 60']))

  it('leaves containers running that the next one takes up', async () => {
    const specs = sleepers(2)
    const reports = await runAndKill(specs, all => all)
    const runtime = await openRuntime(fixture.settings)
    const ids = specs.map(spec => spec.id)
    await runtime.sweep(new Set(ids))
    for (const id of ids) {
      const started = reports.get(id)?.process
      if (started === undefined) throw new Error(`${id} was not reported`)
      const bundle = join(fixture.settings.execRoot, 'c', id.slice(0, 12))
      const conmon = readFileSync(join(bundle, 'conmon.pid'), 'utf8')
      // A session of its own, and nothing of the engine's in its hands.
      const fields = readFileSync(`/proc/${conmon}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      expect(fields[3]).toBe(conmon)
      expect(['0', '1', '2'].map(fd => readlinkSync(`/proc/${conmon}/fd/${fd}`))).toEqual([
        '/dev/null',
        '/dev/null',
        '/dev/null',
      ])
      const exit = new Promise(resolve => runtime.onExit((ended, status) => ended === id && resolve(status)))
      expect(await runtime.adopt(id, started, false)).toEqual(started)
      await runtime.kill(id, 9)
      expect(await exit).toMatchObject({ exitCode: 137 })
      await runtime.remove(id)
    }
    await runtime.close()
    expect(leftovers(fixture, ids)).toEqual([])
  })

  it('leaves nothing behind that a sweep does not find, whenever it dies', async () => {
    for (let round = 0; round < 16; round++) {
      const specs = sleepers(4)
      // From the first steps of its start to the middle of the fourth container.
      const reports = await runAndKill(specs, all => Promise.race([all, delay(90 + round * 23)]))
      const runtime = await openRuntime(fixture.settings)
      // Half of the rounds the next engine knows them all and discards what was not noted as running.
      if (round % 2 === 0) {
        for (const { id } of specs) await runtime.discard(id)
        for (const { id } of specs) await runtime.remove(id)
      }
      await runtime.sweep(new Set())
      await runtime.close()
      expect(
        leftovers(
          fixture,
          specs.map(spec => spec.id),
        ),
      ).toEqual([])
      for (const { process: started } of reports.values()) {
        if (started !== undefined) expect(await isAlive(started)).toBe(false)
      }
    }
  }, 60_000)
})
