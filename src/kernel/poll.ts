/**
 * Readiness of descriptors that Node has no stream for, on Node's own event loop (uv_poll through koffi).
 *
 * Three facts shape this file. The callback gets (status, events), whatever koffi's types say. It is called outside of
 * Node's callback scope: promises settled in it would wait for the next other event, and what it throws is lost; so it
 * only asks for an immediate, which runs right behind. And on an error of the socket (POLLERR, which includes "the peer
 * closed with our data unread") libuv stops polling although there may be data to read: that is reported as readable.
 */

import { koffi } from './ffi.ts'

export interface Interest {
  readonly readable: boolean
  readonly writable: boolean
}

interface RawHandle {
  start(interest: Interest, callback: (status: number, events: Interest) => void): void
  stop(): void
  close(): void
}

/** Watches one descriptor; a watcher that is not referenced is collected and falls silent. */
export class Watcher {
  readonly #handle: RawHandle
  readonly #ready: (events: Interest) => void
  #pending: NodeJS.Immediate | undefined
  #closed = false

  /** Starts watching. `ready` is called again as long as the descriptor stays ready. */
  constructor(descriptor: number, interest: Interest, ready: (events: Interest) => void) {
    this.#ready = ready
    const start = koffi().node.poll as unknown as (
      descriptor: number,
      interest: Interest,
      callback: (status: number, events: Interest) => void,
    ) => RawHandle
    this.#handle = start(descriptor, interest, this.#onEvent)
  }

  change(interest: Interest): void {
    if (this.#closed) return
    if (interest.readable || interest.writable) this.#handle.start(interest, this.#onEvent)
    else this.#handle.stop()
  }

  /** Stops watching; the descriptor stays open. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearImmediate(this.#pending)
    this.#handle.close()
  }

  readonly #onEvent = (status: number, events: Interest): void => {
    this.#pending ??= setImmediate(() => {
      this.#pending = undefined
      if (!this.#closed) this.#ready(status < 0 ? { readable: true, writable: true } : events)
    })
  }
}
