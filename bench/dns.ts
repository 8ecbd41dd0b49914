/**
 * Names: local ones and forwarded ones, under load (dnsperf, many questions under way) and one after the other. Beside
 * dockerd, aardvark-dns (podman's) and the floor, a C program that sends every question back (answer.c).
 *
 * Every sample asks the same number of questions; what is told is the time per answer, and the CPU time that the answering
 * side took for all of them.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from './context.ts'
import { openEngines } from './context.ts'
import { openCpuGroup, type CpuGroup } from './cpu.ts'
import { type Engine, root } from './engine.ts'
import { alternate, type Case } from './measure.ts'
import { must, run } from './run.ts'
import type { Row, Section } from './table.ts'

const questions = 20_000
const serialQuestions = 2000
/** The server outside that everybody forwards to: an address of the lab's internet. */
const outside = '180.76.3.53'
const aardvark = ['/usr/lib/podman/aardvark-dns', '/usr/libexec/podman/aardvark-dns'].find(existsSync)

/** Somebody who answers, and how to ask it. */
interface Answerer {
  readonly name: string
  /** Runs a command where questions are asked from. */
  readonly inside: (argv: readonly string[]) => readonly string[]
  readonly server: string
  readonly localName: string
  readonly cpu?: () => number
  readonly forwards: boolean
  close(): Promise<void>
}

export async function dns(context: Context): Promise<Section> {
  const name = 'dns: time per answer'
  if ((await run(['sh', '-c', 'command -v dnsperf'])).code !== 0) {
    return { name, rows: [], notes: ['left out: dnsperf is not installed'] }
  }
  const compiled = await compile(context.directory, 'answer')
  const asker = await compile(context.directory, 'ask')
  if (compiled === undefined || asker === undefined)
    return { name, rows: [], notes: ['left out: there is no C compiler (cc)'] }
  const { engines, notes } = await openEngines(context)
  context.say('dns: local and forwarded')
  const answerers: Answerer[] = []
  const servers: ChildProcess[] = []
  try {
    for (const engine of engines) {
      servers.push(await serveOutside(engine, compiled))
      answerers.push(await engineAnswerer(engine))
    }
    const [ours] = engines
    if (ours !== undefined) {
      answerers.push(await floorAnswerer(context, ours, compiled))
      const left = aardvark === undefined ? 'aardvark-dns left out: it is not installed' : undefined
      if (left === undefined) answerers.push(await aardvarkAnswerer(context, ours))
      else notes.push(left)
    }
    const plan = { rounds: Math.max(3, Math.floor(context.rounds / 3)), warmup: 1, signal: context.signal }
    const rows: Row[] = []
    for (const [what, mode] of [
      ['local, under load', 'load'],
      ['local, one after the other', 'serial'],
      ['forwarded, under load', 'forwarded'],
    ] as const) {
      const able = answerers.filter(each => mode !== 'forwarded' || each.forwards)
      const samples = await alternate(
        able.map(each =>
          mode === 'serial' ? serialCase(asker, each, what) : loadCase(context, each, what, mode),
        ),
        plan,
      )
      for (const each of samples) {
        const isOurs = each.name.startsWith('linkspan,')
        const other =
          mode === 'serial'
            ? 'C floor'
            : samples.some(s => s.name.startsWith('aardvark'))
              ? 'aardvark-dns'
              : 'dockerd'
        const row = `${other}, ${what}`
        const known = isOurs && samples.some(one => one.name === row)
        const atMost = mode === 'serial' ? 1.5 : 1
        rows.push({ ...each, unit: 'µs', ...(known ? { reference: { row, atMost } } : {}) })
      }
    }
    return {
      name,
      rows,
      notes: [
        `each sample asks ${questions} questions under load, ${serialQuestions} one after the other; CPU is the answering side's for all of them`,
        'forwarded questions are all different, so that no cache can answer',
        ...notes,
      ],
    }
  } finally {
    for (const each of answerers.toReversed()) await each.close()
    for (const server of servers) await ended(server)
  }
}

/** One question after the other. */
function serialCase(asker: string, answerer: Answerer, what: string): Case {
  const argv = [asker, answerer.server, '53', answerer.localName, String(serialQuestions)]
  return {
    name: `${answerer.name}, ${what}`,
    ...(answerer.cpu === undefined ? {} : { cpu: answerer.cpu }),
    run: async () => Number(await must(answerer.inside(argv))),
  }
}

/** Many questions under way. */
function loadCase(context: Context, answerer: Answerer, what: string, mode: 'load' | 'forwarded'): Case {
  let round = 0
  return {
    name: `${answerer.name}, ${what}`,
    ...(answerer.cpu === undefined ? {} : { cpu: answerer.cpu }),
    run: async () => {
      const file = join(context.directory, 'questions')
      round += 1
      const lines = Array.from({ length: questions }, (_, index) =>
        mode === 'forwarded' ? `n${process.pid}-${round}-${index}.test A` : `${answerer.localName} A`,
      )
      writeFileSync(file, `${lines.join('\n')}\n`)
      const out = await must(
        answerer.inside([
          'dnsperf',
          '-s',
          answerer.server,
          '-d',
          file,
          '-n',
          '1',
          '-c',
          '8',
          '-q',
          '64',
          '-t',
          '5',
        ]),
      )
      const seconds = Number(/Run time \(s\):\s+([\d.]+)/.exec(out)?.[1])
      const completed = Number(/Queries completed:\s+(\d+)/.exec(out)?.[1])
      if (completed < questions * 0.999)
        throw new Error(`${answerer.name} lost ${questions - completed} questions:\n${out}`)
      return (seconds * 1e6) / completed
    },
  }
}

async function engineAnswerer(engine: Engine): Promise<Answerer> {
  await engine.docker('network', 'create', 'bench-dns')
  await engine.docker(
    'run',
    '-d',
    '--name',
    'bench-dns',
    '--network',
    'bench-dns',
    'busybox',
    'sleep',
    '3600',
  )
  const pid = await engine.docker('inspect', '-f', '{{.State.Pid}}', 'bench-dns')
  return {
    name: engine.name,
    inside: argv => ['nsenter', '-t', pid, '-n', ...argv],
    server: '127.0.0.11',
    localName: 'bench-dns',
    ...(engine.cpu === undefined ? {} : { cpu: engine.cpu }),
    forwards: true,
    close: async () => {
      await engine.tryDocker('rm', '-f', 'bench-dns')
      await engine.tryDocker('network', 'rm', 'bench-dns')
    },
  }
}

/** The host's resolv.conf names the floor program, out in the engine's own internet. */
async function serveOutside(engine: Engine, program: string): Promise<ChildProcess> {
  await must(engine.lab.argv('internet', ['ip', 'address', 'replace', `${outside}/32`, 'dev', 'lo']))
  const child = background(engine.lab.argv('internet', [program, outside, '53']))
  await must(engine.lab.argv('host', ['sh', '-c', `echo 'nameserver ${outside}' > /etc/resolv.conf`]))
  await sleep(200)
  return child
}

async function floorAnswerer(context: Context, engine: Engine, program: string): Promise<Answerer> {
  const group = openCpuGroup(join(context.directory, 'floor'))
  const argv = engine.lab.argv('host', [program, '127.0.0.90', '53'])
  const child = background(group?.argv(argv) ?? argv)
  await sleep(200)
  return {
    name: 'C floor',
    inside: words => engine.lab.argv('host', words),
    server: '127.0.0.90',
    localName: 'bench-dns',
    ...cpuOf(group),
    forwards: false,
    close: async () => {
      await ended(child)
      group?.remove()
    },
  }
}

/** On an address of the lab's host, with one network of one container, as netavark would write it. */
async function aardvarkAnswerer(context: Context, engine: Engine): Promise<Answerer> {
  const directory = join(context.directory, 'aardvark')
  mkdirSync(directory, { recursive: true })
  const address = '127.0.0.91'
  const id = 'a'.repeat(64)
  writeFileSync(join(directory, 'bench'), `${address}\n${id} ${address}  bench-dns\n`)
  const group = openCpuGroup(directory)
  // It puts itself into the background, and would keep our pipes.
  const line = `exec ${aardvark} --config ${directory} -p 53 run >/dev/null 2>&1`
  const argv = engine.lab.argv('host', ['sh', '-c', line])
  await run(group?.argv(argv) ?? argv)
  await sleep(500)
  return {
    name: 'aardvark-dns',
    inside: words => engine.lab.argv('host', words),
    server: address,
    localName: 'bench-dns',
    ...cpuOf(group),
    forwards: true,
    close: async () => {
      await run(['sh', '-c', `kill "$(cat ${join(directory, 'aardvark.pid')})"`])
      await sleep(200)
      group?.remove()
    },
  }
}

const cpuOf = (group: CpuGroup | undefined) => (group === undefined ? {} : { cpu: () => group.used() })

/** One of the C programs beside this file; undefined where there is no compiler. */
async function compile(directory: string, name: string): Promise<string | undefined> {
  const program = join(directory, name)
  const source = join(root, `bench/${name}.c`)
  const { code } = await run(['cc', '-O2', '-o', program, source]).catch(() => ({ code: 1 }))
  return code === 0 ? program : undefined
}

function background(argv: readonly string[]): ChildProcess {
  const [command = '', ...args] = argv
  return spawn(command, args, { stdio: 'ignore' })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill()
  await gone
}
