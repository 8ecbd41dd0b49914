/**
 * Children that Node did not start. A program that starts another and goes (an OCI runtime with `--detach`) leaves it
 * to the nearest ancestor that is a subreaper. Being one only while such a program runs keeps strangers away; what was
 * inherited stays ours and is waited for by its pid. libuv waits for its own children by pid as well, so neither takes
 * the other's.
 *
 * A runtime that fails may leave a child nobody hears of. It has to be waited for all the same: a zombie keeps its
 * container's pid namespace, and with it the container's first process, from ever ending.
 */

import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { attempt, call } from './ffi.ts'

const PR_SET_CHILD_SUBREAPER = 36
const WNOHANG = 1
const SECOND_LOOK_MS = 50
const { ECHILD, EINTR } = constants.errno

let watching = false
const waiting = new Map<number, (code: number | undefined) => void>()
/** Starts are numbered; those that go on, in their order. */
const starting = new Set<number>()
let started = 0
/** Zombies that nobody we know waits for, and the number of the last start when they were first seen. */
const suspects = new Map<number, number>()
let look: NodeJS.Timeout | undefined

/**
 * Runs `start`; the orphans of processes that end meanwhile become children of this process. Whoever wants to know how
 * one of them ends calls `orphanExit` before `start` is over: afterwards it is taken for one nobody hears of.
 */
export async function inheritOrphans<T>(start: () => Promise<T>): Promise<T> {
  if (!watching) process.on('SIGCHLD', onChild)
  watching = true
  if (starting.size === 0) call('inherit orphans', 'prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  const turn = ++started
  starting.add(turn)
  try {
    return await start()
  } finally {
    starting.delete(turn)
    if (starting.size === 0) call('leave orphans alone', 'prctl', PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    lookForStrays()
  }
}

/**
 * Waits for the end of a child that Node did not start. Resolves with its exit code (128 + signal if it was killed),
 * or with undefined if it is no child of this process.
 */
export async function orphanExit(pid: number): Promise<number | undefined> {
  return new Promise(resolve => {
    waiting.set(pid, resolve)
    collect(pid, resolve)
  })
}

function onChild(): void {
  for (const [pid, resolve] of waiting) collect(pid, resolve)
  lookForStrays()
}

function collect(pid: number, resolve: (code: number | undefined) => void): void {
  const status = Buffer.alloc(4)
  const result = attempt('waitpid', pid, status, WNOHANG)
  if (result === 0 || result === -EINTR) return
  waiting.delete(pid)
  resolve(result === -ECHILD ? undefined : exitCode(status.readInt32LE(0)))
}

/**
 * Node's own children are zombies only until the event loop has turned. What is one at two looks with a turn between
 * them is nobody's, unless it belongs to a start that was going on at the first look: that one may still ask for it.
 */
function lookForStrays(): void {
  if (look !== undefined) return
  const zombies = new Set(childPids().filter(pid => !waiting.has(pid) && isZombie(pid)))
  for (const pid of suspects.keys()) if (!zombies.has(pid)) suspects.delete(pid)
  const [oldest = Infinity] = starting
  for (const pid of zombies) {
    const seen = suspects.get(pid)
    if (seen === undefined) suspects.set(pid, started)
    else if (seen < oldest) attempt('waitpid', pid, Buffer.alloc(4), WNOHANG)
  }
  if (zombies.size === 0) return
  look = setTimeout(() => {
    look = undefined
    lookForStrays()
  }, SECOND_LOOK_MS)
  look.unref()
}

/** Children of the main thread: inherited ones are hung there. */
function childPids(): number[] {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    return text
      .split(' ')
      .filter(word => word !== '')
      .map(Number)
  } catch {
    return []
  }
}

function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** wait(2)'s status as a shell says it. */
function exitCode(status: number): number {
  const signal = status & 0x7f
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal
}
