/**
 * Internet sockets by hand: made in the namespace the thread is in, bound and listening when they are returned. Node's
 * own listen and bind are deferred and would happen in another namespace. The numbers go to Node with `{ fd }`.
 */

import { closeSync } from 'node:fs'
import { parseAddress } from './address.ts'
import { call } from './ffi.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_NONBLOCK = 0x800
export const SOCK_CLOEXEC = 0x8_0000
export const IPPROTO_SCTP = 132

const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const BACKLOG = 128

/** struct sockaddr_in or sockaddr_in6. */
export function socketAddress(address: string, port: number): Buffer {
  const bytes = parseAddress(address)
  const four = bytes.length === 4
  const result = Buffer.alloc(four ? 16 : 28)
  result.writeUInt16LE(four ? AF_INET : AF_INET6, 0)
  result.writeUInt16BE(port, 2)
  bytes.copy(result, four ? 4 : 8)
  return result
}

export function setOption(
  doing: string,
  descriptor: number,
  level: number,
  option: number,
  value: number,
): void {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  call(doing, 'setsockopt', descriptor, level, option, bytes, 4)
}

/** A non-blocking, unbound UDP or TCP socket. */
export function openInternetSocket(family: 4 | 6, type: 'udp' | 'tcp'): number {
  const kind = type === 'udp' ? SOCK_DGRAM : SOCK_STREAM
  const domain = family === 4 ? AF_INET : AF_INET6
  return call(`open a ${type} socket`, 'socket', domain, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
}

/** Runs `use` with a new socket, which is closed if that fails. */
export function withSocket(descriptor: number, use: (descriptor: number) => void): number {
  try {
    use(descriptor)
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  return descriptor
}

/** A non-blocking socket bound to an address and port; TCP listens. */
export function openBoundSocket(address: string, port: number, type: 'udp' | 'tcp'): number {
  const doing = `bind ${address} port ${port}/${type}`
  const family = parseAddress(address).length === 4 ? 4 : 6
  return withSocket(openInternetSocket(family, type), descriptor => {
    if (type === 'tcp') setOption(doing, descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if (family === 6) setOption(doing, descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    const target = socketAddress(address, port)
    call(doing, 'bind', descriptor, target, target.length)
    if (type === 'tcp') call(doing, 'listen', descriptor, BACKLOG)
  })
}
