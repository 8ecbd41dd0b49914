/**
 * Operations, executed one after the other on this thread, synchronously. Each returns how to undo it; a batch that
 * fails is undone in reverse order, and what goes wrong while undoing is told, not thrown, so that the rest is undone
 * as well.
 *
 * The sockets of the namespace the process started in stay open. Sockets of other namespaces live as long as one call:
 * an open socket would keep the namespace, and with it its veths, alive after its deletion.
 */

import { spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { announceOnce } from './announce.ts'
import { KernelError, toKernelError } from './error.ts'
import { readTables, restoreTables } from './iptables.ts'
import { inNamespace, openNamespace } from './namespace.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from './netlink/socket.ts'
import { Nftables } from './nfnetlink/nftables.ts'
import { findElement, readRuleset, type NftChain, type NftHit } from './nfnetlink/ruleset.ts'
import type {
  IptablesTable,
  KernelSettings,
  NetnsName,
  NftElement,
  ObservedLink,
  ObservedRoute,
  Operation,
  OperationResult,
  PreparedNamespace,
  Protocol,
  ReservationSpec,
  ResolverSockets,
  RouteSpec,
  VethSpec,
} from './operation.ts'
import { NamespacePool } from './pool.ts'
import { portHolder, PortReservations } from './reserve.ts'
import { listAddresses } from './rtnetlink/address.ts'
import { createBridge, setBridge } from './rtnetlink/bridge.ts'
import { deleteLinks, findLink, type Link, linkName, listLinks } from './rtnetlink/link.ts'
import { lookUpRoute, type NoRoute, type RouteAnswer, type RouteQuestion } from './rtnetlink/lookup.ts'
import { deleteRoute, listRoutes, setRoute, type UndoRoute } from './rtnetlink/route.ts'
import { configurePeer, createVeth, labelVeth, preparePeer, setHairpin } from './rtnetlink/veth.ts'
import { openInternetSocket } from './socket.ts'
import { type BoundSocket, listBoundSockets } from './sockdiag.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'

/** What an operation did. Without `undo` there is nothing to undo. */
interface Done {
  readonly result: OperationResult
  readonly undo?: () => void
}

export interface ExecutorOptions {
  /** For tests of the undoing: called before each operation with its position; what it throws fails that operation. */
  readonly failAt?: (position: number, operation: Operation) => void
}

export class Executor {
  readonly #pool: NamespacePool
  readonly #route = new NetlinkSocket(NETLINK_ROUTE)
  readonly #reservations: PortReservations
  readonly #options: ExecutorOptions
  #nftables: Nftables | undefined
  #netfilter: NetlinkSocket | undefined

  constructor(settings: KernelSettings, options: ExecutorOptions = {}) {
    this.#pool = new NamespacePool(settings)
    this.#reservations = new PortReservations(join(settings.netnsDirectory, '.reserved-ports'))
    this.#options = options
  }

  run(operations: readonly Operation[]): readonly OperationResult[] {
    const results: OperationResult[] = []
    const undos: (() => void)[] = []
    for (const [position, operation] of operations.entries()) {
      try {
        this.#options.failAt?.(position, operation)
        // Nothing comes after the last one that could fail and make it undone.
        const last = position === operations.length - 1
        const { result, undo } = this.#execute(operation, last)
        results.push(result)
        if (undo !== undefined) undos.push(undo)
      } catch (error) {
        const rollback = undoAll(undos)
        throw toKernelError(error, operation.do).with({ position, rollback })
      }
    }
    return results
  }

  #execute(operation: Operation, last: boolean): Done {
    switch (operation.do) {
      case 'bridge.add': {
        const { name } = operation.bridge
        const index = createBridge(this.#route, operation.bridge)
        return { result: { index }, undo: () => deleteLinks(this.#route, [name]) }
      }
      case 'bridge.set': {
        const { index, undo } = setBridge(this.#route, operation.bridge)
        return { result: { index }, undo }
      }
      case 'veth.add':
        return this.#addVeth(operation.veth)
      case 'hairpin.set': {
        const { link, on } = operation
        const before = setHairpin(this.#route, link, on)
        return { result: null, undo: () => void setHairpin(this.#route, link, before) }
      }
      case 'links.delete':
        deleteLinks(this.#route, operation.names)
        return { result: null }
      case 'route.set':
        return this.#changeRoute(operation.route, setRoute)
      case 'route.delete':
        return this.#changeRoute(operation.route, deleteRoute)
      case 'sysctl.set':
        return this.#setSysctl(operation.netns, operation.key, operation.value)
      case 'nft.elements': {
        const nftables = this.#openNftables()
        const { added, deleted } = nftables.change(operation.add, operation.delete, !last)
        return { result: null, undo: () => void nftables.change(deleted, added) }
      }
      case 'nft.load':
        loadRuleset(operation.text)
        return { result: null }
      case 'iptables.restore': {
        const { family, changes, undo } = operation
        restoreTables(family, changes, undo)
        return undo.length === 0
          ? { result: null }
          : { result: null, undo: () => restoreTables(family, undo, changes) }
      }
      case 'port.reserve':
        this.#reservations.reserve(operation.port)
        return { result: null, undo: () => void this.#reservations.release(operation.port) }
      case 'port.release': {
        const held = this.#reservations.release(operation.port)
        return held
          ? { result: null, undo: () => this.#reservations.reserve(operation.port) }
          : { result: null }
      }
    }
  }

  #addVeth(spec: VethSpec): Done {
    const undo = () => deleteLinks(this.#route, [spec.name])
    const namespace = openNamespace(this.#pool.path(spec.peer.netns))
    try {
      const indexes = createVeth(this.#route, spec, namespace)
      try {
        labelVeth(this.#route, spec, indexes.hostIndex)
        const socket = inNamespace(namespace, () => {
          preparePeer(spec)
          return new NetlinkSocket(NETLINK_ROUTE)
        })
        try {
          configurePeer(socket, spec, indexes.peerIndex)
        } finally {
          socket.close()
        }
      } catch (error) {
        undo()
        throw error
      }
      return { result: indexes, undo }
    } finally {
      closeSync(namespace)
    }
  }

  #changeRoute(spec: RouteSpec, change: (socket: NetlinkSocket, spec: RouteSpec) => UndoRoute): Done {
    const undo = this.#withRoute(spec.netns, socket => change(socket, spec))
    return { result: null, undo: () => this.#withRoute(spec.netns, undo) }
  }

  #setSysctl(netns: NetnsName | undefined, key: string, value: string): Done {
    const before = this.#inside(netns, () => {
      const old = readSysctl(key)
      if (old !== value) writeSysctl(key, value)
      return old
    })
    if (before === value) return { result: null }
    return { result: null, undo: () => this.#inside(netns, () => writeSysctl(key, before)) }
  }

  #inside<T>(netns: NetnsName | undefined, callback: () => T): T {
    return netns === undefined ? callback() : inNamespace(this.#pool.path(netns), callback)
  }

  #withRoute<T>(netns: NetnsName | undefined, use: (socket: NetlinkSocket) => T): T {
    if (netns === undefined) return use(this.#route)
    const socket = this.#inside(netns, () => new NetlinkSocket(NETLINK_ROUTE))
    try {
      return use(socket)
    } finally {
      socket.close()
    }
  }

  #openNftables(): Nftables {
    this.#nftables ??= new Nftables()
    return this.#nftables
  }

  takeNamespace(): PreparedNamespace {
    return this.#pool.take()
  }

  /** Prepares one namespace if the pool lacks any; says whether more are wanting. */
  refillPool(): boolean {
    if (this.#pool.wanting) this.#pool.refill()
    return this.#pool.wanting
  }

  openResolver(netns: NetnsName): ResolverSockets {
    return this.#pool.openResolver(netns)
  }

  openSocket(netns: NetnsName, family: 4 | 6, type: 'udp' | 'tcp'): number {
    return this.#inside(netns, () => openInternetSocket(family, type))
  }

  serveReserved(spec: ReservationSpec): readonly number[] {
    return this.#reservations.serve(spec)
  }

  deleteNamespaces(names: readonly NetnsName[]): void {
    const failures: KernelError[] = []
    for (const name of names) {
      try {
        this.#pool.delete(name)
      } catch (error) {
        failures.push(toKernelError(error, `delete network namespace ${name}`))
      }
    }
    const [first, ...others] = failures
    if (first !== undefined) throw first.with({ rollback: others.map(error => error.message) })
  }

  namespaces(): readonly { readonly name: NetnsName; readonly free: boolean }[] {
    return this.#pool.list()
  }

  links(netns?: NetnsName): readonly ObservedLink[] {
    return this.#withRoute(netns, socket => {
      const addresses = new Map<number, string[]>()
      for (const { index, cidr } of listAddresses(socket)) {
        const known = addresses.get(index)
        if (known === undefined) addresses.set(index, [cidr])
        else known.push(cidr)
      }
      return listLinks(socket).map(link => ({ ...link, addresses: addresses.get(link.index) ?? [] }))
    })
  }

  routes(netns?: NetnsName): readonly ObservedRoute[] {
    return this.#withRoute(netns, socket => {
      const routes = listRoutes(socket)
      // A machine has few routes and perhaps a thousand links: those are not listed for their names.
      const indexes = new Set(routes.map(route => route.index))
      const names = new Map([...indexes].map(index => [index, linkName(socket, index)]))
      return routes.map(({ family, destination, gateway, index }) => ({
        family,
        destination,
        gateway,
        link: names.get(index),
        onLink: gateway === undefined && index !== 0,
      }))
    })
  }

  elements(table: string, set: string): readonly NftElement[] | undefined {
    return this.#openNftables().elements(table, set)
  }

  iptables(family: 4 | 6, counted: boolean): readonly IptablesTable[] {
    return readTables(family, counted)
  }

  link(name: string, netns?: NetnsName): Link | undefined {
    return this.#withRoute(netns, socket => findLink(socket, name))
  }

  lookUpRoute(question: RouteQuestion, netns?: NetnsName): RouteAnswer | NoRoute {
    return this.#withRoute(netns, socket => lookUpRoute(socket, question))
  }

  ruleset(netns?: NetnsName): readonly NftChain[] {
    return this.#withNetfilter(netns, readRuleset)
  }

  element(
    family: number,
    table: string,
    set: string,
    key: Uint8Array,
    netns?: NetnsName,
  ): NftHit | undefined {
    return this.#withNetfilter(netns, socket => findElement(socket, family, table, set, key))
  }

  listeners(protocol: Protocol, netns?: NetnsName): readonly BoundSocket[] {
    return this.#inside(netns, () => listBoundSockets(protocol))
  }

  /** For reading; the host's stays open, because closing one costs more than all that is done with it. */
  #withNetfilter<T>(netns: NetnsName | undefined, use: (socket: NetlinkSocket) => T): T {
    if (netns === undefined) {
      this.#netfilter ??= new NetlinkSocket(NETLINK_NETFILTER)
      return use(this.#netfilter)
    }
    const socket = this.#inside(netns, () => new NetlinkSocket(NETLINK_NETFILTER))
    try {
      return use(socket)
    } finally {
      socket.closeBehind()
    }
  }

  portHolder(spec: ReservationSpec): string {
    return portHolder(spec)
  }

  /** Announces the addresses of a link once, if it has that MAC; undefined when the link or its namespace is gone. */
  announce(netns: NetnsName, link: string, onlyMac?: string): string | undefined {
    return announceOnce(this.#pool.path(netns), link, onlyMac)
  }

  close(): void {
    this.#pool.close()
    this.#reservations.close()
    this.#route.close()
    this.#nftables?.close()
    this.#netfilter?.closeBehind()
  }
}

/** Undoes in reverse order, whatever happens on the way; returns what happened. */
function undoAll(undos: readonly (() => void)[]): readonly string[] {
  const failures: string[] = []
  for (const undo of undos.toReversed()) {
    try {
      undo()
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  return failures
}

/** One transaction of nft(8): all of the text or nothing. */
function loadRuleset(text: string): void {
  const doing = 'load the nftables ruleset'
  const { status, stderr, error } = spawnSync('nft', ['-f', '-'], {
    input: text,
    encoding: 'utf8',
    timeout: 30_000,
  })
  if (error !== undefined) throw toKernelError(error, doing)
  if (status !== 0) {
    throw new KernelError({ code: 'EINVAL', syscall: 'nft', doing, detail: stderr.trim() })
  }
}
