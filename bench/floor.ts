/**
 * The kernel floor: what it takes a C program that knows everything beforehand to bring the kernel to the same state.
 * Messages are encoded once, outside the measured time; sockets stay open; what is left is send(2), the kernel's work
 * and reading the acknowledgement. A call through the FFI costs 0.2 µs, so this is C within the noise.
 */
import { parseCidr, parseMac } from '../src/kernel/address.ts'
import { attempt, call } from '../src/kernel/ffi.ts'
import { inNamespace } from '../src/kernel/namespace.ts'
import { readAcknowledgement } from '../src/kernel/netlink/ack.ts'
import { MessageWriter, NLM_F_CREATE, NLM_F_EXCL, readMessages } from '../src/kernel/netlink/message.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../src/kernel/netlink/socket.ts'
import { Batch } from '../src/kernel/nfnetlink/nftables.ts'
import { NFPROTO_INET, NFT_MSG_NEWSETELEM } from '../src/kernel/nfnetlink/uapi.ts'
import type { BridgeSpec, NftElement, VethSpec } from '../src/kernel/operation.ts'
import { addAddress } from '../src/kernel/rtnetlink/address.ts'
import { linkHeader, listLinks } from '../src/kernel/rtnetlink/link.ts'
import {
  AF_INET,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_NET_NS_FD,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTA_GATEWAY,
  RTA_OIF,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTPROT_BOOT,
  VETH_INFO_PEER,
} from '../src/kernel/rtnetlink/uapi.ts'
import { writeSysctl } from '../src/kernel/sysctl.ts'

const MSG_DONTWAIT = 0x40
const EAGAIN = 11
/**
 * Interface indexes are given, not asked for, so that everything can be encoded beforehand. The kernel takes a veth
 * peer's only if the first end has one as well.
 */
const hostIndex = 4000
const peerIndex = 4001
const bridgeIndex = 5000
const buffer = Buffer.alloc(64 * 1024)

/** Sends one datagram and reads its acknowledgements. */
function send(socket: NetlinkSocket, datagram: Buffer): void {
  call('send', 'send', socket.descriptor, datagram, datagram.length, 0)
  for (;;) {
    const length = attempt('recv', socket.descriptor, buffer, buffer.length, MSG_DONTWAIT)
    if (length === -EAGAIN) return
    for (const message of readMessages(buffer.subarray(0, length))) {
      const errno = readAcknowledgement(message)?.errno ?? 0
      if (errno !== 0)
        throw new Error(`the kernel refused message ${message.sequence} of the floor: errno ${errno}`)
    }
  }
}

export interface Floor {
  run(): void
  close(): void
}

/** A veth between a bridge and an open namespace, its address, default route, IPv6 setting, and map elements. */
export function connectFloor(
  spec: VethSpec,
  gateway: string,
  elements: readonly NftElement[],
  namespace: number,
): Floor {
  const host = new NetlinkSocket(NETLINK_ROUTE)
  const inside = inNamespace(namespace, () => new NetlinkSocket(NETLINK_ROUTE))
  const netfilter = new NetlinkSocket(NETLINK_NETFILTER)
  const master = listLinks(host).find(link => link.name === spec.bridge)?.index ?? 0

  const veth = new MessageWriter()
    .message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, message =>
      message
        .raw(linkHeader(hostIndex, IFF_UP, IFF_UP))
        .text(IFLA_IFNAME, spec.name)
        .u32(IFLA_MASTER, master)
        .nested(IFLA_LINKINFO, info =>
          info
            .text(IFLA_INFO_KIND, 'veth')
            .nested(IFLA_INFO_DATA, data =>
              data.nested(VETH_INFO_PEER, end =>
                end
                  .raw(linkHeader(peerIndex))
                  .text(IFLA_IFNAME, spec.peer.name)
                  .bytes(IFLA_ADDRESS, parseMac(spec.peer.mac))
                  .u32(IFLA_NET_NS_FD, namespace),
              ),
            ),
        ),
    )
    .message(RTM_NEWLINK, 0, message => message.raw(linkHeader(hostIndex)).text(IFLA_IFALIAS, spec.alias))
    .acknowledge()
    .finish(1)

  const peer = new MessageWriter()
  for (const cidr of spec.peer.addresses) addAddress(peer, peerIndex, cidr)
  peer.message(RTM_NEWLINK, 0, message => message.raw(linkHeader(peerIndex, IFF_UP, IFF_UP)))
  const route = Buffer.alloc(12)
  route.set([AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST])
  peer.message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, message =>
    message
      .raw(route)
      .bytes(RTA_GATEWAY, parseCidr(`${gateway}/32`).address)
      .u32(RTA_OIF, peerIndex),
  )
  const configure = peer.acknowledge().finish(1)

  const change = new Batch(NFPROTO_INET)
    .elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, elements)
    .end()
    .finish(1)
  return {
    run: () => {
      send(host, veth)
      inNamespace(namespace, () => writeSysctl(`net/ipv6/conf/${spec.peer.name}/disable_ipv6`, '1'))
      send(inside, configure)
      send(netfilter, change)
    },
    close: () => {
      host.close()
      inside.close()
      netfilter.closeBehind()
    },
  }
}

/** A bridge with its address, up; IPv6 off. */
export function bridgeFloor(spec: BridgeSpec): Floor {
  const host = new NetlinkSocket(NETLINK_ROUTE)
  const create = new MessageWriter()
    .message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, message =>
      message
        .raw(linkHeader(bridgeIndex))
        .text(IFLA_IFNAME, spec.name)
        .bytes(IFLA_ADDRESS, parseMac(spec.mac))
        .nested(IFLA_LINKINFO, info => info.text(IFLA_INFO_KIND, 'bridge')),
    )
    .acknowledge()
    .finish(1)
  const writer = new MessageWriter()
  for (const cidr of spec.addresses) addAddress(writer, bridgeIndex, cidr)
  writer.message(RTM_NEWLINK, 0, message =>
    message.raw(linkHeader(bridgeIndex, IFF_UP, IFF_UP)).text(IFLA_IFALIAS, spec.alias),
  )
  const configure = writer.acknowledge().finish(1)
  return {
    run: () => {
      send(host, create)
      writeSysctl(`net/ipv6/conf/${spec.name}/disable_ipv6`, '1')
      send(host, configure)
    },
    close: () => host.close(),
  }
}
