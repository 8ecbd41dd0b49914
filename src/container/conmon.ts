/**
 * Starting one conmon. It daemonizes into a session of its own and inherits nothing of ours but a file for its
 * complaints and the sync pipe (fd 3), on which it says once how the runtime's `create` went:
 * `{"data": PID}` or `{"data": -1, "message": "…"}`.
 */

import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fault } from '../base/index.ts'
import { runtimeFault } from './messages.ts'
import { signalProcess } from './process.ts'

export interface ConmonLaunch {
  readonly conmon: string
  readonly runtime: { readonly name: string; readonly path: string }
  readonly runtimeState: string
  readonly systemdCgroup: boolean
  readonly id: string
  readonly name: string
  readonly bundle: string
  readonly exits: string
  /** undefined = none is kept. */
  readonly log: string | undefined
  readonly terminal: boolean
  readonly stdin: boolean
  readonly leaveStdinOpen: boolean
  /** args[0], for the error message. */
  readonly program: string
  readonly timeoutMs: number
}

export function conmonArguments(launch: ConmonLaunch): string[] {
  const { bundle } = launch
  const options: Readonly<Record<string, string>> = {
    '--api-version': '1',
    '--cid': launch.id,
    '--cuuid': launch.id,
    '--name': launch.name,
    '--bundle': bundle,
    '--runtime': launch.runtime.path,
    '--runtime-arg': `--root=${launch.runtimeState}`,
    '--container-pidfile': join(bundle, 'pid'),
    '--conmon-pidfile': join(bundle, 'conmon.pid'),
    '--exit-dir': launch.exits,
    '--log-path': launch.log === undefined ? 'none' : `k8s-file:${launch.log}`,
    '--log-level': 'warn',
  }
  const flags: Readonly<Record<string, boolean>> = {
    '--full-attach': true,
    '--no-new-keyring': true,
    '--no-sync-log': true,
    '--systemd-cgroup': launch.systemdCgroup,
    '--terminal': launch.terminal,
    '--stdin': launch.stdin,
    '--leave-stdin-open': launch.leaveStdinOpen,
  }
  const given = Object.entries(flags).flatMap(([flag, on]) => (on ? [flag] : []))
  return [...Object.entries(options).flat(), ...given]
}

/** Starts conmon and waits until the container is created; resolves with its pid on the host. */
export async function launchConmon(launch: ConmonLaunch): Promise<number> {
  const complaints = await open(join(launch.bundle, 'conmon.err'), 'w')
  try {
    const child = spawn(launch.conmon, conmonArguments(launch), {
      cwd: launch.bundle,
      detached: true,
      stdio: ['ignore', 'ignore', complaints.fd, 'pipe'],
      env: environment(),
    })
    const answer = await syncAnswer(
      launch.timeoutMs,
      child.stdio[3] as Readable,
      new Promise((_, reject) => child.once('error', reject)),
    )
    if (answer === 'timeout') {
      await killConmon(launch.bundle)
      throw fault(
        'internal',
        `${launch.runtime.name} did not create the container within ${String(launch.timeoutMs / 1000)} s`,
      )
    }
    if (answer !== undefined && answer.data > 0) return answer.data
    const output = answer?.message ?? (await readFile(join(launch.bundle, 'conmon.err'), 'utf8'))
    throw runtimeFault('create', launch.runtime.name, launch.program, output)
  } finally {
    await complaints.close()
  }
}

/** What conmon and the runtime need; never NOTIFY_SOCKET, which a runtime would hand to the container. */
function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS']
  return {
    ...Object.fromEntries(
      kept.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    _OCI_SYNCPIPE: '3',
  }
}

interface SyncAnswer {
  readonly data: number
  readonly message?: string
}

/** undefined if the pipe closes without a line. */
async function syncAnswer(
  timeoutMs: number,
  pipe: Readable,
  failed: Promise<never>,
): Promise<SyncAnswer | 'timeout' | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<'timeout'>(resolve => {
    timer = setTimeout(() => resolve('timeout'), timeoutMs)
  })
  const line = new Promise<SyncAnswer | undefined>((resolve, reject) => {
    let text = ''
    pipe.on('data', (data: Buffer) => {
      text += data.toString()
      const end = text.indexOf('\n')
      if (end < 0) return
      try {
        resolve(JSON.parse(text.slice(0, end)) as SyncAnswer)
      } catch (error) {
        reject(error)
      }
    })
    pipe.on('end', () => resolve(undefined))
    pipe.on('error', reject)
  })
  try {
    return await Promise.race([line, failed, timeout])
  } finally {
    clearTimeout(timer)
    pipe.destroy()
  }
}

/** The conmon of a bundle, if it runs. Its pid may belong to somebody else by now, so its command line is compared. */
export async function conmonPid(bundle: string): Promise<number | undefined> {
  try {
    const pid = Number(await readFile(join(bundle, 'conmon.pid'), 'utf8'))
    const words = (await readFile(`/proc/${String(pid)}/cmdline`, 'utf8')).split('\0')
    return words.includes(bundle) ? pid : undefined
  } catch {
    return undefined
  }
}

/** SIGKILL for a conmon that does not answer, and for the runtime it waits for. */
export async function killConmon(bundle: string): Promise<void> {
  const pid = await conmonPid(bundle)
  if (pid === undefined) return
  let children: number[] = []
  try {
    const text = await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
    children = text
      .split(' ')
      .filter(one => one !== '')
      .map(Number)
  } catch {
    // It just ended.
  }
  for (const one of [pid, ...children]) signalProcess(one, 9)
}
