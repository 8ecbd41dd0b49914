/** What a container uses, once or every second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { fault } from '../../base/index.ts'
import { json, param, type Call, type Handler } from '../call.ts'
import { lineStream } from '../lines.ts'
import { flag } from '../query.ts'
import type { Route } from '../router.ts'
import { hostCpu, nothing, type Sample, statsView } from '../view/stats.ts'
import { get } from './table.ts'

const periodMs = 1000

async function sample({ engine }: Call, id: string): Promise<Sample> {
  const usage = engine.state.containers.has(id) ? await engine.containerUsage(id) : undefined
  return usage === undefined ? nothing : { at: new Date().toISOString(), usage, host: hostCpu() }
}

const stats: Handler = async call => {
  const { engine, query, signal } = call
  const { id, name } = engine.state.findContainer(param(call, 'id'))
  const stream = !query.has('stream') || flag(query, 'stream')
  const oneShot = flag(query, 'one-shot')
  if (stream && oneShot) throw fault('invalidParameter', 'cannot have stream=true and one-shot=true')
  let before = nothing
  let now = await sample(call, id)
  if (!stream) {
    // A rate takes two looks, unless the client wants to work it out itself.
    if (!oneShot && now.usage !== undefined) {
      before = now
      await sleep(periodMs, undefined, { signal }).catch(() => undefined)
      now = await sample(call, id)
    }
    return json(200, statsView(id, name, before, now))
  }
  const lines = lineStream(call)
  while (!signal.aborted && engine.state.containers.has(id)) {
    lines.write(JSON.stringify(statsView(id, engine.state.containers.get(id)?.name ?? name, before, now)))
    await sleep(periodMs, undefined, { signal }).catch(() => undefined)
    before = now
    now = await sample(call, id)
  }
  lines.end()
  return undefined
}

export const statsRoutes: readonly Route<Handler>[] = [get('/containers/:id/stats', stats)]
