/** The server about itself: ping, version, info, events, disk usage, credentials. */
import { fault } from '../../base/index.ts'
import type { EngineEvent } from '../../engine/index.ts'
import { readJson } from '../body.ts'
import { json, type Answer, type Call, type Handler } from '../call.ts'
import { eventFilterKeys, eventSelector } from '../event-filter.ts'
import { parseFilters } from '../filters.ts'
import { lineStream } from '../lines.ts'
import type { Route } from '../router.ts'
import { nowNanoseconds, parseTime } from '../time.ts'
import { eventLine } from '../view/event.ts'
import { infoView, versionView } from '../view/system.ts'
import { hostFacts } from '../host-facts.ts'
import { registryAuth } from '../wire/image.ts'
import { containerSummaries } from './containers.ts'
import { imageSummaries, totalSize } from './images.ts'
import { get, head, post } from './table.ts'

/** BuildKit is not offered: no Builder-Version header. */
const pingHeaders = {
  'Cache-Control': 'no-cache, no-store, must-revalidate',
  Pragma: 'no-cache',
  Swarm: 'inactive',
}

const ping = (text: string): Answer => ({ status: 200, text, headers: pingHeaders })

/** Past events are those before this moment; the stream ends at `until`. 0 and '' mean "not asked for". */
function bound(call: Call, name: string): bigint | undefined {
  const value = call.query.get(name) ?? ''
  return value === '' || value === '0' ? undefined : parseTime(value, nowNanoseconds())
}

/** Longest time that a timer can wait; a stream until later than that simply stays open. */
const longestTimer = 2 ** 31 - 1

async function events(call: Call): Promise<undefined> {
  const { engine, query, signal } = call
  const selects = eventSelector(parseFilters(query.get('filters'), eventFilterKeys))
  const since = bound(call, 'since')
  const until = bound(call, 'until')
  if (since !== undefined && until !== undefined && since > until) {
    throw fault(
      'invalidParameter',
      `since time (${query.get('since')}) cannot be after until time (${query.get('until')})`,
    )
  }
  const lines = lineStream(call)
  const response = call.response
  response.setHeader('Content-Type', 'application/json')
  response.writeHead(200)
  response.flushHeaders()
  const write = (event: EngineEvent): void => {
    if (selects(event)) lines.write(eventLine(event))
  }
  // Subscribed in the same turn as the past is read: nothing falls between.
  const unsubscribe = engine.onEvent(write)
  try {
    if (since !== undefined || until !== undefined) {
      for (const event of engine.pastEvents()) {
        if (event.time >= (since ?? 0n) && (until === undefined || event.time <= until)) write(event)
      }
    }
    await ended(signal, until)
  } finally {
    unsubscribe()
  }
  lines.end()
  return undefined
}

/** Resolves when the client is gone, the server closes, or `until` has come. */
async function ended(signal: AbortSignal, until: bigint | undefined): Promise<void> {
  if (signal.aborted) return
  const left = until === undefined ? Infinity : Math.max(0, Number((until - nowNanoseconds()) / 1_000_000n))
  await new Promise<void>(resolve => {
    let timer: NodeJS.Timeout | undefined
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    if (left <= longestTimer) timer = setTimeout(done, left)
    signal.addEventListener('abort', done)
  })
}

function diskUsage({ engine, query, version }: Call) {
  const types = query.getAll('type')
  const wrong = types.find(type => !['container', 'image', 'volume', 'build-cache'].includes(type))
  if (wrong !== undefined) throw fault('invalidParameter', `unknown object type: ${wrong}`)
  const wants = (type: string): boolean => types.length === 0 || types.includes(type)
  return json(200, {
    LayersSize: wants('image') ? totalSize(engine.state) : 0,
    Images: wants('image') ? imageSummaries(engine.state, version) : null,
    Containers: wants('container') ? containerSummaries(engine, version) : null,
    Volumes: wants('volume') ? [] : null,
    BuildCache: wants('build-cache') ? [] : null,
  })
}

async function auth(call: Call): Promise<Answer> {
  await readJson(call, registryAuth, 'AuthConfig')
  throw fault(
    'notImplemented',
    'Linkspan does not check credentials: put them into ~/.docker/config.json, for instance with "skopeo login --authfile"',
  )
}

export const systemRoutes: readonly Route<Handler>[] = [
  head('/_ping', () => ({ status: 200, headers: pingHeaders })),
  get('/_ping', () => ping('OK')),
  get('/version', ({ engine }) => json(200, versionView(engine.info(), hostFacts()))),
  get('/info', ({ engine, version }) =>
    json(200, infoView(engine.state, engine.info(), hostFacts(), version)),
  ),
  get('/events', events),
  get('/system/df', diskUsage),
  post('/auth', auth),
]
