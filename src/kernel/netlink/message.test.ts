import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KernelError } from '../error.ts'
import { readAcknowledgement } from './ack.ts'
import { Attributes, attributesAfter, MessageWriter, readList, readMessages } from './message.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

/** RTM_NEWLINK of a link that exists: up, named eth0, MTU 1400, a nested kind. */
const bytes = hex(`
  48000000 1000 0504 07000000 00000000
  00 00 0000 00000000 01000000 01000000
  0900 0300 65746830 00000000
  0800 0400 78050000
  1400 1280
    0a00 0100 64756d6d 79000000
    0400 0280
`)

const write = () =>
  new MessageWriter(16).message(16, 0x400, message =>
    message
      .raw(hex('00000000 00000000 01000000 01000000'))
      .text(3, 'eth0')
      .u32(4, 1400)
      .nested(18, info => info.text(1, 'dummy').nested(2, () => undefined)),
  )

describe('messages', () => {
  test('a value becomes these bytes', () => {
    expect(write().acknowledge().finish(7).toString('hex')).toBe(bytes.toString('hex'))
  })

  test('these bytes become the value', () => {
    const [message, ...others] = readMessages(bytes)
    expect(others).toEqual([])
    expect(message).toMatchObject({ type: 16, flags: 0x405, sequence: 7 })
    const attributes = attributesAfter(message?.payload ?? Buffer.alloc(0), 16)
    expect(attributes.text(3)).toBe('eth0')
    expect(attributes.u32(4)).toBe(1400)
    expect(attributes.nested(18)?.text(1)).toBe('dummy')
    expect(attributes.nested(18)?.nested(2)?.has(1)).toBe(false)
    expect(attributes.u32(99)).toBeUndefined()
  })

  test('messages are numbered in their order, and only the marked one is answered', () => {
    const writer = write()
    write()
    writer.acknowledge().message(17, 0, message => message.u8(1, 255).u16(2, 1).u32be(3, -3))
    const [first, second] = readMessages(writer.finish(0xffff_ffff))
    expect(first).toMatchObject({ sequence: 0xffff_ffff, flags: 0x405 })
    expect(second).toMatchObject({ sequence: 0, flags: 1, type: 17 })
    expect(second?.payload.toString('hex')).toBe('05000100ff000000060002000100000008000300fffffffd')
  })

  test.each([
    ['shorter than its header', '0c000000 1000 0000 00000000 00000000'],
    ['longer than the datagram', '18000000 1000 0000 00000000 00000000'],
    ['with a rest', '10000000 1000 0000 00000000 00000000 0000'],
  ])('a message %s is refused', (_, text) => {
    expect(() => readMessages(hex(text))).toThrow(expect.objectContaining({ code: 'EBADMSG' }))
  })

  test('an attribute that does not fit 16 bits is refused', () => {
    const long = new Uint8Array(65_533)
    expect(() => new MessageWriter().message(1, 0, message => message.bytes(1, long))).toThrow(KernelError)
    const half = new Uint8Array(40_000)
    expect(() =>
      new MessageWriter().message(1, 0, message =>
        message.nested(1, list => list.bytes(1, half).bytes(2, half)),
      ),
    ).toThrow(KernelError)
  })
})

describe('acknowledgements', () => {
  test.each([
    ['success', '24000000 0200 0001 01000000 00000000 00000000 20000000 1000 0500 01000000 00000000', 0, ''],
    [
      'a refusal in words',
      `48000000 0200 0003 01000000 00000000 efffffff 20000000 1000 0500 01000000 00000000
       0e00 0100 6e616d65 20697320 696e0000 0c000200 00000000 00000000`,
      17,
      'name is in',
    ],
    [
      'a missing attribute',
      '30000000 0200 0003 01000000 00000000 eaffffff 20000000 1000 0500 01000000 00000000 08000500 03000000',
      22,
      'attribute 3 is missing',
    ],
    ['the end of a dump', '14000000 0300 0200 01000000 00000000 00000000', 0, ''],
  ])('%s', (_, text, errno, detail) => {
    const datagram = hex(text)
    datagram.writeUInt32LE(datagram.length, 0)
    const [message] = readMessages(datagram)
    expect(message && readAcknowledgement(message)).toEqual({ errno, detail })
  })
})

describe('whatever the bytes are', () => {
  const neverThrowsOther = (read: (bytes: Buffer) => unknown) => (bytes: Uint8Array) => {
    try {
      read(Buffer.from(bytes))
    } catch (error) {
      expect(error).toBeInstanceOf(KernelError)
    }
  }

  /** Bytes that look like messages: right lengths are likely. */
  const datagrams = fc
    .array(
      fc.record({
        type: fc.integer({ min: 0, max: 40 }),
        body: fc.uint8Array({ maxLength: 60 }),
        lie: fc.nat(3),
      }),
    )
    .map(parts =>
      Buffer.concat(
        parts.map(({ type, body, lie }) => {
          const length = (16 + body.length + 3) & ~3
          const message = Buffer.alloc(length)
          message.writeUInt32LE(lie === 0 ? body.length : length, 0)
          message.writeUInt16LE(type, 4)
          message.writeUInt16LE(0x300, 6)
          message.set(body, 16)
          return message
        }),
      ),
    )

  test('reading messages and acknowledgements ends, in values or in a KernelError', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 200 }), datagrams),
        neverThrowsOther(bytes => readMessages(bytes).map(readAcknowledgement)),
      ),
    )
  })

  test('reading attributes ends, in values or in a KernelError', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        neverThrowsOther(bytes => {
          readList(bytes)
          const attributes = new Attributes(bytes)
          for (let type = 0; type < 8; type++) {
            attributes.text(type)
            attributes.list(type)
            attributes.nested(type)
            attributes.u32(type)
            attributes.u32be(type)
            attributes.u16(type)
            attributes.u8(type)
          }
        }),
      ),
    )
  })

  test('what was written is read again', () => {
    const attribute = fc.record({
      type: fc.integer({ min: 1, max: 100 }),
      value: fc.uint8Array({ maxLength: 70 }),
    })
    fc.assert(
      fc.property(fc.array(fc.array(attribute), { minLength: 1 }), messages => {
        const writer = new MessageWriter(16)
        for (const attributes of messages) {
          writer.message(50, 0, message => {
            for (const { type, value } of attributes) message.bytes(type, value)
          })
        }
        const read = readMessages(writer.finish(1)).map(({ payload }) =>
          readList(payload).map(({ type, value }) => ({ type, value: new Uint8Array(value) })),
        )
        expect(read).toEqual(messages)
      }),
    )
  })
})
