/**
 * Telling the neighbours where an address is now: a gratuitous ARP request (RFC 5227 §3: sender and target are the
 * address itself) and an unsolicited neighbour advertisement with the override flag (RFC 4861 §7.2.6). Without it a
 * neighbour that knew the address under another MAC sends into the void until its cache expires.
 */

import { close } from 'node:fs'
import { formatAddress, parseCidr, parseMac } from './address.ts'
import { KernelError } from './error.ts'
import { call } from './ffi.ts'
import { inNamespace } from './namespace.ts'
import { NETLINK_ROUTE, NetlinkSocket } from './netlink/socket.ts'
import { listAddresses } from './rtnetlink/address.ts'
import { findLink } from './rtnetlink/link.ts'
import { SOCK_CLOEXEC } from './socket.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const ETH_P_IPV6 = 0x86dd
const ETH_P_ARP = 0x0806
const IPPROTO_ICMPV6 = 58
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
/** The Ethernet address of ff02::1, all nodes (RFC 2464 §7). */
const ALL_NODES_MAC = '33:33:00:00:00:01'

function ethernet(destination: string, source: Uint8Array, type: number, payload: Uint8Array): Buffer {
  const ethertype = Buffer.alloc(2)
  ethertype.writeUInt16BE(type)
  return Buffer.concat([parseMac(destination), source, ethertype, payload])
}

/** The Ethernet frame of a gratuitous ARP request. */
export function gratuitousArp(mac: Uint8Array, address: Uint8Array): Buffer {
  // Ethernet, IPv4, address lengths 6 and 4, operation 1 = request; the target's MAC is unknown.
  const fixed = Buffer.from([0, 1, 8, 0, 6, 4, 0, 1])
  return ethernet(BROADCAST, mac, ETH_P_ARP, Buffer.concat([fixed, mac, address, Buffer.alloc(6), address]))
}

/** The Ethernet frame of an unsolicited neighbour advertisement to all nodes. */
export function neighbourAdvertisement(mac: Uint8Array, address: Uint8Array): Buffer {
  const message = Buffer.alloc(32)
  message.writeUInt8(136, 0)
  message.writeUInt8(0x20, 4)
  message.set(address, 8)
  // Option 2, target link-layer address, in units of eight bytes.
  message.set([2, 1], 24)
  message.set(mac, 26)
  const allNodes = Buffer.from('ff020000000000000000000000000001', 'hex')
  const pseudoHeader = Buffer.alloc(40)
  pseudoHeader.set(address, 0)
  pseudoHeader.set(allNodes, 16)
  pseudoHeader.writeUInt32BE(message.length, 32)
  pseudoHeader.writeUInt8(IPPROTO_ICMPV6, 39)
  message.writeUInt16BE(internetChecksum(Buffer.concat([pseudoHeader, message])), 2)
  const header = Buffer.alloc(8)
  header.writeUInt8(0x60, 0)
  header.writeUInt16BE(message.length, 4)
  header.writeUInt8(IPPROTO_ICMPV6, 6)
  // RFC 4861 §7.1.2: receivers drop neighbour messages whose hop limit is not 255.
  header.writeUInt8(255, 7)
  return ethernet(ALL_NODES_MAC, mac, ETH_P_IPV6, Buffer.concat([header, address, allNodes, message]))
}

/** RFC 1071; `bytes` has an even length. */
export function internetChecksum(bytes: Buffer): number {
  let sum = 0
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/**
 * Announces every address of the link once and returns the link's MAC; undefined if the link, or the namespace, is not
 * there any more. With `onlyMac` nothing is sent if the link has another MAC: another one came to have its name.
 */
export function announceOnce(namespace: string, linkName: string, onlyMac?: string): string | undefined {
  const doing = `announce the addresses of ${linkName}`
  try {
    const { route, packet } = inNamespace(namespace, () => ({
      route: new NetlinkSocket(NETLINK_ROUTE),
      packet: call(doing, 'socket', AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0),
    }))
    try {
      return sendAnnouncements(route, packet, linkName, doing, onlyMac)
    } finally {
      route.close()
      // Closing a packet socket waits for an RCU grace period: on libuv's pool it keeps nobody waiting.
      close(packet)
    }
  } catch (error) {
    if (error instanceof KernelError && (error.code === 'ENOENT' || error.code === 'ENODEV')) return undefined
    throw error
  }
}

function sendAnnouncements(
  route: NetlinkSocket,
  packet: number,
  linkName: string,
  doing: string,
  onlyMac: string | undefined,
): string | undefined {
  const link = findLink(route, linkName)
  if (link === undefined) return undefined
  if (onlyMac !== undefined && link.mac !== onlyMac) return link.mac
  const mac = parseMac(link.mac)
  const target = Buffer.alloc(20)
  target.writeUInt16LE(AF_PACKET, 0)
  target.writeInt32LE(link.index, 4)
  for (const { cidr } of listAddresses(route).filter(address => address.index === link.index)) {
    const { family, address } = parseCidr(cidr)
    const frame = family === 4 ? gratuitousArp(mac, address) : neighbourAdvertisement(mac, address)
    call(
      `${doing}: ${formatAddress(address)}`,
      'sendto',
      packet,
      frame,
      frame.length,
      0,
      target,
      target.length,
    )
  }
  return link.mac
}
