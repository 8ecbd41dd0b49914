/**
 * The kernel worker: the only thread that changes namespace or talks netlink. Calls are executed one at a time, in the
 * order in which they came. What can wait (filling the pool, repeated announcements) happens between them; what the
 * kernel is slow at (deleting links) happens beside them.
 */

import { closeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { toKernelError } from './error.ts'
import { Executor } from './executor.ts'
import { callBehind } from './ffi.ts'
import type { NetnsName, Operation, OperationResult, Protocol, ReservationSpec } from './operation.ts'
import { READY, type AnswerMessage, type CallMessage, type WorkerSettings } from './protocol.ts'
import type { RouteQuestion } from './rtnetlink/lookup.ts'
import { LinkReaper } from './rtnetlink/reaper.ts'

const F_DUPFD_CLOEXEC = 1030
const REFILL_DELAY_MS = 30

class Service {
  readonly #executor: Executor
  readonly #reaper = new LinkReaper()
  /** Set while a refill is due. */
  #refill: NodeJS.Timeout | undefined
  #closing = false

  constructor({ settings }: WorkerSettings) {
    this.#executor = new Executor(settings)
  }

  /** The value of a call, or a promise of it. */
  execute({ method, args }: CallMessage): unknown {
    const executor = this.#executor
    switch (method) {
      case 'run':
        return this.#run(args[0] as readonly Operation[])
      case 'takeNamespace': {
        const namespace = executor.takeNamespace()
        this.refill()
        return namespace
      }
      case 'openResolver':
        return executor.openResolver(args[0] as NetnsName)
      case 'serveReserved':
        return executor.serveReserved(args[0] as ReservationSpec)
      case 'openSocket':
        return executor.openSocket(args[0] as NetnsName, args[1] as 4 | 6, args[2] as 'udp' | 'tcp')
      case 'deleteNamespaces':
        return executor.deleteNamespaces(args[0] as readonly NetnsName[])
      case 'namespaces':
        return executor.namespaces()
      case 'links':
        return executor.links(args[0] as NetnsName | undefined)
      case 'routes':
        return executor.routes(args[0] as NetnsName | undefined)
      case 'elements':
        return executor.elements(args[0] as string, args[1] as string)
      case 'iptables':
        return executor.iptables(args[0] as 4 | 6, args[1] as boolean)
      case 'link':
        return executor.link(args[0] as string, args[1] as NetnsName | undefined)
      case 'lookUpRoute':
        return executor.lookUpRoute(args[0] as RouteQuestion, args[1] as NetnsName | undefined)
      case 'ruleset':
        return executor.ruleset(args[0] as NetnsName | undefined)
      case 'element':
        return executor.element(
          args[0] as number,
          args[1] as string,
          args[2] as string,
          args[3] as Uint8Array,
          args[4] as NetnsName | undefined,
        )
      case 'listeners':
        return executor.listeners(args[0] as Protocol, args[1] as NetnsName | undefined)
      case 'announce':
        return this.#announce(args[0] as NetnsName, args[1] as string, args[2] as number, args[3] as number)
      case 'portHolder':
        return executor.portHolder(args[0] as ReservationSpec)
      case 'close':
        return this.#close()
    }
  }

  /**
   * Prepares the namespaces the pool lacks, after a while: whoever has just taken one is about to connect it. One at a
   * time (1.5 ms), so that calls get their turn between them.
   */
  refill(delayMs = REFILL_DELAY_MS): void {
    if (this.#closing || this.#refill !== undefined) return
    this.#refill = setTimeout(() => {
      this.#refill = undefined
      try {
        if (this.#executor.refillPool()) this.refill(0)
      } catch {
        // Whoever needs a namespace next makes one, and gets the error with its reason.
      }
    }, delayMs).unref()
  }

  /** A batch that only deletes links, which cannot be undone anyway, runs beside everything else. */
  async #run(operations: readonly Operation[]): Promise<readonly OperationResult[]> {
    const deletions = operations.filter(operation => operation.do === 'links.delete')
    if (operations.length > 0 && deletions.length === operations.length) {
      await this.#reaper.delete(deletions.flatMap(deletion => deletion.names))
      return deletions.map(() => null)
    }
    if (this.#reaper.busy) await this.#reaper.settled(linkNames(operations))
    return this.#executor.run(operations)
  }

  /** Announces once now, and the rest by timer, until the link is gone or has another MAC. */
  #announce(netns: NetnsName, link: string, count: number, intervalMs: number): void {
    if (count < 1) return
    const mac = this.#executor.announce(netns, link)
    const repeat = (left: number) => {
      if (left < 1) return
      const timer = setTimeout(() => {
        try {
          if (this.#executor.announce(netns, link, mac) === mac) repeat(left - 1)
        } catch {
          // A neighbour that missed this one will ask.
        }
      }, intervalMs)
      timer.unref()
    }
    if (mac !== undefined) repeat(count - 1)
  }

  async #close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#refill)
    await this.#reaper.close()
    this.#executor.close()
  }
}

/** Links that the operations make, change or delete. */
function linkNames(operations: readonly Operation[]): readonly string[] {
  return operations.flatMap(operation => {
    if (operation.do === 'bridge.add' || operation.do === 'bridge.set') return [operation.bridge.name]
    if (operation.do === 'veth.add') return [operation.veth.name, operation.veth.bridge]
    if (operation.do === 'hairpin.set') return [operation.link]
    return operation.do === 'links.delete' ? operation.names : []
  })
}

const port = parentPort
if (port === null) throw new Error('the kernel worker is a worker thread')
const answer = (message: AnswerMessage) => port.postMessage(message)

/**
 * The kernel grows a process's descriptor table in steps of two, and waits for an RCU grace period (8 ms) each time
 * when the process has threads. Once grown it stays: room for 4,096 now, on another thread, instead of stalls later.
 */
async function growDescriptorTable(): Promise<void> {
  const descriptor = await callBehind('fcntl', 0, F_DUPFD_CLOEXEC, 4095)
  // The hard limit may be lower: then it grows as it can.
  if (descriptor >= 0) closeSync(descriptor)
}

// The threads of libuv's pool are born on its first use, in the namespace of the thread that uses it: now, at home.
await stat('/')
growDescriptorTable().catch(() => undefined)

try {
  const service = new Service(workerData as WorkerSettings)
  port.on('message', (message: CallMessage) => {
    const { id, method } = message
    const fail = (error: unknown) => answer({ id, error: toKernelError(error, method).fields() })
    const succeed = (value: unknown) => {
      answer({ id, value })
      if (method === 'close') port.close()
    }
    try {
      const value = service.execute(message)
      if (value instanceof Promise) value.then(succeed, fail)
      else succeed(value)
    } catch (error) {
      fail(error)
    }
  })
  answer({ id: READY, value: undefined })
  service.refill(0)
} catch (error) {
  answer({ id: READY, error: toKernelError(error, 'start the kernel worker').fields() })
}
