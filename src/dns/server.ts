/**
 * A sandbox's two sockets. They were made and bound inside its namespace and come as numbers; from then on they are
 * ordinary members of this thread's event loop.
 *
 * Whoever can reach the sockets is a container and may be hostile: what it can make us hold is bounded (connections,
 * questions under way, answers it does not take), and it gets deadlines, not trust.
 */

import { closeSync } from 'node:fs'
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

import { framed, Frames } from './frames.ts'
import type { Deliver } from './forward.ts'
import { literal, type Protocol } from './upstream.ts'
import {
  type Asked,
  emitEmpty,
  emitRejection,
  emitTruncated,
  maxMessageSize,
  parseQuery,
  rcode,
  type Rejection,
  udpLimit,
} from './wire.ts'

/** What questions are answered from. */
export interface Source {
  /** Emits an answer into `out` and gives its length; 0 if the question is to be forwarded. */
  answer(asked: Asked, out: Uint8Array, limit: number): number
  forward(asked: Asked, protocol: Protocol, deliver: Deliver): void
}

export interface ServerLimits {
  /** A TCP connection without a whole question for this long is closed. */
  readonly idleMs: number
  /** Further TCP connections are closed at once. */
  readonly connections: number
}

export const usualLimits: ServerLimits = { idleMs: 10_000, connections: 128 }

/** Answers that the kernel would not take at once; more than these are dropped, as a network would. */
const mostUnsent = 256
/** Questions that may wait while this thread is busy. The kernel gives what its rmem_max allows, and then twice that. */
const recvBufferSize = 1024 * 1024
/** Answers to one TCP client that it has not taken; beyond this no further question of it is read. */
const mostUntaken = 128 * 1024

/**
 * Where local answers are emitted; shared by all sockets of the thread. The kernel copies a datagram while it is sent,
 * so the buffer is free again at once but for the rare case in which Node had to queue it.
 */
let scratch = Buffer.allocUnsafe(maxMessageSize)

export class SandboxServer {
  readonly #source: Source
  readonly #limits: ServerLimits
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #connections = new Set<Socket>()
  #closed = false

  private constructor(source: Source, limits: ServerLimits, type: 'udp4' | 'udp6' = 'udp4') {
    this.#source = source
    this.#limits = limits
    this.#udp = createSocket({ type, lookup: literal, recvBufferSize })
    this.#udp.on('message', (bytes, peer) => this.#datagram(bytes, peer))
    // An error belongs to one datagram (an ICMP message came back); the socket goes on.
    this.#udp.on('error', () => undefined)
    this.#tcp = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.#converse(socket))
    this.#tcp.maxConnections = limits.connections
    this.#tcp.on('error', () => undefined)
  }

  /** Takes over bound sockets; they are closed if that fails. */
  static async start(
    source: Source,
    sockets: { readonly udp: number; readonly tcp: number },
    limits: ServerLimits,
  ): Promise<SandboxServer> {
    const server = new SandboxServer(source, limits)
    try {
      server.#udp.bind({ fd: sockets.udp })
    } catch (error) {
      closeSync(sockets.udp)
      closeSync(sockets.tcp)
      throw error
    }
    try {
      server.#tcp.listen({ fd: sockets.tcp })
      await once(server.#tcp, 'listening')
    } catch (error) {
      server.#udp.close()
      closeSync(sockets.tcp)
      throw error
    }
    return server
  }

  /** Opens sockets of its own, in the namespace of this thread. Throws if the address is taken. */
  static async open(
    source: Source,
    place: { readonly host: string; readonly port: number },
    limits: ServerLimits,
  ): Promise<SandboxServer> {
    const server = new SandboxServer(source, limits, place.host.includes(':') ? 'udp6' : 'udp4')
    const failed = new Promise<never>((_, reject) => {
      server.#udp.once('error', reject)
      server.#tcp.once('error', reject)
    })
    failed.catch(() => undefined)
    // Listened for beforehand: an address needs no look-up, so binding may tell before it returns.
    const listening = [once(server.#udp, 'listening'), once(server.#tcp, 'listening')]
    server.#udp.bind({ port: place.port, address: place.host, exclusive: true })
    server.#tcp.listen({ port: place.port, host: place.host, exclusive: true })
    try {
      await Promise.race([Promise.all(listening), failed])
    } catch (error) {
      for (const socket of [server.#udp, server.#tcp]) closeQuietly(socket)
      throw error
    }
    return server
  }

  /** Resolves when the sockets are closed. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const socket of this.#connections) socket.destroy()
    const closed = Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')])
    this.#udp.close()
    this.#tcp.close()
    await closed
  }

  #datagram(bytes: Buffer, peer: RemoteInfo): void {
    // Nobody can be answered at port 0, and Node throws at the attempt.
    if (peer.port === 0) return
    const query = parseQuery(bytes)
    if (typeof query === 'string') return this.#send(scratch, emitRejected(scratch, bytes, query), peer)
    const asked = { bytes, query }
    const limit = udpLimit(query)
    const length = this.#source.answer(asked, scratch, limit)
    if (length > 0) return this.#send(scratch, length, peer)
    this.#source.forward(asked, 'udp', reply => {
      if (typeof reply === 'number') this.#send(scratch, emitEmpty(scratch, asked, reply), peer)
      else if (reply.length > limit) this.#send(scratch, emitTruncated(scratch, asked), peer)
      else this.#send(reply, reply.length, peer)
    })
  }

  #send(bytes: Uint8Array, length: number, peer: RemoteInfo): void {
    if (length === 0 || this.#closed || this.#udp.getSendQueueCount() > mostUnsent) return
    this.#udp.send(bytes, 0, length, peer.port, peer.address)
    if (bytes === scratch && this.#udp.getSendQueueCount() > 0) scratch = Buffer.allocUnsafe(maxMessageSize)
  }

  #converse(socket: Socket): void {
    const frames = new Frames()
    let underWay = 0
    let ended = false
    // Not the socket's own idle timer: single bytes now and then would keep that going.
    const deadline = setTimeout(() => socket.destroy(), this.#limits.idleMs)
    const reply = (bytes: Uint8Array): void => {
      if (bytes.length > 0 && socket.writable) socket.write(framed(bytes))
    }
    const question = (bytes: Buffer): void => {
      const query = parseQuery(bytes)
      if (typeof query === 'string') {
        reply(scratch.subarray(0, emitRejected(scratch, bytes, query)))
        return
      }
      const length = this.#source.answer({ bytes, query }, scratch, maxMessageSize)
      if (length > 0) {
        reply(scratch.subarray(0, length))
        return
      }
      // What waits is a copy: the message is a view of the chunk it came in, and would keep all of that.
      const asked = { bytes: Uint8Array.from(bytes), query }
      underWay += 1
      this.#source.forward(asked, 'tcp', answer => {
        underWay -= 1
        reply(typeof answer === 'number' ? scratch.subarray(0, emitEmpty(scratch, asked, answer)) : answer)
        if (ended && underWay === 0) socket.end()
      })
    }
    const work = (): void => {
      while (socket.writableLength < mostUntaken) {
        const message = frames.next()
        if (message === null) {
          socket.destroy()
          return
        }
        if (message === undefined) {
          if (ended && underWay === 0) socket.end()
          else socket.resume()
          return
        }
        deadline.refresh()
        question(message)
      }
      socket.pause()
    }
    this.#connections.add(socket)
    socket.on('data', chunk => {
      frames.push(chunk)
      work()
    })
    socket.on('drain', work)
    // A client may close its side behind its question and still wait for the answer.
    socket.on('end', () => {
      ended = true
      work()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(deadline)
      this.#connections.delete(socket)
    })
  }
}

/** One of the two may not have come so far that there is something to close. */
function closeQuietly(socket: UdpSocket | Server): void {
  try {
    socket.close()
  } catch {
    // Not open.
  }
}

function emitRejected(out: Uint8Array, bytes: Uint8Array, rejection: Rejection): number {
  if (rejection === 'ignore') return 0
  return emitRejection(out, bytes, rejection === 'malformed' ? rcode.formatError : rcode.notImplemented)
}
