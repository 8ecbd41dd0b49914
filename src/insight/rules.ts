/**
 * Rules as the walk sees them, whoever wrote them and in whichever of the kernel's two languages: a chain is a list of
 * rules, each of which looks at the packet and says what it does.
 *
 * What cannot be told is said: a rule with a part that we do not know (a rate limit, a match of xtables) gives a doubt
 * with what it would do. A doubt that could change the outcome makes it unknown; one that could not is forgotten.
 */
import type { Packet } from './packet.ts'

export type Decision =
  | { readonly kind: 'accept' | 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | {
      readonly kind: 'translate'
      readonly part: 'source' | 'destination'
      /** Absent: as it is. The word `own`: the address of the link it goes out or came in by. */
      readonly address?: string
      readonly port?: number
      /** The port moves by so much; `port` then does not count. */
      readonly shift?: number
    }
  /** Something else happens to the packet (queue, tproxy): we cannot say what. */
  | { readonly kind: 'other'; readonly name: string }

export interface Told {
  readonly decision: Decision
  /** What it could not see. */
  readonly doubt?: string
  /** Packets it decided upon, where the kernel counts them. */
  readonly hits?: number
  /** The map that decided. */
  readonly map?: string
}

export interface Rule {
  readonly text: string
  readonly comment: string
  /** Undefined: the rule does not concern this packet. */
  look(packet: Packet): Promise<Told | undefined>
}

export interface BaseChain {
  readonly hook: Hook
  readonly priority: number
  readonly nat: boolean
  readonly policy: 'accept' | 'drop'
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

export interface Chain {
  /** Family and table: `inet linkspan`, `ip filter`. */
  readonly table: string
  readonly name: string
  readonly base?: BaseChain
  readonly rules: readonly Rule[]
  /** Made by this engine. */
  readonly ours: boolean
}

/** What was decided where. */
export interface Step {
  readonly hook: Hook
  readonly table: string
  readonly chain: string
  readonly ours: boolean
  /** '' = the chain's policy. */
  readonly rule: string
  readonly comment: string
  readonly hits?: number
  readonly map?: string
  readonly decision: Decision
}

export interface Doubt {
  readonly table: string
  readonly chain: string
  readonly rule: string
  readonly what: string
}

export interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'unknown'
  readonly packet: Packet
  /** Decisions in order: the drop is the last. */
  readonly steps: readonly Step[]
  readonly doubts: readonly Doubt[]
}

/** Chains with their rules, for one family of packets. */
export class Ruleset {
  readonly #bases: readonly (Chain & { readonly base: BaseChain })[]
  readonly #byName = new Map<string, Chain>()

  constructor(chains: readonly Chain[]) {
    this.#bases = chains.filter(
      (chain): chain is Chain & { readonly base: BaseChain } => chain.base !== undefined,
    )
    for (const chain of chains) this.#byName.set(`${chain.table} ${chain.name}`, chain)
  }

  get isEmpty(): boolean {
    return this.#bases.length === 0
  }

  /**
   * Leads a packet through a hook. `own`: what `own` addresses of translations stand for. Without `translations` its
   * flow has its mapping already.
   */
  async pass(
    hook: Hook,
    packet: Packet,
    own: () => Promise<string | undefined>,
    translations = true,
  ): Promise<Outcome> {
    const bases = this.#bases
      .filter(({ base }) => base.hook === hook)
      .sort((one, other) => place(one.base) - place(other.base))
    let current = packet
    let translated = !translations
    const steps: Step[] = []
    const doubts: Doubt[] = []
    for (const chain of bases) {
      // Once a chain has set a flow's mapping, other NAT chains of the hook do not see it.
      if (chain.base.nat && translated) continue
      const run = new Run(this, hook, chain, current)
      const decision = await run.decide()
      steps.push(...run.steps)
      const doubt = run.doubtOf(decision)
      if (doubt.length > 0) return { verdict: 'unknown', packet: current, steps, doubts: doubt }
      if (decision.kind === 'other') {
        const [last] = run.steps.slice(-1)
        const { table, name } = chain
        return {
          verdict: 'unknown',
          packet: current,
          steps,
          doubts: [{ table, chain: name, rule: last?.rule ?? '', what: decision.name }],
        }
      }
      if (decision.kind === 'drop') return { verdict: 'drop', packet: current, steps, doubts }
      if (decision.kind === 'translate') {
        translated = true
        current = await translate(current, decision, own)
      }
    }
    return { verdict: 'accept', packet: current, steps, doubts }
  }

  chain(table: string, name: string): Chain | undefined {
    return this.#byName.get(`${table} ${name}`)
  }
}

/** Translation happens at a fixed place among the chains, whatever priority its own chain has. */
function place({ nat, priority, hook }: BaseChain): number {
  return nat ? (hook === 'prerouting' || hook === 'output' ? -100 : 100) : priority
}

async function translate(
  packet: Packet,
  { part, address, port: fixed, shift }: Extract<Decision, { kind: 'translate' }>,
  own: () => Promise<string | undefined>,
): Promise<Packet> {
  const to = address === 'own' ? await own() : address
  const port = shift === undefined ? fixed : packet.destinationPort + shift
  return part === 'source'
    ? {
        ...packet,
        source: to ?? packet.source,
        sourcePort: port ?? packet.sourcePort,
        translated: { ...packet.translated, source: true },
      }
    : {
        ...packet,
        destination: to ?? packet.destination,
        destinationPort: port ?? packet.destinationPort,
        translated: { ...packet.translated, destination: true },
      }
}

/** A packet on its way through one base chain and those it jumps to. */
class Run {
  readonly steps: Step[] = []
  readonly #ruleset: Ruleset
  readonly #hook: Hook
  readonly #base: Chain & { readonly base: BaseChain }
  readonly #packet: Packet
  readonly #doubts: (Doubt & { readonly could: Decision['kind'] })[] = []

  constructor(ruleset: Ruleset, hook: Hook, base: Chain & { readonly base: BaseChain }, packet: Packet) {
    this.#ruleset = ruleset
    this.#hook = hook
    this.#base = base
    this.#packet = packet
  }

  async decide(): Promise<Decision> {
    const found = await this.#through(this.#base, 0)
    if (found !== undefined && found.kind !== 'return') return found
    const decision: Decision = { kind: this.#base.base.policy }
    if (decision.kind === 'drop') this.#step(this.#base, undefined, { decision })
    return decision
  }

  /** Doubts that could have led to something else. */
  doubtOf(decision: Decision): readonly Doubt[] {
    return this.#doubts.filter(
      ({ could }) => could !== decision.kind && !(could === 'return' && decision.kind === 'accept'),
    )
  }

  /** Undefined: the chain came to its end. */
  async #through(chain: Chain, depth: number): Promise<Decision | undefined> {
    for (const rule of chain.rules) {
      const told = await rule.look(this.#packet)
      if (told === undefined) continue
      const { decision, doubt } = told
      if (decision.kind === 'jump' || decision.kind === 'goto') {
        const target = this.#ruleset.chain(chain.table, decision.chain)
        if (target === undefined || depth > 16) continue
        const taken = this.steps.length
        const inner = await this.#through(target, depth + 1)
        const ended = inner !== undefined && inner.kind !== 'return'
        if (doubt !== undefined) {
          this.steps.length = taken
          if (ended) this.#doubt(chain, rule, doubt, inner.kind)
          continue
        }
        if (ended) {
          if (told.map !== undefined) this.#nameMap(taken, told)
          return inner
        }
        if (decision.kind === 'goto') return undefined
        continue
      }
      if (doubt !== undefined) {
        this.#doubt(chain, rule, doubt, decision.kind)
        continue
      }
      if (decision.kind !== 'return') this.#step(chain, rule, told)
      return decision
    }
    return undefined
  }

  /** The first step inside a chain that a map led to says so. */
  #nameMap(position: number, { map }: Told): void {
    const step = this.steps[position]
    if (step !== undefined && map !== undefined && step.map === undefined)
      this.steps[position] = { ...step, map }
  }

  #doubt(chain: Chain, rule: Rule, what: string, could: Decision['kind']): void {
    this.#doubts.push({ table: chain.table, chain: chain.name, rule: rule.text, what, could })
  }

  #step(chain: Chain, rule: Rule | undefined, told: Told): void {
    const { decision, hits, map } = told
    this.steps.push({
      hook: this.#hook,
      table: chain.table,
      chain: chain.name,
      ours: chain.ours,
      rule: rule?.text ?? '',
      comment: rule?.comment ?? '',
      ...(hits === undefined ? {} : { hits }),
      ...(map === undefined ? {} : { map }),
      decision,
    })
  }
}
