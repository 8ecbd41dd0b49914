/**
 * Children that Node did not start. A program that starts another and goes (an OCI runtime with `--detach`) leaves it
 * to the nearest ancestor that is a subreaper. Being one only while such a program runs keeps strangers away; what was
 * inherited stays ours and is waited for by its pid. libuv waits for its own children by pid as well, so neither takes
 * the other's.
 */

import { constants } from 'node:os'
import { attempt, call } from './ffi.ts'

const PR_SET_CHILD_SUBREAPER = 36
const WNOHANG = 1
const { ECHILD, EINTR } = constants.errno

let inheriting = 0
const waiting = new Map<number, (code: number | undefined) => void>()

/** Runs `start`; the orphans of processes that end meanwhile become children of this process. */
export async function inheritOrphans<T>(start: () => Promise<T>): Promise<T> {
  if (inheriting++ === 0) call('inherit orphans', 'prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  try {
    return await start()
  } finally {
    if (--inheriting === 0) call('leave orphans alone', 'prctl', PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
  }
}

/**
 * Waits for the end of a child that Node did not start. Resolves with its exit code (128 + signal if it was killed),
 * or with undefined if it is no child of this process.
 */
export async function orphanExit(pid: number): Promise<number | undefined> {
  return new Promise(resolve => {
    if (waiting.size === 0) process.on('SIGCHLD', collect)
    waiting.set(pid, resolve)
    collectOne(pid, resolve)
  })
}

function collect(): void {
  for (const [pid, resolve] of waiting) collectOne(pid, resolve)
}

function collectOne(pid: number, resolve: (code: number | undefined) => void): void {
  const status = Buffer.alloc(4)
  const result = attempt('waitpid', pid, status, WNOHANG)
  if (result === 0 || result === -EINTR) return
  waiting.delete(pid)
  if (waiting.size === 0) process.off('SIGCHLD', collect)
  resolve(result === -ECHILD ? undefined : exitCode(status.readInt32LE(0)))
}

/** wait(2)'s status as a shell says it. */
function exitCode(status: number): number {
  const signal = status & 0x7f
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal
}
