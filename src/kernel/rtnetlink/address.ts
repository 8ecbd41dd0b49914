/**
 * Addresses of links. IPv4 carries the broadcast address ifconfig and ip(8) would compute; IPv6 is added without
 * duplicate address detection, because the engine owns the subnet and two seconds of "tentative" help nobody.
 */

import { broadcastAddress, formatCidr, isLinkLocal, parseCidr } from '../address.ts'
import { attributesAfter, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import type { Message, MessageWriter } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_F_NODAD,
  IFA_LOCAL,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
} from './uapi.ts'

const HEADER = 8

export interface LinkAddress {
  readonly index: number
  readonly family: 4 | 6
  /** `172.17.0.1/16` */
  readonly cidr: string
  readonly linkLocal: boolean
}

/** Appends "give this address to that link". Fails with EEXIST if the link has it. */
export function addAddress(writer: MessageWriter, index: number, cidr: string): void {
  addressMessage(writer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, cidr)
}

/** Appends "take this address from that link". Fails with EADDRNOTAVAIL if it has not got it. */
export function removeAddress(writer: MessageWriter, index: number, cidr: string): void {
  addressMessage(writer, RTM_DELADDR, 0, index, cidr)
}

function addressMessage(
  writer: MessageWriter,
  type: number,
  flags: number,
  index: number,
  cidr: string,
): void {
  const parsed = parseCidr(cidr)
  const { family, address, length } = parsed
  const header = Buffer.alloc(HEADER)
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0)
  header.writeUInt8(length, 1)
  header.writeUInt8(family === 6 ? IFA_F_NODAD : 0, 2)
  header.writeUInt8(isLinkLocal(address) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 3)
  header.writeUInt32LE(index, 4)
  writer.message(type, flags, message => {
    message.raw(header).bytes(IFA_LOCAL, address).bytes(IFA_ADDRESS, address)
    const broadcast = broadcastAddress(parsed)
    if (broadcast !== undefined) message.bytes(IFA_BROADCAST, broadcast)
  })
}

export function parseLinkAddress(message: Message): LinkAddress | undefined {
  const attributes = attributesAfter(message.payload, HEADER)
  const family = message.payload.readUInt8(0)
  const address = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS)
  if (address === undefined || (family !== AF_INET && family !== AF_INET6)) return undefined
  return {
    index: message.payload.readUInt32LE(4),
    family: family === AF_INET ? 4 : 6,
    cidr: formatCidr(address, message.payload.readUInt8(1)),
    linkLocal: isLinkLocal(address),
  }
}

/** All addresses of the namespace, in the kernel's order. */
export function listAddresses(socket: NetlinkSocket): readonly LinkAddress[] {
  return socket
    .dump('list addresses', RTM_GETADDR, message => message.raw(Buffer.alloc(HEADER)))
    .filter(message => message.type === RTM_NEWADDR)
    .map(parseLinkAddress)
    .filter(address => address !== undefined)
}
