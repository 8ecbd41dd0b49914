/**
 * The log that conmon writes (`k8s-file`): `TIME STREAM F|P TEXT\n`, where P is a piece of a line that goes on in the
 * stream's next entry. Entries of stdout and stderr alternate freely. Read as a stream of blocks: neither a long log
 * nor a long line is ever held in memory.
 *
 * The time is local with an offset; Docker's is UTC. A joined line carries the time of its first piece. Docker cuts
 * lines at 16 KiB, and so does `joinLimit`: a longer one comes in pieces, all but the last without a newline.
 */

import { open, type FileHandle } from 'node:fs/promises'
import type { LogLine, LogOptions } from './types.ts'

const blockSize = 64 * 1024
const joinLimit = 16 * 1024
const newline = 0x0a

interface Entry {
  /** As in the file. */
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  readonly partial: boolean
  readonly text: Buffer
}

/** Reads one line of the file, without its newline; undefined if it is damaged (cut off by a full disk). */
export function parseEntry(line: Buffer): Entry | undefined {
  // The head is short and plain ASCII; the text may be anything.
  const head = /^(\S+) (stdout|stderr) ([FP])(?: |$)/.exec(line.toString('latin1', 0, 64))
  if (head === null) return undefined
  const [whole, time = '', stream, kind] = head
  return {
    time,
    stream: stream === 'stderr' ? 'stderr' : 'stdout',
    partial: kind === 'P',
    text: line.subarray(whole.length),
  }
}

/** `2026-01-01T02:00:00.123456789+02:00` → `2026-01-01T00:00:00.123456789Z` */
export function toUtc(time: string): string {
  const match = /^(.{19})(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(time)
  if (match === null) return time
  const [, seconds = '', fraction = '', offset = 'Z'] = match
  const plain = offset === 'Z' || offset === '+00:00' || offset === '-00:00'
  const utc = plain ? seconds : new Date(`${seconds}${offset}`).toISOString().slice(0, 19)
  return `${utc}${fraction}Z`
}

/** Nanoseconds since the epoch of an RFC 3339 time. */
export function nanoseconds(time: string): bigint {
  const match = /^(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time)
  if (match === null) return 0n
  const [, seconds = '', fraction = '', offset = 'Z'] = match
  return BigInt(Date.parse(`${seconds}${offset}`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}

/** Puts pieces together; one instance reads one file from some point on. */
class Joiner {
  readonly #open = new Map<LogLine['stream'], { time: string; size: number; pieces: Buffer[] }>()

  /** What is complete after this entry. */
  add(entry: Entry): LogLine | undefined {
    const line = this.#open.get(entry.stream) ?? { time: toUtc(entry.time), size: 0, pieces: [] }
    line.pieces.push(entry.text)
    line.size += entry.text.length
    if (entry.partial && line.size < joinLimit) {
      this.#open.set(entry.stream, line)
      return undefined
    }
    this.#open.delete(entry.stream)
    if (!entry.partial) line.pieces.push(Buffer.from('\n'))
    return { stream: entry.stream, time: line.time, data: Buffer.concat(line.pieces) }
  }

  /** Lines that never ended: the program's last words without a newline. */
  *rest(): Generator<LogLine> {
    for (const [stream, { time, pieces }] of this.#open) yield { stream, time, data: Buffer.concat(pieces) }
    this.#open.clear()
  }
}

/** What tells a follower that more may be there. */
export interface LogSource {
  /** Resolves when the file may have grown or the container ended; true = it ended. */
  next(): Promise<boolean>
  close(): void
}

/**
 * The lines of a log file that `options` ask for. With a `source` it follows: when the file is at its end it waits for
 * the source, and ends when the source says that the container did. A missing file is an empty log.
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  source: LogSource | undefined,
): AsyncGenerator<LogLine> {
  let file: FileHandle | undefined
  try {
    file = await openIfThere(path)
    if (file === undefined) return
    const joiner = new Joiner()
    let position = options.tail === undefined ? 0 : await tailPosition(file, options.tail)
    let ended = source === undefined
    for (;;) {
      for await (const line of linesFrom(file, position)) {
        position = line.end
        const entry = parseEntry(line.text)
        const complete = entry === undefined ? undefined : joiner.add(entry)
        if (complete === undefined) continue
        if (options.until !== undefined && nanoseconds(complete.time) > options.until) return
        if (wanted(complete, options)) yield complete
      }
      if (ended || source === undefined) break
      // conmon writes the log before it tells us, so after "ended" one more reading finds the last line.
      ended = await source.next()
    }
    for (const line of joiner.rest()) {
      if (wanted(line, options)) yield line
    }
  } finally {
    source?.close()
    await file?.close()
  }
}

function wanted(line: LogLine, options: LogOptions): boolean {
  if (!options[line.stream]) return false
  if (options.since === undefined && options.until === undefined) return true
  const time = nanoseconds(line.time)
  return (
    (options.since === undefined || time >= options.since) &&
    (options.until === undefined || time <= options.until)
  )
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Complete lines from `position` on; an unfinished last one is left for the next reading. */
async function* linesFrom(file: FileHandle, position: number): AsyncGenerator<{ text: Buffer; end: number }> {
  const block = Buffer.allocUnsafe(blockSize)
  let rest = Buffer.alloc(0)
  let start = position
  for (;;) {
    const { bytesRead } = await file.read(block, 0, blockSize, start + rest.length)
    if (bytesRead === 0) return
    const data = Buffer.concat([rest, block.subarray(0, bytesRead)])
    let from = 0
    for (let at = data.indexOf(newline); at >= 0; at = data.indexOf(newline, from)) {
      yield { text: data.subarray(from, at), end: start + at + 1 }
      from = at + 1
    }
    start += from
    rest = data.subarray(from)
  }
}

/**
 * Where the last `count` lines begin. Reads backwards and counts ends of lines, so the answer is the place behind the
 * end of the line before them, and their first pieces (P) are included.
 */
async function tailPosition(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat()
  if (count === 0) return size
  const block = Buffer.allocUnsafe(blockSize)
  let rest = Buffer.alloc(0)
  let start = size
  let found = 0
  // An unfinished line at the very end counts as one, as it will be shown.
  let last = true
  while (start > 0) {
    const length = Math.min(blockSize, start)
    start -= length
    await file.read(block, 0, length, start)
    const data = Buffer.concat([block.subarray(0, length), rest])
    let end = data.length
    for (let at = data.lastIndexOf(newline, end - 1); at >= 0 && end > 0;) {
      const text = data.subarray(at + 1, end)
      if (text.length > 0) {
        const entry = parseEntry(text)
        if (entry !== undefined && (!entry.partial || last)) {
          found += 1
          if (found > count) return start + end + 1
        }
        last = false
      }
      end = at
      at = end === 0 ? -1 : data.lastIndexOf(newline, end - 1)
    }
    rest = data.subarray(0, end)
  }
  // No newline stands before the first entry of the file.
  const first = parseEntry(rest)
  return first !== undefined && !first.partial && found === count ? rest.length + 1 : 0
}
