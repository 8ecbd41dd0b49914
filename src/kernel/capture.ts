/**
 * Frames as they pass links, by AF_PACKET. The sockets stay in the namespace in which they were made; the kernel stamps
 * each frame when it sees it.
 */
import { closeSync } from 'node:fs'
import { attempt, call, failure } from './ffi.ts'
import { Watcher } from './poll.ts'
import { SOCK_CLOEXEC, SOCK_NONBLOCK, withSocket } from './socket.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
/** ETH_P_ALL in network order. */
const EVERY_PROTOCOL = 0x0300
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const BUFFER_BYTES = 8 * 1024 * 1024
const SIOCGSTAMPNS = 0x8907
const MSG_TRUNC = 0x20
const EAGAIN = 11
const ENETDOWN = 100
const FRAMES_PER_TURN = 256
const SNAP_LENGTH = 65_536

export interface Frame {
  /** Nanoseconds since the epoch. */
  readonly time: bigint
  readonly data: Buffer
  /** What it was on the link; more than `data` if it was cut. */
  readonly length: number
}

const buffer = Buffer.alloc(SNAP_LENGTH)

export class Capture {
  readonly #descriptor: number
  readonly #watcher: Watcher
  readonly #tell: (frame: Frame) => void
  #closed = false

  /** Tells every frame that passes the link with this ifindex, in both directions, until it is closed. */
  constructor(index: number, tell: (frame: Frame) => void) {
    this.#tell = tell
    const doing = `capture on link ${index}`
    // Protocol 0: nothing comes before it is bound to the one link.
    const made = call(doing, 'socket', AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    this.#descriptor = withSocket(made, descriptor => {
      const size = Buffer.alloc(4)
      size.writeInt32LE(BUFFER_BYTES)
      attempt('setsockopt', descriptor, SOL_SOCKET, SO_RCVBUFFORCE, size, 4)
      // Asking once makes the kernel stamp from then on.
      attempt('ioctl', descriptor, SIOCGSTAMPNS, Buffer.alloc(16))
      const address = Buffer.alloc(20)
      address.writeUInt16LE(AF_PACKET, 0)
      address.writeUInt16LE(EVERY_PROTOCOL, 2)
      address.writeInt32LE(index, 4)
      call(doing, 'bind', descriptor, address, address.length)
    })
    this.#watcher = new Watcher(this.#descriptor, { readable: true, writable: false }, () => this.#drain())
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher.close()
    closeSync(this.#descriptor)
  }

  #drain(): void {
    const stamp = Buffer.alloc(16)
    for (let frames = 0; frames < FRAMES_PER_TURN && !this.#closed; frames++) {
      const length = attempt('recv', this.#descriptor, buffer, SNAP_LENGTH, MSG_TRUNC)
      if (length === -EAGAIN) return
      // The link went down or away: there is nothing more to come until it is back.
      if (length === -ENETDOWN) return
      if (length < 0) throw failure('capture', 'recv', -length)
      const stamped = attempt('ioctl', this.#descriptor, SIOCGSTAMPNS, stamp) >= 0
      const time = stamped
        ? stamp.readBigInt64LE(0) * 1_000_000_000n + stamp.readBigInt64LE(8)
        : BigInt(Date.now()) * 1_000_000n
      this.#tell({ time, length, data: Buffer.from(buffer.subarray(0, Math.min(length, SNAP_LENGTH))) })
    }
  }
}
