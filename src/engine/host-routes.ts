/**
 * What the host's routes occupy, so that automatic subnets keep clear of it. The kernel tells when a route changes; the
 * routes are read again a moment later, behind the answer to the command that changed them. A command that needs them
 * before that has them read at once.
 */
import { type Kernel, Monitor } from '../kernel/index.ts'
import { parsePrefix, prefixRange, RangeSet } from '../network/index.ts'

/** Occupied addresses of each family. */
export interface Occupied {
  readonly 4: RangeSet
  readonly 6: RangeSet
}

/** Milliseconds from a change to the reading: a bridge that comes up changes several routes, one after the other. */
const quietMs = 10

export class HostRoutes {
  readonly #kernel: Kernel
  readonly #monitor: Monitor
  #occupied: Promise<Occupied>
  /** A reading is due that has not begun: it will see every change up to then. */
  #due: NodeJS.Timeout | undefined

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.#monitor = new Monitor(['route'], () => {
      this.#due ??= setTimeout(() => this.#readAgain(), quietMs)
    })
    this.#occupied = this.#read()
  }

  /** On-link destinations: what is reached through a gateway may well be inside a container's subnet. */
  occupied(): Promise<Occupied> {
    if (this.#due !== undefined) this.#readAgain()
    return this.#occupied
  }

  async close(): Promise<void> {
    this.#monitor.close()
    clearTimeout(this.#due)
    await this.#occupied.catch(() => undefined)
  }

  #readAgain(): void {
    clearTimeout(this.#due)
    this.#due = undefined
    this.#occupied = this.#read()
    // Whoever asks hears of a failure; if nobody does it is of no interest.
    this.#occupied.catch(() => undefined)
  }

  async #read(): Promise<Occupied> {
    const occupied = { 4: RangeSet.empty, 6: RangeSet.empty }
    for (const { destination, onLink, family } of await this.#kernel.routes()) {
      const prefix = onLink ? parsePrefix(destination) : undefined
      if (prefix === undefined || prefix.length === 0) continue
      occupied[family] = occupied[family].add(...prefixRange(prefix))
    }
    return occupied
  }
}
