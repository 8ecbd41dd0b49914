/** What the tests of this folder share: raw sockets as the kernel floor makes them, a small server, a small client. */

import { readdirSync, readlinkSync } from 'node:fs'
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, isIPv6, type Server } from 'node:net'

import { decode, type DecodedPacket, encode, type Packet, RECURSION_DESIRED } from 'dns-packet'
import koffi from 'koffi'

import { framed, Frames } from './frames.ts'

const libc = koffi.load(null)
const socket = libc.func('int socket(int domain, int type, int protocol)') as (...numbers: number[]) => number
const bind = libc.func('int bind(int fd, const void *address, unsigned int length)') as (
  fd: number,
  address: Buffer,
  length: number,
) => number
const getsockname = libc.func(
  'int getsockname(int fd, _Out_ void *address, _Inout_ unsigned int *length)',
) as (fd: number, address: Buffer, length: number[]) => number

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000

/** An unbound, non-blocking socket as a number. */
export function rawSocket(family: 4 | 6, type: 'udp' | 'tcp'): number {
  const kind = (type === 'udp' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  return checked(socket(family === 4 ? AF_INET : AF_INET6, kind, 0))
}

/** A socket bound to a port of 127.0.0.1, a free one unless told, as a number. */
export function boundSocket(type: 'udp' | 'tcp', wanted = 0): { readonly fd: number; readonly port: number } {
  const fd = rawSocket(4, type)
  const address = Buffer.alloc(16)
  address.writeUInt16LE(AF_INET)
  address.writeUInt16BE(wanted, 2)
  address.set([127, 0, 0, 1], 4)
  checked(bind(fd, address, address.length))
  checked(getsockname(fd, address, [address.length]))
  return { fd, port: address.readUInt16BE(2) }
}

/** How many sockets this process has. */
export function openSockets(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

function checked(result: number): number {
  if (result < 0) throw new Error(`system call failed with errno ${koffi.errno()}`)
  return result
}

interface Ask {
  readonly id?: number
  readonly edns?: number
}

/** A question's bytes, made by an encoder that is not ours. */
export function questionBytes(name: string, type: string, { id = 7, edns }: Ask = {}): Buffer {
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type: type as 'A', class: 'IN' }],
    additionals:
      edns === undefined
        ? []
        : [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: edns,
              flags: 0,
              options: [],
              extendedRcode: 0,
              ednsVersion: 0,
              flag_do: false,
            },
          ],
  })
}

/** An answer, read by a decoder that is not ours. */
export function decoded(answer: Buffer): DecodedPacket & { readonly rcode: string } {
  return decode(answer) as DecodedPacket & { rcode: string }
}

/** Sends bytes to a UDP port of 127.0.0.1 and gives the first answer. */
export async function exchangeUdp(port: number, bytes: Uint8Array, at = '127.0.0.1'): Promise<Buffer> {
  const client = createSocket('udp4')
  client.connect(port, at)
  await once(client, 'connect')
  client.send(bytes)
  const [answer] = (await once(client, 'message')) as [Buffer]
  client.close()
  await once(client, 'close')
  return answer
}

/** Sends questions over one TCP connection to 127.0.0.1, and gives as many answers. */
export async function exchangeTcp(
  port: number,
  questions: readonly Uint8Array[],
  at = '127.0.0.1',
): Promise<readonly Buffer[]> {
  const client = connect(port, at)
  const frames = new Frames()
  const answers: Buffer[] = []
  for (const question of questions) client.write(framed(question))
  for await (const chunk of client as AsyncIterable<Buffer>) {
    frames.push(chunk)
    for (let message = frames.next(); Buffer.isBuffer(message); message = frames.next()) answers.push(message)
    if (answers.length >= questions.length) break
  }
  client.destroy()
  return answers
}

/** The question back with one address: what a server outside says that knows the name. */
export function addressReply(question: Buffer, address: readonly [number, number, number, number]): Buffer {
  const reply = Buffer.concat([
    question,
    Buffer.from('c00c0001000100000e100004', 'hex'),
    Buffer.from(address),
  ])
  reply.writeUInt16BE(0x8180, 2)
  reply.writeUInt16BE(1, 6)
  return reply
}

/** What a server outside does with a question: reply with these bytes, or keep silent. */
export type Behaviour = (question: Packet, bytes: Buffer) => Buffer | undefined

/** A server for UDP and TCP on one address and port of the loopback network; it remembers what it was asked. */
export class Upstream {
  readonly asked: Packet[] = []
  readonly peers: RemoteInfo[] = []
  behaviour: Behaviour
  readonly #udp: UdpSocket
  readonly #tcp: Server

  private constructor(udp: UdpSocket, tcp: Server, behaviour: Behaviour) {
    this.#udp = udp
    this.#tcp = tcp
    this.behaviour = behaviour
  }

  /** Port 0: one that is free for both protocols. */
  static async start(address: string, port: number, behaviour: Behaviour): Promise<Upstream> {
    for (let attempt = 1; ; attempt++) {
      const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
      const tcp = createServer()
      try {
        udp.bind(port, address)
        await once(udp, 'listening')
        tcp.listen(udp.address().port, address)
        await once(tcp, 'listening')
        return Upstream.#serve(udp, tcp, behaviour)
      } catch (error) {
        udp.close()
        if (port !== 0 || attempt === 10) throw error
      }
    }
  }

  /** On sockets that were bound elsewhere, with one port. */
  static async adopt(
    sockets: { readonly udp: number; readonly tcp: number },
    behaviour: Behaviour,
  ): Promise<Upstream> {
    const udp = createSocket('udp4')
    const tcp = createServer()
    udp.bind({ fd: sockets.udp })
    tcp.listen({ fd: sockets.tcp })
    await once(tcp, 'listening')
    return Upstream.#serve(udp, tcp, behaviour)
  }

  static #serve(udp: UdpSocket, tcp: Server, behaviour: Behaviour): Upstream {
    const upstream = new Upstream(udp, tcp, behaviour)
    udp.on('message', (bytes, peer) => {
      upstream.peers.push(peer)
      const reply = upstream.#take(bytes)
      if (reply !== undefined) udp.send(reply, peer.port, peer.address)
    })
    tcp.on('connection', client => {
      const frames = new Frames()
      client.on('error', () => undefined)
      client.on('data', chunk => {
        frames.push(chunk)
        for (let message = frames.next(); Buffer.isBuffer(message); message = frames.next()) {
          const reply = upstream.#take(message)
          if (reply !== undefined) client.write(framed(reply))
        }
      })
    })
    return upstream
  }

  get port(): number {
    return this.#udp.address().port
  }

  async stop(): Promise<void> {
    this.#udp.close()
    this.#tcp.close()
    await once(this.#udp, 'close')
  }

  #take(bytes: Buffer): Buffer | undefined {
    const question = decode(bytes)
    this.asked.push(question)
    return this.behaviour(question, bytes)
  }
}
