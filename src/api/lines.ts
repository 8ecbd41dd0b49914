/** Streams of JSON objects, one per line: events, progress of pulls and loads. */
import type { Call } from './call.ts'
import type { ProgressMessage } from '../container/index.ts'

/** Output that a reader of a line stream may lag behind before its connection is dropped. */
const backlog = 8 * 1024 * 1024

export interface Lines {
  /** True once the head is on its way: errors then go into the stream. */
  readonly started: () => boolean
  write(line: string): void
  end(): void
}

export function lineStream(call: Call): Lines {
  const { response } = call
  const start = (): void => {
    if (response.headersSent) return
    response.setHeader('Content-Type', 'application/json')
    response.writeHead(200)
    // Clients wait for the head before they act.
    response.flushHeaders()
  }
  return {
    started: () => response.headersSent,
    write: line => {
      start()
      if (response.destroyed || response.writableEnded) return
      response.write(`${line}\n`)
      if (response.writableLength > backlog) {
        call.log.warn({ backlog: response.writableLength }, 'client dropped: it does not read its stream')
        response.destroy()
      }
    },
    end: () => {
      start()
      response.end()
    },
  }
}

/**
 * Runs a job that reports progress. A failure before the first message is an ordinary error answer; later it is the
 * last line of the stream, which Docker's clients turn into an error.
 */
export async function withProgress(
  call: Call,
  job: (progress: (message: ProgressMessage) => void) => Promise<void>,
): Promise<undefined> {
  const lines = lineStream(call)
  try {
    await job(message => lines.write(JSON.stringify(message)))
  } catch (error) {
    if (!lines.started()) throw error
    const message = error instanceof Error ? error.message : String(error)
    lines.write(JSON.stringify({ errorDetail: { message }, error: message }))
  }
  lines.end()
  return undefined
}
