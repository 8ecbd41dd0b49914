/**
 * Elements of nftables sets and maps.
 *
 * How an interval is stored depends on the set. One field (rbtree): the first key, and the key behind the last one as
 * an element of its own with the flag INTERVAL_END; an interval that reaches the highest key has no end. Several
 * fields (pipapo): one element with KEY and KEY_END, both inclusive. Here both are `key` and `keyEnd`, inclusive.
 */

import { malformed } from '../error.ts'
import { Attributes, type MessageWriter } from '../netlink/message.ts'
import type { NftElement, NftVerdict } from '../operation.ts'
import { joinFields, splitFields } from './field.ts'
import {
  NF_ACCEPT,
  NF_DROP,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_LIST_ELEM,
  NFTA_SET_ELEM_DATA,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_KEY_END,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_RETURN,
  NFT_SET_ELEM_INTERVAL_END,
} from './uapi.ts'

const verdictCodes = {
  accept: NF_ACCEPT,
  drop: NF_DROP,
  return: NFT_RETURN,
  goto: NFT_GOTO,
  jump: NFT_JUMP,
} as const

function isVerdict(data: NftElement['data']): data is NftVerdict {
  return data !== undefined && 'verdict' in data
}

function writeVerdict(writer: MessageWriter, type: number, verdict: NftVerdict): void {
  writer.nested(type, data =>
    data.nested(NFTA_DATA_VERDICT, inner => {
      inner.u32be(NFTA_VERDICT_CODE, verdictCodes[verdict.verdict])
      if ('chain' in verdict) inner.text(NFTA_VERDICT_CHAIN, verdict.chain)
    }),
  )
}

export function writeValue(writer: MessageWriter, type: number, fields: readonly Uint8Array[]): void {
  writer.nested(type, data => data.fields(NFTA_DATA_VALUE, fields))
}

/** Appends the one or two entries that an element is in a message's element list. */
export function writeElement(writer: MessageWriter, element: NftElement): void {
  const { key, keyEnd, data } = element
  if (keyEnd !== undefined) checkInterval(element, key, keyEnd)
  const concatenated = key.length > 1
  writer.nested(NFTA_LIST_ELEM, entry => {
    writeValue(entry, NFTA_SET_ELEM_KEY, key)
    if (keyEnd !== undefined && concatenated) writeValue(entry, NFTA_SET_ELEM_KEY_END, keyEnd)
    if (isVerdict(data)) writeVerdict(entry, NFTA_SET_ELEM_DATA, data)
    else if (data !== undefined) writeValue(entry, NFTA_SET_ELEM_DATA, data)
  })
  const [last] = keyEnd ?? []
  const behind = concatenated || last === undefined ? undefined : successor(last)
  if (behind === undefined) return
  writer.nested(NFTA_LIST_ELEM, entry => {
    entry.u32be(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END)
    writeValue(entry, NFTA_SET_ELEM_KEY, [behind])
  })
}

function checkInterval({ set }: NftElement, key: readonly Uint8Array[], keyEnd: readonly Uint8Array[]): void {
  const [first, last] = [joinFields(key), joinFields(keyEnd)]
  if (last.length !== first.length || Buffer.compare(first, last) > 0) {
    throw malformed(`an interval of ${set} that ends before it begins`)
  }
}

/** The next key in network order; undefined behind the last one. */
function successor(key: Uint8Array): Buffer | undefined {
  const next = Buffer.from(key)
  for (let position = next.length - 1; position >= 0; position--) {
    const byte = next[position] ?? 0
    next[position] = (byte + 1) & 0xff
    if (byte !== 0xff) return next
  }
  return undefined
}

function predecessor(key: Uint8Array): Buffer {
  const previous = Buffer.from(key)
  for (let position = previous.length - 1; position >= 0; position--) {
    const byte = previous[position] ?? 0
    previous[position] = (byte - 1) & 0xff
    if (byte !== 0) break
  }
  return previous
}

/** What must be known of a set to read its elements. */
export interface SetShape {
  readonly table: string
  readonly set: string
  readonly interval: boolean
  /** Bytes of each field of the key. */
  readonly key: readonly number[]
  /** Bytes of each field of the value; absent for sets and for verdict maps. */
  readonly data?: readonly number[]
}

/** One entry of an element list as the kernel stores it: joined fields. */
export interface Entry {
  readonly key: Buffer
  readonly keyEnd: Buffer | undefined
  readonly data: Buffer | NftVerdict | undefined
  readonly intervalEnd: boolean
}

export function readEntry(bytes: Buffer): Entry | undefined {
  const attributes = new Attributes(bytes)
  const key = attributes.nested(NFTA_SET_ELEM_KEY)?.bytes(NFTA_DATA_VALUE)
  // The catch-all element has no key; nothing here makes one.
  if (key === undefined) return undefined
  const data = attributes.nested(NFTA_SET_ELEM_DATA)
  const verdict = data?.nested(NFTA_DATA_VERDICT)
  const flags = attributes.u32be(NFTA_SET_ELEM_FLAGS) ?? 0
  return {
    key,
    keyEnd: attributes.nested(NFTA_SET_ELEM_KEY_END)?.bytes(NFTA_DATA_VALUE),
    data: verdict === undefined ? data?.bytes(NFTA_DATA_VALUE) : readVerdict(verdict),
    intervalEnd: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0,
  }
}

function readVerdict(attributes: Attributes): NftVerdict {
  const code = (attributes.u32be(NFTA_VERDICT_CODE) ?? 0) | 0
  const chain = attributes.text(NFTA_VERDICT_CHAIN)
  if (code === NFT_GOTO || code === NFT_JUMP) {
    if (chain === undefined) throw malformed('a jump without a chain')
    return { verdict: code === NFT_GOTO ? 'goto' : 'jump', chain }
  }
  if (code === NF_ACCEPT) return { verdict: 'accept' }
  if (code === NF_DROP) return { verdict: 'drop' }
  if (code === NFT_RETURN) return { verdict: 'return' }
  throw malformed(`verdict ${code}`)
}

/** The elements that entries of a set's element lists are; in the kernel's order, intervals by their first key. */
export function readElements(shape: SetShape, entries: readonly Buffer[]): readonly NftElement[] {
  const read = entries.map(readEntry).filter(entry => entry !== undefined)
  const concatenated = shape.key.length > 1
  if (!shape.interval) return read.map(entry => toElement(shape, entry, undefined))
  if (concatenated) return read.map(entry => toElement(shape, entry, entry.keyEnd ?? entry.key))
  // Where one interval ends another may begin at the same key: its end comes first.
  const sorted = read.toSorted(
    (one, other) => Buffer.compare(one.key, other.key) || Number(other.intervalEnd) - Number(one.intervalEnd),
  )
  const elements: NftElement[] = []
  for (const [position, entry] of sorted.entries()) {
    // An end without a beginning: nft puts one at the lowest key for itself.
    if (entry.intervalEnd) continue
    const next = sorted[position + 1]
    const last = next === undefined ? Buffer.alloc(entry.key.length, 0xff) : predecessor(next.key)
    elements.push(toElement(shape, entry, last))
  }
  return elements
}

function toElement(shape: SetShape, entry: Entry, keyEnd: Buffer | undefined): NftElement {
  const { data } = entry
  return {
    table: shape.table,
    set: shape.set,
    key: splitFields(entry.key, shape.key),
    ...(keyEnd === undefined ? {} : { keyEnd: splitFields(keyEnd, shape.key) }),
    ...(data === undefined
      ? {}
      : { data: Buffer.isBuffer(data) ? splitFields(data, shape.data ?? [data.length]) : data }),
  }
}

/** A text that is equal exactly for elements with the same key in the same set. */
export function keyText({ table, set, key, keyEnd }: NftElement): string {
  const text = Buffer.from(joinFields(key)).toString('hex')
  const end = keyEnd === undefined ? '' : Buffer.from(joinFields(keyEnd)).toString('hex')
  return `${table} ${set} ${text}-${end}`
}

export function dataText({ data }: NftElement): string {
  if (data === undefined) return ''
  if (isVerdict(data)) return 'chain' in data ? `${data.verdict} ${data.chain}` : data.verdict
  return joinFields(data).toString('hex')
}
