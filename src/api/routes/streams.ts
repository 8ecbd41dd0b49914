/** Container endpoints whose answers are streams: attach, logs, wait. They may stay open as long as the container. */
import { fault } from '../../base/index.ts'
import type { LogOptions } from '../../container/index.ts'
import type { Attachment, Container, WaitCondition } from '../../engine/index.ts'
import { param, type Call, type Handler } from '../call.ts'
import { flag } from '../query.ts'
import type { Route } from '../router.ts'
import { finish, frame, multiplexedStream, pumpAttachment, rawStream } from '../stream.ts'
import { nowNanoseconds, parseTime } from '../time.ts'
import { get, post } from './table.ts'

/** Since 1.42 the type tells whether the stream is framed. */
const streamType = (call: Call, tty: boolean): string =>
  !tty && call.version >= 42 ? multiplexedStream : rawStream

/** Live output of an attachment, after the log so far: the log is followed, so that nothing is lost in between. */
function withLogs(attachment: Attachment, call: Call, container: Container, live: boolean): Attachment {
  return {
    ...attachment,
    write: async data => attachment.write(data),
    endInput: () => attachment.endInput(),
    detach: () => attachment.detach(),
    onOutput: listener => {
      // The attachment's own output is in the log as well.
      attachment.onOutput(() => undefined)
      const options: LogOptions = {
        follow: live,
        tail: undefined,
        since: undefined,
        until: undefined,
        stdout: true,
        stderr: true,
      }
      void (async () => {
        for await (const line of call.engine.containerLogs(container.id, options)) {
          if (call.signal.aborted) return
          listener(line)
        }
        listener('end')
      })().catch(() => listener('end'))
    },
  }
}

async function attach(call: Call): Promise<undefined> {
  const { engine, query } = call
  const container = engine.state.findContainer(param(call, 'id'))
  if (container.state.status === 'paused') {
    throw fault('conflict', `container ${container.id} is paused, unpause the container before attach`)
  }
  if (container.state.status === 'restarting') {
    throw fault('conflict', `container ${container.id} is restarting, wait until the container is running`)
  }
  const live = flag(query, 'stream')
  const logs = flag(query, 'logs')
  if (!live && !logs) {
    finish(call.hijack(streamType(call, container.config.Tty)))
    return undefined
  }
  const stdin = live && flag(query, 'stdin') && container.config.OpenStdin
  const own = engine.attachContainer(container.id, { stdin })
  const attachment = logs ? withLogs(own, call, container, live) : own
  await pumpAttachment(
    call.hijack(streamType(call, container.config.Tty)),
    attachment,
    {
      tty: container.config.Tty,
      stdin,
      stdinOnce: container.config.StdinOnce,
      stdout: flag(query, 'stdout'),
      stderr: flag(query, 'stderr'),
    },
    call.signal,
    call.log,
  )
  return undefined
}

/** `since` and `until`: 0 and '' mean "not asked for". */
function time(call: Call, name: string): bigint | undefined {
  const value = call.query.get(name) ?? ''
  return value === '' || value === '0' ? undefined : parseTime(value, nowNanoseconds())
}

function logOptions(call: Call): LogOptions {
  const { query } = call
  const stdout = flag(query, 'stdout')
  const stderr = flag(query, 'stderr')
  if (!stdout && !stderr) {
    throw fault('invalidParameter', 'Bad parameters: you must choose at least one stream')
  }
  // Docker takes a tail that is no number for "all".
  const tail = /^\d{1,15}$/.test(query.get('tail') ?? '') ? Number(query.get('tail')) : undefined
  return {
    follow: flag(query, 'follow'),
    tail,
    since: time(call, 'since'),
    until: time(call, 'until'),
    stdout,
    stderr,
  }
}

/** Resolves when the client has taken what was written, or is gone. */
async function drained(call: Call): Promise<void> {
  const { response, signal } = call
  if (signal.aborted) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.on('drain', done)
    signal.addEventListener('abort', done)
  })
}

async function logs(call: Call): Promise<undefined> {
  const { engine, response } = call
  const container = engine.state.findContainer(param(call, 'id'))
  const options = logOptions(call)
  const timestamps = flag(call.query, 'timestamps')
  const tty = container.config.Tty
  response.setHeader('Content-Type', streamType(call, tty))
  response.writeHead(200)
  response.flushHeaders()
  const lines = engine.containerLogs(container.id, options)[Symbol.asyncIterator]()
  const aborted = new Promise<undefined>(resolve => {
    if (call.signal.aborted) resolve(undefined)
    call.signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  try {
    for (;;) {
      const next = await Promise.race([lines.next(), aborted])
      if (next === undefined || next.done === true) break
      const { stream, data, time: stamp } = next.value
      const text = timestamps ? Buffer.concat([Buffer.from(`${stamp} `), data]) : data
      if (!response.write(tty ? text : frame(stream, text))) await drained(call)
    }
  } finally {
    // Not awaited: a follower that waits for the container's next line ends in its own time.
    void lines.return?.().then(undefined, () => undefined)
  }
  response.end()
  return undefined
}

const conditions: readonly WaitCondition[] = ['not-running', 'next-exit', 'removed']

function waitCondition(asked: string): WaitCondition {
  const condition = conditions.find(one => one === (asked === '' ? 'not-running' : asked))
  if (condition === undefined) throw fault('invalidParameter', `invalid condition: "${asked}"`)
  return condition
}

async function wait(call: Call): Promise<undefined> {
  const { engine, response } = call
  const condition = waitCondition(call.version < 30 ? '' : (call.query.get('condition') ?? ''))
  const container = engine.state.findContainer(param(call, 'id'))
  const result = engine.waitContainer(container.id, condition, call.signal)
  response.setHeader('Content-Type', 'application/json')
  response.writeHead(200)
  // Go's client does not return from its request before it has the head, and `docker run` starts the container
  // only then.
  response.flushHeaders()
  const body = await result.then(
    ({ exitCode, error }) => ({
      // A start that failed is told to who started it; only who asks for a past state learns of it here.
      ...(error === '' || condition !== 'not-running' ? {} : { Error: { Message: error } }),
      StatusCode: exitCode,
    }),
    (error: unknown) => ({
      Error: { Message: call.closing() ? 'the engine is shutting down' : messageOf(error) },
      StatusCode: 125,
    }),
  )
  response.end(`${JSON.stringify(body)}\n`)
  return undefined
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'waiting failed'

export const streamRoutes: readonly Route<Handler>[] = [
  post('/containers/:id/attach', attach),
  get('/containers/:id/logs', logs),
  post('/containers/:id/wait', wait),
]
