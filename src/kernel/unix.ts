/**
 * Unix sockets that Node cannot serve: SOCK_SEQPACKET (conmon's attach socket), and descriptors that are passed along
 * (the terminal of an OCI runtime).
 *
 * libuv takes hang-up together with a short read for the end of the stream and drops what is still queued. Here the
 * end is what recv(2) says it is: 0 bytes, after the last packet.
 */

import { closeSync, constants as files, openSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KernelError } from './error.ts'
import { attempt, call, failure, koffi } from './ffi.ts'
import { Watcher } from './poll.ts'
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from './socket.ts'

const AF_UNIX = 1
const SOCK_SEQPACKET = 5
const SHUT_WR = 1
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x4000_0000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const PATH_BYTES = 108
const { EAGAIN, EPIPE, EINTR } = constants.errno

/** The largest packet that is sent; conmon reads up to 32 KB, but answers come back in pieces of 8 KB as well. */
const PACKET_BYTES = 8192
const RECEIVE_BYTES = 64 * 1024
/** Packets handed over before other work gets its turn. */
const PACKETS_PER_TURN = 64
const CONNECT_RETRY_MS = 5

/** Calls `use` with a socket address for the path; long paths go through their directory's descriptor. */
function withUnixAddress<T>(path: string, use: (address: Buffer) => T): T {
  const encode = (text: string) => {
    const address = Buffer.alloc(2 + PATH_BYTES)
    address.writeUInt16LE(AF_UNIX, 0)
    address.write(text, 2)
    return address
  }
  if (Buffer.byteLength(path) < PATH_BYTES) return use(encode(path))
  const directory = openSync(dirname(path), files.O_RDONLY | files.O_DIRECTORY)
  try {
    const short = `/proc/self/fd/${directory}/${basename(path)}`
    if (Buffer.byteLength(short) >= PATH_BYTES) {
      throw failure(`use unix socket ${path}`, 'connect', constants.errno.ENAMETOOLONG)
    }
    return use(encode(short))
  } finally {
    closeSync(directory)
  }
}

export interface SeqpacketHandlers {
  /** One packet as it was sent. */
  readonly packet: (data: Buffer) => void
  /** The peer closed (or failed): no packet follows. Called once, not after `close()`. */
  readonly end: (error: KernelError | undefined) => void
}

interface PendingWrite {
  /** What is not sent yet. */
  rest: Uint8Array
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** A connected SOCK_SEQPACKET socket. */
export class SeqpacketSocket {
  readonly #descriptor: number
  readonly #handlers: SeqpacketHandlers
  readonly #watcher: Watcher
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES)
  readonly #writes: PendingWrite[] = []
  #reading = true
  /** What a read failed with, until the queue behind it is read. */
  #failure: KernelError | undefined
  #ending = false
  #closed = false

  /** Takes over a connected descriptor, which is closed with the socket. */
  constructor(descriptor: number, handlers: SeqpacketHandlers) {
    this.#descriptor = descriptor
    this.#handlers = handlers
    this.#watcher = new Watcher(descriptor, { readable: true, writable: false }, ({ readable }) => {
      if (this.#writes.length > 0) this.#flush()
      if (readable && this.#reading) this.#drain()
    })
  }

  /** Connects; waits up to `timeoutMs` for a place in the listener's queue. */
  static async connect(
    path: string,
    handlers: SeqpacketHandlers,
    timeoutMs = 2000,
  ): Promise<SeqpacketSocket> {
    const doing = `connect to ${path}`
    const type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC
    const descriptor = call(doing, 'socket', AF_UNIX, type, 0)
    try {
      for (let waited = 0; ; waited += CONNECT_RETRY_MS) {
        const result = withUnixAddress(path, address =>
          attempt('connect', descriptor, address, address.length),
        )
        if (result === 0) return new SeqpacketSocket(descriptor, handlers)
        if (result !== -EAGAIN || waited >= timeoutMs) throw failure(doing, 'connect', -result)
        await delay(CONNECT_RETRY_MS)
      }
    } catch (error) {
      closeSync(descriptor)
      throw error
    }
  }

  /**
   * Sends the bytes as packets of at most 8 KB, in the order of the calls; resolves when the kernel has taken the last
   * one, which is when the peer has room for it.
   */
  async write(data: Uint8Array): Promise<void> {
    if (this.#closed || this.#ending) throw failure('write to a closed socket', 'send', EPIPE)
    if (data.length === 0) return
    return new Promise((resolve, reject) => {
      this.#writes.push({ rest: data, resolve, reject })
      if (this.#writes.length === 1) this.#flush()
    })
  }

  /** Tells the peer, behind what is still to be written, that no more packets come from here. */
  end(): void {
    if (this.#closed || this.#ending) return
    this.#ending = true
    if (this.#writes.length === 0) this.#shutdown()
  }

  /** Closes at once; what is not sent is lost, its promises are rejected. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher.close()
    closeSync(this.#descriptor)
    this.#rejectWrites(failure('write to a closed socket', 'send', EPIPE))
  }

  #drain(): void {
    for (let packets = 0; packets < PACKETS_PER_TURN; packets++) {
      const length = attempt('recv', this.#descriptor, this.#buffer, RECEIVE_BYTES, MSG_DONTWAIT)
      if (length === -EAGAIN && this.#failure === undefined) return
      if (length === -EINTR) continue
      if (length < 0 && this.#failure === undefined) {
        // The kernel tells a socket's error once and before what is queued (ECONNRESET: the peer closed with packets
        // of ours unread): the queue comes behind it.
        this.#failure = failure('read a packet', 'recv', -length)
        continue
      }
      if (length <= 0) {
        this.#finish()
        return
      }
      this.#handlers.packet(Buffer.from(this.#buffer.subarray(0, length)))
      // The handler may have closed us.
      if (this.#closed) return
    }
    // libuv stops at an error of the socket; starting anew keeps what is queued coming.
    this.#watch()
  }

  /** The peer's side has ended; ours may still be open, but nobody reads there. */
  #finish(): void {
    this.#reading = false
    this.#watch()
    this.#handlers.end(this.#failure)
  }

  #flush(): void {
    for (let write = this.#writes[0]; write !== undefined; write = this.#writes[0]) {
      const packet = write.rest.subarray(0, PACKET_BYTES)
      const sent = attempt('send', this.#descriptor, packet, packet.length, MSG_DONTWAIT | MSG_NOSIGNAL)
      if (sent === -EINTR) continue
      if (sent === -EAGAIN) break
      if (sent < 0) {
        this.#rejectWrites(failure('write a packet', 'send', -sent))
        break
      }
      write.rest = write.rest.subarray(packet.length)
      if (write.rest.length > 0) continue
      this.#writes.shift()
      write.resolve()
    }
    if (this.#writes.length === 0 && this.#ending) this.#shutdown()
    this.#watch()
  }

  #shutdown(): void {
    // ENOTCONN: the peer is gone and knows better than we do.
    attempt('shutdown', this.#descriptor, SHUT_WR)
  }

  #rejectWrites(error: KernelError): void {
    for (const write of this.#writes.splice(0)) write.reject(error)
  }

  #watch(): void {
    this.#watcher.change({ readable: this.#reading, writable: this.#writes.length > 0 })
  }
}

/** Waits for one descriptor that somebody sends to a socket of ours. */
export interface DescriptorListener {
  /** The received descriptor, close-on-exec; whoever awaits it closes it. Rejected by `close()`. */
  readonly descriptor: Promise<number>
  /** Ends the waiting and removes the socket; needless once a descriptor has come. */
  close(): void
}

/**
 * Listens on a new stream socket at `path` for one connection that passes one descriptor (SCM_RIGHTS): what
 * `--console-socket` of an OCI runtime expects.
 */
export function listenForDescriptor(path: string): DescriptorListener {
  const doing = `receive a descriptor at ${path}`
  const listener = call(doing, 'socket', AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  try {
    withUnixAddress(path, address => {
      call(doing, 'bind', listener, address, 2 + address.indexOf(0, 2))
    })
    call(doing, 'listen', listener, 1)
  } catch (error) {
    closeSync(listener)
    throw error
  }
  let current = listener
  let watcher: Watcher | undefined
  let rejectWaiting: (error: Error) => void = () => undefined
  const release = () => {
    watcher?.close()
    if (current === -1) return
    closeSync(current)
    current = -1
    rmSync(path, { force: true })
  }
  const descriptor = new Promise<number>((resolve, reject) => {
    rejectWaiting = reject
    const settle = (step: () => void) => {
      try {
        step()
      } catch (error) {
        release()
        reject(error)
      }
    }
    const receive = () => {
      const received = receiveDescriptor(doing, current)
      if (received === undefined) return
      release()
      resolve(received)
    }
    const accept = () => {
      const connection = attempt('accept4', listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC)
      if (connection === -EAGAIN) return
      if (connection < 0) throw failure(doing, 'accept4', -connection)
      watcher?.close()
      closeSync(listener)
      current = connection
      watcher = new Watcher(connection, { readable: true, writable: false }, () => settle(receive))
    }
    watcher = new Watcher(listener, { readable: true, writable: false }, () => settle(accept))
  })
  return {
    descriptor,
    close: () => {
      release()
      rejectWaiting(new KernelError({ code: 'ECANCELED', syscall: 'recvmsg', doing, detail: 'given up' }))
    },
  }
}

/** Reads one message; undefined if none is there yet. */
function receiveDescriptor(doing: string, connection: number): number | undefined {
  const data = Buffer.alloc(4096)
  const control = Buffer.alloc(64)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(koffi().address(data), 0)
  vector.writeBigUInt64LE(BigInt(data.length), 8)
  // struct msghdr: name, its length, vector, its count, control, its length, flags.
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(koffi().address(vector), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(koffi().address(control), 32)
  header.writeBigUInt64LE(BigInt(control.length), 40)
  const length = attempt('recvmsg', connection, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
  if (length === -EAGAIN) return undefined
  if (length < 0) throw failure(doing, 'recvmsg', -length)
  const passed =
    header.readBigUInt64LE(40) >= 20n &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS
  if (!passed) throw failure(doing, 'recvmsg', constants.errno.ENOMSG, 'a message without a descriptor')
  return control.readInt32LE(16)
}
