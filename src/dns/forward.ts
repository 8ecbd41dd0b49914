/**
 * Questions that nobody here can answer go to servers outside: a sandbox's own (`--dns`), asked from inside its
 * namespace, or the host's, asked from the host.
 *
 * Servers are asked in order, the next one when one fails or has been silent for a second, and then all that have
 * been asked may still answer: the first useful answer wins. When all have been asked, the silent ones get the question
 * again each second, because UDP loses messages. A question that is already under way is not asked twice: whoever asks
 * the same bytes of the same servers waits for the same answer. Replies are handed on byte for byte but for the id.
 */

import { randomInt } from 'node:crypto'

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
}

export const usualForwarding = { port: 53, nextAfterMs: 1000, giveUpAfterMs: 4500 } as const

/** The reply under the asker's own id, or the RCODE to answer with. */
export type Deliver = (reply: Uint8Array | number) => void

interface Waiter {
  readonly sandbox: Id
  readonly id: number
  readonly deliver: Deliver
}

export class Forwarder {
  readonly #settings: ForwardSettings
  readonly #underWay = new Map<string, Exchange>()
  /** Sandbox → how many of its questions wait. */
  readonly #waiting = new Map<Id, number>()

  constructor(settings: ForwardSettings) {
    this.#settings = settings
  }

  /** `deliver` is called exactly once, at once if nobody can be asked, and not at all after `forget`. */
  ask(sandbox: ZoneSandbox, asked: Asked, protocol: Protocol, deliver: Deliver): void {
    const waiting = this.#waiting.get(sandbox.id) ?? 0
    if (waiting >= mostPerSandbox) return deliver(rcode.refused)
    const inside = sandbox.servers.length > 0
    if (!inside && !sandbox.external) return deliver(rcode.serverFailure)

    const question = Buffer.from(asked.bytes)
    const key = `${inside ? sandbox.id : ''} ${protocol} ${question.toString('latin1', 2)}`
    const waiter = { sandbox: sandbox.id, id: asked.query.id, deliver }
    const known = this.#underWay.get(key)
    if (known !== undefined) {
      this.#waiting.set(sandbox.id, waiting + 1)
      return known.join(waiter)
    }
    if (this.#underWay.size >= mostUnderWay) return deliver(rcode.refused)
    const servers = inside ? usableServers(sandbox.servers) : this.#settings.hostServers()
    if (servers.length === 0) return deliver(rcode.serverFailure)
    const exchange = new Exchange(
      this.#settings,
      servers,
      protocol,
      inside ? sandbox.id : undefined,
      asked,
      question,
      {
        released: id => this.#release(id),
        ended: () => this.#underWay.delete(key),
      },
    )
    this.#underWay.set(key, exchange)
    this.#waiting.set(sandbox.id, waiting + 1)
    exchange.join(waiter)
    exchange.start()
  }

  /** Drops a sandbox's questions and closes its sockets: an open socket would keep its namespace alive. */
  forget(sandbox: Id): void {
    for (const exchange of this.#underWay.values()) exchange.leave(sandbox)
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

interface ExchangeHooks {
  /** A waiter of this sandbox waits no longer. */
  released(sandbox: Id): void
  ended(): void
}

/** One question on its way, and everybody who waits for its answer. */
class Exchange {
  readonly #settings: ForwardSettings
  readonly #left: string[]
  readonly #protocol: Protocol
  readonly #inside: Id | undefined
  readonly #asked: Asked
  readonly #question: Uint8Array
  readonly #hooks: ExchangeHooks
  readonly #id = randomInt(0x1_0000)
  readonly #attempts = new Set<Attempt>()
  #waiters: Waiter[] = []
  #patience: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined

  /** `question` is a copy of what was asked and becomes the exchange's own. */
  constructor(
    settings: ForwardSettings,
    servers: readonly string[],
    protocol: Protocol,
    inside: Id | undefined,
    asked: Asked,
    question: Uint8Array,
    hooks: ExchangeHooks,
  ) {
    this.#settings = settings
    this.#left = [...servers]
    this.#protocol = protocol
    this.#inside = inside
    putId(question, this.#id)
    this.#asked = { bytes: question, query: asked.query }
    this.#question = question
    this.#hooks = hooks
  }

  start(): void {
    const { nextAfterMs, giveUpAfterMs } = this.#settings
    this.#patience = setInterval(() => this.#impatient(), nextAfterMs)
    this.#deadline = setTimeout(() => this.#finish(rcode.serverFailure), giveUpAfterMs)
    this.#askNext()
  }

  join(waiter: Waiter): void {
    this.#waiters.push(waiter)
  }

  leave(sandbox: Id): void {
    const staying = this.#waiters.filter(waiter => waiter.sandbox !== sandbox)
    for (let left = this.#waiters.length - staying.length; left > 0; left--) this.#hooks.released(sandbox)
    this.#waiters = staying
    if (staying.length === 0) this.#end()
  }

  abandon(): void {
    for (const waiter of this.#waiters) this.#hooks.released(waiter.sandbox)
    this.#waiters = []
    this.#end()
  }

  #impatient(): void {
    if (this.#left.length > 0) this.#askNext()
    else for (const attempt of this.#attempts) attempt.repeat()
  }

  #askNext(): void {
    const server = this.#left.shift()
    if (server === undefined) {
      if (this.#attempts.size === 0) this.#finish(rcode.serverFailure)
      return
    }
    this.#patience?.refresh()
    const { port, sockets } = this.#settings
    const inside = this.#inside
    const open = inside === undefined ? undefined : sockets.bind(undefined, inside)
    const attempt = ask(server, port, this.#protocol, this.#question, open, {
      message: bytes => {
        if (!answers(bytes, this.#asked, this.#id)) return
        const code = replyCode(bytes)
        // What one server cannot or will not say, another may.
        if (code === rcode.serverFailure || code === rcode.refused) this.#lost(attempt)
        else this.#finish(bytes)
      },
      failed: () => this.#lost(attempt),
    })
    this.#attempts.add(attempt)
  }

  #lost(attempt: Attempt): void {
    attempt.cancel()
    this.#attempts.delete(attempt)
    this.#askNext()
  }

  #finish(reply: Uint8Array | number): void {
    const waiters = this.#waiters
    this.#waiters = []
    this.#end()
    for (const [index, { sandbox, id, deliver }] of waiters.entries()) {
      this.#hooks.released(sandbox)
      if (typeof reply === 'number') deliver(reply)
      else {
        // A send may keep the buffer for later, so everybody gets bytes of his own.
        const own = index === 0 ? reply : Uint8Array.from(reply)
        putId(own, id)
        deliver(own)
      }
    }
  }

  #end(): void {
    clearInterval(this.#patience)
    clearTimeout(this.#deadline)
    for (const attempt of this.#attempts) attempt.cancel()
    this.#attempts.clear()
    this.#hooks.ended()
  }
}
