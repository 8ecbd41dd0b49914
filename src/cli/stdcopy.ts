/**
 * The framing of output without a terminal: `[stream, 0, 0, 0, length BE32]` and that many bytes; stream 1 is stdout,
 * 2 is stderr, 3 an error of the engine itself.
 */
import { EngineError } from './failure.ts'

const headerLength = 8

export type Frame = { readonly stream: 1 | 2; readonly data: Buffer }

/**
 * Returns a function that takes bytes as they arrive and gives the frames completed by them; a long frame is handed on
 * in the pieces in which it comes.
 */
export function createDemultiplexer(): (chunk: Buffer) => Frame[] {
  let header = Buffer.alloc(0)
  let stream = 1
  let left = 0
  return chunk => {
    const frames: Frame[] = []
    let rest = chunk
    while (rest.length > 0) {
      if (left === 0) {
        const wanted = headerLength - header.length
        header = Buffer.concat([header, rest.subarray(0, wanted)])
        rest = rest.subarray(wanted)
        if (header.length < headerLength) break
        stream = header[0] ?? 0
        left = header.readUInt32BE(4)
        header = Buffer.alloc(0)
        if (stream > 3) throw new Error(`unrecognized stream: ${stream}`)
        continue
      }
      const data = rest.subarray(0, left)
      left -= data.length
      rest = rest.subarray(data.length)
      if (stream === 3) throw new EngineError(500, data.toString())
      frames.push({ stream: stream === 2 ? 2 : 1, data })
    }
    return frames
  }
}
