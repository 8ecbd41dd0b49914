/** Compressed streams, told by their first bytes: gzip in the process, the rarer ones by their own programs. */

import { spawn } from 'node:child_process'
import { Duplex, PassThrough, pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fault } from '../base/index.ts'
import { findProgram } from './probe.ts'

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd'

/** Debian's package for each program, where it is not the program's name. */
const programs = { bzip2: 'bzip2', xz: 'xz-utils', zstd: 'zstd' } as const
const magicLength = 6

export function compressionOf(head: Buffer): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  if (head.toString('latin1', 0, 3) === 'BZh') return 'bzip2'
  if (head.toString('latin1', 0, 6) === '\xfd7zXZ\0') return 'xz'
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) return 'zstd'
  return 'none'
}

/** The stream without its compression, whichever it has. Errors of the source end up on the result. */
export async function decompressed(source: Readable): Promise<Readable> {
  const { head, whole } = await peek(source)
  const compression = compressionOf(head)
  if (compression === 'none') return whole
  const inflate = compression === 'gzip' ? createGunzip() : await programStream(compression)
  pipeline(whole, inflate, () => undefined)
  return inflate
}

/** The first bytes, and the stream as if they had not been read. */
async function peek(source: Readable): Promise<{ head: Buffer; whole: Readable }> {
  const chunks: Buffer[] = []
  let size = 0
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  while (size < magicLength) {
    const { value, done } = await iterator.next()
    if (done === true) break
    chunks.push(value)
    size += value.length
  }
  const whole = Readable.from(
    (async function* () {
      yield* chunks
      yield* { [Symbol.asyncIterator]: () => iterator }
    })(),
    { objectMode: false },
  )
  return { head: Buffer.concat(chunks).subarray(0, magicLength), whole }
}

async function programStream(name: keyof typeof programs): Promise<Duplex> {
  const path = await findProgram(name)
  if (path === undefined) {
    throw fault('unavailable', `${name} not found in $PATH: install the Debian package ${programs[name]}`)
  }
  const child = spawn(path, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const output = new PassThrough()
  let message = ''
  child.stderr.on('data', (data: Buffer) => (message += data.toString()))
  child.stdout.pipe(output, { end: false })
  child.on('close', code => {
    if (code === 0) output.end()
    else output.destroy(fault('invalidParameter', `${name}: ${message.trim() || 'ended early'}`))
  })
  child.on('error', error => output.destroy(error))
  return Duplex.from({ writable: child.stdin, readable: output })
}
