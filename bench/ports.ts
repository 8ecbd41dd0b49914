/** Publishing ports: that it costs the same whatever is published already, and a connection as well. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, call } from '../src/kernel/ffi.ts'
import { inNamespace, openNamespace } from '../src/kernel/namespace.ts'
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM, socketAddress } from '../src/kernel/socket.ts'
import { hostAddress } from '../src/lab/plan.ts'
import { type Context, openEngines } from './context.ts'
import { type Engine, openLinkspan } from './engine.ts'
import { alternate, type Case, median } from './measure.ts'
import { againstEachOther, type Row, type Section } from './table.ts'

/** Ports of one bulk container: shifted by 10,000, so that each is an element of its own and not part of a range. */
const bulk = 1000
const firstBulkPort = 20_000
const shift = 10_000
/** Fits into a listening socket's queue, so that nobody needs to accept. */
const connectionsPerSample = 400
const SOL_SOCKET = 1
const SO_LINGER = 13

export async function ports(context: Context): Promise<Section> {
  const { engines, notes } = await openEngines(context)
  const [ours] = engines
  if (ours === undefined) throw new Error('there is no engine')
  const plan = { rounds: context.rounds, warmup: 2, signal: context.signal }
  const rows: Row[] = []
  const single = 'start with 1 published port'
  context.say('ports: one, a hundred, a thousand in one container')
  const wide = await alternate(
    [
      startCase(ours, single, one),
      startCase(ours, 'start with 100 published ports', ['-p', '20000-20099:20000-20099']),
      startCase(ours, 'start with 1,000 published ports', ['-p', '20000-20999:20000-20999']),
      startCase(ours, 'start with 1,000 shifted ports', ['-p', '20000-20999:30000-30999']),
      removeCase(ours, 'remove with 1 published port', one),
      removeCase(ours, 'remove with 1,000 published ports', ['-p', '20000-20999:20000-20999']),
    ],
    plan,
  )
  for (const each of wide) {
    const verb = each.name.split(' ')[0] ?? ''
    const row = `${verb} with 1 published port`
    const within = each.name.includes('1,000 published') ? { within: 10 } : {}
    rows.push({ ...each, unit: 'ms', ...(each.name === row ? {} : { reference: { row, ...within } }) })
  }

  const crowds = await Promise.all([0, 100, 1000, 10_000].map(count => openCrowd(context, count)))
  try {
    context.say('ports: with up to 10,000 published already')
    const starts = crowds.map(({ engine, label }) =>
      startCase(engine, `start, as published port ${label}`, one),
    )
    for (const each of await alternate(starts, plan)) {
      rows.push({ ...each, unit: 'ms', ...flat(each.name, 'start, as published port 1') })
    }
    const listeners = await Promise.all(crowds.map(openListener))
    const connecting = listeners.map(({ label, connectMany }): Case => ({
      name: `new connection, ${label} published`,
      run: connectMany,
    }))
    for (const each of await alternate(connecting, plan)) {
      rows.push({ ...each, unit: 'µs', ...flat(each.name, 'new connection, 1 published') })
    }
    for (const each of listeners) each.close()
  } finally {
    context.say('ports: clearing up')
    await Promise.all(crowds.map(({ engine }) => engine.close()))
  }

  if (engines.some(engine => engine.name === 'dockerd')) {
    context.say('ports: beside dockerd')
    const cases = engines.flatMap(engine => [
      startCase(engine, `${engine.name}, start with 1 port`, one),
      startCase(engine, `${engine.name}, start with 100 ports`, ['-p', '20000-20099:20000-20099']),
    ])
    const rounds = Math.max(3, Math.floor(context.rounds / 5))
    rows.push(...againstEachOther(await alternate(cases, { ...plan, rounds, warmup: 1 })))
  }
  return {
    name: 'ports: publishing',
    rows,
    notes: ['connections: connect(2) from another machine to a listener that needs no accept', ...notes],
  }
}

const cpuOf = (engine: Engine) => (engine.cpu === undefined ? {} : { cpu: engine.cpu })
const container = 'bench-port'
const one = ['-p', '8080:80']

function startCase(engine: Engine, name: string, flags: readonly string[]): Case {
  return {
    name,
    before: () => engine.docker('create', '--name', container, ...flags, 'busybox', 'sleep', '100000'),
    run: () => engine.api.call('POST', `/containers/${container}/start`),
    after: () => engine.docker('rm', '-f', container),
    ...cpuOf(engine),
  }
}

function removeCase(engine: Engine, name: string, flags: readonly string[]): Case {
  return {
    name,
    before: () => engine.docker('run', '-d', '--name', container, ...flags, 'busybox', 'sleep', '100000'),
    run: () => engine.api.call('DELETE', `/containers/${container}?force=1`),
    ...cpuOf(engine),
  }
}

/** Nothing may depend on how much is published: what the noise of a start allows. */
function flat(name: string, row: string): Pick<Row, 'reference'> {
  return name === row ? {} : { reference: { row, atMost: 1.2 } }
}

interface Crowd {
  readonly engine: Engine
  /** How many are published with the one that is measured. */
  readonly label: string
}

/** An engine of its own with `count` ports in its tables. */
async function openCrowd(context: Context, count: number): Promise<Crowd> {
  const engine = await openLinkspan(join(context.directory, `p${count}`))
  for (let done = 0; done < count; done += bulk) {
    const from = firstBulkPort + done
    const to = from + Math.min(bulk, count - done) - 1
    const range = `${from}-${to}:${from + shift}-${to + shift}`
    await engine.docker('run', '-d', '-p', range, 'busybox', 'sleep', '100000')
  }
  return { engine, label: (count + 1).toLocaleString('en') }
}

interface Listener {
  readonly label: string
  readonly connectMany: () => number
  close(): void
}

async function openListener({ engine, label }: Crowd): Promise<Listener> {
  await engine.docker('run', '-d', '--name', container, ...one, 'busybox', 'sleep', '100000')
  const pid = await engine.docker('inspect', '-f', '{{.State.Pid}}', container)
  const inside = openNamespace(`/proc/${pid}/ns/net`)
  const outside = openNamespace(engine.lab.internet.path)
  return {
    label,
    connectMany: () => connectMany(inside, outside),
    close: () => {
      closeSync(inside)
      closeSync(outside)
    },
  }
}

/**
 * Time of one connect(2) in µs, the median of many, from the lab's internet to a published port. Synchronous, in this
 * thread: Node's own connecting would cost more than what is measured.
 */
function connectMany(inside: number, outside: number): number {
  const listener = inNamespace(inside, () => openSocket())
  try {
    const any = socketAddress('0.0.0.0', 80)
    const reuse = Buffer.from([1, 0, 0, 0])
    call('listen', 'setsockopt', listener, SOL_SOCKET, 2, reuse, 4)
    call('listen', 'bind', listener, any, any.length)
    call('listen', 'listen', listener, 4096)
    const target = socketAddress(hostAddress, 8080)
    // Closing resets the connection: nothing lingers in TIME_WAIT.
    const reset = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
    const times: number[] = []
    for (let count = 0; count < connectionsPerSample; count++) {
      const client = inNamespace(outside, () => openSocket())
      call('connect', 'setsockopt', client, SOL_SOCKET, SO_LINGER, reset, 8)
      const from = process.hrtime.bigint()
      const result = attempt('connect', client, target, target.length)
      times.push(Number(process.hrtime.bigint() - from) / 1000)
      closeSync(client)
      if (result !== 0) throw new Error(`connecting to a published port failed: errno ${-result}`)
    }
    return median(times)
  } finally {
    closeSync(listener)
  }
}

const openSocket = () => call('open a socket', 'socket', AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
