/**
 * What the host's routes occupy, so that automatic subnets keep clear of it. The kernel tells when a route changes; the
 * routes are then read again behind whatever is going on, and a command that needs them finds them read.
 */
import { type Kernel, Monitor } from '../kernel/index.ts'
import { parsePrefix, prefixRange, RangeSet } from '../network/index.ts'

/** Occupied addresses of each family. */
export interface Occupied {
  readonly 4: RangeSet
  readonly 6: RangeSet
}

export class HostRoutes {
  readonly #kernel: Kernel
  readonly #monitor: Monitor
  #occupied: Promise<Occupied>
  /** A reading is due that has not begun: it will see every change up to then. */
  #due = false

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.#monitor = new Monitor(['route'], () => this.#readAgain())
    this.#occupied = this.#read()
  }

  /** On-link destinations: what is reached through a gateway may well be inside a container's subnet. */
  occupied(): Promise<Occupied> {
    return this.#occupied
  }

  async close(): Promise<void> {
    this.#monitor.close()
    await this.#occupied.catch(() => undefined)
  }

  /** A bridge that comes up changes several routes at once: they are read once. */
  #readAgain(): void {
    if (this.#due) return
    this.#due = true
    const reading = new Promise(resolve => setImmediate(resolve)).then(() => {
      this.#due = false
      return this.#read()
    })
    // Whoever asks hears of a failure; if nobody does it is of no interest.
    reading.catch(() => undefined)
    this.#occupied = reading
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
