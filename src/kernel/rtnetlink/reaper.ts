/**
 * Deleting links behind everybody's back. The kernel spends 16–40 ms per deletion, nearly all of it waiting for RCU
 * grace periods with no lock held: on another thread it delays the next veth by 1 ms instead of 20. One datagram is
 * under way at a time; names that come meanwhile are gathered into the next, as one group.
 */

import { checkInterfaceName } from '../address.ts'
import { NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts'
import { deleteLinksBehind } from './link.ts'

export class LinkReaper {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE)
  /** What is being deleted now. */
  #current: { readonly names: ReadonlySet<string>; readonly done: Promise<void> } | undefined
  /** What is deleted next. */
  #next: { readonly names: Set<string>; readonly done: Promise<void> } | undefined

  get busy(): boolean {
    return this.#current !== undefined || this.#next !== undefined
  }

  /** Resolves when the links are gone; absent ones are no error. */
  async delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    // Before they join others, whose deletion a bad name would spoil.
    names.forEach(checkInterfaceName)
    this.#next ??= this.#gather()
    for (const name of names) this.#next.names.add(name)
    await this.#next.done
  }

  /** Resolves when none of these links is being deleted any more: their names can be used again. */
  async settled(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      if (this.#next?.names.has(name) === true) await this.#next.done.catch(() => undefined)
      if (this.#current?.names.has(name) === true) await this.#current.done.catch(() => undefined)
    }
  }

  /** Waits for what is under way and closes. */
  async close(): Promise<void> {
    while (this.busy) {
      await (this.#next ?? this.#current)?.done.catch(() => undefined)
    }
    this.#socket.close()
  }

  #gather(): { readonly names: Set<string>; readonly done: Promise<void> } {
    const names = new Set<string>()
    const before = this.#current?.done.catch(() => undefined) ?? Promise.resolve()
    const done = before.then(async () => this.#reap(names))
    return { names, done }
  }

  async #reap(names: ReadonlySet<string>): Promise<void> {
    const done = deleteLinksBehind(this.#socket, [...names])
    this.#current = { names, done }
    this.#next = undefined
    try {
      await done
    } finally {
      this.#current = undefined
    }
  }
}
