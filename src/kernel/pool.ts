/**
 * Namespaces as files in one directory, and a few of them prepared in advance.
 *
 * A prepared namespace nobody has taken is marked by a second file, `NAME.free`; taking it removes the mark (10 µs;
 * a mount point cannot be renamed, and binding it to a second name costs ten times that). The mark is made before the
 * namespace and removed before the answer, so after a crash the free ones are known: nobody ever got them.
 */

import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KernelError } from './error.ts'
import { createNamespace, deleteNamespace, inNamespace } from './namespace.ts'
import { MessageWriter } from './netlink/message.ts'
import { NETLINK_ROUTE, NetlinkSocket } from './netlink/socket.ts'
import { Nftables } from './nfnetlink/nftables.ts'
import { portRewrite } from './nfnetlink/rewrite.ts'
import type { KernelSettings, NetnsName, PreparedNamespace, ResolverSockets } from './operation.ts'
import { changeLink } from './rtnetlink/link.ts'
import { openBoundSocket } from './socket.ts'
import { writeSysctl } from './sysctl.ts'

const FREE = '.free'
const LOOPBACK_INDEX = 1

export class NamespacePool {
  readonly #settings: KernelSettings
  readonly #ready: PreparedNamespace[] = []

  /** Makes the directory; free namespaces of an earlier process are deleted, their sockets died with it. */
  constructor(settings: KernelSettings) {
    this.#settings = settings
    mkdirSync(settings.netnsDirectory, { recursive: true, mode: 0o755 })
    for (const { name, free } of this.list()) if (free) this.delete(name)
  }

  /** Path of a namespace's file. Refuses names that are paths. */
  path(name: NetnsName): string {
    if (!/^[\w-]+(\.[\w-]+)*$/.test(name) || name.endsWith(FREE)) {
      throw new KernelError({
        code: 'EINVAL',
        syscall: 'open',
        doing: `use network namespace "${name}"`,
        detail: 'not a name',
      })
    }
    return join(this.#settings.netnsDirectory, name)
  }

  /** Whether fewer namespaces are ready than there should be. */
  get wanting(): boolean {
    return this.#ready.length < this.#settings.poolSize
  }

  /** Prepares one more. */
  refill(): void {
    this.#ready.push(this.#prepare())
  }

  take(): PreparedNamespace {
    const namespace = this.#ready.shift() ?? this.#prepare()
    rmSync(`${namespace.path}${FREE}`, { force: true })
    return namespace
  }

  list(): readonly { readonly name: NetnsName; readonly free: boolean }[] {
    const files = readdirSync(this.#settings.netnsDirectory).filter(file => !file.startsWith('.'))
    const marked = new Set(files.filter(file => file.endsWith(FREE)).map(file => file.slice(0, -FREE.length)))
    // A mark without a namespace is a crash between the two: it counts as one, so that it is cleaned away.
    const names = new Set([...files.filter(file => !file.endsWith(FREE)), ...marked])
    return [...names].sort().map(name => ({ name, free: marked.has(name) }))
  }

  delete(name: NetnsName): void {
    const path = this.path(name)
    const position = this.#ready.findIndex(namespace => namespace.name === name)
    for (const { resolver } of position === -1 ? [] : this.#ready.splice(position, 1)) closeResolver(resolver)
    deleteNamespace(path)
    rmSync(`${path}${FREE}`, { force: true })
  }

  openResolver(name: NetnsName): ResolverSockets {
    return inNamespace(this.path(name), () => this.#bindResolver())
  }

  /** Deletes what is ready and not taken. */
  close(): void {
    for (const name of this.#ready.map(namespace => namespace.name)) this.delete(name)
  }

  #prepare(): PreparedNamespace {
    const name = this.#freshName()
    const path = this.path(name)
    writeFileSync(`${path}${FREE}`, '')
    try {
      return { name, path, resolver: createNamespace(path, () => this.#furnish()) }
    } catch (error) {
      rmSync(`${path}${FREE}`, { force: true })
      throw error
    }
  }

  #freshName(): NetnsName {
    for (;;) {
      const name = randomBytes(6).toString('hex')
      if (!existsSync(this.path(name))) return name
    }
  }

  /** Runs inside the new namespace. */
  #furnish(): ResolverSockets {
    for (const [key, value] of Object.entries(this.#settings.namespaceSysctls)) writeSysctl(key, value)
    const route = new NetlinkSocket(NETLINK_ROUTE)
    try {
      const writer = new MessageWriter(64)
      changeLink(writer, LOOPBACK_INDEX, { up: true })
      route.transact('bring lo up', writer)
    } finally {
      route.close()
    }
    const { address, port } = this.#settings.resolver
    const nftables = new Nftables()
    try {
      nftables.commit('rewrite the port of the resolver', portRewrite(address, port))
    } finally {
      nftables.close()
    }
    return this.#bindResolver()
  }

  #bindResolver(): ResolverSockets {
    const { address, port } = this.#settings.resolver
    const udp = openBoundSocket(address, port, 'udp')
    try {
      return { udp, tcp: openBoundSocket(address, port, 'tcp') }
    } catch (error) {
      closeSync(udp)
      throw error
    }
  }
}

function closeResolver({ udp, tcp }: ResolverSockets): void {
  closeSync(udp)
  closeSync(tcp)
}
