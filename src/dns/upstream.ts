/**
 * One question to one server, over a socket of its own: a new source port each time, chosen by the kernel, is half of
 * what protects from forged answers (the random id is the other). The socket is connected, so the kernel drops what
 * others send, and an unreachable server shows at once instead of by silence.
 *
 * A socket made inside a sandbox's namespace comes as a number. It is handed to Node unbound: `connect` on it happens
 * in the namespace it was made in, whichever thread calls.
 */

import { closeSync } from 'node:fs'
import { createSocket, type SocketOptions } from 'node:dgram'
import { isIPv6, Socket } from 'node:net'

import { framed, Frames } from './frames.ts'

export type Protocol = 'udp' | 'tcp'

/** Makes a socket inside a namespace. */
export type OpenInside = (family: 4 | 6, protocol: Protocol) => Promise<number>

export interface Attempt {
  /** Sends the question once more, where the transport may have lost it. */
  repeat(): void
  /** Closes the socket; nothing is reported afterwards. */
  cancel(): void
}

export interface Listener {
  /** A message came from the server; it may still be the answer to something else. */
  message(bytes: Uint8Array): void
  /** The server will not answer. */
  failed(): void
}

/** Asks `server` from inside a sandbox if `open` is given, from the host otherwise. */
export function ask(
  server: string,
  port: number,
  protocol: Protocol,
  question: Uint8Array,
  open: OpenInside | undefined,
  listener: Listener,
): Attempt {
  let live: Attempt | undefined
  let over = false
  const finish = (): void => {
    over = true
    live?.cancel()
  }
  const fail = (): void => {
    if (over) return
    finish()
    listener.failed()
  }
  const guarded: Listener = { message: bytes => (over ? undefined : listener.message(bytes)), failed: fail }
  const start = (fd: number | undefined): void => {
    try {
      live = (protocol === 'udp' ? askUdp : askTcp)(server, port, question, fd, guarded)
    } catch {
      if (fd !== undefined) closeSync(fd)
      // Later, as all else here: the caller does not hold the attempt yet.
      process.nextTick(fail)
    }
  }
  if (open === undefined) start(undefined)
  else {
    open(isIPv6(server) ? 6 : 4, protocol).then(fd => (over ? closeSync(fd) : start(fd)), fail)
  }
  return { repeat: () => live?.repeat(), cancel: finish }
}

/** Servers are addresses: without this, dgram puts each through its look-up and another turn of the loop. */
export const literal: NonNullable<SocketOptions['lookup']> = (address, _options, callback) => {
  callback(null, address, isIPv6(address) ? 6 : 4)
}

function askUdp(
  server: string,
  port: number,
  question: Uint8Array,
  fd: number | undefined,
  listener: Listener,
): Attempt {
  const socket = createSocket({ type: isIPv6(server) ? 'udp6' : 'udp4', lookup: literal })
  let connected = false
  let closed = false
  const send = (): void => {
    if (!connected || closed) return
    socket.send(question, error => {
      if (error !== null) listener.failed()
    })
  }
  socket.on('message', bytes => listener.message(bytes))
  socket.on('error', () => listener.failed())
  socket.once('connect', () => {
    connected = true
    send()
  })
  if (fd !== undefined) socket.bind({ fd })
  socket.connect(port, server)
  return {
    repeat: send,
    cancel: () => {
      if (closed) return
      closed = true
      socket.close()
    },
  }
}

function askTcp(
  server: string,
  port: number,
  question: Uint8Array,
  fd: number | undefined,
  listener: Listener,
): Attempt {
  const socket = new Socket(fd === undefined ? {} : { fd, readable: true, writable: true })
  const frames = new Frames()
  socket.on('data', chunk => {
    frames.push(chunk)
    for (let message = frames.next(); message !== undefined; message = frames.next()) {
      if (message === null) return listener.failed()
      listener.message(message)
    }
  })
  socket.on('error', () => listener.failed())
  socket.on('close', () => listener.failed())
  socket.connect({ host: server, port })
  socket.write(framed(question))
  return { repeat: () => undefined, cancel: () => socket.destroy() }
}
