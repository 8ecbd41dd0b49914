/**
 * Pipes and terminals of processes that run elsewhere.
 *
 * - Node's own `stdio: 'pipe'` is a socket pair. A program that opens /dev/stdout or /dev/stderr again (a shell's
 *   `>/dev/stderr`) gets ENXIO on a socket: programs expect real pipes.
 * - A terminal's master gives at most 4 KB per read, and libuv takes hang-up plus a short read for the end of the
 *   stream. Here the end is EIO: all slaves are closed and everything was read.
 */

import { closeSync, readSync, writeSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { call } from './ffi.ts'
import { Watcher } from './poll.ts'
import { SOCK_CLOEXEC as O_CLOEXEC } from './socket.ts'

/** asm-generic/ioctls.h; Node's other architectures have the same number. */
const TIOCSWINSZ = 0x5414
const READ_BYTES = 64 * 1024

export interface Pipe {
  readonly read: number
  readonly write: number
}

/** A pipe, close-on-exec; the caller closes both ends. */
export function openPipe(): Pipe {
  const pair = Buffer.alloc(8)
  call('open a pipe', 'pipe2', pair, O_CLOEXEC)
  return { read: pair.readInt32LE(0), write: pair.readInt32LE(4) }
}

/** The master's side of a terminal: what is written is typed, what is read was printed. */
export class TerminalStream extends Duplex {
  readonly #descriptor: number
  readonly #watcher: Watcher
  readonly #buffer = Buffer.alloc(READ_BYTES)
  #reading = false
  #pending: { rest: Buffer; readonly done: (error?: Error | null) => void } | undefined

  /** Takes over a master, which must be non-blocking or become so, and is closed with the stream. */
  constructor(descriptor: number) {
    super()
    this.#descriptor = descriptor
    this.#watcher = new Watcher(
      descriptor,
      { readable: false, writable: false },
      ({ readable, writable }) => {
        if (writable) this.#flush()
        if (readable && this.#reading) this.#receive()
      },
    )
  }

  /** Size in characters; the processes on the terminal get SIGWINCH. */
  resize(rows: number, columns: number): void {
    if (this.destroyed) return
    const size = Buffer.alloc(8)
    size.writeUInt16LE(rows & 0xffff, 0)
    size.writeUInt16LE(columns & 0xffff, 2)
    call('set a window size', 'ioctl', this.#descriptor, TIOCSWINSZ, size)
  }

  override _read(): void {
    this.#reading = true
    this.#watch()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = { rest: chunk, done }
    this.#flush()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#watcher.close()
    closeSync(this.#descriptor)
    done(error)
  }

  #receive(): void {
    const length = this.#attempt(() => readSync(this.#descriptor, this.#buffer))
    if (length === undefined || this.destroyed) return
    if (length > 0 && this.push(Buffer.from(this.#buffer.subarray(0, length)))) return
    this.#reading = false
    this.#watch()
    if (length === 0) this.push(null)
  }

  #flush(): void {
    const pending = this.#pending
    if (pending === undefined) return
    const sent = this.#attempt(() => writeSync(this.#descriptor, pending.rest))
    if (this.destroyed) return
    // 0: nobody is there to read it any more, which the reading side tells.
    pending.rest = sent === 0 ? Buffer.alloc(0) : pending.rest.subarray(sent ?? 0)
    if (pending.rest.length === 0) this.#pending = undefined
    this.#watch()
    if (pending.rest.length === 0) pending.done()
  }

  /** Bytes moved; undefined = not now, 0 = every slave is closed. */
  #attempt(move: () => number): number | undefined {
    try {
      return move()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') return undefined
      if (code === 'EIO') return 0
      this.destroy(error as Error)
      return undefined
    }
  }

  #watch(): void {
    if (!this.destroyed)
      this.#watcher.change({ readable: this.#reading, writable: this.#pending !== undefined })
  }
}
