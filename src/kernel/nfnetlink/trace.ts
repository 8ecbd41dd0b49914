/**
 * Live packets, followed through every chain they pass: nftables' own trace.
 *
 * Rules of ours set a packet's trace mark early; from then on the kernel tells each rule that decided, with the packet's
 * headers once per base chain. The table that holds these rules is owned by our socket (NFT_TABLE_F_OWNER): the kernel
 * removes it when that socket is closed, and so it does when this process dies, however it dies.
 *
 * Frames between ports of a bridge pass the IP chains only where br_netfilter is on, so a table of the bridge family
 * marks them there. Where the kernel has no such tables, those frames are not seen.
 */

import { KernelError } from '../error.ts'
import { parseAddress } from '../address.ts'
import { attributesAfter, NLM_F_APPEND, NLM_F_CREATE, type Message } from '../netlink/message.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts'
import { Watcher } from '../poll.ts'
import { linkName } from '../rtnetlink/link.ts'
import { writeExpression, type Expression } from './expression.ts'
import { field } from './field.ts'
import { Batch } from './nftables.ts'
import {
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
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
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
  NF_ACCEPT,
} from './uapi.ts'

const NFT_MSG_TRACE = 17
/** NFNLGRP_NFTRACE is group 9. */
const TRACE_GROUP = 1 << 8
const NFT_TABLE_F_OWNER = 2
const NFPROTO_BRIDGE = 7
const GENERIC_HEADER = 4
/** Before raw (-300), and in the bridge family before everything. */
const EARLY = -400
/** Behind translation: there the packet is as it leaves. */
const LATE = 400
/** Of both families: prerouting, input, output, postrouting. Output is not used in the bridge family. */
const marking = { [NFPROTO_INET]: [0, 3], [NFPROTO_BRIDGE]: [0] } as const
const looking = { [NFPROTO_INET]: [1, 4], [NFPROTO_BRIDGE]: [4] } as const
const DATAGRAMS_PER_TURN = 64

/** What to follow: packets from and to an address, or to a host port. */
export type TraceSelector =
  | { readonly address: string }
  | { readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly port: number }

/** One thing that happened to a packet. */
export interface TraceEvent {
  /**
   * Number of a run through one base chain's events. The kernel makes it from the packet's memory and link: the same
   * packet may get another one on its way, and another packet the same.
   */
  readonly packet: number
  /** 1 inet, 2 ip, 7 bridge, 10 ip6. */
  readonly family: number
  readonly table: string
  readonly chain: string
  readonly kind: 'rule' | 'return' | 'policy'
  readonly rule: number
  /** accept, drop, continue, jump …; '' where the kernel does not say. */
  readonly verdict: string
  readonly target: string
  readonly from: string
  readonly to: string
  /** Headers, where the event has them. */
  readonly network: Buffer | undefined
  readonly transport: Buffer | undefined
}

let made = 0

export class Tracer {
  readonly #owner = new NetlinkSocket(NETLINK_NETFILTER)
  readonly #events = new NetlinkSocket(NETLINK_NETFILTER, TRACE_GROUP)
  readonly #links = new NetlinkSocket(NETLINK_ROUTE)
  readonly #names = new Map<number, string>()
  readonly #watcher: Watcher
  readonly #tell: (event: TraceEvent | 'overrun') => void
  #closed = false
  /** Frames that stay on a bridge are seen. */
  readonly bridged: boolean

  /** Follows from now on, in the namespace the thread is in. Throws if the kernel has no owned tables (before 5.12). */
  constructor(selectors: readonly TraceSelector[], tell: (event: TraceEvent | 'overrun') => void) {
    this.#tell = tell
    const name = `linkspan-trace-${process.pid}-${++made}`
    try {
      this.#mark(NFPROTO_INET, name, selectors)
      this.bridged = this.#tryBridge(name, selectors)
      this.#watcher = new Watcher(this.#events.descriptor, { readable: true, writable: false }, () =>
        this.#drain(),
      )
    } catch (error) {
      this.#owner.close()
      this.#events.close()
      this.#links.close()
      throw error
    }
  }

  #tryBridge(name: string, selectors: readonly TraceSelector[]): boolean {
    try {
      this.#mark(NFPROTO_BRIDGE, name, selectors)
      return true
    } catch (error) {
      if (error instanceof KernelError) return false
      throw error
    }
  }

  #mark(
    family: typeof NFPROTO_INET | typeof NFPROTO_BRIDGE,
    table: string,
    selectors: readonly TraceSelector[],
  ): void {
    const batch = new Batch(family).add(NFT_MSG_NEWTABLE, NLM_F_CREATE, message =>
      message.text(NFTA_TABLE_NAME, table).u32be(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER),
    )
    const addChain = (hook: number, priority: number): string => {
      const chain = `hook${hook}`
      batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, message =>
        message
          .text(NFTA_CHAIN_TABLE, table)
          .text(NFTA_CHAIN_NAME, chain)
          .nested(NFTA_CHAIN_HOOK, place =>
            place.u32be(NFTA_HOOK_HOOKNUM, hook).u32be(NFTA_HOOK_PRIORITY, priority),
          )
          .u32be(NFTA_CHAIN_POLICY, NF_ACCEPT)
          .text(NFTA_CHAIN_TYPE, 'filter'),
      )
      return chain
    }
    for (const hook of looking[family]) addChain(hook, LATE)
    for (const hook of marking[family]) {
      const chain = addChain(hook, EARLY)
      for (const rule of selectors.flatMap(markRules)) {
        batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, message =>
          message
            .text(NFTA_RULE_TABLE, table)
            .text(NFTA_RULE_CHAIN, chain)
            .nested(NFTA_RULE_EXPRESSIONS, list => {
              for (const expression of rule) writeExpression(list, expression)
            }),
        )
      }
    }
    const [refused] = this.#owner.exchange('make the trace rules', batch.end()).errors
    if (refused !== undefined) throw refused.error
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher.close()
    this.#events.closeBehind()
    this.#links.close()
    // With it go the tables.
    this.#owner.closeBehind()
  }

  #drain(): void {
    for (let datagrams = 0; datagrams < DATAGRAMS_PER_TURN && !this.#closed; datagrams++) {
      try {
        const messages = this.#events.receive('follow packets')
        if (messages === undefined) return
        for (const message of messages) {
          const event = this.#event(message)
          if (event !== undefined && !this.#closed) this.#tell(event)
        }
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'ENOBUFS') throw error
        this.#watcher.change({ readable: true, writable: false })
        this.#tell('overrun')
      }
    }
  }

  #event(message: Message): TraceEvent | undefined {
    if (message.type !== ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_TRACE)) return undefined
    return parseTrace(message, index => this.#nameOf(index))
  }

  /** Links keep their names for as long as one looks. */
  #nameOf(index: number): string {
    const known = this.#names.get(index)
    if (known !== undefined) return known
    const name = linkName(this.#links, index) ?? `if${index}`
    this.#names.set(index, name)
    return name
  }
}

function markRules(selector: TraceSelector): readonly (readonly Expression[])[] {
  const mark: readonly Expression[] = [
    { expression: 'immediate', value: Buffer.from([1]) },
    { expression: 'trace' },
  ]
  if ('port' in selector) {
    return [
      [
        { expression: 'l4proto' },
        { expression: 'equals', value: field.protocol(selector.protocol) },
        { expression: 'load', field: { base: 'transport', offset: 2, length: 2 } },
        { expression: 'equals', value: field.port(selector.port) },
        ...mark,
      ],
    ]
  }
  const address = parseAddress(selector.address)
  const four = address.length === 4
  return [four ? 12 : 8, four ? 16 : 24].map((offset): readonly Expression[] => [
    { expression: 'ethertype' },
    { expression: 'equals', value: Buffer.from(four ? [0x08, 0x00] : [0x86, 0xdd]) },
    { expression: 'load', field: { base: 'network', offset, length: address.length } },
    { expression: 'equals', value: address },
    ...mark,
  ])
}

const kinds = { 1: 'policy', 2: 'return', 3: 'rule' } as const
const verdicts: Readonly<Record<number, string>> = {
  0: 'drop',
  1: 'accept',
  [-1]: 'continue',
  [-2]: 'break',
  [-3]: 'jump',
  [-4]: 'goto',
  [-5]: 'return',
}

export function parseTrace({ payload }: Message, nameOf: (index: number) => string): TraceEvent | undefined {
  const attributes = attributesAfter(payload, GENERIC_HEADER)
  const kind = kinds[attributes.u32be(4) as 1 | 2 | 3]
  if (kind === undefined) return undefined
  const verdict = attributes.nested(5)
  const code = verdict?.u32be(NFTA_VERDICT_CODE) ?? attributes.u32be(16)
  const rule = attributes.bytes(3)
  const link = (index: number | undefined) => (index === undefined ? '' : nameOf(index))
  return {
    packet: attributes.u32be(6) ?? 0,
    family: payload.readUInt8(0),
    table: attributes.text(1) ?? '',
    chain: attributes.text(2) ?? '',
    kind,
    rule: rule === undefined || rule.length < 8 ? 0 : Number(rule.readBigUInt64BE(0)),
    verdict: code === undefined ? '' : (verdicts[code | 0] ?? String(code | 0)),
    target: verdict?.text(NFTA_VERDICT_CHAIN) ?? '',
    from: link(attributes.u32be(10)),
    to: link(attributes.u32be(12)),
    network: attributes.bytes(8),
    transport: attributes.bytes(9),
  }
}
