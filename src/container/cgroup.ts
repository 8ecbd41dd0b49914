/** Reading and clearing cgroups through the file system, version 1 and 2. */

import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, signalProcess } from './process.ts'

const root = '/sys/fs/cgroup'
const SIGKILL = 9
const busyMs = 1000

/** Text of /proc/PID/cgroup → directory of the process in a hierarchy that has `controller` (or in version 2). */
export function cgroupDirectory(text: string, controller: string): string | undefined {
  let unified: string | undefined
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers.split(',').includes(controller)) return join(root, controllers, path)
    if (controllers === '' && path !== '') unified = join(root, path)
  }
  return unified
}

async function directoryOf(pid: number, controller: string): Promise<string | undefined> {
  try {
    return cgroupDirectory(await readFile(`/proc/${String(pid)}/cgroup`, 'utf8'), controller)
  } catch {
    return undefined
  }
}

/**
 * Moving a process into a cgroup takes a lock that nobody holds in everyday life; whoever takes it first waits for an
 * RCU grace period (8–16 ms), whoever comes within the next few milliseconds does not. Writing a process into the cgroup
 * it is in takes the lock and changes nothing: done when a start begins, the wait is over when the runtime gets there.
 */
export async function prepareMigration(): Promise<void> {
  const directory = await directoryOf(process.pid, 'pids')
  if (directory === undefined) return
  // Where this is not allowed the runtime waits itself.
  await writeFile(join(directory, 'cgroup.procs'), String(process.pid), { flag: 'r+' }).catch(() => undefined)
}

/** Pids of everything in the cgroup of a process, as the host numbers them. */
export async function cgroupProcesses(pid: number): Promise<readonly number[]> {
  const directory = await directoryOf(pid, 'pids')
  return directory === undefined ? [] : processesBelow(directory)
}

async function processesBelow(directory: string): Promise<number[]> {
  try {
    const text = await readFile(join(directory, 'cgroup.procs'), 'utf8')
    const own = text
      .split('\n')
      .filter(line => line !== '')
      .map(Number)
    const children = (await readdir(directory, { withFileTypes: true })).filter(entry => entry.isDirectory())
    const below = await Promise.all(children.map(child => processesBelow(join(directory, child.name))))
    return [...own, ...below.flat()]
  } catch {
    return []
  }
}

export async function isFrozen(pid: number): Promise<boolean> {
  const directory = await directoryOf(pid, 'freezer')
  if (directory === undefined) return false
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8').catch(() => '')
  const [state, events] = await Promise.all([read('freezer.state'), read('cgroup.events')])
  return state.trim() === 'FROZEN' || /^frozen 1$/m.test(events)
}

/** Removes the cgroups that a runtime left behind when it was killed itself, and ends what is in them. */
export async function removeCgroups(name: string): Promise<void> {
  const hierarchies = await readdir(root, { withFileTypes: true }).catch(() => [])
  const directories = [root, ...hierarchies.filter(one => one.isDirectory()).map(one => join(root, one.name))]
  for (const directory of directories) {
    const path = join(directory, 'linkspan', name)
    await eventually(async () => {
      try {
        await rmdir(path)
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return true
        for (const pid of await processesBelow(path)) signalProcess(pid, SIGKILL)
        return false
      }
    }, busyMs)
  }
}
