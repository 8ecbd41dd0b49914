/** Which sockets sit on which local ports: sock_diag(7), and /proc to find whose they are. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { formatAddress } from './address.ts'
import { malformed } from './error.ts'
import type { Message } from './netlink/message.ts'
import { NETLINK_SOCK_DIAG, NetlinkSocket } from './netlink/socket.ts'
import type { Protocol } from './operation.ts'
import { AF_INET, AF_INET6, IPPROTO_SCTP } from './socket.ts'

const SOCK_DIAG_BY_FAMILY = 20
const REQUEST_LENGTH = 56
const ANSWER_LENGTH = 72
const LISTENING = 1 << 10
const ANY_STATE = 0xfff

const protocolNumbers: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: IPPROTO_SCTP }

export interface BoundSocket {
  readonly address: string
  readonly port: number
  readonly inode: number
}

export function parseBoundSocket({ payload }: Message): BoundSocket {
  if (payload.length < ANSWER_LENGTH) throw malformed(`a socket of ${payload.length} bytes`)
  const length = payload.readUInt8(0) === AF_INET ? 4 : 16
  return {
    port: payload.readUInt16BE(4),
    address: formatAddress(payload.subarray(8, 8 + length)),
    inode: payload.readUInt32LE(68),
  }
}

/** Listening TCP and SCTP sockets, or all UDP sockets, of both families in the thread's namespace. */
export function listBoundSockets(protocol: Protocol): readonly BoundSocket[] {
  const socket = new NetlinkSocket(NETLINK_SOCK_DIAG)
  try {
    return [AF_INET, AF_INET6].flatMap(family => {
      const request = Buffer.alloc(REQUEST_LENGTH)
      request.writeUInt8(family, 0)
      request.writeUInt8(protocolNumbers[protocol], 1)
      request.writeUInt32LE(protocol === 'udp' ? ANY_STATE : LISTENING, 4)
      return socket
        .dump(`list ${protocol} sockets`, SOCK_DIAG_BY_FAMILY, message => message.raw(request))
        .filter(message => message.type === SOCK_DIAG_BY_FAMILY)
        .map(parseBoundSocket)
    })
  } finally {
    socket.close()
  }
}

/** `pid 812 (nginx)`: the first process that holds one of these sockets; '' if none does. Reads all of /proc/*\/fd. */
export function socketHolder(inodes: ReadonlySet<number>): string {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  for (const pid of pids.sort((one, other) => Number(one) - Number(other))) {
    try {
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1]
        if (inode !== undefined && inodes.has(Number(inode))) {
          return `pid ${pid} (${readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd()})`
        }
      }
    } catch {
      // The process or the descriptor is gone, or belongs to somebody we may not look at.
    }
  }
  return ''
}

/** `nginx (pid 812)`: which of these processes holds the socket; '' if none does. */
export function holderOf(inode: number, pids: readonly number[]): string {
  for (const pid of pids) {
    try {
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${descriptor}`) !== `socket:[${inode}]`) continue
        return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd()} (pid ${pid})`
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return ''
}
