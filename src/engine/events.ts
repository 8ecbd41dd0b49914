/** What happened, for `docker events`: the last 256 are kept for clients that ask for the past. */
import type { EngineEvent } from './types.ts'

const kept = 256

export class Events {
  readonly #past: EngineEvent[] = []
  readonly #listeners = new Set<(event: EngineEvent) => void>()

  emit(
    type: EngineEvent['type'],
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const event: EngineEvent = { type, action, actor: { id, attributes }, time: nowNanoseconds() }
    this.#past.push(event)
    if (this.#past.length > kept) this.#past.shift()
    for (const listener of this.#listeners) listener(event)
  }

  past(): readonly EngineEvent[] {
    return [...this.#past]
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** Furthest that the fine clock may be from the wall clock, in milliseconds. */
const tolerance = 5
/** Wall clock minus monotonic clock when they were last compared. */
let offset = performance.timeOrigin

/**
 * Wall clock with the resolution of the process's monotonic clock, so that events have an order. The monotonic one
 * stands still while the machine sleeps and knows nothing of a clock that was set: it is compared each time.
 */
export function nowNanoseconds(): bigint {
  const monotonic = performance.now()
  const wall = Date.now()
  if (Math.abs(offset + monotonic - wall) > tolerance) offset = wall - monotonic
  return BigInt(Math.round((offset + monotonic) * 1000)) * 1000n
}

/** RFC 3339 with nanoseconds in UTC, as the Engine API writes times. */
export function timestamp(nanoseconds: bigint = nowNanoseconds()): string {
  const seconds = nanoseconds / 1_000_000_000n
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, '0')
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}
