/**
 * What the host's routes occupy, so that automatic subnets keep clear of it. The kernel tells when a route changes; the
 * routes are read again a moment later, behind the answer to the command that changed them. A command that needs them
 * before that has them read at once.
 */
import { type Kernel, Monitor } from '../kernel/index.ts'
import {
  claimedBy,
  type HostRoute,
  parsePrefix,
  prefixRange,
  type Range,
  RangeSet,
} from '../network/index.ts'

interface Ranges {
  readonly 4: RangeSet
  readonly 6: RangeSet
}

export interface Occupied {
  /** What is on the host's own links. */
  readonly onLink: Ranges
  /** What it reaches through a gateway, default routes apart. */
  readonly routed: Ranges
}

/** Milliseconds from a change to the reading: a bridge that comes up changes several routes, one after the other. */
const quietMs = 10

export class HostRoutes {
  readonly #kernel: Kernel
  readonly #monitor: Monitor
  readonly #tell: (routes: readonly HostRoute[]) => void
  #occupied: Promise<Occupied>
  /** A reading is due that has not begun: it will see every change up to then. */
  #due: NodeJS.Timeout | undefined

  /** `tell` is called with the routes each time they were read. */
  constructor(kernel: Kernel, tell: (routes: readonly HostRoute[]) => void) {
    this.#kernel = kernel
    this.#tell = tell
    this.#monitor = new Monitor(['route'], () => {
      this.#due ??= setTimeout(() => this.#readAgain(), quietMs)
    })
    this.#occupied = this.#read()
  }

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
    const routes = await this.#kernel.routes()
    const ranges = {
      onLink: { 4: [] as Range[], 6: [] as Range[] },
      routed: { 4: [] as Range[], 6: [] as Range[] },
    }
    for (const route of routes) {
      const prefix = parsePrefix(route.destination)
      if (prefix === undefined || prefix.length === 0) continue
      const [first, last] = prefixRange(prefix)
      if (route.onLink) ranges.onLink[route.family].push({ first, last })
      else if (claimedBy(route) !== undefined) ranges.routed[route.family].push({ first, last })
    }
    this.#tell(routes)
    const { onLink, routed } = ranges
    return {
      onLink: { 4: RangeSet.ofRanges(onLink[4]), 6: RangeSet.ofRanges(onLink[6]) },
      routed: { 4: RangeSet.ofRanges(routed[4]), 6: RangeSet.ofRanges(routed[6]) },
    }
  }
}
