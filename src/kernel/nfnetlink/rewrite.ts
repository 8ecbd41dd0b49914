/**
 * Port 53 of the resolver's address, inside a container: packets to it are sent on to the private port on which the
 * resolver's sockets listen, and answers appear to come from 53. So no socket occupies :53, and a program in the
 * container can bind 0.0.0.0:53 itself.
 *
 * It is stateless on purpose: one chain at the hook `output` before connection tracking. Both directions leave through
 * `output`, because both ends live in this namespace; it costs nothing measurable, where NAT takes 5–6 µs.
 */

import { parseAddress } from '../address.ts'
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts'
import { writeExpression, type Expression, type PayloadField } from './expression.ts'
import { field } from './field.ts'
import { Batch } from './nftables.ts'
import {
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_POLICY,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_HOOK_HOOKNUM,
  NFTA_HOOK_PRIORITY,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_TABLE_FLAGS,
  NFTA_TABLE_NAME,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
  NF_ACCEPT,
} from './uapi.ts'

const TABLE = 'linkspan-resolver'
const CHAIN = 'output'
const NF_INET_LOCAL_OUT = 3
const PRIORITY_RAW = -300
const DNS_PORT = 53

const sourcePort: PayloadField = { base: 'transport', offset: 0, length: 2 }
const destinationPort: PayloadField = { base: 'transport', offset: 2, length: 2 }
/** Where the checksum stands in the transport header. */
const checksums = { udp: 6, tcp: 16 } as const
const addressFields = {
  4: {
    source: { base: 'network', offset: 12, length: 4 },
    destination: { base: 'network', offset: 16, length: 4 },
  },
  6: {
    source: { base: 'network', offset: 8, length: 16 },
    destination: { base: 'network', offset: 24, length: 16 },
  },
} as const

interface Direction {
  readonly address: PayloadField
  readonly port: PayloadField
  readonly from: number
  readonly to: number
}

function rule(protocol: 'udp' | 'tcp', resolver: Uint8Array, direction: Direction): readonly Expression[] {
  return [
    { expression: 'load', field: direction.address },
    { expression: 'equals', value: resolver },
    { expression: 'l4proto' },
    { expression: 'equals', value: field.protocol(protocol) },
    { expression: 'load', field: direction.port },
    { expression: 'equals', value: field.port(direction.from) },
    { expression: 'immediate', value: field.port(direction.to) },
    { expression: 'write', field: direction.port, checksum: checksums[protocol] },
  ]
}

/** The transaction that sets the rewrite up in a namespace that has none. */
export function portRewrite(address: string, port: number): Batch {
  const resolver = parseAddress(address)
  const family = resolver.length === 4 ? 4 : 6
  const { source, destination } = addressFields[family]
  const directions: readonly Direction[] = [
    { address: destination, port: destinationPort, from: DNS_PORT, to: port },
    { address: source, port: sourcePort, from: port, to: DNS_PORT },
  ]
  const batch = new Batch(family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6)
    .add(NFT_MSG_NEWTABLE, NLM_F_CREATE, message =>
      message.text(NFTA_TABLE_NAME, TABLE).u32be(NFTA_TABLE_FLAGS, 0),
    )
    .add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, message =>
      message
        .text(NFTA_CHAIN_TABLE, TABLE)
        .text(NFTA_CHAIN_NAME, CHAIN)
        .nested(NFTA_CHAIN_HOOK, hook =>
          hook.u32be(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT).u32be(NFTA_HOOK_PRIORITY, PRIORITY_RAW),
        )
        .u32be(NFTA_CHAIN_POLICY, NF_ACCEPT)
        .text(NFTA_CHAIN_TYPE, 'filter'),
    )
  for (const protocol of ['udp', 'tcp'] as const) {
    for (const direction of directions) {
      batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, message =>
        message
          .text(NFTA_RULE_TABLE, TABLE)
          .text(NFTA_RULE_CHAIN, CHAIN)
          .nested(NFTA_RULE_EXPRESSIONS, list => {
            for (const expression of rule(protocol, resolver, direction)) writeExpression(list, expression)
          }),
      )
    }
  }
  return batch
}
