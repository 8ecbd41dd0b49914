/** The resolver itself, on whichever thread it is made: zone, sockets and forwarding put together. */

import { answer } from './answer.ts'
import { Forwarder, usualForwarding } from './forward.ts'
import { HostServers } from './hostservers.ts'
import { SandboxServer, type ServerLimits, usualLimits } from './server.ts'
import type { Id, Resolver, ResolverSettings, SocketSource, ZoneChange } from './types.ts'
import { eachAddress, rcode, type } from './wire.ts'
import { Zone } from './zone.ts'

/** What tests and odd hosts set otherwise. */
export interface ResolverTuning {
  readonly forwarding: { readonly port: number; readonly nextAfterMs: number; readonly giveUpAfterMs: number }
  readonly limits: ServerLimits
}

export const usualTuning: ResolverTuning = { forwarding: usualForwarding, limits: usualLimits }

export class LocalResolver implements Resolver {
  readonly #ttl: number
  readonly #limits: ServerLimits
  readonly #zone = new Zone()
  readonly #forwarder: Forwarder
  readonly #servers = new Map<Id, SandboxServer>()

  constructor(settings: ResolverSettings, sockets: SocketSource, tuning: ResolverTuning = usualTuning) {
    const host = new HostServers(settings.resolvConf)
    this.#ttl = settings.ttl
    this.#limits = tuning.limits
    this.#forwarder = new Forwarder({ hostServers: () => host.current(), sockets, ...tuning.forwarding })
  }

  async update(changes: readonly ZoneChange[]): Promise<void> {
    this.#zone.apply(changes)
  }

  async listen(sandbox: Id, sockets: { readonly udp: number; readonly tcp: number }): Promise<void> {
    await this.unlisten(sandbox)
    const server = await SandboxServer.start(
      {
        answer: (asked, out, limit) => answer(this.#zone, this.#ttl, sandbox, asked, out, limit),
        forward: (asked, protocol, deliver) => {
          const record = this.#zone.sandbox(sandbox)
          if (record === undefined) return deliver(rcode.serverFailure)
          this.#forwarder.ask(record, asked, protocol, reply => {
            const addresses = asked.query.type === type.A || asked.query.type === type.AAAA
            if (addresses && typeof reply !== 'number') {
              eachAddress(reply, address => this.#zone.publish(sandbox, address))
            }
            deliver(reply)
          })
        },
      },
      sockets,
      this.#limits,
    )
    this.#servers.set(sandbox, server)
  }

  async unlisten(sandbox: Id): Promise<void> {
    const server = this.#servers.get(sandbox)
    this.#servers.delete(sandbox)
    this.#forwarder.forget(sandbox)
    await server?.close()
  }

  async close(): Promise<void> {
    const servers = [...this.#servers.values()]
    this.#servers.clear()
    this.#forwarder.close()
    await Promise.all(servers.map(server => server.close()))
  }
}
