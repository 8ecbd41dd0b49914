/**
 * A live connection to a process in a container: its output to ours, our input, terminal, size and signals to it.
 * Used by run, start -a, attach and exec.
 */
import type { Hijacked, Query } from './client.ts'
import type { Context } from './context.ts'
import { createDetachFilter, parseDetachKeys } from './detach.ts'
import { PlainFailure } from './failure.ts'
import { createDemultiplexer } from './stdcopy.ts'

export const defaultDetachKeys = 'ctrl-p,ctrl-q'

export interface SessionOptions {
  readonly tty: boolean
  /** Our standard input goes to the process. */
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** '' = the default. */
  readonly detachKeys: string
}

export interface Session {
  /** Resolves when the process' output has ended, `detached` if the user left with the detach keys. */
  readonly ended: Promise<'ended' | 'detached'>
  /** Gives the terminal back. Safe to call twice. */
  close(): void
}

/** Docker refuses to give a container a terminal that is none. */
export function requireTerminal(context: Context, stdin: boolean, tty: boolean): void {
  if (stdin && tty && context.stdin.isTTY !== true) throw new PlainFailure('the input device is not a TTY')
}

async function writeAll(stream: NodeJS.WritableStream, data: Buffer): Promise<void> {
  if (!stream.write(data)) await new Promise<void>(resolve => void stream.once('drain', resolve))
}

export function openSession(context: Context, connection: Hijacked, options: SessionOptions): Session {
  const { socket, head } = connection
  const raw = options.tty
  const terminal = raw && options.stdin && context.stdin.isTTY === true
  let closed = false
  let detached = false
  const filter = createDetachFilter(
    parseDetachKeys(options.detachKeys === '' ? defaultDetachKeys : options.detachKeys),
  )

  const onInput = (chunk: Buffer | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    const passed = raw ? filter.push(bytes) : { data: bytes, detached: false }
    if (passed.data.length > 0 && !socket.write(passed.data)) {
      context.stdin.pause()
      socket.once('drain', () => closed || context.stdin.resume())
    }
    if (passed.detached) {
      detached = true
      socket.destroy()
    }
  }
  const onInputEnd = (): void => {
    // With a terminal the container's input stays open: closing our side must not end its shell.
    if (!closed && !raw) socket.end()
  }
  if (terminal) context.stdin.setRawMode?.(true)
  if (options.stdin) {
    context.stdin.on('data', onInput)
    context.stdin.once('end', onInputEnd)
    context.stdin.resume()
  }

  const close = (): void => {
    if (closed) return
    closed = true
    context.stdin.off('data', onInput)
    context.stdin.off('end', onInputEnd)
    context.stdin.pause()
    if (terminal) context.stdin.setRawMode?.(false)
    socket.destroy()
  }

  const pump = async (): Promise<'ended' | 'detached'> => {
    const demultiplex = createDemultiplexer()
    const take = async (chunk: Buffer): Promise<void> => {
      if (raw) {
        if (options.stdout) await writeAll(context.stdout, chunk)
        return
      }
      for (const frame of demultiplex(chunk)) {
        if (frame.stream === 1 ? options.stdout : options.stderr) {
          await writeAll(frame.stream === 1 ? context.stdout : context.stderr, frame.data)
        }
      }
    }
    try {
      if (head.length > 0) await take(head)
      for await (const chunk of socket as AsyncIterable<Buffer>) await take(chunk)
    } catch (error) {
      if (!detached && !isHangUp(error)) throw error
    } finally {
      close()
    }
    return detached ? 'detached' : 'ended'
  }
  return { ended: pump(), close }
}

/** The engine went away or cut the connection: what came until then is all there is. */
function isHangUp(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}

/** Tells the process its terminal's size now and whenever it changes. Returns what stops it. */
export function followSize(context: Context, path: string): () => void {
  const send = (): void => {
    const { columns, rows } = context.stdout
    if (columns === undefined || rows === undefined || columns === 0 || rows === 0) return
    // A process that has just gone needs no size.
    context.client.json('POST', path, { query: { h: rows, w: columns } }).catch(() => undefined)
  }
  send()
  context.signals.on('SIGWINCH', send)
  return () => void context.signals.off('SIGWINCH', send)
}

/** Signals that are passed on; the others end this program or cannot be caught. */
const proxied: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
  'SIGTSTP',
  'SIGALRM',
]

/** Sends the signals that reach us to the container. Returns what stops it. */
export function proxySignals(context: Context, container: string): () => void {
  const forward = (signal: NodeJS.Signals): void => {
    context.client
      .json('POST', `/containers/${encodeURIComponent(container)}/kill`, {
        query: { signal: signal.slice(3) },
      })
      .catch(() => undefined)
  }
  for (const signal of proxied) context.signals.on(signal, forward)
  return () => {
    for (const signal of proxied) context.signals.off(signal, forward)
  }
}

/** What an attach asks of the engine. */
export function attachQuery(options: SessionOptions & { readonly logs?: boolean }): Query {
  return {
    detachKeys: options.detachKeys === '' ? undefined : options.detachKeys,
    logs: options.logs,
    stderr: options.stderr,
    stdin: options.stdin,
    stdout: options.stdout,
    stream: true,
  }
}
