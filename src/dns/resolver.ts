/** The resolver itself, on whichever thread it is made: zone, sockets and forwarding put together. */

import { answer } from './answer.ts'
import { Forwarder, usualForwarding } from './forward.ts'
import { answerHost } from './host-answer.ts'
import { HostServers } from './hostservers.ts'
import { SandboxServer, type ServerLimits, type Source, usualLimits } from './server.ts'
import type {
  Id,
  Resolver,
  ResolverSettings,
  SocketSource,
  WatchedQuestion,
  ZoneChange,
  ZoneSandbox,
} from './types.ts'
import type { Protocol } from './upstream.ts'
import {
  answerCount,
  type Asked,
  codeName,
  eachAddress,
  questionName,
  rcode,
  replyCode,
  type,
  typeName,
} from './wire.ts'
import { Zone } from './zone.ts'

/** What tests and odd hosts set otherwise. */
export interface ResolverTuning {
  readonly forwarding: { readonly port: number; readonly nextAfterMs: number; readonly giveUpAfterMs: number }
  readonly limits: ServerLimits
}

export const usualTuning: ResolverTuning = { forwarding: usualForwarding, limits: usualLimits }

type Tell = (question: WatchedQuestion) => void

export class LocalResolver implements Resolver {
  readonly #settings: ResolverSettings
  readonly #limits: ServerLimits
  readonly #zone = new Zone()
  readonly #forwarder: Forwarder
  readonly #servers = new Map<Id, SandboxServer>()
  readonly #watchers = new Map<Id, Set<Tell>>()
  #hostServer: SandboxServer | undefined

  constructor(settings: ResolverSettings, sockets: SocketSource, tuning: ResolverTuning = usualTuning) {
    const host = new HostServers(settings.resolvConf)
    this.#settings = settings
    this.#limits = tuning.limits
    this.#forwarder = new Forwarder({
      hostServers: () => host.current(),
      sockets,
      cache: settings.cache,
      ...tuning.forwarding,
    })
  }

  /** Opens the door for the host, if there is to be one. Throws if its address is taken. */
  async open(): Promise<void> {
    const { host, ttl } = this.#settings
    if (host === undefined) return
    const source: Source = {
      answer: (asked, out, limit) => answerHost(this.#zone, ttl, asked, out, limit),
      // Everything has been answered: the host has its own servers for the rest.
      forward: (_asked, _protocol, deliver) => deliver(rcode.refused, 'nobody'),
    }
    this.#hostServer = await SandboxServer.open(source, host, this.#limits)
  }

  async update(changes: readonly ZoneChange[]): Promise<void> {
    this.#zone.apply(changes)
  }

  async listen(sandbox: Id, sockets: { readonly udp: number; readonly tcp: number }): Promise<void> {
    await this.unlisten(sandbox)
    const { ttl } = this.#settings
    const source: Source = {
      answer: (asked, out, limit) => {
        const length = answer(this.#zone, ttl, sandbox, asked, out, limit)
        if (length > 0 && this.#watchers.size > 0) this.#told(sandbox, asked, out, 'zone')
        return length
      },
      forward: (asked, protocol, deliver) => {
        const record = this.#zone.sandbox(sandbox)
        if (record === undefined) return deliver(rcode.serverFailure, 'nobody')
        this.#forward(record, asked, protocol, deliver)
      },
    }
    this.#servers.set(sandbox, await SandboxServer.start(source, sockets, this.#limits))
  }

  async unlisten(sandbox: Id): Promise<void> {
    const server = this.#servers.get(sandbox)
    this.#servers.delete(sandbox)
    this.#forwarder.forget(sandbox)
    await server?.close()
  }

  watch(sandbox: Id, tell: Tell): () => void {
    const watchers = this.#watchers.get(sandbox) ?? new Set()
    this.#watchers.set(sandbox, watchers.add(tell))
    return () => {
      watchers.delete(tell)
      if (watchers.size === 0) this.#watchers.delete(sandbox)
    }
  }

  async close(): Promise<void> {
    const servers = [...this.#servers.values()]
    this.#servers.clear()
    this.#forwarder.close()
    if (this.#hostServer !== undefined) servers.push(this.#hostServer)
    await Promise.all(servers.map(server => server.close()))
  }

  #forward(
    sandbox: ZoneSandbox,
    asked: Asked,
    protocol: Protocol,
    deliver: Parameters<Source['forward']>[2],
  ): void {
    const watched = this.#watchers.has(sandbox.id)
    // The question's bytes are the socket's own and may be written over while it is under way.
    const copy = watched ? { ...asked, bytes: Uint8Array.from(asked.bytes) } : asked
    const since = watched ? Date.now() : 0
    const addresses = asked.query.type === type.A || asked.query.type === type.AAAA
    this.#forwarder.ask(sandbox, asked, protocol, (reply, from) => {
      if (addresses && typeof reply !== 'number') {
        eachAddress(reply, address => this.#zone.publish(sandbox.id, address))
      }
      if (watched) this.#told(sandbox.id, copy, reply, from, since)
      deliver(reply, from)
    })
  }

  #told(sandbox: Id, asked: Asked, reply: Uint8Array | number, from: string, since = Date.now()): void {
    const watchers = this.#watchers.get(sandbox)
    if (watchers === undefined) return
    const question: WatchedQuestion = {
      sandbox,
      time: since,
      name: questionName(asked),
      type: typeName(asked.query.type),
      from,
      code: codeName(typeof reply === 'number' ? reply : replyCode(reply)),
      answers: typeof reply === 'number' ? 0 : answerCount(reply),
      took: Date.now() - since,
    }
    for (const tell of watchers) tell(question)
  }
}
