/** Processes by pid and start time, which together never name two. */

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningProcess } from './types.ts'

/** The process that has this pid now; undefined if there is none, or only its zombie. */
export async function observeProcess(pid: number): Promise<RunningProcess | undefined> {
  try {
    return parseStat(await readFile(`/proc/${String(pid)}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/** One line of /proc/PID/stat. The name in parentheses may contain anything, also parentheses. */
export function parseStat(text: string): RunningProcess | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = fields[0] ?? ''
  const startTime = Number(fields[19])
  const pid = Number.parseInt(text, 10)
  if (state === 'Z' || state === 'X' || Number.isNaN(startTime) || Number.isNaN(pid)) return undefined
  return { pid, startTime }
}

export async function isAlive({ pid, startTime }: RunningProcess): Promise<boolean> {
  return (await observeProcess(pid))?.startTime === startTime
}

/** Sends a signal by number; false if there is no such process. */
export function signalProcess(pid: number, signal: number): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Waits until `condition` holds; false if it does not within `timeoutMs`. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  stepMs = 10,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) return false
    await delay(stepMs)
  }
  return true
}
