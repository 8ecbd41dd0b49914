/**
 * Host ports that are ours. A published port is carried by nftables, not by a socket; the socket is there so that
 * nobody else can bind the port, and so that we notice who has. It must not accept by accident: a filter drops
 * everything that reaches it, connection attempts included, until somebody asks to serve what no rule can carry.
 *
 * Up to 256 ports of one reservation are real sockets. Wider ones are checked for listeners and then kept from being
 * picked by chance, through net.ipv4.ip_local_reserved_ports: a thousand sockets per range would be paid for on every
 * start of a container, to guard against a program that binds one of exactly these ports on purpose. Sockets end with
 * the process, the sysctl does not: what we put into it is noted in a file first, and taken out by whoever comes next.
 */

import { closeSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { KernelError } from './error.ts'
import { call, koffi } from './ffi.ts'
import type { ReservationSpec } from './operation.ts'
import { IPPROTO_SCTP, socketAddress, setOption, withSocket } from './socket.ts'
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM } from './socket.ts'
import { listBoundSockets, socketHolder } from './sockdiag.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'

const REAL_SOCKETS = 256
const RESERVED_PORTS = 'net/ipv4/ip_local_reserved_ports'
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_ATTACH_FILTER = 26
const SO_DETACH_FILTER = 27
const F_DUPFD_CLOEXEC = 1030
const SERVING_BACKLOG = 511
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

/** Inclusive. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

interface Reservation {
  readonly sockets: readonly number[]
  /** The ports, where they are too many for sockets. */
  readonly wide: readonly PortRange[]
}

const keyOf = ({ protocol, address, from, to }: ReservationSpec) => `${protocol} ${address} ${from}-${to}`

/** `8080,20000-20999` as sorted, disjoint ranges. */
export function parseRanges(text: string): readonly PortRange[] {
  const ranges = text
    .split(',')
    .map(part => /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part))
    .filter(match => match !== null)
    .map(([, from, to]) => ({ from: Number(from), to: Number(to ?? from) }))
  return mergeRanges(ranges)
}

export function formatRanges(ranges: readonly PortRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(',')
}

export function mergeRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const merged: PortRange[] = []
  for (const range of ranges.toSorted((one, other) => one.from - other.from)) {
    const last = merged.at(-1)
    if (last !== undefined && range.from <= last.to + 1) {
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    } else {
      merged.push(range)
    }
  }
  return merged
}

/** What is left of `ranges` (sorted, disjoint) without `removed`. */
export function subtractRanges(
  ranges: readonly PortRange[],
  removed: readonly PortRange[],
): readonly PortRange[] {
  let rest = [...ranges]
  for (const { from, to } of removed) {
    rest = rest.flatMap(range =>
      range.to < from || range.from > to
        ? [range]
        : [
            { from: range.from, to: from - 1 },
            { from: to + 1, to: range.to },
          ].filter(part => part.from <= part.to),
    )
  }
  return rest
}

/** The reservations of one process in the namespace of its thread. */
export class PortReservations {
  readonly #held = new Map<string, Reservation>()
  /** Sockets whose filter was taken off: whoever serves them may change, and the kernel minds a second time. */
  readonly #served = new Set<number>()
  readonly #record: string
  /** What is in the sysctl because of us. Ports that the administrator reserved already are not ours to give back. */
  #added: readonly PortRange[] = []

  /** `record` is the file in which wide ranges are noted; those that a dead process left there are given back. */
  constructor(record: string) {
    this.#record = record
    if (!existsSync(record)) return
    unreserve(parseRanges(readFileSync(record, 'utf8')))
    this.#note([])
  }

  /** Fails with EADDRINUSE and the port, and then holds nothing of it. Reserving twice is EADDRINUSE as well. */
  reserve(spec: ReservationSpec): void {
    const key = keyOf(spec)
    if (this.#held.has(key)) throw taken(spec, spec.from)
    const wide = spec.to - spec.from >= REAL_SOCKETS ? [{ from: spec.from, to: spec.to }] : []
    if (wide.length > 0) this.#reserveWide(spec, wide)
    this.#held.set(key, { wide, sockets: wide.length > 0 ? [] : openAll(spec) })
  }

  /** Gives the ports back; says whether they were held. */
  release(spec: ReservationSpec): boolean {
    const key = keyOf(spec)
    const reservation = this.#held.get(key)
    if (reservation === undefined) return false
    this.#held.delete(key)
    for (const descriptor of reservation.sockets) {
      this.#served.delete(descriptor)
      closeSync(descriptor)
    }
    if (reservation.wide.length > 0) this.#unreserveWide()
    return true
  }

  /**
   * Copies of a reservation's sockets that receive what comes to them. The filter belongs to the socket, not to the
   * descriptor: it is taken off for both. May be asked for again, when those who had the copies have closed them.
   */
  serve(spec: ReservationSpec): readonly number[] {
    const doing = `serve ${spec.address} ports ${spec.from}-${spec.to}/${spec.protocol}`
    const sockets = spec.protocol === 'sctp' ? [] : (this.#held.get(keyOf(spec))?.sockets ?? [])
    return sockets.map(descriptor => {
      if (!this.#served.has(descriptor)) setOption(doing, descriptor, SOL_SOCKET, SO_DETACH_FILTER, 0)
      this.#served.add(descriptor)
      if (spec.protocol === 'tcp') call(doing, 'listen', descriptor, SERVING_BACKLOG)
      return call(doing, 'fcntl', descriptor, F_DUPFD_CLOEXEC, 0)
    })
  }

  close(): void {
    for (const { sockets } of this.#held.values()) for (const descriptor of sockets) closeSync(descriptor)
    this.#held.clear()
    this.#served.clear()
    this.#unreserveWide()
  }

  #reserveWide(spec: ReservationSpec, wide: readonly PortRange[]): void {
    const occupied = new Set(
      listBoundSockets(spec.protocol)
        .map(socket => socket.port)
        .filter(port => port >= spec.from && port <= spec.to),
    )
    // Somebody is on the port, perhaps on another address: whether that is in the way, bind(2) knows best.
    for (const port of [...occupied].sort((one, other) => one - other)) closeSync(openReserved(spec, port))
    const before = parseRanges(readSysctl(RESERVED_PORTS))
    const missing = subtractRanges(wide, before)
    if (missing.length === 0) return
    this.#note(mergeRanges([...this.#added, ...missing]))
    writeReserved(mergeRanges([...before, ...missing]))
  }

  /** Takes out what no reservation needs any more: several may cover the same ports (families, protocols). */
  #unreserveWide(): void {
    const needed = mergeRanges([...this.#held.values()].flatMap(reservation => reservation.wide))
    const superfluous = subtractRanges(this.#added, needed)
    if (superfluous.length === 0) return
    unreserve(superfluous)
    this.#note(subtractRanges(this.#added, superfluous))
  }

  #note(added: readonly PortRange[]): void {
    this.#added = added
    if (added.length === 0) rmSync(this.#record, { force: true })
    else writeFileSync(this.#record, `${formatRanges(added)}\n`)
  }
}

/** Takes ranges out of the sysctl; what others put there stays. */
function unreserve(ranges: readonly PortRange[]): void {
  writeReserved(subtractRanges(parseRanges(readSysctl(RESERVED_PORTS)), ranges))
}

/** The kernel takes an empty line for "none". */
function writeReserved(ranges: readonly PortRange[]): void {
  writeSysctl(RESERVED_PORTS, `${formatRanges(ranges)}\n`)
}

function taken(spec: ReservationSpec, port: number): KernelError {
  return new KernelError({
    code: 'EADDRINUSE',
    syscall: 'bind',
    doing: `reserve ${spec.address} port ${port}/${spec.protocol}`,
    detail: '',
    port,
  })
}

function openAll(spec: ReservationSpec): readonly number[] {
  const sockets: number[] = []
  try {
    for (let port = spec.from; port <= spec.to; port++) sockets.push(openReserved(spec, port))
  } catch (error) {
    for (const descriptor of sockets) closeSync(descriptor)
    throw error
  }
  return sockets
}

function openReserved({ protocol, address }: ReservationSpec, port: number): number {
  const doing = `reserve ${address} port ${port}/${protocol}`
  const target = socketAddress(address, port)
  const six = address.includes(':')
  const domain = six ? AF_INET6 : AF_INET
  const type = (protocol === 'udp' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const descriptor = call(doing, 'socket', domain, type, protocol === 'sctp' ? IPPROTO_SCTP : 0)
  try {
    return withSocket(descriptor, () => {
      if (protocol === 'tcp') setOption(doing, descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
      if (six) setOption(doing, descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1)
      dropEverything(doing, descriptor)
      call(doing, 'bind', descriptor, target, target.length)
      // SO_REUSEADDR lets two sockets bind the same port as long as neither listens.
      if (protocol !== 'udp') call(doing, 'listen', descriptor, 1)
    })
  } catch (error) {
    throw error instanceof KernelError && error.code === 'EADDRINUSE' ? error.with({ port }) : error
  }
}

/** A classic BPF program of one instruction: accept 0 bytes of every packet. */
function dropEverything(doing: string, descriptor: number): void {
  const program = Buffer.alloc(8)
  program.writeUInt16LE(0x06, 0)
  const header = Buffer.alloc(16)
  header.writeUInt16LE(1, 0)
  header.writeBigUInt64LE(koffi().address(program), 8)
  call(doing, 'setsockopt', descriptor, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length)
}

/** `pid 812 (nginx)` for the first port of the reservation that is taken; '' if nobody is found. */
export function portHolder(spec: ReservationSpec): string {
  const inodes = listBoundSockets(spec.protocol)
    .filter(socket => socket.port >= spec.from && socket.port <= spec.to)
    .map(socket => socket.inode)
  return inodes.length === 0 ? '' : socketHolder(new Set(inodes))
}
