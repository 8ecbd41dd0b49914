/** Processes by what the kernel says of them in /proc: nobody is ended who is not meant. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Fields of /proc/PID/stat behind the name, which may hold spaces and parentheses; undefined if there is no such process. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** Start time in clock ticks since boot: tells a process from a later one with the same number. Zombies have none. */
export function startTimeOf(pid: number): string | undefined {
  const stat = statOf(pid)
  return stat?.[0] === 'Z' ? undefined : stat?.[19]
}

/** Identity of a namespace as /proc shows it: `net:[4026531840]`. undefined if the file is no namespace. */
export function namespaceOf(path: string, kind: 'net' | 'mnt'): string | undefined {
  try {
    return `${kind}:[${statSync(path).ino}]`
  } catch {
    return undefined
  }
}

interface Running {
  readonly pid: number
  readonly parent: number
  readonly startTime: string
  readonly inside: boolean
}

function processes(namespaces: ReadonlySet<string>): Running[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      const pid = Number(name)
      const stat = statOf(pid)
      const [state, parent, startTime] = [stat?.[0], stat?.[1], stat?.[19]]
      if (state === undefined || state === 'Z' || parent === undefined || startTime === undefined) return []
      const inside = ['net', 'mnt'].some(kind => {
        try {
          return namespaces.has(readlinkSync(`/proc/${pid}/ns/${kind}`))
        } catch {
          return false
        }
      })
      return [{ pid, parent: Number(parent), startTime, inside }]
    })
}

/** Everything that lives in the namespaces, and what it has started elsewhere (containers). Never this process. */
export function livingIn(namespaces: ReadonlySet<string>): Running[] {
  const all = processes(namespaces)
  const members = new Set(all.filter(one => one.inside).map(one => one.pid))
  for (let grown = true; grown;) {
    grown = false
    for (const { pid, parent } of all) {
      if (members.has(parent) && !members.has(pid)) {
        members.add(pid)
        grown = true
      }
    }
  }
  return all.filter(one => members.has(one.pid) && one.pid !== process.pid)
}

function send(one: Pick<Running, 'pid' | 'startTime'>, signal: NodeJS.Signals): void {
  if (startTimeOf(one.pid) !== one.startTime) return
  try {
    process.kill(one.pid, signal)
  } catch {
    // It has ended by itself in between.
  }
}

/** Asks all of them to end, waits at most `graceMs`, then ends whoever is left. */
export async function endAll(namespaces: ReadonlySet<string>, graceMs: number): Promise<void> {
  for (const one of livingIn(namespaces)) send(one, 'SIGTERM')
  for (let waited = 0; waited < graceMs && livingIn(namespaces).length > 0; waited += 50) await sleep(50)
  // A killed monitor frees its container's processes to init: look again until nobody is left.
  for (let round = 0; round < 40; round += 1) {
    const left = livingIn(namespaces)
    if (left.length === 0) return
    for (const one of left) send(one, 'SIGKILL')
    await sleep(50)
  }
}
