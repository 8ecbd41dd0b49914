/** Clients that wait for a container to end or to be removed. */
import type { Id } from '../network/index.ts'
import type { WaitResult } from './types.ts'

type Moment = 'exit' | 'removed'

export class Waiters {
  readonly #waiting = new Map<string, Set<(result: WaitResult) => void>>()

  /** Resolves at the next such moment; rejects with the signal's reason when the client goes away. */
  next(id: Id, moment: Moment, signal: AbortSignal): Promise<WaitResult> {
    const key = `${moment} ${id}`
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting)
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        waiting.delete(done)
        reject(signal.reason instanceof Error ? signal.reason : new Error('the client went away'))
      }
      const done = (result: WaitResult) => {
        signal.removeEventListener('abort', onAbort)
        resolve(result)
      }
      if (signal.aborted) {
        onAbort()
        return
      }
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.add(done)
    })
  }

  settle(id: Id, moment: Moment, result: WaitResult): void {
    const key = `${moment} ${id}`
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    for (const done of waiting ?? []) done(result)
  }
}
