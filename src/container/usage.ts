/**
 * What a container uses: its cgroups' counters, version 1 and 2, and those of its interfaces as /proc/PID/net/dev shows them from
 * outside. Everything is read at once; what a kernel does not count is zero.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cgroupDirectory } from './cgroup.ts'

export interface InterfaceUsage {
  readonly name: string
  readonly receivedBytes: number
  readonly receivedPackets: number
  readonly receivedErrors: number
  readonly receivedDropped: number
  readonly sentBytes: number
  readonly sentPackets: number
  readonly sentErrors: number
  readonly sentDropped: number
}

export interface Usage {
  /** Nanoseconds of CPU time since the container started. */
  readonly cpu: { readonly total: number; readonly user: number; readonly system: number }
  readonly throttling: { readonly periods: number; readonly throttled: number; readonly nanoseconds: number }
  /** Bytes; `limit` is the host's memory where there is none. */
  readonly memory: {
    readonly usage: number
    readonly limit: number
    /** memory.stat as the kernel names it. */
    readonly stat: Readonly<Record<string, number>>
  }
  readonly processes: { readonly current: number; readonly limit: number | undefined }
  readonly disk: { readonly readBytes: number; readonly writtenBytes: number }
  readonly interfaces: readonly InterfaceUsage[]
}

const ticksPerSecond = 100
const nanosecondsPerTick = 1e9 / ticksPerSecond

/** The usage of the container whose first process this is; undefined if that has ended. */
export async function readUsage(pid: number): Promise<Usage | undefined> {
  const text = await read(`/proc/${pid}/cgroup`)
  if (text === undefined) return undefined
  const directory = (controller: string) => cgroupDirectory(text, controller) ?? ''
  const [cpu, throttling, memory, processes, disk, interfaces] = await Promise.all([
    cpuOf(directory('cpuacct')),
    throttlingOf(directory('cpu')),
    memoryOf(directory('memory')),
    processesOf(directory('pids')),
    diskOf(directory('blkio')),
    read(`/proc/${pid}/net/dev`).then(parseNetDev),
  ])
  return { cpu, throttling, memory, processes, disk, interfaces }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}

const number = async (path: string): Promise<number> => Number((await read(path))?.trim() ?? 0) || 0

/** `name value` lines. */
async function table(path: string): Promise<Readonly<Record<string, number>>> {
  const lines = ((await read(path)) ?? '').split('\n')
  return Object.fromEntries(
    lines.flatMap(line => {
      const [name = '', value] = line.split(' ')
      return value === undefined ? [] : [[name, Number(value)]]
    }),
  )
}

async function cpuOf(directory: string): Promise<Usage['cpu']> {
  const unified = await table(join(directory, 'cpu.stat'))
  const { usage_usec: used, user_usec: user = 0, system_usec: system = 0 } = unified
  if (used !== undefined) return { total: used * 1000, user: user * 1000, system: system * 1000 }
  const split = await table(join(directory, 'cpuacct.stat'))
  return {
    total: await number(join(directory, 'cpuacct.usage')),
    user: (split['user'] ?? 0) * nanosecondsPerTick,
    system: (split['system'] ?? 0) * nanosecondsPerTick,
  }
}

async function throttlingOf(directory: string): Promise<Usage['throttling']> {
  const stat = await table(join(directory, 'cpu.stat'))
  return {
    periods: stat['nr_periods'] ?? 0,
    throttled: stat['nr_throttled'] ?? 0,
    nanoseconds: stat['throttled_time'] ?? (stat['throttled_usec'] ?? 0) * 1000,
  }
}

async function memoryOf(directory: string): Promise<Usage['memory']> {
  const [current, usage, max, limit, stat, total] = await Promise.all([
    read(join(directory, 'memory.current')),
    read(join(directory, 'memory.usage_in_bytes')),
    read(join(directory, 'memory.max')),
    read(join(directory, 'memory.limit_in_bytes')),
    table(join(directory, 'memory.stat')),
    read('/proc/meminfo'),
  ])
  const all = Number(/^MemTotal:\s+(\d+) kB/m.exec(total ?? '')?.[1] ?? 0) * 1024
  // "max", and the page-aligned largest number of version 1, stand for "none".
  const asked = Number((max ?? limit ?? '').trim())
  return {
    usage: Number((current ?? usage ?? '0').trim()),
    limit: asked > 0 && asked < all ? asked : all,
    stat,
  }
}

async function processesOf(directory: string): Promise<Usage['processes']> {
  const [current, max] = await Promise.all([
    number(join(directory, 'pids.current')),
    read(join(directory, 'pids.max')),
  ])
  const limit = Number((max ?? 'max').trim())
  return { current, limit: Number.isNaN(limit) ? undefined : limit }
}

async function diskOf(directory: string): Promise<Usage['disk']> {
  const unified = await read(join(directory, 'io.stat'))
  const text = unified ?? (await read(join(directory, 'blkio.throttle.io_service_bytes_recursive'))) ?? ''
  const sum = (pattern: RegExp) =>
    [...text.matchAll(pattern)].reduce((all, [, value]) => all + Number(value), 0)
  return unified === undefined
    ? { readBytes: sum(/^\d+:\d+ Read (\d+)$/gm), writtenBytes: sum(/^\d+:\d+ Write (\d+)$/gm) }
    : { readBytes: sum(/\brbytes=(\d+)/g), writtenBytes: sum(/\bwbytes=(\d+)/g) }
}

/** /proc/net/dev: two lines of headings, then sixteen counters for each interface. The loopback is left out, as Docker does. */
export function parseNetDev(text: string | undefined): readonly InterfaceUsage[] {
  return (text ?? '').split('\n').flatMap(line => {
    const [, name, counters = ''] = /^\s*([^:\s]+):(.*)$/.exec(line) ?? []
    if (name === undefined || name === 'lo') return []
    const values = counters.trim().split(/\s+/).map(Number)
    const at = (index: number) => values[index] ?? 0
    return [
      {
        name,
        receivedBytes: at(0),
        receivedPackets: at(1),
        receivedErrors: at(2),
        receivedDropped: at(3),
        sentBytes: at(8),
        sentPackets: at(9),
        sentErrors: at(10),
        sentDropped: at(11),
      },
    ]
  })
}
