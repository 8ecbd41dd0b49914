/**
 * Where the kernel would send a packet: its own look-up, with policy rules, source checks and forwarding switches, and
 * without a packet. RTM_GETROUTE answers for a single destination what `ip route get` shows.
 */

import { formatAddress, parseAddress } from '../address.ts'
import { KernelError } from '../error.ts'
import { attributesAfter, MessageWriter } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { linkIndex, linkName } from './link.ts'
import {
  AF_INET,
  AF_INET6,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_TABLE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from './uapi.ts'

const HEADER = 12
const RTA_SRC = 2
const RTA_IIF = 3
const RTA_PREFSRC = 7
/** Answer with the matching entry of the table, for its prefix. */
const RTM_F_FIB_MATCH = 0x2000

export interface RouteQuestion {
  readonly destination: string
  /** Who sends it; for packets that come in by `from`. */
  readonly source?: string
  /** The link it came in by; absent = it is made here. */
  readonly from?: string
}

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'multicast' | 'unreachable' | 'other'

export interface RouteAnswer {
  readonly type: RouteType
  readonly link: string
  readonly gateway: string | undefined
  /** The address it is sent from. */
  readonly source: string | undefined
  readonly table: number
  /** `default` or a prefix, where the kernel tells. */
  readonly prefix: string | undefined
}

/** EXDEV, EHOSTUNREACH, ENETUNREACH, …: why there is no route. */
export interface NoRoute {
  readonly refused: string
}

const types: Readonly<Record<number, RouteType>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  5: 'multicast',
  6: 'unreachable',
  7: 'unreachable',
  8: 'unreachable',
}

export function lookUpRoute(socket: NetlinkSocket, question: RouteQuestion): RouteAnswer | NoRoute {
  const found = ask(socket, question, 0)
  if ('refused' in found) return found
  if (question.from !== undefined) return found
  const entry = ask(socket, question, RTM_F_FIB_MATCH)
  return 'refused' in entry ? found : { ...found, prefix: entry.prefix }
}

function ask(
  socket: NetlinkSocket,
  { destination, source, from }: RouteQuestion,
  flags: number,
): RouteAnswer | NoRoute {
  const doing = `look up the route to ${destination}`
  const address = parseAddress(destination)
  const head = Buffer.alloc(HEADER)
  head.writeUInt8(address.length === 4 ? AF_INET : AF_INET6, 0)
  head.writeUInt8(address.length * 8, 1)
  if (source !== undefined) head.writeUInt8(address.length * 8, 2)
  head.writeUInt32LE(flags, 8)
  const iif = from === undefined ? 0 : linkIndex(socket, doing, from)
  const writer = new MessageWriter(128).message(RTM_GETROUTE, 0, message => {
    message.raw(head).bytes(RTA_DST, address)
    if (source !== undefined) message.bytes(RTA_SRC, parseAddress(source))
    if (iif !== 0) message.u32(RTA_IIF, iif)
  })
  const { replies, errors } = socket.exchange(doing, writer)
  const [refused] = errors
  if (refused !== undefined) return { refused: refused.error.code }
  const found = replies.find(({ message }) => message.type === RTM_NEWROUTE)
  if (found === undefined)
    throw new KernelError({ code: 'EBADMSG', syscall: 'RTM_GETROUTE', doing, detail: '' })
  const { payload } = found.message
  const attributes = attributesAfter(payload, HEADER)
  const text = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : formatAddress(bytes))
  const length = payload.readUInt8(1)
  const prefix = text(attributes.bytes(RTA_DST))
  return {
    type: types[payload.readUInt8(7)] ?? 'other',
    link: linkName(socket, attributes.u32(RTA_OIF) ?? 0) ?? '',
    gateway: text(attributes.bytes(RTA_GATEWAY)),
    source: text(attributes.bytes(RTA_PREFSRC)),
    table: attributes.u32(RTA_TABLE) ?? payload.readUInt8(4),
    prefix: length === 0 || prefix === undefined ? 'default' : `${prefix}/${length}`,
  }
}
