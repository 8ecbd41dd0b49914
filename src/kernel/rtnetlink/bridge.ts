/**
 * Bridges. The MAC is given explicitly: a bridge without one takes the lowest of its ports' and changes it whenever
 * they come and go. Nothing optional is sent that was not asked for: kernels without VLAN filtering refuse even
 * `vlan_filtering 0`. IPv6 settings are written while the bridge is down, or its link-local address spends two
 * seconds in duplicate address detection and the first packets of containers are lost.
 */

import { checkInterfaceName, formatCidr, formatMac, parseCidr, parseMac } from '../address.ts'
import { errnoName, KernelError } from '../error.ts'
import { MessageWriter } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import type { BridgeSpec } from '../operation.ts'
import { readSysctl, writeSysctl } from '../sysctl.ts'
import { addAddress, listAddresses, removeAddress } from './address.ts'
import { changeLink, createLink, deleteLinks, findLink, type Link } from './link.ts'
import { IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU } from './uapi.ts'

/** Makes the bridge with everything in its spec and returns its index. Leaves nothing if it fails. */
export function createBridge(socket: NetlinkSocket, spec: BridgeSpec): number {
  const doing = `create bridge ${spec.name}`
  const { index } = createLink(socket, doing, 0, message => {
    message.text(IFLA_IFNAME, checkInterfaceName(spec.name)).bytes(IFLA_ADDRESS, parseMac(spec.mac))
    if (spec.mtu !== undefined) message.u32(IFLA_MTU, spec.mtu)
    message.nested(IFLA_LINKINFO, info => info.text(IFLA_INFO_KIND, 'bridge'))
  })
  try {
    setIpv6(spec)
    const writer = new MessageWriter()
    for (const cidr of spec.addresses) addAddress(writer, index, cidr)
    // The kernel ignores an alias in the message that makes a link.
    changeLink(writer, index, { up: true, alias: spec.alias })
    socket.transact(doing, writer)
  } catch (error) {
    deleteLinks(socket, [spec.name])
    throw error
  }
  return index
}

/** Writes what IPv6 on a bridge needs; a kernel without IPv6 has nothing to switch off. */
function setIpv6(spec: BridgeSpec): void {
  const directory = `net/ipv6/conf/${spec.name}`
  try {
    if (spec.ipv6) {
      writeSysctl(`${directory}/accept_ra`, '0')
      writeSysctl(`${directory}/accept_dad`, '0')
    }
    writeSysctl(`${directory}/disable_ipv6`, spec.ipv6 ? '0' : '1')
  } catch (error) {
    if (spec.ipv6 || !(error instanceof KernelError) || error.code !== 'ENOENT') throw error
  }
}

/** Changes an existing bridge to its spec. Returns how to change it back. */
export function setBridge(socket: NetlinkSocket, spec: BridgeSpec): { index: number; undo: () => void } {
  const doing = `set up bridge ${spec.name}`
  const before = observeBridge(socket, spec.name, doing)
  const kept = spec.keepIPv4 === true ? before.addresses.filter(cidr => !cidr.includes(':')) : []
  const after = { ...spec, addresses: [...spec.addresses.map(canonical), ...kept], up: true }
  const undo = () => applyBridge(socket, doing, observeBridge(socket, spec.name, doing), before)
  try {
    applyBridge(socket, doing, before, after)
  } catch (error) {
    undo()
    throw error
  }
  return { index: before.index, undo }
}

const canonical = (cidr: string) => {
  const { address, length } = parseCidr(cidr)
  return formatCidr(address, length)
}

interface BridgeState {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly mtu?: number
  /** '' = as it is. */
  readonly alias: string
  readonly ipv6: boolean
  readonly up: boolean
  /** Without link-local ones, which are the kernel's and the administrator's. */
  readonly addresses: readonly string[]
}

function observeBridge(socket: NetlinkSocket, name: string, doing: string): BridgeState {
  const link: Link | undefined = findLink(socket, name)
  if (link === undefined) {
    throw new KernelError({ code: 'ENODEV', syscall: 'RTM_GETLINK', doing, detail: `no link ${name}` })
  }
  if (link.kind !== 'bridge') {
    throw new KernelError({
      code: errnoName(95),
      syscall: 'RTM_GETLINK',
      doing,
      detail: `${name} is ${link.kind ?? 'a device'}, not a bridge`,
    })
  }
  return {
    index: link.index,
    name,
    mac: link.mac,
    mtu: link.mtu,
    alias: link.alias ?? '',
    up: link.up,
    ipv6: ipv6Enabled(name),
    addresses: listAddresses(socket)
      .filter(address => address.index === link.index && !address.linkLocal)
      .map(address => address.cidr),
  }
}

function ipv6Enabled(name: string): boolean {
  try {
    return readSysctl(`net/ipv6/conf/${name}/disable_ipv6`) === '0'
  } catch {
    return false
  }
}

/** Sends the difference. Addresses that are there and wanted stay untouched: connections live on them. */
function applyBridge(
  socket: NetlinkSocket,
  doing: string,
  before: BridgeState,
  after: Omit<BridgeState, 'index'>,
): void {
  if (before.ipv6 !== after.ipv6) setIpv6({ ...after })
  const writer = new MessageWriter()
  const isLinkLocal = (cidr: string) => cidr.startsWith('fe80:') || cidr.startsWith('169.254.')
  for (const cidr of before.addresses) {
    const lostWithIpv6 = !after.ipv6 && cidr.includes(':')
    if (!after.addresses.includes(cidr) && !lostWithIpv6) removeAddress(writer, before.index, cidr)
  }
  for (const cidr of after.addresses) {
    if (!before.addresses.includes(cidr) && !isLinkLocal(cidr)) addAddress(writer, before.index, cidr)
  }
  const sameMac = formatMac(parseMac(after.mac)) === before.mac
  changeLink(writer, before.index, {
    up: after.up,
    ...(after.alias === '' || after.alias === before.alias ? {} : { alias: after.alias }),
    ...(sameMac ? {} : { mac: after.mac }),
    ...(after.mtu === undefined || after.mtu === before.mtu ? {} : { mtu: after.mtu }),
  })
  socket.transact(doing, writer)
}
