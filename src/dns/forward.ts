/**
 * Questions that nobody here can answer go to servers outside: a sandbox's own (`--dns`), asked from inside its
 * namespace, or the host's, asked from the host.
 *
 * Servers are asked in order, the next one when one fails or has been silent for a second, and then all that have
 * been asked may still answer: the first useful answer wins. When all have been asked, the silent ones get the question
 * again each second, because UDP loses messages. A question that is already under way is not asked twice: whoever asks
 * the same bytes of the same servers waits for the same answer. Replies are handed on byte for byte but for the id, and
 * kept for as long as they allow. Servers that kept silent come last for a while.
 */

import { randomInt } from 'node:crypto'

import { Cache } from './cache.ts'
import { Health, type Order } from './health.ts'
import { usableServers } from './hostservers.ts'
import type { Id, SocketSource, ZoneSandbox } from './types.ts'
import { ask, type Attempt, type Protocol } from './upstream.ts'
import { answers, type Asked, putId, rcode, replyCode } from './wire.ts'

/** A sandbox that floods gets REFUSED instead of our memory. */
const mostPerSandbox = 1024
/** All sandboxes together: each is up to three sockets, and the process has 20,000 on a usual system. */
const mostUnderWay = 4096

export interface ForwardSettings {
  /** Servers to ask from the host. */
  readonly hostServers: () => readonly string[]
  readonly sockets: SocketSource
  /** Where servers listen: 53. */
  readonly port: number
  /** Silence after which the next server is asked too. */
  readonly nextAfterMs: number
  /** Silence after which the asker is told that it failed; shorter than the five seconds after which clients ask again. */
  readonly giveUpAfterMs: number
  /** Replies that are kept; 0 = none. */
  readonly cache: number
}

export const usualForwarding = { port: 53, nextAfterMs: 1000, giveUpAfterMs: 4500 } as const

/** Names that a busy host asks for within the time that they may be kept: 4,096 replies take about a megabyte. */
export const usualCache = 4096

/**
 * The reply under the asker's own id, or the RCODE to answer with; and where it is from: a server's address, `cache`, or
 * `nobody` where no server could or would say.
 */
export type Deliver = (reply: Uint8Array | number, from: string) => void

interface Waiter {
  readonly sandbox: Id
  readonly id: number
  readonly deliver: Deliver
}

export class Forwarder {
  readonly #settings: ForwardSettings
  readonly #cache: Cache
  readonly #health = new Health()
  readonly #underWay = new Map<string, Exchange>()
  /** Sandbox → how many of its questions wait. */
  readonly #waiting = new Map<Id, number>()

  constructor(settings: ForwardSettings) {
    this.#settings = settings
    this.#cache = new Cache(settings.cache)
  }

  /** `deliver` is called exactly once, at once if nobody can be asked, and not at all after `forget`. */
  ask(sandbox: ZoneSandbox, asked: Asked, protocol: Protocol, deliver: Deliver): void {
    const waiting = this.#waiting.get(sandbox.id) ?? 0
    if (waiting >= mostPerSandbox) return deliver(rcode.refused, 'nobody')
    const inside = sandbox.servers.length > 0
    if (!inside && !sandbox.external) return deliver(rcode.serverFailure, 'nobody')

    const servers = inside ? usableServers(sandbox.servers) : this.#settings.hostServers()
    if (servers.length === 0) return deliver(rcode.serverFailure, 'nobody')
    const scope = inside ? sandbox.id : ''
    const question = Buffer.from(asked.bytes)
    const key = `${scope} ${servers.join()} ${protocol} ${question.toString('latin1', 2)}`
    const kept = this.#cache.get(key)
    if (kept !== undefined) {
      putId(kept, asked.query.id)
      return deliver(kept, 'cache')
    }
    const waiter = { sandbox: sandbox.id, id: asked.query.id, deliver }
    const known = this.#underWay.get(key)
    if (known !== undefined) {
      this.#waiting.set(sandbox.id, waiting + 1)
      return known.join(waiter)
    }
    if (this.#underWay.size >= mostUnderWay) return deliver(rcode.refused, 'nobody')
    const exchange = new Exchange({
      settings: this.#settings,
      order: this.#health.order(scope, servers),
      protocol,
      inside: inside ? sandbox.id : undefined,
      asked,
      question,
      released: id => this.#release(id),
      silent: server => this.#health.wasSilent(scope, server),
      answered: (server, reply) => {
        this.#health.answered(scope, server)
        if (reply !== undefined) this.#cache.put(key, reply)
      },
      ended: () => this.#underWay.delete(key),
    })
    this.#underWay.set(key, exchange)
    this.#waiting.set(sandbox.id, waiting + 1)
    exchange.join(waiter)
    exchange.start()
  }

  /** Drops a sandbox's questions and closes its sockets: an open socket would keep its namespace alive. */
  forget(sandbox: Id): void {
    for (const exchange of this.#underWay.values()) exchange.leave(sandbox)
    this.#health.forget(sandbox)
  }

  close(): void {
    for (const exchange of this.#underWay.values()) exchange.abandon()
  }

  #release(sandbox: Id): void {
    const waiting = this.#waiting.get(sandbox) ?? 0
    if (waiting > 1) this.#waiting.set(sandbox, waiting - 1)
    else this.#waiting.delete(sandbox)
  }
}

interface ExchangeParts {
  readonly settings: ForwardSettings
  readonly order: Order
  readonly protocol: Protocol
  /** The sandbox from inside which the servers are asked; undefined = from the host. */
  readonly inside: Id | undefined
  readonly asked: Asked
  /** A copy of what was asked, which becomes the exchange's own. */
  readonly question: Uint8Array
  /** A waiter of this sandbox waits no longer. */
  released(sandbox: Id): void
  /** A server kept silent for so long that the next one was asked, or the asker was told of the failure. */
  silent(server: string): void
  /** A server said something; `reply` is what the askers get, absent if another server is to be asked. */
  answered(server: string, reply: Uint8Array | undefined): void
  ended(): void
}

/** One question on its way, and everybody who waits for its answer. */
class Exchange {
  readonly #parts: ExchangeParts
  readonly #left: string[]
  readonly #asked: Asked
  readonly #id = randomInt(0x1_0000)
  /** Who has been asked and may still answer. */
  readonly #attempts = new Map<string, Attempt>()
  #waiters: Waiter[] = []
  #patience: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.#left = parts.order.servers.filter(server => !parts.order.trial.includes(server))
    putId(parts.question, this.#id)
    this.#asked = { bytes: parts.question, query: parts.asked.query }
  }

  start(): void {
    const { nextAfterMs, giveUpAfterMs } = this.#parts.settings
    this.#patience = setInterval(() => this.#impatient(), nextAfterMs)
    this.#deadline = setTimeout(() => {
      this.#allSilent()
      this.#finish(rcode.serverFailure, 'nobody')
    }, giveUpAfterMs)
    this.#askNext()
    for (const server of this.#parts.order.trial) this.#ask(server)
  }

  join(waiter: Waiter): void {
    this.#waiters.push(waiter)
  }

  leave(sandbox: Id): void {
    const staying = this.#waiters.filter(waiter => waiter.sandbox !== sandbox)
    for (let left = this.#waiters.length - staying.length; left > 0; left--) this.#parts.released(sandbox)
    this.#waiters = staying
    if (staying.length === 0) this.#end()
  }

  abandon(): void {
    for (const waiter of this.#waiters) this.#parts.released(waiter.sandbox)
    this.#waiters = []
    this.#end()
  }

  #impatient(): void {
    if (this.#left.length > 0) {
      this.#allSilent()
      this.#askNext()
    } else for (const attempt of this.#attempts.values()) attempt.repeat()
  }

  #allSilent(): void {
    for (const server of this.#attempts.keys()) this.#parts.silent(server)
  }

  #askNext(): void {
    const server = this.#left.shift()
    if (server !== undefined) {
      this.#patience?.refresh()
      this.#ask(server)
    } else if (this.#attempts.size === 0) this.#finish(rcode.serverFailure, 'nobody')
  }

  #ask(server: string): void {
    const { settings, inside, protocol, question } = this.#parts
    const open = inside === undefined ? undefined : settings.sockets.bind(undefined, inside)
    const attempt = ask(server, settings.port, protocol, question, open, {
      message: bytes => {
        if (!answers(bytes, this.#asked, this.#id)) return
        const code = replyCode(bytes)
        // What one server cannot or will not say, another may.
        const useful = code !== rcode.serverFailure && code !== rcode.refused
        this.#parts.answered(server, useful ? bytes : undefined)
        if (useful) this.#finish(bytes, server)
        else this.#lost(server, attempt)
      },
      failed: () => this.#lost(server, attempt),
    })
    this.#attempts.set(server, attempt)
  }

  #lost(server: string, attempt: Attempt): void {
    attempt.cancel()
    this.#attempts.delete(server)
    this.#askNext()
  }

  #finish(reply: Uint8Array | number, from: string): void {
    const waiters = this.#waiters
    this.#waiters = []
    this.#end()
    for (const [index, { sandbox, id, deliver }] of waiters.entries()) {
      this.#parts.released(sandbox)
      if (typeof reply === 'number') deliver(reply, from)
      else {
        // A send may keep the buffer for later, so everybody gets bytes of his own.
        const own = index === 0 ? reply : Uint8Array.from(reply)
        putId(own, id)
        deliver(own, from)
      }
    }
  }

  #end(): void {
    clearInterval(this.#patience)
    clearTimeout(this.#deadline)
    for (const attempt of this.#attempts.values()) attempt.cancel()
    this.#attempts.clear()
    this.#parts.ended()
  }
}
