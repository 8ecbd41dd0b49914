import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { framed, Frames } from './frames.ts'

function pull(chunks: readonly Buffer[]): (Buffer | null)[] {
  const frames = new Frames()
  const messages: (Buffer | null)[] = []
  for (const chunk of chunks) {
    frames.push(chunk)
    for (let message = frames.next(); message !== undefined; message = frames.next()) {
      messages.push(message)
      if (message === null) return messages
    }
  }
  return messages
}

test('messages come out whole however the stream is cut', () => {
  const message = fc.uint8Array({ minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
      const stream = Buffer.concat(messages.map(framed))
      const chunks: Buffer[] = []
      let offset = 0
      for (const cut of cuts) {
        chunks.push(stream.subarray(offset, offset + cut))
        offset += cut
      }
      chunks.push(stream.subarray(offset))
      expect(pull(chunks)).toEqual(messages.map(bytes => Buffer.from(bytes)))
    }),
  )
})

test('an empty message is an error, not an endless loop', () => {
  expect(pull([Buffer.from('0001ff0000', 'hex')])).toEqual([Buffer.from([0xff]), null])
})

test('any bytes come to an end', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), chunks => {
      const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      expect(pull(chunks.map(chunk => Buffer.from(chunk))).length).toBeLessThanOrEqual(total)
    }),
  )
})
