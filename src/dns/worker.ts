/** The resolver's thread: its own, so that a busy API never delays a name. */

import { parentPort, workerData } from 'node:worker_threads'

import type { Call, FromWorker, ToWorker, WorkerSettings } from './protocol.ts'
import { LocalResolver } from './resolver.ts'
import type { WatchedQuestion } from './types.ts'

const port = parentPort
if (port === null) throw new Error('this file is the entry of a worker thread')

interface Opening {
  readonly resolve: (fd: number) => void
  readonly reject: (error: Error) => void
}

const openings = new Map<number, Opening>()
let lastOpening = 0

const { settings, tuning } = workerData as WorkerSettings
const resolver = new LocalResolver(
  settings,
  (sandbox, family, type) =>
    new Promise((resolve, reject) => {
      lastOpening += 1
      openings.set(lastOpening, { resolve, reject })
      tell({ kind: 'open', number: lastOpening, sandbox, family, type })
    }),
  tuning,
)

const watched = new Map<string, () => void>()
let gathered: WatchedQuestion[] = []
/** Above this many in one turn the rest is not told: whoever watches a flood cannot read it either. */
const mostTold = 500

/** One message for all that were answered in a turn of the loop. */
function report(question: WatchedQuestion): void {
  if (gathered.length === 0) {
    setImmediate(() => {
      tell({ kind: 'asked', questions: gathered })
      gathered = []
    })
  }
  if (gathered.length < mostTold) gathered.push(question)
}

function tell(message: FromWorker): void {
  port?.postMessage(message)
}

function run(call: Call): Promise<void> {
  switch (call.call) {
    case 'update':
      return resolver.update(call.changes)
    case 'listen':
      return resolver.listen(call.sandbox, call.sockets)
    case 'unlisten':
      return resolver.unlisten(call.sandbox)
    case 'watch':
      if (call.on) watched.set(call.sandbox, resolver.watch(call.sandbox, report))
      else {
        watched.get(call.sandbox)?.()
        watched.delete(call.sandbox)
      }
      return Promise.resolve()
    case 'close':
      return resolver.close()
  }
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'call') {
    const { number, call } = message
    run(call).then(
      () => tell({ kind: 'done', number }),
      (error: unknown) =>
        tell({ kind: 'failed', number, error: error instanceof Error ? error : new Error(String(error)) }),
    )
    return
  }
  const opening = openings.get(message.number)
  openings.delete(message.number)
  if (message.kind === 'opened') opening?.resolve(message.fd)
  else opening?.reject(message.error)
})

resolver.open().then(
  () => tell({ kind: 'ready' }),
  (error: unknown) =>
    tell({ kind: 'failed', number: 0, error: error instanceof Error ? error : new Error(String(error)) }),
)
