/**
 * The kernel worker: the only thread that changes namespace or talks netlink. Calls are executed one at a time, in the
 * order in which they came; what can wait (filling the pool, repeated announcements) happens between them.
 */

import { stat } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { toKernelError } from './error.ts'
import { Executor } from './executor.ts'
import type { NetnsName, Operation, ReservationSpec } from './operation.ts'
import { READY, type AnswerMessage, type CallMessage, type WorkerSettings } from './protocol.ts'

const port = parentPort
if (port === null) throw new Error('the kernel worker is a worker thread')

// The threads of libuv's pool are born on its first use, in the namespace of the thread that uses it: now, at home.
await stat('/')

/** Answers go out first, then at most one namespace is prepared per turn of the event loop. */
let refilling = false

function refill(executor: Executor): void {
  if (refilling) return
  refilling = true
  setImmediate(() => {
    refilling = false
    try {
      if (executor.refillPool()) refill(executor)
    } catch {
      // Whoever needs a namespace next makes one, and gets the error with its reason.
    }
  })
}

/** Announces once now, and the rest by timer, until the link is gone or has another MAC. */
function announce(
  executor: Executor,
  netns: NetnsName,
  link: string,
  count: number,
  intervalMs: number,
): void {
  if (count < 1) return
  const mac = executor.announce(netns, link)
  const repeat = (left: number) => {
    if (left < 1) return
    const timer = setTimeout(() => {
      try {
        if (executor.announce(netns, link) === mac) repeat(left - 1)
      } catch {
        // A neighbour that missed this one will ask.
      }
    }, intervalMs)
    timer.unref()
  }
  if (mac !== undefined) repeat(count - 1)
}

function execute(executor: Executor, { method, args }: CallMessage): unknown {
  switch (method) {
    case 'run':
      return executor.run(args[0] as readonly Operation[])
    case 'takeNamespace': {
      const namespace = executor.takeNamespace()
      refill(executor)
      return namespace
    }
    case 'openResolver':
      return executor.openResolver(args[0] as NetnsName)
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
    case 'announce':
      return announce(executor, args[0] as NetnsName, args[1] as string, args[2] as number, args[3] as number)
    case 'portHolder':
      return executor.portHolder(args[0] as ReservationSpec)
    case 'close':
      return executor.close()
  }
}

const answer = (message: AnswerMessage) => port.postMessage(message)

try {
  const executor = new Executor((workerData as WorkerSettings).settings)
  port.on('message', (message: CallMessage) => {
    try {
      answer({ id: message.id, value: execute(executor, message) })
    } catch (error) {
      answer({ id: message.id, error: toKernelError(error, message.method).fields() })
    }
    if (message.method === 'close') port.close()
  })
  answer({ id: READY, value: undefined })
  refill(executor)
} catch (error) {
  answer({ id: READY, error: toKernelError(error, 'start the kernel worker').fields() })
}
