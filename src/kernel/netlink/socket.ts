/**
 * A netlink socket with synchronous transactions.
 *
 * The kernel works a request off inside send(2): when it returns, the answers are in our queue, and the first empty
 * read is the end of them. So nothing ever waits. A socket stays in the network namespace in which it was made,
 * whichever thread uses it.
 *
 * Messages sent in one datagram are not atomic in rtnetlink: those behind a failed one are still executed. nfnetlink
 * batches are atomic by themselves.
 */

import { close, closeSync } from 'node:fs'
import { constants } from 'node:os'
import { KernelError } from '../error.ts'
import { attempt, call, callBehind, failure } from '../ffi.ts'
import { readAcknowledgement } from './ack.ts'
import {
  MessageWriter,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_NOOP,
  readMessages,
  type Message,
} from './message.ts'

const AF_NETLINK = 16
export const NETLINK_ROUTE = 0
export const NETLINK_SOCK_DIAG = 4
export const NETLINK_NETFILTER = 12

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0x8_0000
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SO_SNDBUFFORCE = 32
const SOL_NETLINK = 270
const NETLINK_EXT_ACK = 11
const NETLINK_CAP_ACK = 10
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const EAGAIN = constants.errno.EAGAIN
const EMSGSIZE = constants.errno.EMSGSIZE

/** Room for the answers to the largest batch: the kernel drops answers that do not fit, and says ENOBUFS. */
const BUFFER_BYTES = 8 * 1024 * 1024
const DUMP_ATTEMPTS = 20

/** The kernel fills a datagram of a dump up to the size of the reader's buffer, at most this. */
const DATAGRAM_BYTES = 32 * 1024
/** One for all sockets of this thread: what is received is copied out at once. */
const buffer = Buffer.alloc(DATAGRAM_BYTES)

export class NetlinkSocket {
  readonly descriptor: number
  #sequence = 1
  #closed = false

  /** Opens a socket in the namespace the thread is in. `groups` is a bit mask of multicast groups to join. */
  constructor(protocol: number, groups = 0) {
    const doing = 'open a netlink socket'
    this.descriptor = call(doing, 'socket', AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
    try {
      const one = Buffer.from([1, 0, 0, 0])
      call(doing, 'setsockopt', this.descriptor, SOL_NETLINK, NETLINK_EXT_ACK, one, 4)
      call(doing, 'setsockopt', this.descriptor, SOL_NETLINK, NETLINK_CAP_ACK, one, 4)
      const size = Buffer.alloc(4)
      size.writeInt32LE(BUFFER_BYTES)
      // Without CAP_NET_ADMIN in the first user namespace the kernel's default has to do.
      attempt('setsockopt', this.descriptor, SOL_SOCKET, SO_RCVBUFFORCE, size, 4)
      attempt('setsockopt', this.descriptor, SOL_SOCKET, SO_SNDBUFFORCE, size, 4)
      const address = Buffer.alloc(12)
      address.writeUInt16LE(AF_NETLINK, 0)
      address.writeUInt32LE(groups, 8)
      call(doing, 'bind', this.descriptor, address, 12)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /**
   * Sends the messages as one datagram and reads all answers. Returns the data messages that came back (NLM_F_ECHO,
   * get requests). If any message failed, the first error is thrown, with `doing` as what was tried.
   */
  transact(doing: string, writer: MessageWriter): readonly Reply[] {
    const { replies, errors } = this.exchange(doing, writer.acknowledge())
    const first = errors[0]
    if (first !== undefined) throw first.error
    return replies
  }

  /**
   * Like `transact`, but hands the errors over, each with the position of its message. The last message is not
   * acknowledged by itself: without an error, no answer to it means success.
   */
  exchange(doing: string, writer: MessageWriter): Exchange {
    const { first, datagram } = this.#number(writer)
    call(doing, 'send', this.descriptor, datagram, datagram.length, 0)
    return this.#collect(doing, first, writer.count)
  }

  /**
   * Like `exchange`, but the kernel does its work on another thread: for deletions, most of which is waiting for RCU
   * without holding a lock. Nothing else may use this socket meanwhile.
   */
  async exchangeBehind(doing: string, writer: MessageWriter): Promise<Exchange> {
    const { first, datagram } = this.#number(writer)
    if ((await callBehind('send', this.descriptor, datagram, datagram.length, 0)) < 0) {
      throw failure(doing, 'send', constants.errno.EIO)
    }
    return this.#collect(doing, first, writer.count)
  }

  #number(writer: MessageWriter): { first: number; datagram: Buffer } {
    const first = this.#sequence
    this.#sequence += writer.count
    return { first, datagram: writer.finish(first) }
  }

  /** Reads the answers to the `count` messages numbered from `first`. */
  #collect(doing: string, first: number, count: number): Exchange {
    const replies: Reply[] = []
    const errors: { position: number; error: KernelError }[] = []
    for (let messages = this.receive(doing); messages !== undefined; messages = this.receive(doing)) {
      for (const message of messages) {
        const position = message.sequence - first
        // Left-overs of a request that was given up half-way are not ours. nf_tables echoes elements with number 0.
        const ours = message.sequence === 0 || (position >= 0 && position < count)
        if (!ours || message.type === NLMSG_NOOP) continue
        const acknowledgement = readAcknowledgement(message)
        if (acknowledgement === undefined) {
          replies.push({ position, message })
        } else if (acknowledgement.errno !== 0) {
          errors.push({
            position,
            error: failure(doing, 'netlink', acknowledgement.errno, acknowledgement.detail),
          })
        }
      }
    }
    return { replies, errors }
  }

  /**
   * Reads a whole table. The kernel marks a dump during which the table changed (NLM_F_DUMP_INTR): such a dump may
   * lack or repeat entries, so it is done again.
   */
  dump(doing: string, type: number, body: (writer: MessageWriter) => void): readonly Message[] {
    for (let attempts = 0; attempts < DUMP_ATTEMPTS; attempts++) {
      const messages = this.#dumpOnce(doing, type, body)
      if (messages !== undefined) return messages
    }
    throw new KernelError({
      code: 'EAGAIN',
      syscall: 'netlink',
      doing,
      detail: `the table changed during each of ${DUMP_ATTEMPTS} attempts to read it`,
    })
  }

  /** Undefined if the dump was interrupted by a change. */
  #dumpOnce(doing: string, type: number, body: (writer: MessageWriter) => void): Message[] | undefined {
    const sequence = this.#sequence++
    const datagram = new MessageWriter(64).message(type, NLM_F_DUMP, body).finish(sequence)
    call(doing, 'send', this.descriptor, datagram, datagram.length, 0)
    const messages: Message[] = []
    let interrupted = false
    for (;;) {
      const received = this.receive(doing)
      if (received === undefined) throw failure(doing, 'recv', EAGAIN, 'the dump has no end')
      for (const message of received) {
        if (message.sequence !== sequence || message.type === NLMSG_NOOP) continue
        interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0
        const acknowledgement = readAcknowledgement(message)
        if (acknowledgement === undefined) {
          messages.push(message)
          continue
        }
        if (acknowledgement.errno !== 0) {
          throw failure(doing, 'netlink', acknowledgement.errno, acknowledgement.detail)
        }
        if (message.type === NLMSG_DONE) return interrupted ? undefined : messages
      }
    }
  }

  /** The messages of one datagram, in memory of their own; undefined if none is waiting. */
  receive(doing: string): readonly Message[] | undefined {
    const length = attempt('recv', this.descriptor, buffer, DATAGRAM_BYTES, MSG_DONTWAIT | MSG_TRUNC)
    if (length === -EAGAIN) return undefined
    if (length < 0) throw failure(doing, 'recv', -length)
    if (length > DATAGRAM_BYTES) throw failure(doing, 'recv', EMSGSIZE, `a datagram of ${length} bytes`)
    return readMessages(Buffer.from(buffer.subarray(0, length)))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.descriptor)
  }

  /** Closes on a thread of libuv's pool: closing a netfilter socket waits for an RCU grace period. */
  closeBehind(): void {
    if (this.#closed) return
    this.#closed = true
    close(this.descriptor)
  }
}

/** A data message and the position of the message it answers; negative for echoes without a number. */
export interface Reply {
  readonly position: number
  readonly message: Message
}

export interface Exchange {
  readonly replies: readonly Reply[]
  readonly errors: readonly { readonly position: number; readonly error: KernelError }[]
}
