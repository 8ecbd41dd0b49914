/** One capture of every link that a flow passes, as a stream that Wireshark reads while it grows. */
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { Capture } from '../kernel/index.ts'
import { containerParty } from './ends.ts'
import { explain } from './explain.ts'
import { interfaceBlock, packetBlock, sectionBlock } from './pcapng.ts'

export interface CaptureQuestion {
  readonly container: string
  /** The other end: every link of the way there. Absent: the container's own cables and their bridges. */
  readonly to?: string
}

interface Place {
  readonly link: string
  readonly description: string
}

/**
 * Writes whole blocks until the function that it gives is called. Throws containerNotFound, containerNotRunning,
 * invalidParameter.
 */
export async function capture(
  engine: ObservedEngine,
  question: CaptureQuestion,
  write: (bytes: Uint8Array) => void,
): Promise<() => void> {
  const places =
    question.to === undefined
      ? cables(engine, question.container)
      : await way(engine, question.container, question.to)
  const found = await Promise.all(
    places.map(async place => ({ place, index: (await engine.kernel.link(place.link))?.index ?? 0 })),
  )
  const present = found.filter(({ index }) => index > 0)
  if (present.length === 0) throw fault('invalidParameter', `${question.container} has no link to capture on`)
  const title = question.to === undefined ? question.container : `${question.container} → ${question.to}`
  write(sectionBlock(`linkspan ${engine.info().version}`, title))
  for (const { place, index } of present)
    write(interfaceBlock(place.link, `${place.description} (if ${index})`))
  const captures: Capture[] = []
  const close = () => {
    for (const each of captures) each.close()
  }
  try {
    for (const [position, { index }] of present.entries()) {
      captures.push(new Capture(index, frame => write(packetBlock(position, frame))))
    }
  } catch (error) {
    close()
    throw error
  }
  return close
}

function cables(engine: ObservedEngine, term: string): readonly Place[] {
  const container = engine.state.findContainer(term)
  const party = containerParty(engine, container)
  if (party.kind !== 'container' || party.sandbox === undefined)
    throw fault('containerNotRunning', container.id)
  const places = party.endpoints.flatMap((endpoint): readonly Place[] => {
    const network = engine.state.networks.get(endpoint.networkId)
    const bridge = network?.bridge?.name
    return [
      {
        link: endpoint.hostIfname,
        description: `cable of ${container.name}: its ${endpoint.ifname} on ${network?.name ?? ''}`,
      },
      ...(bridge === undefined ? [] : [{ link: bridge, description: `bridge of ${network?.name ?? ''}` }]),
    ]
  })
  return distinct(places)
}

async function way(engine: ObservedEngine, from: string, to: string): Promise<readonly Place[]> {
  const { Hops } = await explain(engine, { from, to })
  return distinct(
    Hops.filter(({ Link, Table }) => Link !== '' && Table === '').map(
      ({ Link, Kind, Number: number, Text, Note }) => ({
        link: Link,
        description: `hop ${number}, ${Kind}: ${Text}${Note === '' ? '' : `, ${Note}`}`,
      }),
    ),
  )
}

function distinct(places: readonly Place[]): readonly Place[] {
  return [...new Map(places.toReversed().map(place => [place.link, place])).values()].toReversed()
}
