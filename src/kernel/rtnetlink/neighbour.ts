/** Neighbours: which MAC an address has on a link. Those set here are permanent: nobody asks for them by ARP or ND. */

import { formatAddress, formatMac, parseAddress, parseMac } from '../address.ts'
import { attributesAfter, MessageWriter, NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/message.ts'
import type { Message } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import {
  AF_INET,
  AF_INET6,
  NDA_DST,
  NDA_LLADDR,
  NUD_PERMANENT,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './uapi.ts'

const HEADER = 12

export interface Neighbour {
  /** ifindex */
  readonly index: number
  readonly address: string
  /** undefined while it is being asked for, or when nobody answered. */
  readonly mac: string | undefined
  readonly permanent: boolean
}

function neighbourHeader(index: number, address: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeUInt8(address.length === 4 ? AF_INET : AF_INET6, 0)
  header.writeInt32LE(index, 4)
  header.writeUInt16LE(NUD_PERMANENT, 8)
  return header
}

export function setNeighbour(socket: NetlinkSocket, index: number, address: string, mac: string): void {
  const bytes = parseAddress(address)
  const writer = new MessageWriter(64).message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, message =>
    message.raw(neighbourHeader(index, bytes)).bytes(NDA_DST, bytes).bytes(NDA_LLADDR, parseMac(mac)),
  )
  socket.transact(`set neighbour ${address}`, writer)
}

/** One that is not there is no error. */
export function deleteNeighbour(socket: NetlinkSocket, index: number, address: string): void {
  const bytes = parseAddress(address)
  const writer = new MessageWriter(64).message(RTM_DELNEIGH, 0, message =>
    message.raw(neighbourHeader(index, bytes)).bytes(NDA_DST, bytes),
  )
  const [first] = socket.exchange(`delete neighbour ${address}`, writer).errors
  if (first !== undefined && first.error.code !== 'ENOENT') throw first.error
}

export function parseNeighbour(message: Message): Neighbour | undefined {
  const attributes = attributesAfter(message.payload, HEADER)
  const address = attributes.bytes(NDA_DST)
  if (address === undefined || (address.length !== 4 && address.length !== 16)) return undefined
  const mac = attributes.bytes(NDA_LLADDR)
  return {
    index: message.payload.readInt32LE(4),
    address: formatAddress(address),
    mac: mac === undefined ? undefined : formatMac(mac),
    permanent: (message.payload.readUInt16LE(8) & NUD_PERMANENT) !== 0,
  }
}

export function listNeighbours(socket: NetlinkSocket): readonly Neighbour[] {
  return socket
    .dump('list neighbours', RTM_GETNEIGH, message => message.raw(Buffer.alloc(HEADER)))
    .filter(message => message.type === RTM_NEWNEIGH)
    .map(parseNeighbour)
    .filter(neighbour => neighbour !== undefined)
}
