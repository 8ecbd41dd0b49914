/**
 * `docker top`: the rows of `ps -ef` for some processes, read from /proc (proc(5)). A process that ends while it is
 * being read is left out.
 */
import { readFile, readlink, stat } from 'node:fs/promises'

/** Kernel's USER_HZ: the unit of times in /proc, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

interface Row {
  readonly pid: number
  readonly cells: readonly string[]
}

interface Host {
  /** Seconds since the epoch. */
  readonly bootTime: number
  readonly uptime: number
  readonly users: ReadonlyMap<number, string>
}

async function host(): Promise<Host> {
  const [statText, uptimeText, passwd] = await Promise.all([
    readFile('/proc/stat', 'utf8'),
    readFile('/proc/uptime', 'utf8'),
    readFile('/etc/passwd', 'utf8').catch(() => ''),
  ])
  const users = new Map(
    passwd
      .split('\n')
      .map(line => line.split(':'))
      .filter(fields => fields.length > 2)
      .map(fields => [Number(fields[2]), fields[0] ?? '']),
  )
  return {
    bootTime: Number(/^btime (\d+)/m.exec(statText)?.[1] ?? 0),
    uptime: Number(uptimeText.split(' ')[0]),
    users,
  }
}

const two = (value: number): string => String(value).padStart(2, '0')

/** `ps` shows the hour of today's processes and the day of older ones. */
function startText(started: Date, now: Date): string {
  if (now.getTime() - started.getTime() < 24 * 3600 * 1000) {
    return `${two(started.getHours())}:${two(started.getMinutes())}`
  }
  const month = started.toLocaleString('en-US', { month: 'short' })
  return `${month}${two(started.getDate())}`
}

function timeText(ticks: number): string {
  const seconds = Math.floor(ticks / ticksPerSecond)
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

/** Name of a terminal by its device number; terminals of other mount namespaces are found by number alone. */
async function terminalText(pid: number, device: number): Promise<string> {
  if (device === 0) return '?'
  const major = (device >> 8) & 0xfff
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00)
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`
  const target = await readlink(`/proc/${pid}/fd/0`).catch(() => '?')
  return target.startsWith('/dev/') ? target.slice(5) : '?'
}

async function row(pid: number, { bootTime, uptime, users }: Host): Promise<Row | undefined> {
  try {
    const [line, command, owner] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      stat(`/proc/${pid}`),
    ])
    // The name is in parentheses and may hold any character: fields are counted from its end.
    const name = line.slice(line.indexOf('(') + 1, line.lastIndexOf(')'))
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    const at = (index: number): number => Number(fields[index - 3] ?? 0)
    const ticks = at(14) + at(15)
    const age = uptime - at(22) / ticksPerSecond
    const started = new Date((bootTime + at(22) / ticksPerSecond) * 1000)
    const share = age > 0 ? Math.min(99, Math.floor(((ticks / ticksPerSecond) * 100) / age)) : 0
    const text = command.replaceAll('\0', ' ').trim()
    return {
      pid,
      cells: [
        users.get(owner.uid) ?? String(owner.uid),
        String(pid),
        String(at(4)),
        String(share),
        startText(started, new Date()),
        await terminalText(pid, at(7)),
        timeText(ticks),
        text === '' ? `[${name}]` : text,
      ],
    }
  } catch {
    return undefined
  }
}

/** `Titles` and `Processes` as `GET /containers/{id}/top` has them, ascending by pid. */
export async function processTable(pids: readonly number[]): Promise<{
  readonly Titles: readonly string[]
  readonly Processes: readonly (readonly string[])[]
}> {
  const known = await host()
  const rows = await Promise.all(pids.map(async pid => row(pid, known)))
  return {
    Titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'],
    Processes: rows
      .filter(one => one !== undefined)
      .sort((a, b) => a.pid - b.pid)
      .map(one => one.cells),
  }
}
