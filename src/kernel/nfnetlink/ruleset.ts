/**
 * A whole ruleset as plain values: every base chain and rule of a namespace, whoever made it, and single look-ups in
 * sets. For those who want to know what would happen to a packet, or why something did.
 *
 * Registers are numbered two ways: 1 to 4 are 16 bytes each, 8 to 23 are 4 bytes each over the same memory. Here they
 * are offsets into those 64 bytes.
 */

import { malformed } from '../error.ts'
import { Attributes, attributesAfter, MessageWriter, readList, type Message } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import type { NftVerdict } from '../operation.ts'
import { readEntry, writeValue } from './element.ts'
import {
  NFNL_SUBSYS_NFTABLES,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_POLICY,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_HOOK_HOOKNUM,
  NFTA_HOOK_PRIORITY,
  NFTA_LIST_ELEM,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_KEY_LEN,
  NFTA_SET_NAME,
  NFTA_SET_TABLE,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
  NFT_GOTO,
  NFT_JUMP,
  NFT_MSG_GETSET,
  NFT_MSG_GETSETELEM,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NF_ACCEPT,
  NF_DROP,
} from './uapi.ts'

const GENERIC_HEADER = 4
const NFT_MSG_GETCHAIN = 4
const NFT_MSG_GETRULE = 7
const NFTA_RULE_HANDLE = 3
const NFTA_RULE_USERDATA = 7
/** Type of the record in a rule's user data in which nft(8) keeps the comment. */
const UDATA_COMMENT = 0

/** A load from packet, metadata or connection into registers, a test of registers, or what is done. */
export type NftExpression =
  | { readonly op: 'meta'; readonly key: number; readonly to: number }
  | { readonly op: 'meta-set'; readonly key: number }
  | {
      readonly op: 'payload'
      /** 0 link layer, 1 network, 2 transport, 3 inner. */
      readonly base: number
      readonly offset: number
      readonly length: number
      readonly to: number
    }
  /** `test`: == != < <= > >=, by number. */
  | { readonly op: 'compare'; readonly from: number; readonly test: number; readonly value: Uint8Array }
  | {
      readonly op: 'range'
      readonly from: number
      readonly inside: boolean
      readonly first: Uint8Array
      readonly last: Uint8Array
    }
  | {
      readonly op: 'mask'
      readonly from: number
      readonly to: number
      readonly mask: Uint8Array
      readonly flip: Uint8Array
    }
  /** `to`: where a map's value goes; -1 = its verdict is the rule's. Absent = a set. */
  | {
      readonly op: 'lookup'
      readonly set: string
      readonly from: number
      readonly to?: number
      readonly invert: boolean
    }
  | { readonly op: 'immediate'; readonly to: number; readonly value: Uint8Array }
  | { readonly op: 'verdict'; readonly verdict: NftVerdict }
  | { readonly op: 'ct'; readonly key: number; readonly to: number }
  /** `result`: 1 oif, 2 oifname, 3 type of address. `flags`: 1 source, 2 destination, 8 iif, 16 oif, 32 present. */
  | { readonly op: 'fib'; readonly result: number; readonly flags: number; readonly to: number }
  | {
      readonly op: 'nat'
      readonly kind: 'source' | 'destination'
      readonly address?: number
      readonly port?: number
    }
  | { readonly op: 'masquerade' }
  | { readonly op: 'redirect'; readonly port?: number }
  | { readonly op: 'reject' }
  | { readonly op: 'counter'; readonly packets: number }
  /** Neither tests nor changes what happens to the packet: log, notrack, … */
  | { readonly op: 'beside'; readonly name: string }
  /** What we do not know: limit, exthdr, xtables' own matches, … */
  | { readonly op: 'other'; readonly name: string }

export interface NftRule {
  readonly handle: number
  readonly comment: string
  readonly expressions: readonly NftExpression[]
}

export interface NftChain {
  /** 1 inet, 2 ip, 5 netdev, 7 bridge, 10 ip6. */
  readonly family: number
  readonly table: string
  readonly name: string
  readonly base?: {
    readonly type: string
    /** prerouting, input, forward, output, postrouting: 0 to 4. */
    readonly hook: number
    readonly priority: number
    readonly policy: 'accept' | 'drop'
  }
  readonly rules: readonly NftRule[]
}

export interface NftHit {
  readonly data?: Uint8Array | NftVerdict
  /** Of the element's own counter, where its set has them. */
  readonly packets?: number
}

const message = (type: number) => (NFNL_SUBSYS_NFTABLES << 8) | type

function header(family: number): Buffer {
  const bytes = Buffer.alloc(GENERIC_HEADER)
  bytes.writeUInt8(family, 0)
  return bytes
}

/** Every chain of the socket's namespace with its rules in order. */
export function readRuleset(socket: NetlinkSocket): readonly NftChain[] {
  const rules = new Map<string, NftRule[]>()
  for (const each of socket.dump('list rules', message(NFT_MSG_GETRULE), writer => writer.raw(header(0)))) {
    if (each.type !== message(NFT_MSG_NEWRULE)) continue
    const { place, rule } = parseRule(each)
    const known = rules.get(place)
    if (known === undefined) rules.set(place, [rule])
    else known.push(rule)
  }
  return socket
    .dump('list chains', message(NFT_MSG_GETCHAIN), writer => writer.raw(header(0)))
    .filter(each => each.type === message(NFT_MSG_NEWCHAIN))
    .map(each => parseChain(each, rules))
}

function parseChain({ payload }: Message, rules: ReadonlyMap<string, readonly NftRule[]>): NftChain {
  const attributes = attributesAfter(payload, GENERIC_HEADER)
  const family = payload.readUInt8(0)
  const table = attributes.text(NFTA_CHAIN_TABLE) ?? ''
  const name = attributes.text(NFTA_CHAIN_NAME) ?? ''
  const hook = attributes.nested(NFTA_CHAIN_HOOK)
  const found = rules.get(`${family} ${table} ${name}`) ?? []
  if (hook === undefined) return { family, table, name, rules: found }
  return {
    family,
    table,
    name,
    base: {
      type: attributes.text(NFTA_CHAIN_TYPE) ?? '',
      hook: hook.u32be(NFTA_HOOK_HOOKNUM) ?? 0,
      priority: (hook.u32be(NFTA_HOOK_PRIORITY) ?? 0) | 0,
      policy: attributes.u32be(NFTA_CHAIN_POLICY) === NF_DROP ? 'drop' : 'accept',
    },
    rules: found,
  }
}

export function parseRule({ payload }: Message): { readonly place: string; readonly rule: NftRule } {
  const attributes = attributesAfter(payload, GENERIC_HEADER)
  const place = `${payload.readUInt8(0)} ${attributes.text(NFTA_RULE_TABLE) ?? ''} ${attributes.text(NFTA_RULE_CHAIN) ?? ''}`
  const list = attributes.bytes(NFTA_RULE_EXPRESSIONS)
  return {
    place,
    rule: {
      handle: large(attributes.bytes(NFTA_RULE_HANDLE)),
      comment: commentOf(attributes.bytes(NFTA_RULE_USERDATA)),
      expressions: list === undefined ? [] : readList(list).map(({ value }) => parseExpression(value)),
    },
  }
}

function large(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length < 8 ? 0 : Number(bytes.readBigUInt64BE(0))
}

/** Records of type (1 byte), length (1 byte), value. */
function commentOf(userdata: Buffer | undefined): string {
  if (userdata === undefined) return ''
  for (let offset = 0; offset + 2 <= userdata.length;) {
    const length = userdata.readUInt8(offset + 1)
    if (userdata.readUInt8(offset) === UDATA_COMMENT) {
      return userdata.toString('utf8', offset + 2, offset + 2 + length).replace(/\0.*$/s, '')
    }
    offset += 2 + length
  }
  return ''
}

/** Where a register begins in the 64 bytes; the verdict's is -1. */
function register(number: number | undefined): number {
  if (number === undefined || number === 0) return -1
  return number < 8 ? (number - 1) * 16 : (number - 8) * 4
}

const besides = new Set(['log', 'notrack', 'objref', 'flow_offload', 'dup', 'last'])

function value(attributes: Attributes, type: number): Buffer {
  return attributes.nested(type)?.bytes(NFTA_DATA_VALUE) ?? Buffer.alloc(0)
}

const readers: Readonly<Record<string, (data: Attributes) => NftExpression>> = {
  meta(data) {
    const key = data.u32be(2) ?? 0
    return data.has(3) ? { op: 'meta-set', key } : { op: 'meta', key, to: register(data.u32be(1)) }
  },
  payload(data) {
    if (data.has(5)) return { op: 'other', name: 'payload' }
    return {
      op: 'payload',
      base: data.u32be(2) ?? 0,
      offset: data.u32be(3) ?? 0,
      length: data.u32be(4) ?? 0,
      to: register(data.u32be(1)),
    }
  },
  cmp: data => ({
    op: 'compare',
    from: register(data.u32be(1)),
    test: data.u32be(2) ?? 0,
    value: value(data, 3),
  }),
  range: data => ({
    op: 'range',
    from: register(data.u32be(1)),
    inside: (data.u32be(2) ?? 0) === 0,
    first: value(data, 3),
    last: value(data, 4),
  }),
  bitwise(data) {
    if ((data.u32be(6) ?? 0) !== 0) return { op: 'other', name: 'bitwise' }
    return {
      op: 'mask',
      from: register(data.u32be(1)),
      to: register(data.u32be(2)),
      mask: value(data, 4),
      flip: value(data, 5),
    }
  },
  lookup: data => ({
    op: 'lookup',
    set: data.text(1) ?? '',
    from: register(data.u32be(2)),
    ...(data.has(3) ? { to: register(data.u32be(3)) } : {}),
    invert: ((data.u32be(5) ?? 0) & 1) !== 0,
  }),
  immediate(data) {
    const verdict = data.nested(2)?.nested(NFTA_DATA_VERDICT)
    if (verdict !== undefined) return verdictOf(verdict)
    return { op: 'immediate', to: register(data.u32be(1)), value: value(data, 2) }
  },
  ct: data =>
    data.has(4)
      ? { op: 'beside', name: 'ct' }
      : { op: 'ct', key: data.u32be(2) ?? 0, to: register(data.u32be(1)) },
  fib: data => ({
    op: 'fib',
    to: register(data.u32be(1)),
    result: data.u32be(2) ?? 0,
    flags: data.u32be(3) ?? 0,
  }),
  nat: data => ({
    op: 'nat',
    kind: data.u32be(1) === 1 ? 'destination' : 'source',
    ...(data.has(3) ? { address: register(data.u32be(3)) } : {}),
    ...(data.has(5) ? { port: register(data.u32be(5)) } : {}),
  }),
  masq: () => ({ op: 'masquerade' }),
  redir: data => ({ op: 'redirect', ...(data.has(1) ? { port: register(data.u32be(1)) } : {}) }),
  reject: () => ({ op: 'reject' }),
  counter: data => ({ op: 'counter', packets: large(data.bytes(2)) }),
}

function verdictOf(attributes: Attributes): NftExpression {
  const code = (attributes.u32be(NFTA_VERDICT_CODE) ?? 0) | 0
  const chain = attributes.text(NFTA_VERDICT_CHAIN) ?? ''
  if (code === NF_ACCEPT) return { op: 'verdict', verdict: { verdict: 'accept' } }
  if (code === NF_DROP) return { op: 'verdict', verdict: { verdict: 'drop' } }
  if (code === NFT_JUMP) return { op: 'verdict', verdict: { verdict: 'jump', chain } }
  if (code === NFT_GOTO) return { op: 'verdict', verdict: { verdict: 'goto', chain } }
  if (code === -5) return { op: 'verdict', verdict: { verdict: 'return' } }
  if (code === -1) return { op: 'beside', name: 'continue' }
  return { op: 'other', name: code === 3 ? 'queue' : `verdict ${code}` }
}

function parseExpression(bytes: Buffer): NftExpression {
  const attributes = new Attributes(bytes)
  const name = attributes.text(NFTA_EXPR_NAME) ?? ''
  if (besides.has(name)) return { op: 'beside', name }
  const data = attributes.nested(NFTA_EXPR_DATA) ?? new Attributes(Buffer.alloc(0))
  if (name === 'match' || name === 'target') return { op: 'other', name: `xtables ${data.text(1) ?? name}` }
  return readers[name]?.(data) ?? { op: 'other', name }
}

/** Bytes of a set's keys; undefined where there is no such set. */
function keyLength(socket: NetlinkSocket, family: number, table: string, set: string): number | undefined {
  const writer = new MessageWriter(256).message(message(NFT_MSG_GETSET), 0, request =>
    request.raw(header(family)).text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set),
  )
  const { replies, errors } = socket.exchange(`look for ${set}`, writer)
  const [refused] = errors
  if (refused !== undefined) {
    if (refused.error.code === 'ENOENT') return undefined
    throw refused.error
  }
  const [found] = replies
  return found === undefined
    ? undefined
    : attributesAfter(found.message.payload, GENERIC_HEADER).u32be(NFTA_SET_KEY_LEN)
}

/**
 * The element that a key falls on, as a packet's look-up would find it; undefined if there is none. `key` may be longer
 * than the set's keys, as registers are.
 */
export function findElement(
  socket: NetlinkSocket,
  family: number,
  table: string,
  set: string,
  key: Uint8Array,
): NftHit | undefined {
  const length = keyLength(socket, family, table, set)
  if (length === undefined) return undefined
  const writer = new MessageWriter(256).message(message(NFT_MSG_GETSETELEM), 0, request =>
    request
      .raw(header(family))
      .text(NFTA_SET_ELEM_LIST_TABLE, table)
      .text(NFTA_SET_ELEM_LIST_SET, set)
      .nested(NFTA_SET_ELEM_LIST_ELEMENTS, entries =>
        entries.nested(NFTA_LIST_ELEM, entry =>
          writeValue(entry, NFTA_SET_ELEM_KEY, [key.subarray(0, length)]),
        ),
      ),
  )
  const { replies, errors } = socket.exchange(`look into ${set}`, writer)
  const [refused] = errors
  if (refused !== undefined) {
    if (refused.error.code === 'ENOENT') return undefined
    throw refused.error
  }
  const [found] = replies.flatMap(reply =>
    attributesAfter(reply.message.payload, GENERIC_HEADER).list(NFTA_SET_ELEM_LIST_ELEMENTS),
  )
  if (found === undefined) throw malformed(`no element in the answer about ${set}`)
  const data = readEntry(found)?.data
  const packets = counterOf(new Attributes(found))
  return { ...(data === undefined ? {} : { data }), ...(packets === undefined ? {} : { packets }) }
}

const NFTA_SET_ELEM_EXPR = 7
const NFTA_SET_ELEM_EXPRESSIONS = 11

function counterOf(element: Attributes): number | undefined {
  const single = element.bytes(NFTA_SET_ELEM_EXPR)
  const several = element.bytes(NFTA_SET_ELEM_EXPRESSIONS)
  const expressions = [
    ...(single === undefined ? [] : [single]),
    ...(several === undefined ? [] : readList(several).map(each => each.value)),
  ]
  for (const bytes of expressions) {
    const expression = parseExpression(bytes)
    if (expression.op === 'counter') return expression.packets
  }
  return undefined
}
