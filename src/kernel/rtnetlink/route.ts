/** Unicast routes of the main table. */

import { formatAddress, formatCidr, parseAddress, parseCidr } from '../address.ts'
import { KernelError } from '../error.ts'
import {
  attributesAfter,
  MessageWriter,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type Message,
} from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import type { RouteSpec } from '../operation.ts'
import { linkIndex } from './link.ts'
import {
  AF_INET,
  AF_INET6,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_TABLE,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTPROT_BOOT,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
} from './uapi.ts'

const HEADER = 12

/** A route as it stands in the kernel; `gateway` absent = the destination is on the link itself. */
export interface Route {
  readonly family: 4 | 6
  /** `default` or a canonical prefix. */
  readonly destination: string
  readonly gateway: string | undefined
  /** ifindex of the outgoing link, 0 where it has several or none. */
  readonly index: number
}

/** The canonical text of a destination: host bits are cleared, an all-zero prefix is `default`. */
function destinationText(address: Uint8Array | undefined, length: number): string {
  return length === 0 || address === undefined ? 'default' : formatCidr(maskAddress(address, length), length)
}

function maskAddress(address: Uint8Array, length: number): Buffer {
  return Buffer.from(
    address.map((byte, position) => {
      const bits = Math.min(8, Math.max(0, length - position * 8))
      return byte & (0xff00 >>> bits)
    }),
  )
}

function routeMessage(
  type: number,
  flags: number,
  { family, destination, gateway, index }: Route,
): MessageWriter {
  const prefix = destination === 'default' ? undefined : parseCidr(destination)
  const header = Buffer.alloc(HEADER)
  header.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0)
  header.writeUInt8(prefix?.length ?? 0, 1)
  header.writeUInt8(RT_TABLE_MAIN, 4)
  if (type === RTM_NEWROUTE) {
    header.writeUInt8(RTPROT_BOOT, 5)
    header.writeUInt8(gateway === undefined && family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 6)
    header.writeUInt8(RTN_UNICAST, 7)
  } else {
    // RT_SCOPE_NOWHERE: whatever scope the route has.
    header.writeUInt8(255, 6)
  }
  return new MessageWriter(128).message(type, flags, message => {
    message.raw(header)
    if (prefix !== undefined && prefix.length > 0) {
      message.bytes(RTA_DST, maskAddress(prefix.address, prefix.length))
    }
    if (gateway !== undefined) message.bytes(RTA_GATEWAY, parseAddress(gateway))
    if (index !== 0) message.u32(RTA_OIF, index)
  })
}

const describe = ({ destination, gateway, link }: RouteSpec) =>
  `${destination}${gateway === undefined ? '' : ` via ${gateway}`} dev ${link}`

function resolve(socket: NetlinkSocket, spec: RouteSpec, doing: string): Route {
  const prefix = spec.destination === 'default' ? undefined : parseCidr(spec.destination)
  return {
    family: spec.family,
    destination: destinationText(prefix?.address, prefix?.length ?? 0),
    gateway: spec.gateway === undefined ? undefined : formatAddress(parseAddress(spec.gateway)),
    index: linkIndex(socket, doing, spec.link),
  }
}

function resolveIfThere(socket: NetlinkSocket, spec: RouteSpec, doing: string): Route | undefined {
  try {
    return resolve(socket, spec, doing)
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENODEV') return undefined
    throw error
  }
}

/** Takes a change back, on a socket of the same namespace (the one of the change may be closed by then). */
export type UndoRoute = (socket: NetlinkSocket) => void

/** Makes this the route to its destination, in place of another one. */
export function setRoute(socket: NetlinkSocket, spec: RouteSpec): UndoRoute {
  const doing = `set route ${describe(spec)}`
  const wanted = resolve(socket, spec, doing)
  const [first] = socket.exchange(doing, routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, wanted)).errors
  if (first === undefined) {
    return again => void again.transact(`undo: ${doing}`, routeMessage(RTM_DELROUTE, 0, wanted))
  }
  if (first.error.code !== 'EEXIST') throw first.error
  const previous = findRoute(socket, ({ family, destination }) => {
    return family === wanted.family && destination === wanted.destination
  })
  socket.transact(doing, routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, wanted))
  return again => {
    if (previous !== undefined) {
      again.transact(`undo: ${doing}`, replay(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, previous))
    }
  }
}

/** Deletes the route; one that is not there is no error. */
export function deleteRoute(socket: NetlinkSocket, spec: RouteSpec): UndoRoute {
  const doing = `delete route ${describe(spec)}`
  const wanted = resolveIfThere(socket, spec, doing)
  // Routes vanish with their link.
  if (wanted === undefined) return () => undefined
  const found = findRoute(socket, route => {
    const { family, destination, index, gateway } = route
    if (family !== wanted.family || destination !== wanted.destination || index !== wanted.index) return false
    return wanted.gateway === undefined || gateway === wanted.gateway
  })
  if (found === undefined) return () => undefined
  socket.transact(doing, replay(RTM_DELROUTE, 0, found))
  return again => {
    again.transact(`undo: ${doing}`, replay(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, found))
  }
}

/** The first route that fits, as the kernel told it: header and attributes, with everything we know nothing of. */
function findRoute(socket: NetlinkSocket, fits: (route: Route) => boolean): Buffer | undefined {
  return dumpRoutes(socket).find(({ route }) => fits(route))?.payload
}

/** A route of a dump sent back word for word, to delete it or to make it again. */
function replay(type: number, flags: number, payload: Buffer): MessageWriter {
  return new MessageWriter(256).message(type, flags, message => message.raw(payload))
}

export function parseRoute(message: Message): Route | undefined {
  const attributes = attributesAfter(message.payload, HEADER)
  const { payload } = message
  const family = payload.readUInt8(0)
  const table = attributes.u32(RTA_TABLE) ?? payload.readUInt8(4)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  if (table !== RT_TABLE_MAIN || payload.readUInt8(7) !== RTN_UNICAST) return undefined
  const gateway = attributes.bytes(RTA_GATEWAY)
  return {
    family: family === AF_INET ? 4 : 6,
    destination: destinationText(attributes.bytes(RTA_DST), payload.readUInt8(1)),
    gateway: gateway === undefined ? undefined : formatAddress(gateway),
    index: attributes.u32(RTA_OIF) ?? 0,
  }
}

function dumpRoutes(socket: NetlinkSocket): readonly { readonly route: Route; readonly payload: Buffer }[] {
  return socket
    .dump('list routes', RTM_GETROUTE, message => message.raw(Buffer.alloc(HEADER)))
    .filter(message => message.type === RTM_NEWROUTE)
    .flatMap(message => {
      const route = parseRoute(message)
      return route === undefined ? [] : [{ route, payload: message.payload }]
    })
}

/** Unicast routes of the main table, both families. */
export function listRoutes(socket: NetlinkSocket): readonly Route[] {
  return dumpRoutes(socket).map(({ route }) => route)
}
