/**
 * Netlink messages as bytes: a writer that appends, and views that read without copying.
 *
 *   message   = length u32, type u16, flags u16, sequence u32, port id u32, then a family header and attributes
 *   attribute = length u16, type u16, payload; both are aligned to four bytes
 *
 * Numbers are in host order, which is little-endian on every machine Node's Linux binaries run on today except s390x;
 * nfnetlink's are big-endian. Views check every length before use: whatever the bytes are, reading them ends, and ends
 * in values or in a `KernelError` with EBADMSG.
 */

import { endianness } from 'node:os'
import { malformed } from '../error.ts'

export const HEADER_LENGTH = 16

const NLM_F_REQUEST = 0x1
const NLM_F_ACK = 0x4
export const NLM_F_ECHO = 0x8
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const FLAGS_OFFSET = 6
const SEQUENCE_OFFSET = 8

if (endianness() !== 'LE')
  throw new Error('this machine is big-endian: netlink messages are written for little-endian ones')

const align = (length: number) => (length + 3) & ~3

/**
 * Appends messages to one growing buffer. Nothing is written out of order but the lengths. Numbers go through a
 * DataView: its methods are built in, Buffer's are JavaScript, which is ten times slower until it is compiled.
 */
export class MessageWriter {
  #bytes: Buffer
  #view: DataView
  #length = 0
  /** Offsets at which the messages begin. */
  readonly #starts: number[] = []

  constructor(capacity = 1024) {
    this.#bytes = Buffer.alloc(capacity)
    this.#view = viewOf(this.#bytes)
  }

  /** Starts a message, lets `body` write the family header and attributes, and closes it. */
  message(type: number, flags: number, body: (writer: this) => void): this {
    const start = this.#reserve(HEADER_LENGTH)
    this.#starts.push(start)
    this.#view.setUint16(start + 4, type, true)
    this.#view.setUint16(start + FLAGS_OFFSET, flags | NLM_F_REQUEST, true)
    body(this)
    this.#view.setUint32(start, this.#length - start, true)
    this.#reserve(align(this.#length) - this.#length)
    return this
  }

  /** Raw bytes of a family header: already aligned, in the order the kernel's struct has. */
  raw(bytes: Uint8Array): this {
    const offset = this.#reserve(align(bytes.length))
    this.#bytes.set(bytes, offset)
    return this
  }

  bytes(type: number, value: Uint8Array): this {
    const offset = this.#attribute(type, value.length)
    this.#bytes.set(value, offset)
    return this
  }

  /** Several values as one: each is padded to four bytes, one alone is not. */
  fields(type: number, values: readonly Uint8Array[]): this {
    const [only] = values
    if (values.length === 1 && only !== undefined) return this.bytes(type, only)
    let length = 0
    for (const value of values) length += align(value.length)
    let offset = this.#attribute(type, length)
    for (const value of values) {
      this.#bytes.set(value, offset)
      offset += align(value.length)
    }
    return this
  }

  u8(type: number, value: number): this {
    const offset = this.#attribute(type, 1)
    this.#bytes[offset] = value
    return this
  }

  u16(type: number, value: number): this {
    const offset = this.#attribute(type, 2)
    this.#view.setUint16(offset, value, true)
    return this
  }

  u32(type: number, value: number): this {
    const offset = this.#attribute(type, 4)
    this.#view.setUint32(offset, value, true)
    return this
  }

  /** Big-endian, as nfnetlink wants its numbers; negative ones in two's complement. */
  u32be(type: number, value: number): this {
    const offset = this.#attribute(type, 4)
    this.#view.setUint32(offset, value)
    return this
  }

  /** Text with its final NUL. */
  text(type: number, value: string): this {
    const length = Buffer.byteLength(value)
    const offset = this.#attribute(type, length + 1)
    this.#bytes.write(value, offset)
    return this
  }

  nested(type: number, body: (writer: this) => void): this {
    const start = this.#reserve(4)
    body(this)
    const length = this.#length - start
    if (length > 0xffff) throw malformed(`attribute ${type} would be ${length} bytes long`)
    this.#view.setUint16(start, length, true)
    this.#view.setUint16(start + 2, type | NLA_F_NESTED, true)
    return this
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** Number of messages written so far. */
  get count(): number {
    return this.#starts.length
  }

  /** Numbers the messages from `first` on and returns the bytes; the writer must not be used again. */
  finish(first: number): Buffer {
    for (const [position, start] of this.#starts.entries()) {
      this.#view.setUint32(start + SEQUENCE_OFFSET, first + position, true)
    }
    return this.#bytes.subarray(0, this.#length)
  }

  /** Asks for an acknowledgement of the last message written so far; failures are answered anyway. */
  acknowledge(): this {
    const start = this.#starts.at(-1)
    if (start !== undefined) {
      this.#view.setUint16(
        start + FLAGS_OFFSET,
        this.#view.getUint16(start + FLAGS_OFFSET, true) | NLM_F_ACK,
        true,
      )
    }
    return this
  }

  #attribute(type: number, length: number): number {
    if (length > 0xffff - 4) throw malformed(`attribute ${type} would be ${length} bytes long`)
    const start = this.#reserve(4 + align(length))
    this.#view.setUint16(start, 4 + length, true)
    this.#view.setUint16(start + 2, type, true)
    return start + 4
  }

  /** Makes room for zeroed bytes and returns their offset. */
  #reserve(length: number): number {
    const offset = this.#length
    const needed = offset + length
    if (needed > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(needed, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, offset)
      this.#bytes = grown
      this.#view = viewOf(grown)
    }
    this.#length = needed
    return offset
  }
}

const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** One message of a datagram; `payload` begins behind the header and shares the datagram's memory. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly payload: Buffer
}

/** The messages of one datagram. */
export function readMessages(datagram: Buffer): readonly Message[] {
  const messages: Message[] = []
  let offset = 0
  while (offset + HEADER_LENGTH <= datagram.length) {
    const length = datagram.readUInt32LE(offset)
    if (length < HEADER_LENGTH || length > datagram.length - offset) {
      throw malformed(`a message of ${length} bytes in ${datagram.length - offset}`)
    }
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + FLAGS_OFFSET),
      sequence: datagram.readUInt32LE(offset + SEQUENCE_OFFSET),
      payload: datagram.subarray(offset + HEADER_LENGTH, offset + length),
    })
    offset += align(length)
  }
  if (offset < datagram.length) throw malformed(`${datagram.length - offset} bytes behind the last message`)
  return messages
}

/** The attributes of one level, by type. A type that occurs twice has its last value; lists are read by `readList`. */
export class Attributes {
  readonly #bytes: Buffer
  /** Offset of each attribute. A link has sixty of which a few are wanted: slices are made for those only. */
  readonly #offsets = new Map<number, number>()

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    for (let offset = 0; offset + 4 <= bytes.length; offset += align(bytes.readUInt16LE(offset))) {
      checkLength(bytes, offset)
      this.#offsets.set(bytes.readUInt16LE(offset + 2) & NLA_TYPE_MASK, offset)
    }
  }

  has(type: number): boolean {
    return this.#offsets.has(type)
  }

  bytes(type: number): Buffer | undefined {
    const offset = this.#offsets.get(type)
    if (offset === undefined) return undefined
    return this.#bytes.subarray(offset + 4, offset + this.#bytes.readUInt16LE(offset))
  }

  u8(type: number): number | undefined {
    return this.#sized(type, 1)?.readUInt8(0)
  }

  u16(type: number): number | undefined {
    return this.#sized(type, 2)?.readUInt16LE(0)
  }

  u32(type: number): number | undefined {
    return this.#sized(type, 4)?.readUInt32LE(0)
  }

  u32be(type: number): number | undefined {
    return this.#sized(type, 4)?.readUInt32BE(0)
  }

  /** Text up to its NUL, or to the end where it has none. */
  text(type: number): string | undefined {
    const value = this.bytes(type)
    if (value === undefined) return undefined
    const end = value.indexOf(0)
    return value.toString('utf8', 0, end === -1 ? value.length : end)
  }

  nested(type: number): Attributes | undefined {
    const value = this.bytes(type)
    return value === undefined ? undefined : new Attributes(value)
  }

  /** The entries of a nested list, whose attributes all have the same type. */
  list(type: number): readonly Buffer[] {
    const value = this.bytes(type)
    return value === undefined ? [] : readList(value).map(entry => entry.value)
  }

  #sized(type: number, length: number): Buffer | undefined {
    const value = this.bytes(type)
    if (value === undefined) return undefined
    if (value.length < length)
      throw malformed(`attribute ${type} has ${value.length} bytes instead of ${length}`)
    return value
  }
}

/** Attributes in the order they stand, without the flags in their types. */
export function readList(bytes: Buffer): readonly { readonly type: number; readonly value: Buffer }[] {
  const list: { type: number; value: Buffer }[] = []
  for (let offset = 0; offset + 4 <= bytes.length; offset += align(bytes.readUInt16LE(offset))) {
    const length = checkLength(bytes, offset)
    const type = bytes.readUInt16LE(offset + 2) & NLA_TYPE_MASK
    list.push({ type, value: bytes.subarray(offset + 4, offset + length) })
  }
  return list
}

/** The length of the attribute at `offset`, which is at least its header's and at most what is left. */
function checkLength(bytes: Buffer, offset: number): number {
  const length = bytes.readUInt16LE(offset)
  if (length < 4 || length > bytes.length - offset) {
    throw malformed(`an attribute of ${length} bytes in ${bytes.length - offset}`)
  }
  return length
}

/** Attributes that stand behind a family header of `headerLength` bytes. */
export function attributesAfter(payload: Buffer, headerLength: number): Attributes {
  if (payload.length < headerLength) throw malformed(`${payload.length} bytes where ${headerLength} belong`)
  return new Attributes(payload.subarray(headerLength))
}
