/** The kernel as the rest of the engine sees it: calls that are executed on the worker, in order. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { KernelError } from './error.ts'
import type { Kernel, KernelSettings } from './operation.ts'
import {
  READY,
  type AnswerMessage,
  type CallMessage,
  type KernelMethod,
  type WorkerSettings,
} from './protocol.ts'

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export interface KernelOptions {
  /** The worker's file; beside the bundle unless given. */
  readonly worker?: URL
  /** The thread ended by itself. Calls under way have been rejected, and so will be all later ones. */
  readonly onFailure?: (error: Error) => void
}

/** Starts the worker and waits until it is ready. */
export async function openKernel(settings: KernelSettings, options: KernelOptions = {}): Promise<Kernel> {
  const workerData: WorkerSettings = { settings }
  // Descriptors cross threads: they come from libc, and whoever gets them closes them.
  const url = options.worker ?? new URL('./kernel-worker.js', import.meta.url)
  const worker = new Worker(url, { workerData, name: 'kernel', trackUnmanagedFds: false })
  const waiting = new Map<number, Waiting>()
  let gone: Error | undefined
  let last = READY

  let closing = false
  const fail = (error: Error) => {
    if (gone === undefined && !closing) options.onFailure?.(error)
    gone ??= error
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }
  worker.on('message', (message: AnswerMessage) => {
    const call = waiting.get(message.id)
    waiting.delete(message.id)
    if ('error' in message) call?.reject(new KernelError(message.error))
    else call?.resolve(message.value)
  })
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('the kernel worker has ended')))

  const call = async (method: KernelMethod, ...args: readonly unknown[]): Promise<unknown> => {
    if (gone !== undefined) throw gone
    const message: CallMessage = { id: ++last, method, args }
    return new Promise((resolve, reject) => {
      waiting.set(message.id, { resolve, reject })
      worker.postMessage(message, [])
    })
  }

  await new Promise((resolve, reject) => waiting.set(READY, { resolve, reject }))
  return {
    run: async operations => (await call('run', operations)) as Awaited<ReturnType<Kernel['run']>>,
    takeNamespace: async () => (await call('takeNamespace')) as Awaited<ReturnType<Kernel['takeNamespace']>>,
    openResolver: async netns =>
      (await call('openResolver', netns)) as Awaited<ReturnType<Kernel['openResolver']>>,
    openSocket: async (netns, family, type) => (await call('openSocket', netns, family, type)) as number,
    serveReserved: async port => (await call('serveReserved', port)) as readonly number[],
    deleteNamespaces: async names => void (await call('deleteNamespaces', names)),
    namespaces: async () => (await call('namespaces')) as Awaited<ReturnType<Kernel['namespaces']>>,
    links: async netns => (await call('links', netns)) as Awaited<ReturnType<Kernel['links']>>,
    routes: async netns => (await call('routes', netns)) as Awaited<ReturnType<Kernel['routes']>>,
    elements: async (table, set) =>
      (await call('elements', table, set)) as Awaited<ReturnType<Kernel['elements']>>,
    iptables: async (family, counted = false) =>
      (await call('iptables', family, counted)) as Awaited<ReturnType<Kernel['iptables']>>,
    link: async (name, netns) => (await call('link', name, netns)) as Awaited<ReturnType<Kernel['link']>>,
    lookUpRoute: async (question, netns) =>
      (await call('lookUpRoute', question, netns)) as Awaited<ReturnType<Kernel['lookUpRoute']>>,
    ruleset: async netns => (await call('ruleset', netns)) as Awaited<ReturnType<Kernel['ruleset']>>,
    element: async (family, table, set, key, netns) =>
      (await call('element', family, table, set, key, netns)) as Awaited<ReturnType<Kernel['element']>>,
    listeners: async (protocol, netns) =>
      (await call('listeners', protocol, netns)) as Awaited<ReturnType<Kernel['listeners']>>,
    announce: async (netns, link, count, intervalMs) =>
      void (await call('announce', netns, link, count, intervalMs)),
    portHolder: async port => (await call('portHolder', port)) as string,
    close: async () => {
      if (gone !== undefined) return
      closing = true
      const ended = once(worker, 'exit')
      await call('close')
      await ended
    },
  }
}
