/** Files with known content. */

import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface Blob {
  readonly path: string
  /** `sha256:…` of the bytes as they are. */
  readonly digest: string
  readonly size: number
}

/** Copies a stream to a new file and says what came by. */
export async function storeBlob(source: AsyncIterable<unknown>, path: string): Promise<Blob> {
  const hash = createHash('sha256')
  let size = 0
  const meter = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk)
      size += chunk.length
      done(null, chunk)
    },
  })
  await pipeline(source, meter, createWriteStream(path, { flags: 'wx' }))
  return { path, digest: `sha256:${hash.digest('hex')}`, size }
}
