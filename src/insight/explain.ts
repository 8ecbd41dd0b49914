/** Does FROM reach TO, by which way, and if not, where and why does it end. Computed; no packet is sent. */
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { findParty, parseTarget, type Party, resolveTarget, specimen, type Target } from './ends.ts'
import type { End, Explanation } from './explanation.ts'
import { Walk } from './walk.ts'

export interface Question {
  readonly from: string
  /** `NAME`, `NAME:PORT`, `NAME:PORT/PROTO`. */
  readonly to: string
}

export async function explain(engine: ObservedEngine, question: Question): Promise<Explanation> {
  const target = parseTarget(question.to)
  const from = await findParty(engine, question.from)
  if (from.kind === 'container' && from.sandbox === undefined) {
    throw fault('containerNotRunning', from.container.id)
  }
  const resolved = await resolveTarget(engine, from, target)
  if ('why' in resolved) return unresolved(from, target, resolved)
  const { address, port, party, note, asides } = resolved
  const family = address.includes(':') ? 6 : 4
  const protocol = port === 0 ? 'icmp' : target.protocol === 'icmp' ? 'tcp' : target.protocol
  const source = from.kind === 'outside' ? (from.address ?? specimen[family]) : undefined
  const walk = new Walk(engine, from, party, {
    family,
    protocol,
    destination: address,
    destinationPort: port,
  })
  const walked = await walk.run(source)
  const { packet, hops } = walked
  return {
    From: endOf(from, hops.length === 0 ? '' : (source ?? walked.source), 0),
    To: endOf(party, address, target.port === 0 ? port : target.port),
    Protocol: protocol,
    Verdict: walked.verdict,
    Code: walked.code,
    Hop: walked.verdict === 'REACHABLE' ? 0 : hops.length,
    Why: walked.why,
    Fix: walked.fix,
    Also: [
      ...asides.map(({ code, text }) => ({ Code: code, Text: text })),
      ...walked.asides.map(({ code, text }) => ({ Code: code, Text: text })),
    ],
    Hops: hops,
    Return: walked.answers,
    Seen: { Source: packet.source, Destination: packet.destination, Port: packet.destinationPort },
    Unknown: walked.unknown,
    Resolved: note,
  }
}

function endOf(party: Party, address: string, port: number): End {
  return {
    Kind: party.kind,
    Name: party.name,
    Id: party.kind === 'container' ? party.container.id : '',
    Address: address,
    Port: port,
  }
}

function unresolved(
  from: Party,
  target: Target,
  { verdict, code, why, fix }: Extract<Awaited<ReturnType<typeof resolveTarget>>, { why: string }>,
): Explanation {
  return {
    From: endOf(from, '', 0),
    To: { Kind: 'outside', Name: target.name, Id: '', Address: '', Port: target.port },
    Protocol: target.protocol,
    Verdict: verdict,
    Code: code,
    Hop: 0,
    Why: why,
    Fix: fix,
    Also: [],
    Hops: [],
    Return: '',
    Seen: { Source: '', Destination: '', Port: 0 },
    Unknown: verdict === 'UNKNOWN' ? [`the name "${target.name}"`] : [],
    Resolved: '',
  }
}
