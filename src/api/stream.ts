/**
 * Raw byte streams on a connection that has left HTTP: attach, exec, and the framing they share with logs.
 *
 * Invariants: a container never waits for a client. Output that a client of `attach` does not read is buffered up to a
 * bound, then the client is dropped. The two directions end one by one (half-close), because `docker run -i` closes its
 * sending half long before it has read everything.
 */
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { ExecProcess, OutputChunk } from '../container/index.ts'
import type { Attachment } from '../engine/index.ts'
import type { ApiLog } from './call.ts'

export const rawStream = 'application/vnd.docker.raw-stream'
export const multiplexedStream = 'application/vnd.docker.multiplexed-stream'

/** A connection after the head of the answer: what the client sends, and where its output goes. */
export interface Hijacked {
  readonly input: Readable
  readonly output: Socket
}

export type Stream = OutputChunk['stream']

const streamNumber = { stdout: 1, stderr: 2 } as const

/** Docker's framing: one byte stream number, three zeros, length as 32 bits big endian. */
export function frame(stream: Stream, data: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(8 + data.length)
  framed.writeUInt32BE(streamNumber[stream] * 0x1000000, 0)
  framed.writeUInt32BE(data.length, 4)
  framed.set(data, 8)
  return framed
}

/** Bytes an attached client may lag behind before it is dropped. */
export const clientBacklog = 32 * 1024 * 1024

/** How long a client that was told "the end" may keep its half of the connection open. */
const lingerMilliseconds = 5000

/**
 * Ends the connection after what was written. Input is read on and thrown away: closing a TCP connection with unread
 * input would make the kernel reset it, and the client would lose the end of the output.
 */
export function finish(hijacked: Hijacked): void {
  const { input, output } = hijacked
  if (output.destroyed) return
  output.end()
  input.on('error', () => undefined)
  input.resume()
  const timer = setTimeout(() => output.destroy(), lingerMilliseconds)
  timer.unref()
  output.once('close', () => clearTimeout(timer))
  if (output.readableEnded) output.destroySoon()
  else output.once('end', () => output.destroySoon())
}

/** Calls back when the signal is aborted, at once if it is already. */
function whenAborted(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener()
  else signal.addEventListener('abort', listener, { once: true })
}

export interface AttachPlan {
  readonly tty: boolean
  readonly stdin: boolean
  /** The container's stdin is closed when the client closes its half. */
  readonly stdinOnce: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

/** Joins a client and a container until the output ends or the client goes. Returns when it is over. */
export async function pumpAttachment(
  hijacked: Hijacked,
  attachment: Attachment,
  plan: AttachPlan,
  signal: AbortSignal,
  log: ApiLog,
): Promise<void> {
  const { input, output } = hijacked
  await new Promise<void>(resolve => {
    let over = false
    const leave = (end: () => void): void => {
      if (over) return
      over = true
      attachment.detach()
      end()
      resolve()
    }
    attachment.onOutput(chunk => {
      if (over) return
      if (chunk === 'end') {
        leave(() => finish(hijacked))
        return
      }
      if (!(chunk.stream === 'stdout' ? plan.stdout : plan.stderr)) return
      output.write(plan.tty ? chunk.data : frame(chunk.stream, chunk.data))
      if (output.writableLength > clientBacklog) {
        log.warn(
          { backlog: output.writableLength },
          'client dropped: it does not read the output it attached to',
        )
        leave(() => output.destroy())
      }
    })
    output.on('error', () => leave(() => output.destroy()))
    output.on('close', () => leave(() => undefined))
    whenAborted(signal, () => leave(() => finish(hijacked)))
    input.on('error', () => leave(() => output.destroy()))
    input.on('data', (data: Buffer) => {
      if (!plan.stdin) return
      // One write at a time: the container's pace becomes the client's.
      input.pause()
      attachment.write(data).then(
        () => input.resume(),
        // The container closed its stdin or is gone; what the client still sends has no taker.
        () => input.resume(),
      )
    })
    input.on('end', () => {
      if (!plan.stdin) return
      // Detaching is the client's business: it closes its half. Where the container keeps its stdin, that means
      // the client wants to leave.
      if (plan.tty || !plan.stdinOnce) leave(() => finish(hijacked))
      else attachment.endInput()
    })
  })
}

/** Joins a client and an exec's process; the process feels a slow client as a full pipe. Returns when it is over. */
export async function pumpExec(
  hijacked: Hijacked,
  process: ExecProcess,
  plan: { readonly tty: boolean; readonly stdout: boolean; readonly stderr: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { input, output } = hijacked
  const { stdin, stdout, stderr } = process
  let gone = false
  const leave = (): void => {
    gone = true
    // The process goes on without us and must not block on its output.
    stdout.resume()
    stderr?.resume()
  }
  const forward = (source: Readable, stream: Stream, wanted: boolean): void => {
    source.on('error', () => undefined)
    source.on('data', (data: Buffer) => {
      if (gone || !wanted) return
      if (output.write(plan.tty ? data : frame(stream, data))) return
      source.pause()
      output.once('drain', () => source.resume())
    })
  }
  forward(stdout, 'stdout', plan.stdout)
  if (stderr !== undefined) forward(stderr, 'stderr', plan.stderr)
  output.on('error', () => leave())
  output.on('close', () => leave())
  whenAborted(signal, () => {
    leave()
    finish(hijacked)
  })
  input.on('error', () => leave())
  stdin?.on('error', () => undefined)
  input.on('data', (data: Buffer) => {
    if (stdin === undefined || stdin.destroyed || stdin.writableEnded || stdin.write(data)) return
    input.pause()
    const resume = (): void => {
      stdin.off('drain', resume)
      stdin.off('close', resume)
      input.resume()
    }
    stdin.on('drain', resume)
    stdin.on('close', resume)
  })
  input.on('end', () => {
    if (stdin === undefined) return
    if (plan.tty) {
      leave()
      finish(hijacked)
    } else stdin.end()
  })
  await process.exited
  if (!gone) finish(hijacked)
}
