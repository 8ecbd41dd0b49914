/** When a container that ended is started again. Pure. */
import type { RestartPolicy } from '../container/index.ts'

const firstDelayMs = 100
const longestDelayMs = 60_000
/** A run of this length counts as a success: the next failure starts with the shortest delay again. */
const healthyRunMs = 10_000

export interface Ending {
  readonly exitCode: number
  /** The user asked for it (stop, kill). */
  readonly stoppedByUser: boolean
  readonly ranMs: number
  /** How often it was restarted already, by the policy. */
  readonly restarts: number
  /** Delay before the last restart; 0 = there was none. */
  readonly lastDelayMs: number
}

/** Milliseconds to wait before the next start; undefined = it stays down. */
export function restartDelay(policy: RestartPolicy, ending: Ending): number | undefined {
  if (ending.stoppedByUser || !wants(policy, ending)) return undefined
  if (ending.lastDelayMs === 0 || ending.ranMs >= healthyRunMs) return firstDelayMs
  return Math.min(ending.lastDelayMs * 2, longestDelayMs)
}

function wants({ Name, MaximumRetryCount }: RestartPolicy, { exitCode, restarts }: Ending): boolean {
  switch (Name) {
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure':
      return exitCode !== 0 && (MaximumRetryCount === 0 || restarts < MaximumRetryCount)
    case 'no':
    case '':
      return false
  }
}
