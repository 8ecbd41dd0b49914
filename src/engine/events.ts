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

/** Wall clock with the resolution of the process's monotonic clock, so that events have an order. */
export function nowNanoseconds(): bigint {
  const milliseconds = performance.timeOrigin + performance.now()
  return BigInt(Math.round(milliseconds * 1000)) * 1000n
}

/** RFC 3339 with nanoseconds in UTC, as the Engine API writes times. */
export function timestamp(nanoseconds: bigint = nowNanoseconds()): string {
  const seconds = nanoseconds / 1_000_000_000n
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, '0')
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}
