/**
 * DNS messages (RFC 1035, EDNS: RFC 6891) as far as a resolver for local names needs them: a question is parsed into
 * a plain value, answers are emitted into a caller's buffer, and upstream replies are looked at without being decoded.
 *
 * Invariants, which the fuzz tests hold:
 * - No function throws or reads outside the message, whatever the bytes.
 * - No function follows a compression pointer: a name ends at its first pointer, so there is nothing to loop in.
 *   A question stands directly behind the header, where there is nothing earlier to point at.
 * - Answers repeat the question's bytes, so that its letter case survives (some clients mix it as a guard against
 *   forged answers), and name their owner by a pointer to it.
 */

export const type = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const
export const rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const

const classIn = 1
const classAny = 255
/** Extended RCODE (RFC 6891 §9): the upper eight bits travel in the OPT record, here 1, the lower four are 0. */
const badVersion = 16

const headerLength = 12
const optLength = 11
const maxNameLength = 255

/** A message without EDNS may be this long over UDP; also the least that an offered size counts for. */
const plainUdpSize = 512
export const maxMessageSize = 65_535
/** The largest UDP payload that IPv4 can carry. */
const maxUdpPayload = 65_507
/** What we say that we can take; our sockets see loopback only, so this is no question of fragments. */
const offeredUdpSize = 4096

const flagResponse = 0x80
const flagTruncated = 0x02
const flagRecursionDesired = 0x01
const flagRecursionAvailable = 0x80
const flagCheckingDisabled = 0x10

/** A question as it arrived. */
export interface Query {
  readonly id: number
  /**
   * The name in lower case (ASCII only) with dots between labels, one character per byte, without a trailing dot; ''
   * is the root. `undefined` if a label contains a dot: such a name exists, but cannot be one of ours.
   */
  readonly name: string | undefined
  readonly labels: number
  readonly type: number
  /** Class IN or ANY; questions of other classes are none of the zone's business. */
  readonly internet: boolean
  /** Offset behind the question. */
  readonly end: number
  /** UDP size offered by EDNS; 0 where the message has no OPT record. */
  readonly offered: number
  readonly ednsVersion: number
  readonly dnssecOk: boolean
}

/** Why a message gets no ordinary answer: `ignore` gets none at all, the others that RCODE. */
export type Rejection = 'ignore' | 'malformed' | 'notImplemented'

const lower = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
)
const dot = 0x2e
const nameScratch = Buffer.alloc(maxNameLength)

/** Parses the header, the first question and an OPT record. */
export function parseQuery(bytes: Uint8Array): Query | Rejection {
  if (bytes.length < headerLength) return 'ignore'
  const flags = byteAt(bytes, 2)
  // Answering an answer would let two servers talk to each other for ever.
  if ((flags & flagResponse) !== 0) return 'ignore'
  if (((flags >> 3) & 0x0f) !== 0) return 'notImplemented'
  const questions = uint16(bytes, 4)
  if (questions === 0) return 'ignore'

  let offset = headerLength
  let written = 0
  let labels = 0
  let dotted = false
  for (;;) {
    if (offset >= bytes.length) return 'malformed'
    const length = byteAt(bytes, offset)
    offset += 1
    if (length === 0) break
    if (length > 63 || offset + length > bytes.length) return 'malformed'
    // The name so far, this label, and the root's byte.
    if (offset - headerLength + length + 1 > maxNameLength) return 'malformed'
    if (labels > 0) nameScratch[written++] = dot
    for (const end = offset + length; offset < end; offset++) {
      const byte = lower[byteAt(bytes, offset)] ?? 0
      if (byte === dot) dotted = true
      nameScratch[written++] = byte
    }
    labels += 1
  }
  if (offset + 4 > bytes.length) return 'malformed'
  const questionClass = uint16(bytes, offset + 2)
  const questionType = uint16(bytes, offset)
  const end = offset + 4

  let offered = 0
  let ednsVersion = 0
  let dnssecOk = false
  const additional = uint16(bytes, 10)
  if (additional > 0) {
    const opt = findOpt(bytes, end, questions - 1, uint16(bytes, 6) + uint16(bytes, 8), additional)
    if (opt < 0) return 'malformed'
    if (opt > 0) {
      offered = Math.max(uint16(bytes, opt + 3), plainUdpSize)
      ednsVersion = byteAt(bytes, opt + 6)
      dnssecOk = (byteAt(bytes, opt + 7) & 0x80) !== 0
    }
  }
  return {
    id: uint16(bytes, 0),
    name: dotted ? undefined : nameScratch.toString('latin1', 0, written),
    labels,
    type: questionType,
    internet: questionClass === classIn || questionClass === classAny,
    end,
    offered,
    ednsVersion,
    dnssecOk,
  }
}

/** How long a UDP answer to this question may be. */
export function udpLimit(query: Query): number {
  return query.offered === 0 ? plainUdpSize : Math.min(query.offered, maxUdpPayload)
}

/** Offset of the OPT record, 0 if there is none, -1 if the message ends too early or has two. */
function findOpt(
  bytes: Uint8Array,
  from: number,
  questions: number,
  records: number,
  additional: number,
): number {
  let offset = from
  for (let left = questions; left > 0; left--) {
    offset = skipName(bytes, offset)
    if (offset < 0 || offset + 4 > bytes.length) return -1
    offset += 4
  }
  let found = 0
  for (let index = 0; index < records + additional; index++) {
    const next = skipRecord(bytes, offset)
    if (next < 0) return -1
    if (index >= records && byteAt(bytes, offset) === 0 && uint16(bytes, offset + 1) === type.OPT) {
      if (found !== 0) return -1
      found = offset
    }
    offset = next
  }
  return found
}

/** Offset behind a name, or -1. Each turn moves forward, and a pointer ends the name: bounded by the message. */
function skipName(bytes: Uint8Array, from: number): number {
  let offset = from
  while (offset < bytes.length) {
    const length = byteAt(bytes, offset)
    if (length === 0) return offset + 1
    if (length >= 0xc0) return offset + 2 <= bytes.length ? offset + 2 : -1
    if (length > 63) return -1
    offset += 1 + length
  }
  return -1
}

/** Offset behind a resource record, or -1. */
function skipRecord(bytes: Uint8Array, from: number): number {
  const fixed = skipName(bytes, from)
  if (fixed < 0 || fixed + 10 > bytes.length) return -1
  const end = fixed + 10 + uint16(bytes, fixed + 8)
  return end <= bytes.length ? end : -1
}

/**
 * Name as the zone compares it: what `parseQuery` makes of the same bytes. Only ASCII letters fold, as RFC 4343 has
 * it; other characters stand for their UTF-8 bytes.
 */
export function nameKey(name: string): string {
  const bytes = Buffer.from(name.endsWith('.') ? name.slice(0, -1) : name, 'utf8')
  for (const [index, byte] of bytes.entries()) bytes[index] = lower[byte] ?? byte
  return bytes.toString('latin1')
}

/** What an answer is made from: the question's message and what was parsed of it. */
export interface Asked {
  readonly bytes: Uint8Array
  readonly query: Query
}

/**
 * Emits the addresses in random order and returns the answer's length. What does not fit into `limit` bytes is left
 * off and the answer marked truncated, so that the client asks again by TCP. `out` must have room for `limit` bytes.
 */
export function emitAddresses(
  out: Uint8Array,
  asked: Asked,
  addresses: readonly Uint8Array[],
  ttl: number,
  limit: number,
): number {
  const { query } = asked
  const room = limit - (query.offered === 0 ? 0 : optLength)
  let offset = copyQuestion(out, asked)
  let count = 0
  const total = Math.min(addresses.length, order.length)
  for (let index = 0; index < total; index++) order[index] = index
  for (let index = 0; index < total; index++) {
    const other = index + Math.floor(Math.random() * (total - index))
    const address = addresses[order[other] ?? 0]
    order[other] = order[index] ?? 0
    if (address === undefined) break
    if (offset + headerLength + address.length > room) {
      out[2] = byteAt(out, 2) | flagTruncated
      break
    }
    offset = putRecordHead(out, offset, address.length === 4 ? type.A : type.AAAA, ttl, address.length)
    out.set(address, offset)
    offset += address.length
    count += 1
  }
  putUint16(out, 6, count)
  return putOpt(out, offset, query, 0)
}

/** Random order without an allocation per answer; an answer of 64 KiB holds fewer records than this. */
const order = new Uint16Array(8192)

/** Emits a PTR answer; `name` is in wire form (`encodeName`). */
export function emitPointer(out: Uint8Array, asked: Asked, name: Uint8Array, ttl: number): number {
  const start = copyQuestion(out, asked)
  const offset = putRecordHead(out, start, type.PTR, ttl, name.length)
  out.set(name, offset)
  putUint16(out, 6, 1)
  return putOpt(out, offset + name.length, asked.query, 0)
}

/** Emits an answer without records. */
export function emitEmpty(out: Uint8Array, asked: Asked, code: number): number {
  const offset = copyQuestion(out, asked)
  out[3] = byteAt(out, 3) | code
  return putOpt(out, offset, asked.query, 0)
}

/** Emits the answer to a question of an EDNS version that we do not know; we know version 0. */
export function emitBadVersion(out: Uint8Array, asked: Asked): number {
  return putOpt(out, copyQuestion(out, asked), asked.query, badVersion)
}

/** Emits an empty answer that says: ask again by TCP. */
export function emitTruncated(out: Uint8Array, asked: Asked): number {
  const length = emitEmpty(out, asked, rcode.noError)
  out[2] = byteAt(out, 2) | flagTruncated
  return length
}

/** Emits a refusal of a message whose question could not be read: a header only. */
export function emitRejection(out: Uint8Array, bytes: Uint8Array, code: number): number {
  out.fill(0, 0, headerLength)
  putUint16(out, 0, uint16(bytes, 0))
  // The opcode is repeated, so that the asker knows what was refused.
  out[2] = flagResponse | (byteAt(bytes, 2) & (0x78 | flagRecursionDesired))
  out[3] = flagRecursionAvailable | code
  return headerLength
}

/** Header of an answer and the question; gives the offset behind it. AA stays off: Docker's resolver never sets it. */
function copyQuestion(out: Uint8Array, { bytes, query }: Asked): number {
  for (let index = 0; index < query.end; index++) out[index] = byteAt(bytes, index)
  out[2] = flagResponse | (byteAt(bytes, 2) & flagRecursionDesired)
  out[3] = flagRecursionAvailable | (byteAt(bytes, 3) & flagCheckingDisabled)
  putUint16(out, 4, 1)
  out.fill(0, 6, headerLength)
  return query.end
}

/** Owner (a pointer to the question's name), type, class IN, TTL and length; gives the offset of the data. */
function putRecordHead(
  out: Uint8Array,
  offset: number,
  recordType: number,
  ttl: number,
  length: number,
): number {
  out[offset] = 0xc0
  out[offset + 1] = headerLength
  putUint16(out, offset + 2, recordType)
  putUint16(out, offset + 4, classIn)
  putUint16(out, offset + 6, ttl >>> 16)
  putUint16(out, offset + 8, ttl & 0xffff)
  putUint16(out, offset + 10, length)
  return offset + 12
}

/** A question with OPT is answered with OPT (RFC 6891 §6.1.1): without it, caching resolvers take us for EDNS-less. */
function putOpt(out: Uint8Array, offset: number, query: Query, extended: number): number {
  if (query.offered === 0) return offset
  out[offset] = 0
  putUint16(out, offset + 1, type.OPT)
  putUint16(out, offset + 3, offeredUdpSize)
  out[offset + 5] = extended >> 4
  out[offset + 6] = 0
  out[offset + 7] = query.dnssecOk ? 0x80 : 0
  out.fill(0, offset + 8, offset + optLength)
  putUint16(out, 10, 1)
  return offset + optLength
}

/** A dotted name in wire form, or undefined if DNS has no form for it: an empty or too long label, too long a name. */
export function encodeName(name: string): Uint8Array | undefined {
  const bytes: number[] = []
  for (const label of name.split('.')) {
    const encoded = Buffer.from(label, 'utf8')
    if (encoded.length === 0 || encoded.length > 63) return undefined
    bytes.push(encoded.length, ...encoded)
  }
  bytes.push(0)
  return bytes.length <= maxNameLength ? Uint8Array.from(bytes) : undefined
}

/** RCODE of a reply (at least a header long). */
export function replyCode(reply: Uint8Array): number {
  return byteAt(reply, 3) & 0x0f
}

/**
 * Whether `reply` answers the question of `asked` under `id`. Servers that could not serve at all may leave the
 * question out; letter case is not compared, because some servers do not keep it and id and source are checked.
 */
export function answers(reply: Uint8Array, { bytes, query }: Asked, id: number): boolean {
  if (reply.length < headerLength || uint16(reply, 0) !== id || (byteAt(reply, 2) & flagResponse) === 0)
    return false
  if (uint16(reply, 4) === 0)
    return replyCode(reply) !== rcode.noError && replyCode(reply) !== rcode.nameError
  if (reply.length < query.end) return false
  for (let index = headerLength; index < query.end; index++) {
    if (lower[byteAt(reply, index)] !== lower[byteAt(bytes, index)]) return false
  }
  return true
}

/** Record types that the keeping of replies looks at. */
const typeSoa = 6

/** One resource record of a reply: where its type begins, and where it ends. */
interface RecordPlace {
  readonly fixed: number
  readonly end: number
  readonly section: 'answer' | 'authority' | 'additional'
}

/** The records of a reply in order, as far as they can be read. */
function* recordsOf(reply: Uint8Array): Generator<RecordPlace> {
  let offset = headerLength
  for (let left = uint16(reply, 4); left > 0; left--) {
    offset = skipName(reply, offset)
    if (offset < 0 || offset + 4 > reply.length) return
    offset += 4
  }
  for (const [section, count] of [
    ['answer', uint16(reply, 6)],
    ['authority', uint16(reply, 8)],
    ['additional', uint16(reply, 10)],
  ] as const) {
    for (let left = count; left > 0; left--) {
      const end = skipRecord(reply, offset)
      if (end < 0) return
      yield { fixed: skipName(reply, offset), end, section }
      offset = end
    }
  }
}

/**
 * For how many seconds a reply may be given again (RFC 2181 §5.2, RFC 2308 §5): the smallest TTL of its records; without
 * answers, that of the SOA record or the SOA's own minimum, whichever is less. 0 for what must not be kept: failures,
 * truncated replies, negative ones without an SOA, and what cannot be read.
 */
export function lifetime(reply: Uint8Array): number {
  if (reply.length < headerLength) return 0
  const code = replyCode(reply)
  if ((byteAt(reply, 2) & flagTruncated) !== 0) return 0
  if (code !== rcode.noError && code !== rcode.nameError) return 0
  const places = [...recordsOf(reply)]
  if (places.length < uint16(reply, 6) + uint16(reply, 8) + uint16(reply, 10)) return 0
  const negative = code === rcode.nameError || uint16(reply, 6) === 0
  let seconds = Infinity
  let hasSoa = false
  for (const { fixed, end, section } of places) {
    const recordType = uint16(reply, fixed)
    if (recordType === type.OPT) continue
    seconds = Math.min(seconds, ttlAt(reply, fixed + 4))
    if (recordType !== typeSoa || section !== 'authority' || end - fixed < 30) continue
    hasSoa = true
    seconds = Math.min(seconds, ttlAt(reply, end - 4))
  }
  return seconds === Infinity || (negative && !hasSoa) ? 0 : seconds
}

/** Takes the seconds that a reply has been kept off the TTLs of its records. */
export function age(reply: Uint8Array, seconds: number): void {
  for (const { fixed } of recordsOf(reply)) {
    if (uint16(reply, fixed) === type.OPT) continue
    const left = Math.max(0, ttlAt(reply, fixed + 4) - seconds)
    putUint16(reply, fixed + 4, left >>> 16)
    putUint16(reply, fixed + 6, left & 0xffff)
  }
}

/** RFC 2181 §8: a TTL with its highest bit set counts as zero. */
function ttlAt(bytes: Uint8Array, offset: number): number {
  const value = uint16(bytes, offset) * 0x1_0000 + uint16(bytes, offset + 2)
  return value > 0x7fff_ffff ? 0 : value
}

/** Calls `each` with every A and AAAA address among the answers of a reply that `answers`. */
export function eachAddress(reply: Uint8Array, each: (address: Uint8Array) => void): void {
  for (const { fixed, end, section } of recordsOf(reply)) {
    if (section !== 'answer') return
    const recordType = uint16(reply, fixed)
    const data = reply.subarray(fixed + 10, end)
    if ((recordType === type.A && data.length === 4) || (recordType === type.AAAA && data.length === 16))
      each(data)
  }
}

/** How many records the answer section of a reply announces. */
export const answerCount = (reply: Uint8Array): number => (reply.length < 8 ? 0 : uint16(reply, 6))

/** The name of a question as it was asked, for people: letter case kept, `.` for the root, odd bytes as `\\DDD` (RFC 4343 §2.1). */
export function questionName({ bytes, query }: Asked): string {
  const labels: string[] = []
  for (let offset = headerLength; offset < query.end - 5;) {
    const length = byteAt(bytes, offset)
    const label = [...bytes.subarray(offset + 1, offset + 1 + length)].map(byte =>
      byte > 0x20 && byte < 0x7f && byte !== dot && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\${String(byte).padStart(3, '0')}`,
    )
    labels.push(label.join(''))
    offset += 1 + length
  }
  return labels.length === 0 ? '.' : labels.join('.')
}

const typeNames: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  43: 'DS',
  48: 'DNSKEY',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
}
const codeNames = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']

/** `A`, `AAAA`, …; a type without a name here is `TYPE123` (RFC 3597 §5). */
export const typeName = (value: number): string => typeNames[value] ?? `TYPE${value}`
export const codeName = (value: number): string => codeNames[value] ?? `RCODE${value}`

/** Writes another id into a message. */
export function putId(bytes: Uint8Array, id: number): void {
  putUint16(bytes, 0, id)
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (byteAt(bytes, offset) << 8) | byteAt(bytes, offset + 1)
}

function putUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8
  bytes[offset + 1] = value & 0xff
}

/** Callers have checked the bound; the fallback only tells the compiler so. */
function byteAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0
}
