/** The resolver as the engine's thread sees it. */

import { closeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

import { wrapFault } from '../base/index.ts'
import type { Call, FromWorker, ToWorker, WorkerSettings } from './protocol.ts'
import type { ResolverTuning } from './resolver.ts'
import type { Resolver, ResolverSettings, SocketSource, WatchedQuestion } from './types.ts'

export interface ResolverOptions {
  /** The worker's file; beside the bundle unless given. */
  readonly worker?: URL
  readonly tuning?: ResolverTuning
  /** The thread ended by itself. Calls under way have been rejected, and so will be all later ones. */
  readonly onFailure?: (error: Error) => void
}

/** Starts the resolver on a thread of its own. `sockets` is asked for sockets inside sandboxes' namespaces. */
export async function openResolver(
  settings: ResolverSettings,
  sockets: SocketSource,
  options: ResolverOptions = {},
): Promise<Resolver> {
  const workerData: WorkerSettings = { settings, tuning: options.tuning }
  const worker = new Worker(options.worker ?? new URL('./dns-worker.js', import.meta.url), {
    workerData,
    // Descriptors come from other threads; Node would warn of each that is closed here.
    trackUnmanagedFds: false,
  })
  const client = new WorkerResolver(worker, sockets, options.onFailure)
  try {
    await client.ready
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return client
}

interface Pending {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class WorkerResolver implements Resolver {
  readonly ready: Promise<void>
  readonly #worker: Worker
  readonly #sockets: SocketSource
  readonly #pending = new Map<number, Pending>()
  /** Sandbox → who watches it. */
  readonly #watchers = new Map<string, Set<(question: WatchedQuestion) => void>>()
  #last = 0
  #ended: Error | undefined
  #closing: Promise<void> | undefined

  constructor(worker: Worker, sockets: SocketSource, onFailure: ((error: Error) => void) | undefined) {
    this.#worker = worker
    this.#sockets = sockets
    this.ready = new Promise((resolve, reject) => this.#pending.set(0, { resolve, reject }))
    const end = (error: Error): void => {
      if (this.#ended !== undefined) return
      this.#ended = error
      const pending = [...this.#pending.values()]
      this.#pending.clear()
      for (const { reject } of pending) reject(error)
      if (this.#closing === undefined) onFailure?.(error)
    }
    worker.on('message', (message: FromWorker) => this.#message(message))
    worker.on('error', error => end(wrapFault('the name resolver failed', error)))
    worker.on('exit', code => end(wrapFault('the name resolver ended', new Error(`exit code ${code}`))))
  }

  update(changes: Parameters<Resolver['update']>[0]): Promise<void> {
    return this.#call({ call: 'update', changes })
  }

  listen(sandbox: string, sockets: { readonly udp: number; readonly tcp: number }): Promise<void> {
    return this.#call({ call: 'listen', sandbox, sockets })
  }

  unlisten(sandbox: string): Promise<void> {
    return this.#call({ call: 'unlisten', sandbox })
  }

  watch(sandbox: string, tell: (question: WatchedQuestion) => void): () => void {
    const watchers = this.#watchers.get(sandbox) ?? new Set()
    if (watchers.size === 0) {
      this.#watchers.set(sandbox, watchers)
      this.#call({ call: 'watch', sandbox, on: true }).catch(() => undefined)
    }
    watchers.add(tell)
    return () => {
      if (!watchers.delete(tell) || watchers.size > 0) return
      this.#watchers.delete(sandbox)
      this.#call({ call: 'watch', sandbox, on: false }).catch(() => undefined)
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    try {
      await this.#call({ call: 'close' })
    } finally {
      await this.#worker.terminate()
    }
  }

  #call(call: Call): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    this.#last += 1
    const number = this.#last
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject })
      this.#tell({ kind: 'call', number, call })
    })
  }

  #message(message: FromWorker): void {
    if (message.kind === 'open') {
      const { number, sandbox, family, type } = message
      this.#sockets(sandbox, family, type).then(
        fd => {
          // Nobody is left to take it.
          if (this.#ended !== undefined || this.#closing !== undefined) closeSync(fd)
          else this.#tell({ kind: 'opened', number, fd })
        },
        (error: unknown) =>
          this.#tell({
            kind: 'notOpened',
            number,
            error: wrapFault('cannot open a socket for a question', error),
          }),
      )
      return
    }
    if (message.kind === 'asked') {
      for (const question of message.questions) {
        for (const tell of this.#watchers.get(question.sandbox) ?? []) tell(question)
      }
      return
    }
    const number = message.kind === 'ready' ? 0 : message.number
    const pending = this.#pending.get(number)
    this.#pending.delete(number)
    if (message.kind === 'failed') pending?.reject(wrapFault('name resolver', message.error))
    else pending?.resolve()
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message)
  }
}
