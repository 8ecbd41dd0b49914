/** One attempt at a TCP connection, on a socket that may have been made in another namespace: it stays there. */
import { closeSync } from 'node:fs'
import { errnoName } from './error.ts'
import { attempt } from './ffi.ts'
import { Watcher } from './poll.ts'
import { openInternetSocket, socketAddress } from './socket.ts'

const SOL_SOCKET = 1
const SO_ERROR = 4
const EINPROGRESS = 115

/** `connected`, `timeout`, or why not: ECONNREFUSED, EHOSTUNREACH, … */
export type ProbeResult = string

/** Tries to connect and closes again. `descriptor`: an unbound socket, which it takes over; absent = one of this namespace. */
export function probe(
  address: string,
  port: number,
  timeoutMs: number,
  descriptor = openInternetSocket(address.includes(':') ? 6 : 4, 'tcp'),
): Promise<ProbeResult> {
  const target = socketAddress(address, port)
  const result = attempt('connect', descriptor, target, target.length)
  if (result !== -EINPROGRESS) {
    closeSync(descriptor)
    return Promise.resolve(result < 0 ? errnoName(-result) : 'connected')
  }
  return new Promise(resolve => {
    const end = (answer: ProbeResult) => {
      clearTimeout(timer)
      watcher.close()
      closeSync(descriptor)
      resolve(answer)
    }
    const watcher = new Watcher(descriptor, { readable: false, writable: true }, () => {
      const error = Buffer.alloc(4)
      const size = Buffer.from([4, 0, 0, 0])
      attempt('getsockopt', descriptor, SOL_SOCKET, SO_ERROR, error, size)
      const number = error.readInt32LE(0)
      end(number === 0 ? 'connected' : errnoName(number))
    })
    const timer = setTimeout(() => end('timeout'), timeoutMs)
  })
}
