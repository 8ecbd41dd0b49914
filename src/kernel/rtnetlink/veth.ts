/**
 * A veth pair between a bridge and a namespace. One message makes both ends, the far one directly inside its namespace
 * under its final name: moving an end later costs an RCU grace period (32 ms). The far end cannot come up in that
 * message (its partner does not exist yet), so the rest of the container's side follows as one datagram on a socket
 * of that namespace.
 */

import { checkInterfaceName, parseMac } from '../address.ts'
import { KernelError } from '../error.ts'
import { MessageWriter } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import type { VethSpec } from '../operation.ts'
import { writeSysctl } from '../sysctl.ts'
import { addAddress } from './address.ts'
import { changeLink, createLink, findLink, linkHeader, linkIndex } from './link.ts'
import {
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BRPORT_MODE,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  RTM_NEWLINK,
  VETH_INFO_PEER,
} from './uapi.ts'

export interface VethIndexes {
  readonly hostIndex: number
  readonly peerIndex: number
}

/** Makes the pair. `peerNamespace` is an open descriptor of the namespace the far end belongs into. */
export function createVeth(socket: NetlinkSocket, spec: VethSpec, peerNamespace: number): VethIndexes {
  const doing = `create veth ${spec.name} (${spec.peer.name} in ${spec.peer.netns}) on ${spec.bridge}`
  const master = linkIndex(socket, doing, spec.bridge)
  const { index, peer } = createLink(socket, doing, IFF_UP, message => {
    message.text(IFLA_IFNAME, checkInterfaceName(spec.name)).u32(IFLA_MASTER, master)
    if (spec.mtu !== undefined) message.u32(IFLA_MTU, spec.mtu)
    message.nested(IFLA_LINKINFO, info => {
      info.text(IFLA_INFO_KIND, 'veth').nested(IFLA_INFO_DATA, data =>
        data.nested(VETH_INFO_PEER, end => {
          end
            .raw(linkHeader(0))
            .text(IFLA_IFNAME, checkInterfaceName(spec.peer.name))
            .bytes(IFLA_ADDRESS, parseMac(spec.peer.mac))
            .u32(IFLA_NET_NS_FD, peerNamespace)
          if (spec.mtu !== undefined) end.u32(IFLA_MTU, spec.mtu)
        }),
      )
    })
  })
  return { hostIndex: index, peerIndex: peer }
}

/** What the creating message cannot say: the alias, which the kernel ignores there, and the port's mode. */
export function labelVeth(socket: NetlinkSocket, spec: VethSpec, hostIndex: number): void {
  const writer = new MessageWriter(256).message(RTM_NEWLINK, 0, message => {
    message.raw(linkHeader(hostIndex)).text(IFLA_IFALIAS, spec.alias)
    if (spec.hairpin === true) portMode(message, true)
  })
  socket.transact(`label veth ${spec.name}`, writer)
}

/** Switches hairpin mode of a bridge port; returns what it was. */
export function setHairpin(socket: NetlinkSocket, name: string, on: boolean): boolean {
  const doing = `switch hairpin mode of ${name} ${on ? 'on' : 'off'}`
  const link = findLink(socket, name)
  if (link === undefined) {
    throw new KernelError({ code: 'ENODEV', syscall: 'RTM_GETLINK', doing, detail: `no link ${name}` })
  }
  if (link.hairpin !== on) {
    const writer = new MessageWriter(128).message(RTM_NEWLINK, 0, message => {
      portMode(message.raw(linkHeader(link.index)), on)
    })
    socket.transact(doing, writer)
  }
  return link.hairpin
}

function portMode(message: MessageWriter, hairpin: boolean): void {
  message.nested(IFLA_LINKINFO, info =>
    info
      .text(IFLA_INFO_SLAVE_KIND, 'bridge')
      .nested(IFLA_INFO_SLAVE_DATA, data => data.u8(IFLA_BRPORT_MODE, hairpin ? 1 : 0)),
  )
}

/** Sysctls of the far end, to be written inside its namespace before it comes up. */
export function preparePeer({ peer }: VethSpec): void {
  const directory = `net/ipv6/conf/${peer.name}`
  try {
    if (peer.ipv6) writeSysctl(`${directory}/accept_dad`, '0')
    writeSysctl(`${directory}/disable_ipv6`, peer.ipv6 ? '0' : '1')
  } catch (error) {
    // A kernel without IPv6 has nothing to switch off.
    if (peer.ipv6 || !(error instanceof KernelError) || error.code !== 'ENOENT') throw error
  }
}

/** Addresses and up, as one datagram; `socket` belongs to the far end's namespace. */
export function configurePeer(socket: NetlinkSocket, { peer }: VethSpec, peerIndex: number): void {
  const writer = new MessageWriter(512)
  for (const cidr of peer.addresses) addAddress(writer, peerIndex, cidr)
  changeLink(writer, peerIndex, { up: true })
  socket.transact(`configure ${peer.name} in ${peer.netns}`, writer)
}
