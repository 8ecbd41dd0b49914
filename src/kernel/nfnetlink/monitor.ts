/**
 * Who changes firewall rules, told by the kernel: every transaction is announced object by object, and then as a whole with the
 * program that made it (NFT_MSG_NEWGEN). iptables-nft and firewalld are such programs; legacy iptables tells nobody.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { KernelError } from '../error.ts'
import { attributesAfter, type Message } from '../netlink/message.ts'
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts'
import { Watcher } from '../poll.ts'

const NFNL_SUBSYS_NFTABLES = 10
const NFT_MSG_NEWGEN = 15
const NFTA_GEN_PROC_NAME = 3
/** The table's name has this number in messages on tables, chains, rules, sets and elements alike. */
const NFTA_TABLE = 1
const GENERIC_HEADER = 4
/** NFNLGRP_NFTABLES is group 7. */
const RULESET_GROUP = 1 << 6
const DATAGRAMS_PER_TURN = 64

export interface RulesetChange {
  /** Names of the tables in which something changed. */
  readonly tables: ReadonlySet<string>
  /** Command name of the program: `nft`, `iptables`; '' where the kernel does not say. */
  readonly program: string
}

/** Tells transactions of other programs until it is closed. Its socket stays in the namespace it was made in. */
export class RulesetMonitor {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER, RULESET_GROUP)
  readonly #watcher: Watcher
  readonly #tell: (change: RulesetChange) => void
  readonly #own = ownNames()
  #tables = new Set<string>()
  #closed = false

  constructor(tell: (change: RulesetChange) => void) {
    this.#tell = tell
    this.#watcher = new Watcher(this.#socket.descriptor, { readable: true, writable: false }, () =>
      this.#drain(),
    )
  }

  close(): void {
    this.#closed = true
    this.#watcher.close()
    this.#socket.close()
  }

  #drain(): void {
    for (let datagrams = 0; datagrams < DATAGRAMS_PER_TURN && !this.#closed; datagrams++) {
      try {
        const messages = this.#socket.receive('watch the firewall')
        if (messages === undefined) return
        for (const message of messages) this.#take(message)
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'ENOBUFS') throw error
        // Some were lost, perhaps those that matter: told as a change of everything.
        this.#watcher.change({ readable: true, writable: false })
        this.#tell({ tables: new Set(), program: '' })
      }
    }
  }

  #take({ type, payload }: Message): void {
    if (type >> 8 !== NFNL_SUBSYS_NFTABLES || payload.length < GENERIC_HEADER) return
    const attributes = attributesAfter(payload, GENERIC_HEADER)
    if ((type & 0xff) !== NFT_MSG_NEWGEN) {
      const table = attributes.text(NFTA_TABLE)
      if (table !== undefined) this.#tables.add(table)
      return
    }
    const tables = this.#tables
    this.#tables = new Set()
    const program = attributes.text(NFTA_GEN_PROC_NAME) ?? ''
    if (!this.#own.has(program)) this.#tell({ tables, program })
  }
}

/** Threads may have names of their own, and it is a thread that the kernel names. */
function ownNames(): ReadonlySet<string> {
  const names = readdirSync('/proc/self/task').map(task => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()
    } catch {
      return ''
    }
  })
  return new Set(names.filter(name => name !== ''))
}
