/**
 * Foreign hands: somebody flushes the tables, takes a bridge down, deletes an address or a cable. The kernel tells of it, and what
 * the state says is brought back within a second. What is not ours is none of our business, and our own changes are not foreign.
 */
import {
  type Kernel,
  Monitor,
  type MonitorEvent,
  RulesetMonitor,
  type RulesetChange,
} from '../kernel/index.ts'
import type { Core } from './core.ts'
import { type Drift, findDrift, mendDrift } from './drift.ts'
import type { Firewall } from './firewall/firewall.ts'

/** A flush is many changes: they are mended together. */
const gatherMs = 150
/** Somebody who goes on changing is answered once in this time. */
const restMs = 500
/** Rules are loaded by nft, whose announcement may come a little after its end. */
const ownEchoMs = 100

export class Mending {
  readonly #core: Core
  readonly #kernel: Kernel
  readonly #firewall: Firewall
  readonly #links: Monitor
  readonly #rules: RulesetMonitor
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #last = 0
  #rulesToo = false
  #closed = false

  constructor(core: Core, kernel: Kernel, firewall: Firewall) {
    this.#core = core
    this.#kernel = kernel
    this.#firewall = firewall
    this.#links = new Monitor(['link', 'address'], event => {
      const what = this.#foreignLink(event)
      if (what !== undefined) this.#schedule(what, false)
    })
    this.#rules = new RulesetMonitor(change => {
      if (this.#concernsRules(change))
        this.#schedule(`${change.program || 'somebody'} changed firewall rules`, true)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#links.close()
    this.#rules.close()
    clearTimeout(this.#timer)
    await this.#running
  }

  #concernsRules({ tables }: RulesetChange): boolean {
    // While mending, the rules are loaded by a program of ours.
    if (this.#running !== undefined || Date.now() < this.#last + ownEchoMs) return false
    return tables.size === 0 || this.#firewall.tables.some(table => tables.has(table))
  }

  /** What happened to a link that the state wants otherwise; undefined for all else, our own doings among it. */
  #foreignLink(event: MonitorEvent): string | undefined {
    if (event.topic === 'link') {
      const { name } = event.link
      const bridge = this.#bridgeNamed(name)
      if (bridge && (event.gone || !event.link.up))
        return `${name} was ${event.gone ? 'deleted' : 'taken down'}`
      if ((event.gone || event.link.master === 0) && this.#hasCable(name)) return `${name} was unplugged`
    }
    if (event.topic === 'address' && event.gone) {
      const { cidr } = event.address
      const ours = [...this.#core.state.networks.values()].some(network =>
        network.pools.some(({ gateway }) => gateway !== undefined && cidr.startsWith(`${gateway}/`)),
      )
      if (ours) return `the address ${cidr} was taken away`
    }
    return undefined
  }

  #bridgeNamed(name: string): boolean {
    return [...this.#core.state.networks.values()].some(network => network.bridge?.name === name)
  }

  #hasCable(name: string): boolean {
    for (const endpoint of this.#core.state.endpoints.values()) if (endpoint.hostIfname === name) return true
    return false
  }

  /** @param rules may have changed in ways that only loading them again mends */
  #schedule(why: string, rules: boolean): void {
    this.#rulesToo ||= rules
    if (this.#timer !== undefined || this.#closed) return
    const wait = Math.max(gatherMs, this.#last + restMs - Date.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const withRules = this.#rulesToo
      this.#rulesToo = false
      this.#running = this.#mend(why, withRules).finally(() => {
        this.#running = undefined
        this.#last = Date.now()
      })
    }, wait)
  }

  async #mend(why: string, rules: boolean): Promise<void> {
    const { log } = this.#core
    try {
      // A cable that a command of ours took out looks the same at first.
      if (!rules && count(await findDrift(this.#core, this.#kernel, this.#firewall)) === 0) return
      const drift = await mendDrift(this.#core, this.#kernel, this.#firewall)
      if (count(drift) > 0) log.warn({ why, ...drift }, 'a foreign hand changed what is ours: mended')
    } catch (error) {
      log.error({ err: error, why }, 'mending what a foreign hand changed failed')
    }
  }
}

const count = ({ missing, changed, stale, rules }: Drift): number =>
  missing.length + changed.length + stale.length + rules
