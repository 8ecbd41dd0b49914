/**
 * The few nftables expressions that a stateless port rewrite and a trace rule are made of. Each works on register 1, the
 * only one needed: load, compare, load an immediate, write it into the packet or its metadata.
 */

import type { MessageWriter } from '../netlink/message.ts'
import { writeValue } from './element.ts'
import { NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM } from './uapi.ts'

const NFT_REG_1 = 1

const NFTA_META_DREG = 1
const NFTA_META_KEY = 2
const NFTA_META_SREG = 3
const NFT_META_PROTOCOL = 1
const NFT_META_NFTRACE = 12
const NFT_META_L4PROTO = 16

const NFTA_PAYLOAD_DREG = 1
const NFTA_PAYLOAD_BASE = 2
const NFTA_PAYLOAD_OFFSET = 3
const NFTA_PAYLOAD_LEN = 4
const NFTA_PAYLOAD_SREG = 5
const NFTA_PAYLOAD_CSUM_TYPE = 6
const NFTA_PAYLOAD_CSUM_OFFSET = 7
const NFTA_PAYLOAD_CSUM_FLAGS = 8
const NFT_PAYLOAD_CSUM_INET = 1
const bases = { network: 1, transport: 2 } as const

const NFTA_CMP_SREG = 1
const NFTA_CMP_OP = 2
const NFTA_CMP_DATA = 3
const NFT_CMP_EQ = 0

const NFTA_IMMEDIATE_DREG = 1
const NFTA_IMMEDIATE_DATA = 2

export interface PayloadField {
  readonly base: keyof typeof bases
  /** Bytes from the beginning of that header. */
  readonly offset: number
  readonly length: number
}

export type Expression =
  /** Loads the transport protocol's number (1 byte). */
  | { readonly expression: 'l4proto' }
  /** Loads the ethertype (2 bytes, network order). */
  | { readonly expression: 'ethertype' }
  /** From here on the kernel tells what happens to the packet. */
  | { readonly expression: 'trace' }
  | { readonly expression: 'load'; readonly field: PayloadField }
  /** The rule ends here unless the register holds these bytes. */
  | { readonly expression: 'equals'; readonly value: Uint8Array }
  | { readonly expression: 'immediate'; readonly value: Uint8Array }
  /** Writes the register into the packet and mends the internet checksum at `checksum` of the transport header. */
  | { readonly expression: 'write'; readonly field: PayloadField; readonly checksum: number }

const kernelNames = {
  l4proto: 'meta',
  ethertype: 'meta',
  trace: 'meta',
  load: 'payload',
  equals: 'cmp',
  immediate: 'immediate',
  write: 'payload',
} as const

export function writeExpression(writer: MessageWriter, expression: Expression): void {
  writer.nested(NFTA_LIST_ELEM, entry =>
    entry
      .text(NFTA_EXPR_NAME, kernelNames[expression.expression])
      .nested(NFTA_EXPR_DATA, data => writeData(data, expression)),
  )
}

function writeData(data: MessageWriter, expression: Expression): void {
  switch (expression.expression) {
    case 'l4proto':
      data.u32be(NFTA_META_DREG, NFT_REG_1).u32be(NFTA_META_KEY, NFT_META_L4PROTO)
      break
    case 'ethertype':
      data.u32be(NFTA_META_DREG, NFT_REG_1).u32be(NFTA_META_KEY, NFT_META_PROTOCOL)
      break
    case 'trace':
      data.u32be(NFTA_META_SREG, NFT_REG_1).u32be(NFTA_META_KEY, NFT_META_NFTRACE)
      break
    case 'load':
      data.u32be(NFTA_PAYLOAD_DREG, NFT_REG_1)
      writeField(data, expression.field)
      break
    case 'equals':
      data.u32be(NFTA_CMP_SREG, NFT_REG_1).u32be(NFTA_CMP_OP, NFT_CMP_EQ)
      writeValue(data, NFTA_CMP_DATA, [expression.value])
      break
    case 'immediate':
      data.u32be(NFTA_IMMEDIATE_DREG, NFT_REG_1)
      writeValue(data, NFTA_IMMEDIATE_DATA, [expression.value])
      break
    case 'write':
      data.u32be(NFTA_PAYLOAD_SREG, NFT_REG_1)
      writeField(data, expression.field)
      data
        .u32be(NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET)
        .u32be(NFTA_PAYLOAD_CSUM_OFFSET, expression.checksum)
        .u32be(NFTA_PAYLOAD_CSUM_FLAGS, 0)
      break
  }
}

function writeField(data: MessageWriter, { base, offset, length }: PayloadField): void {
  data
    .u32be(NFTA_PAYLOAD_BASE, bases[base])
    .u32be(NFTA_PAYLOAD_OFFSET, offset)
    .u32be(NFTA_PAYLOAD_LEN, length)
}
