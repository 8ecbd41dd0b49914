/**
 * nftables over one open socket. What costs in a change of a set is not the commit (0.1 ms) but close(2) of the
 * socket, so one socket per namespace stays open.
 *
 * A transaction is one datagram: BATCH_BEGIN, messages, BATCH_END. The kernel applies all of it or nothing.
 */

import { KernelError } from '../error.ts'
import { attributesAfter, MessageWriter, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL } from '../netlink/message.ts'
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts'
import type { NftElement } from '../operation.ts'
import { dataText, keyText, readElements, readEntry, writeElement, type SetShape } from './element.ts'
import { fieldSizes, joinFields } from './field.ts'
import {
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  NFTA_SET_DATA_LEN,
  NFTA_SET_DATA_TYPE,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_FLAGS,
  NFTA_SET_KEY_LEN,
  NFTA_SET_KEY_TYPE,
  NFTA_SET_NAME,
  NFTA_SET_TABLE,
  NFT_DATA_VERDICT,
  NFT_MSG_DELSETELEM,
  NFT_MSG_GETSET,
  NFT_MSG_GETSETELEM,
  NFT_MSG_NEWSET,
  NFT_MSG_NEWSETELEM,
  NFT_SET_INTERVAL,
} from './uapi.ts'

const GENERIC_HEADER = 4

/** Elements per message: the list is one attribute, whose length is 16 bits. */
const ELEMENTS_PER_MESSAGE = 256

/** Tries of a change whose set was changed by somebody else between our looking and our writing. */
const ATTEMPTS = 4

/** struct nfgenmsg. */
function genericHeader(family: number, resource = 0): Buffer {
  const header = Buffer.alloc(GENERIC_HEADER)
  header.writeUInt8(family, 0)
  header.writeUInt16BE(resource, 2)
  return header
}

/** A table of tens of thousands is resized within milliseconds. */
const DUMP_ATTEMPTS = 50
const DUMP_PAUSE_MS = 2

const nftMessage = (type: number) => (NFNL_SUBSYS_NFTABLES << 8) | type

/** Messages of one transaction, wrapped in its begin and end. */
export class Batch {
  readonly writer = new MessageWriter(4096)
  readonly #family: number

  constructor(family: number) {
    this.#family = family
    this.writer.message(NFNL_MSG_BATCH_BEGIN, 0, message =>
      message.raw(genericHeader(0, NFNL_SUBSYS_NFTABLES)),
    )
  }

  add(type: number, flags: number, body: (writer: MessageWriter) => void): this {
    this.writer.message(nftMessage(type), flags, message => {
      message.raw(genericHeader(this.#family))
      body(message)
    })
    return this
  }

  /** Appends the elements, in as few messages as their lists fit into. */
  elements(type: number, flags: number, elements: readonly NftElement[]): this {
    for (const list of groupBySet(elements)) {
      const [first] = list
      if (first === undefined) continue
      for (let start = 0; start < list.length; start += ELEMENTS_PER_MESSAGE) {
        this.add(type, flags, message =>
          message
            .text(NFTA_SET_ELEM_LIST_TABLE, first.table)
            .text(NFTA_SET_ELEM_LIST_SET, first.set)
            .nested(NFTA_SET_ELEM_LIST_ELEMENTS, entries => {
              for (const element of list.slice(start, start + ELEMENTS_PER_MESSAGE))
                writeElement(entries, element)
            }),
        )
      }
    }
    return this
  }

  /** Closes the transaction. The last message in it is acknowledged; kernels before 6.10 never answer BATCH_END. */
  end(): MessageWriter {
    this.writer.acknowledge()
    return this.writer.message(NFNL_MSG_BATCH_END, 0, message =>
      message.raw(genericHeader(0, NFNL_SUBSYS_NFTABLES)),
    )
  }
}

function groupBySet(elements: readonly NftElement[]): readonly (readonly NftElement[])[] {
  const groups = new Map<string, NftElement[]>()
  let last: NftElement | undefined
  let group: NftElement[] = []
  for (const element of elements) {
    // Neighbours mostly are of the same set.
    if (element.set !== last?.set || element.table !== last.table) {
      const name = `${element.table} ${element.set}`
      group = groups.get(name) ?? []
      groups.set(name, group)
    }
    group.push(element)
    last = element
  }
  return [...groups.values()]
}

/** What a change of elements really changed: what was there already, or not there, is left out. */
export interface ElementChange {
  readonly added: readonly NftElement[]
  /** With the values they had, if those were asked for. */
  readonly deleted: readonly NftElement[]
}

/** The nftables of one namespace. Elements live in tables of family inet. */
export class Nftables {
  readonly #socket: NetlinkSocket

  /** Opens its socket in the namespace the thread is in. */
  constructor() {
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER)
  }

  /** Sends a transaction. */
  commit(doing: string, batch: Batch): void {
    const [first] = this.#socket.exchange(doing, batch.end()).errors
    if (first !== undefined) throw first.error
  }

  /**
   * Deletes and adds elements in one transaction, in that order, so that a key can be given a new value. What is not
   * there to be deleted and what is there already are left out; a key that is there with another value is EBUSY.
   *
   * The usual case is exactly one datagram: the kernel refuses it as a whole if one element is not as expected, and
   * only then the sets are looked at. With `values` the answer has what the deleted elements of maps were mapped to,
   * which is what undoing needs.
   */
  change(add: readonly NftElement[], remove: readonly NftElement[], values = true): ElementChange {
    let added = add
    let deleted = remove
    for (let attempts = 0; ; attempts++) {
      if (added.length === 0 && deleted.length === 0) return { added, deleted }
      const { error, echoed } = this.#changeOnce(added, deleted, values ? NLM_F_ECHO : 0)
      if (error === undefined) {
        return { added, deleted: deleted.map(element => withValue(element, echoed)) }
      }
      if ((error.code !== 'EEXIST' && error.code !== 'ENOENT') || attempts === ATTEMPTS) throw error
      const before = added.length + deleted.length
      const present = this.#present([...add, ...remove])
      deleted = remove.filter(element => present.has(keyText(element)))
      const going = new Set(deleted.map(keyText))
      added = add.filter(element => {
        const there = present.get(keyText(element))
        if (there === undefined || going.has(keyText(element))) return true
        if (dataText(there) !== dataText(element)) {
          throw error.with({ code: 'EBUSY', detail: `${element.set} has this key with another value` })
        }
        return false
      })
      if (attempts > 0 && added.length + deleted.length === before) throw error
    }
  }

  /** Sends it once; `echoed` are the values of the deleted elements, by key, as the kernel echoed them. */
  #changeOnce(
    added: readonly NftElement[],
    deleted: readonly NftElement[],
    echo: number,
  ): { error: KernelError | undefined; echoed: Values } {
    const batch = new Batch(NFPROTO_INET)
      .elements(NFT_MSG_DELSETELEM, echo, deleted)
      .elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, added)
    const sets = [...new Set([...added, ...deleted].map(element => element.set))].join(', ')
    const { replies, errors } = this.#socket.exchange(`change elements of ${sets}`, batch.end())
    const echoed = new Map<string, NonNullable<NftElement['data']>>()
    for (const { message } of replies) {
      if (message.type !== nftMessage(NFT_MSG_DELSETELEM)) continue
      const attributes = attributesAfter(message.payload, GENERIC_HEADER)
      const table = attributes.text(NFTA_SET_ELEM_LIST_TABLE) ?? ''
      const set = attributes.text(NFTA_SET_ELEM_LIST_SET) ?? ''
      const entries = attributes.list(NFTA_SET_ELEM_LIST_ELEMENTS)
      for (const entry of entries.map(readEntry)) {
        if (entry?.data === undefined) continue
        echoed.set(valueKey(table, set, entry.key), Buffer.isBuffer(entry.data) ? [entry.data] : entry.data)
      }
    }
    return { error: errors[0]?.error, echoed }
  }

  /** Those of the elements that are in their sets, by key. */
  #present(elements: readonly NftElement[]): ReadonlyMap<string, NftElement> {
    const present = new Map<string, NftElement>()
    for (const group of groupBySet(elements)) {
      const [first] = group
      if (first === undefined) continue
      const found = group.every(element => element.keyEnd === undefined)
        ? this.get(group)
        : (this.elements(first.table, first.set) ?? [])
      for (const element of found) present.set(keyText(element), element)
    }
    return present
  }

  /** Those of the elements (of one set, without intervals) that are there, with their values. */
  get(elements: readonly NftElement[]): readonly NftElement[] {
    const [first] = elements
    if (first === undefined) return []
    const shape = this.#shape(first.table, first.set)
    if (shape === undefined) return []
    const writer = new MessageWriter(4096)
    for (const element of elements) {
      writer.message(nftMessage(NFT_MSG_GETSETELEM), 0, message =>
        message
          .raw(genericHeader(NFPROTO_INET))
          .text(NFTA_SET_ELEM_LIST_TABLE, element.table)
          .text(NFTA_SET_ELEM_LIST_SET, element.set)
          .nested(NFTA_SET_ELEM_LIST_ELEMENTS, entries => writeElement(entries, keyOnly(element))),
      )
    }
    const { replies, errors } = this.#socket.exchange(`look for elements of ${first.set}`, writer)
    const refused = errors.find(({ error }) => error.code !== 'ENOENT')
    if (refused !== undefined) throw refused.error
    return replies.flatMap(({ message }) => readElements(shape, elementList(message.payload)))
  }

  /**
   * All elements of a set or map; undefined where there is no such set.
   *
   * A hash table that is being resized (behind a large transaction) is dumped from its beginning again, from where the
   * dump thought it was: some elements come twice, as many others not at all, and nothing in the answer says so. A
   * repeated element gives it away; the dump is then taken anew.
   */
  elements(table: string, set: string): readonly NftElement[] | undefined {
    const shape = this.#shape(table, set)
    if (shape === undefined) return undefined
    for (let attempt = 1; ; attempt++) {
      const dumped = this.#dumpElements(table, set)
      const distinct = new Set(dumped.map(element => element.toString('hex')))
      if (distinct.size === dumped.length) return readElements(shape, dumped)
      if (attempt === DUMP_ATTEMPTS) {
        const doing = `list ${set}`
        throw new KernelError({
          code: 'EAGAIN',
          syscall: 'NFT_MSG_GETSETELEM',
          doing,
          detail: 'still resized',
        })
      }
      pause(DUMP_PAUSE_MS)
    }
  }

  #dumpElements(table: string, set: string) {
    const messages = this.#socket.dump(`list ${set}`, nftMessage(NFT_MSG_GETSETELEM), message =>
      message
        .raw(genericHeader(NFPROTO_INET))
        .text(NFTA_SET_ELEM_LIST_TABLE, table)
        .text(NFTA_SET_ELEM_LIST_SET, set),
    )
    return messages.flatMap(message => elementList(message.payload))
  }

  /** How a set's elements are to be read; undefined where there is no such set. */
  #shape(table: string, set: string): SetShape | undefined {
    const writer = new MessageWriter(256).message(nftMessage(NFT_MSG_GETSET), 0, message =>
      message.raw(genericHeader(NFPROTO_INET)).text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set),
    )
    const { replies, errors } = this.#socket.exchange(`look for ${set}`, writer)
    const [refused] = errors
    if (refused !== undefined) {
      if (refused.error.code === 'ENOENT') return undefined
      throw refused.error
    }
    const found = replies.find(({ message }) => message.type === nftMessage(NFT_MSG_NEWSET))
    if (found === undefined) return undefined
    const attributes = attributesAfter(found.message.payload, GENERIC_HEADER)
    const dataType = attributes.u32be(NFTA_SET_DATA_TYPE)
    return {
      table,
      set,
      interval: ((attributes.u32be(NFTA_SET_FLAGS) ?? 0) & NFT_SET_INTERVAL) !== 0,
      key: fieldSizes(attributes.u32be(NFTA_SET_KEY_TYPE) ?? 0, attributes.u32be(NFTA_SET_KEY_LEN) ?? 0),
      ...(dataType === undefined || dataType === NFT_DATA_VERDICT
        ? {}
        : { data: fieldSizes(dataType, attributes.u32be(NFTA_SET_DATA_LEN) ?? 0) }),
    }
  }

  close(): void {
    this.#socket.closeBehind()
  }
}

function keyOnly({ table, set, key }: NftElement): NftElement {
  return { table, set, key }
}

/** This thread has nothing else to do: it is the kernel worker, and its calls are synchronous. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function elementList(payload: Buffer): readonly Buffer[] {
  return attributesAfter(payload, GENERIC_HEADER).list(NFTA_SET_ELEM_LIST_ELEMENTS)
}

/** Values of map elements by `valueKey`. */
type Values = ReadonlyMap<string, NonNullable<NftElement['data']>>

/** Which element a value belongs to: intervals of one field are stored under their first key alone. */
const valueKey = (table: string, set: string, key: Uint8Array) =>
  `${table} ${set} ${Buffer.from(key).toString('hex')}`

function withValue(element: NftElement, values: Values): NftElement {
  const data = values.get(valueKey(element.table, element.set, joinFields(element.key)))
  return data === undefined ? element : { ...element, data }
}
