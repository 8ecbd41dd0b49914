/**
 * Replies of servers outside, kept for as long as they allow (`lifetime`): containers look the same few names up again
 * and again, most of them without a cache of their own.
 *
 * Keys are the bytes of the question but for its id, so flags, EDNS options and letter case are the asker's own; and who
 * was asked, so that a sandbox with servers of its own sees only what these said.
 *
 * Bounded in number and bytes; the least recently used goes first.
 */
import { age, lifetime } from './wire.ts'

/** However long a reply may be kept: names move, and a restart should not be needed to notice. */
const mostSeconds = 3600
/** Single replies larger than this are rare and not worth the room of many small ones. */
const mostReplyBytes = 4096

interface Kept {
  readonly reply: Uint8Array
  /** Milliseconds on the same clock as `now`. */
  readonly since: number
  readonly until: number
}

export class Cache {
  readonly #kept = new Map<string, Kept>()
  readonly #most: number
  readonly #now: () => number

  /** @param most replies that are kept; 0 = none */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most
    this.#now = now
  }

  /** A copy of the reply with what is left of its TTLs. Its id is whatever it was. */
  get(key: string): Uint8Array | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    const now = this.#now()
    this.#kept.delete(key)
    if (kept.until <= now) return undefined
    // Back at the end: a Map keeps the order of insertion.
    this.#kept.set(key, kept)
    const copy = Uint8Array.from(kept.reply)
    age(copy, Math.floor((now - kept.since) / 1000))
    return copy
  }

  put(key: string, reply: Uint8Array): void {
    if (this.#most === 0 || reply.length > mostReplyBytes) return
    const seconds = Math.min(lifetime(reply), mostSeconds)
    if (seconds === 0) return
    const now = this.#now()
    this.#kept.delete(key)
    this.#kept.set(key, { reply: Uint8Array.from(reply), since: now, until: now + seconds * 1000 })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#most) break
      this.#kept.delete(oldest)
    }
  }

  get size(): number {
    return this.#kept.size
  }
}
