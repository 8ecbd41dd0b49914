/**
 * Which servers did not answer lately. Without a memory every question would wait its second for a dead first server.
 *
 * A server that let a question wait until the next one was asked is silent; it then comes last. When it has been left
 * alone for a while one question is sent to it too, beside the others: the asker loses nothing by that, and the server
 * takes its old place with its first answer.
 */

/** How long a silent server is left alone: ten seconds, then twice as long each time, up to two minutes. */
const firstRestMs = 10_000
const longestRestMs = 120_000
/** Servers in memory; users can name any number of them with --dns. */
const mostServers = 1024

interface Silent {
  readonly restMs: number
  /** When it is tried again. */
  readonly again: number
}

export interface Order {
  /** To be asked one after the other. */
  readonly servers: readonly string[]
  /** To be asked at once as well: silent servers whose rest is over. */
  readonly trial: readonly string[]
}

export class Health {
  readonly #silent = new Map<string, Silent>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @param scope the namespace that the servers are asked from: one address is another server in each */
  order(scope: string, servers: readonly string[]): Order {
    if (this.#silent.size === 0) return { servers, trial: [] }
    const now = this.#now()
    const healthy: string[] = []
    const silent: string[] = []
    const trial: string[] = []
    for (const server of servers) {
      const known = this.#silent.get(`${scope} ${server}`)
      if (known === undefined) healthy.push(server)
      else {
        silent.push(server)
        if (known.again > now) continue
        trial.push(server)
        this.#silent.set(`${scope} ${server}`, { ...known, again: now + known.restMs })
      }
    }
    // Where all are silent there is nothing better to ask, and nothing to try beside them.
    return healthy.length === 0 ? { servers, trial: [] } : { servers: [...healthy, ...silent], trial }
  }

  wasSilent(scope: string, server: string): void {
    const key = `${scope} ${server}`
    const known = this.#silent.get(key)
    const now = this.#now()
    // Many questions under way tell the same thing at once.
    if (known !== undefined && known.again > now) return
    const restMs = known === undefined ? firstRestMs : Math.min(known.restMs * 2, longestRestMs)
    this.#silent.delete(key)
    this.#silent.set(key, { restMs, again: now + restMs })
    for (const oldest of this.#silent.keys()) {
      if (this.#silent.size <= mostServers) break
      this.#silent.delete(oldest)
    }
  }

  answered(scope: string, server: string): void {
    if (this.#silent.size > 0) this.#silent.delete(`${scope} ${server}`)
  }

  /** A sandbox is gone. */
  forget(scope: string): void {
    for (const key of this.#silent.keys()) if (key.startsWith(`${scope} `)) this.#silent.delete(key)
  }
}
