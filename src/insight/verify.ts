/** The explanation held to reality: a probe is sent, followed on its way, and compared with what was said. */
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { probe } from '../kernel/index.ts'
import { findParty } from './ends.ts'
import { explain, type Question } from './explain.ts'
import type { Explanation } from './explanation.ts'
import { type TracedPacket, Trace } from './trace.ts'

const probeMs = 3_000
/** What the trace still tells after the probe has ended. */
const lingerMs = 150

export interface Verification extends Explanation {
  readonly Probe: {
    /** `connected`, `timeout`, or an errno: ECONNREFUSED, EHOSTUNREACH. */
    readonly Result: string
    /** null = the model did not commit itself. */
    readonly Agrees: boolean | null
    /** Packets from and to the containers while it was under way. */
    readonly Packets: readonly TracedPacket[]
  }
}

/** Throws as `explain` does, and invalidParameter where no probe can be sent from here. */
export async function verify(engine: ObservedEngine, question: Question): Promise<Verification> {
  const from = await findParty(engine, question.from)
  if (from.kind === 'outside') throw fault('invalidParameter', 'no probe can be sent from outside this host')
  const said = await explain(engine, question)
  if (said.Protocol !== 'tcp') throw fault('invalidParameter', 'a probe is a TCP connection: name a port')
  const netns = from.kind === 'container' ? from.sandbox?.netns : undefined
  const address = said.To.Address
  const nothing = {
    Result: 'no address',
    Agrees: said.Verdict === 'UNKNOWN' ? null : said.Verdict === 'BLOCKED',
    Packets: [],
  }
  if (address === '') return { ...said, Probe: nothing }
  const ends = [said.From, said.To].filter(({ Kind }) => Kind === 'container').map(({ Id }) => Id)
  const packets: TracedPacket[] = []
  const trace = follow(engine, ends, packets)
  try {
    const family = address.includes(':') ? 6 : 4
    const descriptor = netns === undefined ? undefined : await engine.kernel.openSocket(netns, family, 'tcp')
    const result = await probe(address, said.To.Port, probeMs, descriptor)
    await new Promise(resolve => {
      setTimeout(resolve, lingerMs)
    })
    return { ...said, Probe: { Result: result, Agrees: agrees(said, result), Packets: packets } }
  } finally {
    trace?.close()
  }
}

/** Without a trace (an older kernel, no container among the ends) the probe alone has to do. */
function follow(
  engine: ObservedEngine,
  containers: readonly string[],
  packets: TracedPacket[],
): Trace | undefined {
  if (containers.length === 0) return undefined
  try {
    return new Trace(engine, { containers }, message => {
      if (message.Type !== 'packet') return
      const { Type: _, ...packet } = message
      packets.push(packet)
    })
  } catch {
    return undefined
  }
}

function agrees({ Verdict, Code }: Explanation, result: string): boolean | null {
  if (Verdict === 'UNKNOWN') return null
  if (Verdict === 'REACHABLE') return result === 'connected'
  if (Code === 'NOT_LISTENING' || Code === 'LISTENS_ON_LOOPBACK') return result === 'ECONNREFUSED'
  // The kernel of a paused container still opens connections: it is its program that does not answer.
  if (Code === 'PAUSED') return true
  return result !== 'connected'
}
