/** nftables' rules, looked at as the kernel does: registers are loaded from the packet and compared. */
import type { NftChain, NftExpression, NftHit, NftRule } from '../kernel/index.ts'
import { formatAddress } from '../network/index.ts'
import { networkHeader, type Packet, protocolNumber, transportHeader } from './packet.ts'
import { ruleText } from './rule-text.ts'
import type { Chain, Decision, Hook, Rule, Told } from './rules.ts'

const hooks: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting']
const familyNames: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 10: 'ip6' }

/** What rules ask beyond the packet. */
export interface Surroundings {
  element(family: number, table: string, set: string, key: Uint8Array): Promise<NftHit | undefined>
  /** The kernel's number of an address's type: 1 unicast, 2 local, 3 broadcast, 5 multicast. */
  addressType(address: string): Promise<number>
  linkIndex(name: string): Promise<number>
}

/** The chains that packets of a family pass; `ours` tells which tables this engine made. */
export function nftChains(
  chains: readonly NftChain[],
  family: 4 | 6,
  ours: (table: string) => boolean,
  around: Surroundings,
): readonly Chain[] {
  const own = family === 4 ? 2 : 10
  return chains
    .filter(chain => chain.family === 1 || chain.family === own)
    .map((chain): Chain => {
      const hook = chain.base === undefined ? undefined : hooks[chain.base.hook]
      const table = `${familyNames[chain.family] ?? ''} ${chain.table}`
      return {
        table,
        name: chain.name,
        ours: ours(table),
        ...(chain.base === undefined || hook === undefined
          ? {}
          : {
              base: {
                hook,
                priority: chain.base.priority,
                nat: chain.base.type === 'nat',
                policy: chain.base.policy,
              },
            }),
        rules: chain.rules.map(rule => nftRule(rule, chain, around)),
      }
    })
}

function nftRule(rule: NftRule, chain: NftChain, around: Surroundings): Rule {
  return {
    get text() {
      return ruleText(rule)
    },
    comment: rule.comment,
    look: packet => new Look(packet, chain, around).rule(rule),
  }
}

/** ct state `new` and the bits of a connection's status. */
const ctNew = 8
const statusSource = 0x10
const statusDestination = 0x20

/** The register file: 64 bytes, and which of them we know. */
class Look {
  readonly #packet: Packet
  readonly #chain: NftChain
  readonly #around: Surroundings
  readonly #bytes = Buffer.alloc(64)
  readonly #known = new Uint8Array(64)
  #doubt: string | undefined
  #why = ''

  constructor(packet: Packet, chain: NftChain, around: Surroundings) {
    this.#packet = packet
    this.#chain = chain
    this.#around = around
  }

  async rule({ expressions }: NftRule): Promise<Told | undefined> {
    let hits: number | undefined
    let map: string | undefined
    for (const expression of expressions) {
      let decision: Decision | undefined
      switch (expression.op) {
        case 'meta':
          await this.#meta(expression)
          break
        case 'payload':
          this.#payload(expression)
          break
        case 'ct':
          this.#ct(expression)
          break
        case 'fib':
          await this.#fib(expression)
          break
        case 'immediate':
          this.#load(expression.to, Buffer.from(expression.value))
          break
        case 'mask':
          this.#mask(expression)
          break
        case 'compare':
          if (!this.#compare(expression)) return undefined
          break
        case 'range':
          if (!this.#range(expression)) return undefined
          break
        case 'lookup': {
          const found = await this.#lookUp(expression)
          if (found === 'no') return undefined
          if (found === 'unknown') break
          map = expression.to === undefined ? map : expression.set
          hits = found.packets ?? hits
          if (found.data !== undefined && 'verdict' in found.data) decision = decisionOf(found.data)
          else if (found.data !== undefined && expression.to !== undefined)
            this.#load(expression.to, Buffer.from(found.data))
          break
        }
        case 'counter':
          hits = expression.packets
          break
        case 'verdict':
          decision = decisionOf(expression.verdict)
          break
        case 'reject':
          decision = { kind: 'drop' }
          break
        case 'masquerade':
          decision = { kind: 'translate', part: 'source', address: 'own' }
          break
        case 'redirect':
          decision = {
            kind: 'translate',
            part: 'destination',
            address: 'own',
            ...(expression.port === undefined ? {} : { port: this.#port(expression.port) }),
          }
          break
        case 'nat':
          decision = {
            kind: 'translate',
            part: expression.kind,
            ...(expression.address === undefined ? {} : { address: this.#address(expression.address) }),
            ...(expression.port === undefined ? {} : { port: this.#port(expression.port) }),
          }
          break
        case 'meta-set':
        case 'beside':
          break
        case 'other':
          this.#doubt ??= expression.name
          if (['queue', 'tproxy', 'fwd', 'synproxy'].includes(expression.name))
            decision = { kind: 'other', name: expression.name }
          break
      }
      if (decision === undefined) continue
      return {
        decision,
        ...(this.#doubt === undefined ? {} : { doubt: this.#doubt }),
        ...(hits === undefined ? {} : { hits }),
        ...(map === undefined ? {} : { map }),
      }
    }
    return undefined
  }

  #load(to: number, bytes: Buffer): void {
    if (to < 0) return
    // Short values fill a register of four bytes with zeros behind them.
    this.#bytes.fill(0, to, Math.min(64, to + ((bytes.length + 3) & ~3)))
    bytes.copy(this.#bytes, to)
    this.#known.fill(1, to, Math.min(64, to + ((bytes.length + 3) & ~3)))
  }

  #forget(to: number, length: number, why: string): void {
    this.#known.fill(0, Math.max(0, to), Math.min(64, to + ((length + 3) & ~3)))
    this.#why = why
  }

  /** Undefined if a byte of it is not known; the rule is then in doubt. */
  #read(from: number, length: number): Buffer | undefined {
    for (let at = from; at < from + length; at++) {
      if (this.#known[at] !== 1) {
        this.#doubt ??= this.#why
        return undefined
      }
    }
    return this.#bytes.subarray(from, from + length)
  }

  async #meta({ key, to }: Extract<NftExpression, { op: 'meta' }>): Promise<void> {
    const packet = this.#packet
    const name = (text: string) => {
      const bytes = Buffer.alloc(16)
      bytes.write(text)
      return bytes
    }
    switch (key) {
      case 1:
        return this.#load(to, Buffer.from(packet.family === 4 ? [0x08, 0x00] : [0x86, 0xdd]))
      case 3:
        return this.#load(to, Buffer.alloc(4))
      case 4:
        return this.#load(to, hostOrder(await this.#index(packet.from)))
      case 5:
        return this.#load(to, hostOrder(await this.#index(packet.to)))
      case 6:
        return this.#load(to, name(packet.from))
      case 7:
        return this.#load(to, name(packet.to))
      case 15:
        return this.#load(to, Buffer.from([packet.family === 4 ? 2 : 10]))
      case 16:
        return this.#load(to, Buffer.from([protocolNumber(packet)]))
      case 19:
        return this.#load(to, Buffer.from([0]))
      default:
        return this.#forget(to, 16, `meta ${key}`)
    }
  }

  async #index(name: string): Promise<number> {
    return name === '' ? 0 : await this.#around.linkIndex(name)
  }

  #payload({ base, offset, length, to }: Extract<NftExpression, { op: 'payload' }>): void {
    const header =
      base === 1 ? networkHeader(this.#packet) : base === 2 ? transportHeader(this.#packet) : undefined
    if (header === undefined || offset + length > header.length) return this.#forget(to, length, 'payload')
    this.#load(to, header.subarray(offset, offset + length))
  }

  #ct({ key, to }: Extract<NftExpression, { op: 'ct' }>): void {
    const { translated } = this.#packet
    if (key === 0) return this.#load(to, hostOrder(ctNew))
    if (key === 1) return this.#load(to, Buffer.from([0]))
    if (key === 2) {
      const bits = (translated.source ? statusSource : 0) | (translated.destination ? statusDestination : 0)
      return this.#load(to, hostOrder(bits))
    }
    if (key === 3) return this.#load(to, Buffer.alloc(4))
    this.#forget(to, 16, `ct ${key}`)
  }

  async #fib({ result, flags, to }: Extract<NftExpression, { op: 'fib' }>): Promise<void> {
    if (result !== 3 || (flags & ~3) !== 0) return this.#forget(to, 16, 'fib')
    const { source, destination } = this.#packet
    this.#load(to, hostOrder(await this.#around.addressType((flags & 1) === 0 ? destination : source)))
  }

  #mask({ from, to, mask, flip }: Extract<NftExpression, { op: 'mask' }>): void {
    const value = this.#read(from, mask.length)
    if (value === undefined) return this.#forget(to, mask.length, this.#why)
    this.#load(to, Buffer.from(value.map((byte, at) => (byte & (mask[at] ?? 0)) ^ (flip[at] ?? 0))))
  }

  #compare({ from, test, value }: Extract<NftExpression, { op: 'compare' }>): boolean {
    const found = this.#read(from, value.length)
    if (found === undefined) return true
    const order = Buffer.compare(found, value)
    return [order === 0, order !== 0, order < 0, order <= 0, order > 0, order >= 0][test] ?? false
  }

  #range({ from, inside, first, last }: Extract<NftExpression, { op: 'range' }>): boolean {
    const found = this.#read(from, first.length)
    if (found === undefined) return true
    return (Buffer.compare(found, first) >= 0 && Buffer.compare(found, last) <= 0) === inside
  }

  async #lookUp(expression: Extract<NftExpression, { op: 'lookup' }>): Promise<NftHit | 'no' | 'unknown'> {
    const length = this.#loadedFrom(expression.from)
    const key = this.#read(expression.from, length)
    if (key === undefined || length === 0) {
      this.#doubt ??= `@${expression.set}`
      return 'unknown'
    }
    const { family, table } = this.#chain
    const hit = await this.#around.element(family, table, expression.set, Buffer.from(key))
    if ((hit !== undefined) === expression.invert) return 'no'
    return hit ?? {}
  }

  /** How many bytes lie there in a row: the kernel cuts the key by the set's own length. */
  #loadedFrom(from: number): number {
    let at = from
    while (at < 64 && this.#known[at] === 1) at++
    return at - from
  }

  #address(from: number): string {
    const bytes = this.#bytes.subarray(from, from + (this.#packet.family === 4 ? 4 : 16))
    return formatAddress({ family: this.#packet.family, value: BigInt(`0x${bytes.toString('hex')}`) })
  }

  #port(from: number): number {
    return this.#bytes.readUInt16BE(from)
  }
}

function hostOrder(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function decisionOf(verdict: Extract<NftExpression, { op: 'verdict' }>['verdict']): Decision {
  return 'chain' in verdict ? { kind: verdict.verdict, chain: verdict.chain } : { kind: verdict.verdict }
}
