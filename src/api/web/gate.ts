/**
 * Who may use the page. The page can change networks, so being able to reach 127.0.0.1 must not be enough: other users
 * of the host can, and so can every web site in the user's own browser.
 *
 * - The Host header must name loopback: a site that lets its name point to 127.0.0.1 (DNS rebinding) sends its own name.
 * - `linkspan ui` asks over the unix socket for a token that works once and for ten minutes; opening the page with it
 *   trades it for a session cookie that scripts cannot read and other sites cannot make the browser send.
 * - What changes something must carry a header of ours as well. Another origin cannot set one without being asked for
 *   leave (CORS preflight), which nobody gives here.
 *
 * Tokens and sessions live in memory and are bounded in number; only their hashes are kept.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Sent with every request of the page that changes something. */
export const pageHeader = 'x-linkspan-page'

const tokenMilliseconds = 10 * 60_000
const sessionMilliseconds = 12 * 3_600_000
const mostTokens = 32
const mostSessions = 64

const loopbackNames: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** The name of a Host header without its port; the port is left to the user, who may come through an ssh tunnel. */
export function isLoopbackHost(header: string | undefined): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(:\d{1,5})?$/.exec(header ?? '')?.[1]
  return name !== undefined && loopbackNames.has(name.toLowerCase())
}

const hash = (secret: string): string => createHash('sha256').update(secret).digest('base64url')

/** Secrets with an end, the oldest dropped first. */
class Secrets {
  readonly #ends = new Map<string, number>()
  readonly #most: number
  readonly #milliseconds: number

  constructor(most: number, milliseconds: number) {
    this.#most = most
    this.#milliseconds = milliseconds
  }

  make(now: number): string {
    const secret = randomBytes(24).toString('base64url')
    for (const oldest of this.#ends.keys()) {
      if (this.#ends.size < this.#most) break
      this.#ends.delete(oldest)
    }
    this.#ends.set(hash(secret), now + this.#milliseconds)
    return secret
  }

  /** Whether it is known and not over; a use puts its end off. */
  renew(secret: string, now: number): boolean {
    const key = hash(secret)
    const end = this.#ends.get(key)
    this.#ends.delete(key)
    if (end === undefined || end < now) return false
    this.#ends.set(key, now + this.#milliseconds)
    return true
  }

  /** Whether it was known and not over; it is over now. */
  spend(secret: string, now: number): boolean {
    const key = hash(secret)
    const end = this.#ends.get(key)
    this.#ends.delete(key)
    return end !== undefined && end >= now
  }
}

export type Verdict = 'welcome' | 'foreignHost' | 'noSession' | 'crossOrigin'

export class Gate {
  readonly #tokens = new Secrets(mostTokens, tokenMilliseconds)
  readonly #sessions = new Secrets(mostSessions, sessionMilliseconds)
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** A token for one visit. */
  token(): string {
    return this.#tokens.make(this.#now())
  }

  /** Trades a token for a session; undefined if it is unknown, used or over. */
  open(token: string): string | undefined {
    return this.#tokens.spend(token, this.#now()) ? this.#sessions.make(this.#now()) : undefined
  }

  /** Judges a request for what only the user of the page may see or do. */
  judge(request: IncomingMessage, cookie: string): Verdict {
    const { headers, method } = request
    if (!isLoopbackHost(headers.host)) return 'foreignHost'
    const session = cookieOf(headers.cookie, cookie)
    if (session === undefined || !this.#sessions.renew(session, this.#now())) return 'noSession'
    if (method === 'GET' || method === 'HEAD') return 'welcome'
    const { origin } = headers
    const sameOrigin = origin === undefined || origin === `http://${headers.host ?? ''}`
    return sameOrigin && headers[pageHeader] !== undefined ? 'welcome' : 'crossOrigin'
  }
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const [key, ...value] = part.split('=')
    if (key?.trim() === name) return value.join('=').trim()
  }
  return undefined
}
