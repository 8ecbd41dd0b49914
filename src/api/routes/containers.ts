/** The container endpoints that answer at once. Streams (attach, logs, wait) are in streams.ts. */
import { fault } from '../../base/index.ts'
import type { Container, Engine } from '../../engine/index.ts'
import { readJson } from '../body.ts'
import { empty, json, param, type Call, type Handler } from '../call.ts'
import { containerRequest, restartPolicy } from '../container-request.ts'
import { containerSelector, containerFilterKeys } from '../container-filter.ts'
import { parseFilters, pruneFilter } from '../filters.ts'
import { processTable } from '../process-table.ts'
import { flag, integer } from '../query.ts'
import type { Route } from '../router.ts'
import { nanoseconds } from '../time.ts'
import type { ApiVersion } from '../version.ts'
import { containerSummary, containerView, type ContainerSizes } from '../view/container.ts'
import { containerCreate, containerUpdate } from '../wire/container.ts'
import { resizeTo } from './resize.ts'
import { del, get, post } from './table.ts'

async function create(call: Call) {
  const { engine, query, version } = call
  const body = await readJson(call, containerCreate, 'CreateRequest')
  const { ipForwarding } = engine.info()
  const { request, warnings } = containerRequest(query.get('name') ?? '', body, {
    state: engine.state,
    version,
    ipForwarding,
  })
  const { id, warnings: more } = await engine.createContainer(request)
  return json(201, { Id: id, Warnings: [...new Set([...warnings, ...more])] })
}

/** The writable layer is not measured; everything below it is the image's. */
function sizesOf(engine: Engine, container: Container): ContainerSizes {
  return { writable: 0, root: engine.state.images.get(container.imageId)?.size ?? 0 }
}

export function containerSummaries(engine: Engine, version: ApiVersion): readonly Record<string, unknown>[] {
  return [...engine.state.containers.values()].map(container =>
    containerSummary(
      engine.state,
      container,
      engine.portsOf(container.id),
      version,
      Date.now(),
      sizesOf(engine, container),
    ),
  )
}

function list({ engine, query, version }: Call) {
  const filters = parseFilters(query.get('filters'), containerFilterKeys)
  const limit = integer(query, 'limit') ?? 0
  const selects = containerSelector(filters, engine.state, id => engine.portsOf(id), {
    // Asking for states or for the last n means asking for those that do not run as well.
    all: flag(query, 'all') || limit > 0,
    before: query.get('before') ?? '',
    since: query.get('since') ?? '',
  })
  const selected = [...engine.state.containers.values()]
    .filter(container => selects(container))
    .sort((a, b) => Number(nanoseconds(b.created) - nanoseconds(a.created)))
  const now = Date.now()
  return json(
    200,
    (limit > 0 ? selected.slice(0, limit) : selected).map(container =>
      containerSummary(
        engine.state,
        container,
        engine.portsOf(container.id),
        version,
        now,
        flag(query, 'size') ? sizesOf(engine, container) : undefined,
      ),
    ),
  )
}

async function inspect(call: Call) {
  const { engine, query, version } = call
  const container = engine.state.findContainer(param(call, 'id'))
  const ran = nanoseconds(container.state.startedAt) > 0n
  const facts = {
    ports: engine.portsOf(container.id),
    netnsDirectory: engine.info().netnsDirectory,
    files: ran ? await engine.containerFiles(container.id) : undefined,
  }
  const sizes = flag(query, 'size') ? sizesOf(engine, container) : undefined
  return json(200, containerView(engine.state, container, facts, version, sizes))
}

/** Seconds to wait; the signal is a parameter since 1.42. */
function stopOptions({ query, version }: Call) {
  const signal = query.get('signal') ?? ''
  return { timeout: integer(query, 't'), signal: version < 42 || signal === '' ? undefined : signal }
}

async function start(call: Call) {
  await call.engine.startContainer(param(call, 'id'))
  return empty(204)
}

async function stop(call: Call) {
  const { timeout, signal } = stopOptions(call)
  await call.engine.stopContainer(param(call, 'id'), timeout, signal)
  return empty(204)
}

async function restart(call: Call) {
  const { timeout, signal } = stopOptions(call)
  await call.engine.restartContainer(param(call, 'id'), timeout, signal)
  return empty(204)
}

async function kill(call: Call) {
  await call.engine.killContainer(param(call, 'id'), call.query.get('signal') ?? '')
  return empty(204)
}

async function pause(call: Call) {
  await call.engine.pauseContainer(param(call, 'id'))
  return empty(204)
}

async function unpause(call: Call) {
  await call.engine.unpauseContainer(param(call, 'id'))
  return empty(204)
}

async function rename(call: Call) {
  const asked = call.query.get('name') ?? ''
  const name = asked.startsWith('/') ? asked.slice(1) : asked
  if (name === '') {
    throw fault('invalidParameter', 'Neither old nor new names may be empty')
  }
  await call.engine.renameContainer(param(call, 'id'), name)
  return empty(204)
}

async function remove(call: Call) {
  const { query } = call
  if (flag(query, 'link')) {
    throw fault(
      'notImplemented',
      'Linkspan does not remove single links: remove the container that has the link',
    )
  }
  await call.engine.removeContainer(param(call, 'id'), {
    force: flag(query, 'force'),
    volumes: flag(query, 'v'),
  })
  return empty(204)
}

async function resize(call: Call) {
  const id = param(call, 'id')
  await resizeTo(call, async (rows, columns) => call.engine.resizeContainer(id, rows, columns))
  return empty(200)
}

async function update(call: Call) {
  const body = await readJson(call, containerUpdate, 'UpdateConfig')
  await call.engine.updateContainer(param(call, 'id'), restartPolicy(body.RestartPolicy))
  return json(200, { Warnings: null })
}

async function top(call: Call) {
  const args = (call.query.get('ps_args') ?? '').trim()
  if (args !== '' && args !== '-ef') {
    throw fault(
      'invalidParameter',
      `Linkspan lists processes as "ps -ef" does: other arguments (${args.slice(0, 100)}) are not supported`,
    )
  }
  const { engine } = call
  const container = engine.state.findContainer(param(call, 'id'))
  const { status } = container.state
  if (status !== 'running' && status !== 'paused') throw fault('containerNotRunning', container.id)
  return json(200, await processTable(await engine.containerProcesses(container.id)))
}

async function prune({ engine, query }: Call) {
  const { before, selectsLabels } = pruneFilter(query.get('filters'))
  const ids = await engine.pruneContainers(
    container =>
      selectsLabels(container.config.Labels) &&
      (before === undefined || nanoseconds(container.created) < before),
  )
  return json(200, { ContainersDeleted: ids.length === 0 ? null : ids, SpaceReclaimed: 0 })
}

export const containerRoutes: readonly Route<Handler>[] = [
  get('/containers/json', list),
  post('/containers/create', create),
  post('/containers/prune', prune),
  get('/containers/:id/json', inspect),
  get('/containers/:id/top', top),
  post('/containers/:id/start', start),
  post('/containers/:id/stop', stop),
  post('/containers/:id/restart', restart),
  post('/containers/:id/kill', kill),
  post('/containers/:id/pause', pause),
  post('/containers/:id/unpause', unpause),
  post('/containers/:id/rename', rename),
  post('/containers/:id/resize', resize),
  post('/containers/:id/update', update),
  del('/containers/:id', remove),
]
