/**
 * Links: read, change, delete. A link is named by its index where it is known, by its name otherwise.
 *
 * Deleting is the expensive part of networking: 16–32 ms per veth, because the kernel waits for RCU grace periods.
 * Many deletions in one datagram gain nothing; giving the links one group and deleting the group does (100 veths in
 * 75 ms). Names that are gone already are no error.
 */

import { randomInt } from 'node:crypto'
import { checkInterfaceName, formatMac, parseMac } from '../address.ts'
import { malformed } from '../error.ts'
import { attempt, failure } from '../ffi.ts'
import { attributesAfter, MessageWriter, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL } from '../netlink/message.ts'
import type { Message } from '../netlink/message.ts'
import type { Exchange, NetlinkSocket } from '../netlink/socket.ts'
import {
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BRPORT_MODE,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './uapi.ts'

const HEADER = 16
const SIOCGIFINDEX = 0x8933
const SIOCGIFNAME = 0x8910

export interface Link {
  readonly index: number
  readonly name: string
  /** `bridge`, `veth`, …; undefined for hardware and lo. */
  readonly kind: string | undefined
  readonly alias: string | undefined
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** ifindex of the bridge it is a port of, 0 = none. */
  readonly master: number
  /** veth: ifindex of the other end in its namespace; 0 = none. */
  readonly peer: number
  /** Bridge port: frames may leave by the port they came in. */
  readonly hairpin: boolean
}

/** What can be given or changed; absent = left as it is. */
export interface LinkChange {
  readonly up?: boolean
  readonly mac?: string
  readonly mtu?: number
  readonly master?: number
  readonly alias?: string
}

/** struct ifinfomsg. `change` says which of the flags are meant. */
export function linkHeader(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  header.writeUInt32LE(change, 12)
  return header
}

export function parseLink(message: Message): Link {
  const attributes = attributesAfter(message.payload, HEADER)
  const name = attributes.text(IFLA_IFNAME)
  if (name === undefined) throw malformed('a link without a name')
  const info = attributes.nested(IFLA_LINKINFO)
  const kind = info?.text(IFLA_INFO_KIND)
  const port = info?.text(IFLA_INFO_SLAVE_KIND) === 'bridge' ? info.nested(IFLA_INFO_SLAVE_DATA) : undefined
  return {
    index: message.payload.readInt32LE(4),
    name,
    kind,
    alias: attributes.text(IFLA_IFALIAS),
    mac: formatMac(attributes.bytes(IFLA_ADDRESS) ?? Buffer.alloc(0)),
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    up: (message.payload.readUInt32LE(8) & IFF_UP) !== 0,
    master: attributes.u32(IFLA_MASTER) ?? 0,
    peer: kind === 'veth' ? (attributes.u32(IFLA_LINK) ?? 0) : 0,
    hairpin: port?.u8(IFLA_BRPORT_MODE) === 1,
  }
}

/** Appends a change of the link `index` to a batch. */
export function changeLink(writer: MessageWriter, index: number, change: LinkChange): void {
  const flags = change.up === true ? IFF_UP : 0
  writer.message(RTM_NEWLINK, 0, message => {
    message.raw(linkHeader(index, flags, change.up === undefined ? 0 : IFF_UP))
    if (change.mac !== undefined) message.bytes(IFLA_ADDRESS, parseMac(change.mac))
    if (change.mtu !== undefined) message.u32(IFLA_MTU, change.mtu)
    if (change.master !== undefined) message.u32(IFLA_MASTER, change.master)
    if (change.alias !== undefined) message.text(IFLA_IFALIAS, change.alias)
  })
}

/** Sends a message that makes a link and returns the link as the kernel echoes it. Fails with EEXIST. */
export function createLink(
  socket: NetlinkSocket,
  doing: string,
  flags: number,
  body: (writer: MessageWriter) => void,
): Link {
  const writer = new MessageWriter().message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, message => {
    message.raw(linkHeader(0, flags, flags))
    body(message)
  })
  const echo = socket.transact(doing, writer).find(({ message }) => message.type === RTM_NEWLINK)
  if (echo === undefined) throw malformed('no echo of a new link')
  return parseLink(echo.message)
}

/**
 * The index of a link by its name, in the socket's namespace; ENODEV if there is none. By ioctl(2), which answers in a
 * microsecond; RTM_GETLINK takes 70, because it tells everything else as well.
 */
export function linkIndex(socket: NetlinkSocket, doing: string, name: string): number {
  // struct ifreq: the name in 16 bytes, then a union that begins with the index.
  const request = Buffer.alloc(40)
  request.write(checkInterfaceName(name))
  const result = attempt('ioctl', socket.descriptor, SIOCGIFINDEX, request)
  if (result < 0) throw failure(doing, 'SIOCGIFINDEX', -result, `no link ${name}`)
  return request.readInt32LE(16)
}

/** The name of a link; undefined if there is none with that index. */
export function linkName(socket: NetlinkSocket, index: number): string | undefined {
  const request = Buffer.alloc(40)
  request.writeInt32LE(index, 16)
  if (attempt('ioctl', socket.descriptor, SIOCGIFNAME, request) < 0) return undefined
  return request.toString('utf8', 0, request.indexOf(0))
}

/** The link of that name, undefined if there is none. */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const writer = new MessageWriter(128).message(RTM_GETLINK, 0, message =>
    message
      .raw(linkHeader(0))
      .text(IFLA_IFNAME, checkInterfaceName(name))
      .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
  )
  const { replies, errors } = socket.exchange(`look for link ${name}`, writer)
  const first = errors[0]
  if (first !== undefined) {
    if (first.error.code === 'ENODEV') return undefined
    throw first.error
  }
  const found = replies.find(({ message }) => message.type === RTM_NEWLINK)
  return found === undefined ? undefined : parseLink(found.message)
}

export function listLinks(socket: NetlinkSocket): readonly Link[] {
  return socket
    .dump('list links', RTM_GETLINK, message =>
      message.raw(linkHeader(0)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
    )
    .filter(message => message.type === RTM_NEWLINK)
    .map(parseLink)
}

/** Deletes links by name; those that are not there are no error. */
export function deleteLinks(socket: NetlinkSocket, names: readonly string[]): void {
  if (names.length === 0) return
  checkDeletion(socket.exchange(describeDeletion(names), deletion(names)))
}

/** The same on another thread; the socket must not be used until it is done. */
export async function deleteLinksBehind(socket: NetlinkSocket, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  checkDeletion(await socket.exchangeBehind(describeDeletion(names), deletion(names)))
}

const describeDeletion = (names: readonly string[]) =>
  `delete ${names.length === 1 ? `link ${names.join()}` : `${names.length} links`}`

function checkDeletion({ errors }: Exchange): void {
  for (const { error } of errors) if (error.code !== 'ENODEV') throw error
}

function deletion(names: readonly string[]): MessageWriter {
  const writer = new MessageWriter()
  const named = (message: MessageWriter, name: string) =>
    message.raw(linkHeader(0)).text(IFLA_IFNAME, checkInterfaceName(name))
  const [only] = names
  if (names.length === 1 && only !== undefined) {
    return writer.message(RTM_DELLINK, 0, message => named(message, only))
  }
  // A number nobody else uses: links of a foreign group of the same number would be deleted with ours.
  const group = randomInt(0x4000_0000, 0x7fff_ffff)
  for (const name of names) {
    writer.message(RTM_NEWLINK, 0, message => named(message, name).u32(IFLA_GROUP, group))
  }
  return writer.message(RTM_DELLINK, 0, message => message.raw(linkHeader(0)).u32(IFLA_GROUP, group))
}
