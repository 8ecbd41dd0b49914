/**
 * Tells when a route of the host comes to overlap a network, most often because a VPN came up: once in the log and as an
 * event, and in the warnings of `info` for as long as it is so.
 */
import { conflictText, type HostRoute, type RouteConflict, routeConflicts } from '../network/index.ts'
import type { Core } from './core.ts'

const keyOf = ({ network, subnet, route }: RouteConflict): string =>
  `${network.id} ${subnet} ${route.destination} ${route.link ?? ''}`

export class RouteWarnings {
  readonly #core: Core
  /** What is so now; text by conflict. */
  #known: ReadonlyMap<string, string> = new Map()

  constructor(core: Core) {
    this.#core = core
  }

  get warnings(): readonly string[] {
    return [...this.#known.values()].map(text => `WARNING: ${text}`)
  }

  /** Compares the networks with the routes as they are now. */
  check(routes: readonly HostRoute[]): void {
    const { state, events, log } = this.#core
    const now = new Map<string, string>()
    for (const conflict of routeConflicts([...state.networks.values()], routes)) {
      const key = keyOf(conflict)
      const text = conflictText(conflict)
      now.set(key, text)
      if (this.#known.has(key)) continue
      const { network, subnet, route } = conflict
      log.warn({ network: network.name, subnet, route }, text)
      events.emit('network', 'overlap', network.id, {
        name: network.name,
        type: network.driver,
        subnet,
        route: route.destination,
        interface: route.link ?? '',
      })
    }
    this.#known = now
  }
}
