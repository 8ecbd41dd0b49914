/** explain on a crowded host: the answer must not wait for what it does not look at. */
import { join } from 'node:path'
import { type Context } from './context.ts'
import { type Engine, openLinkspan } from './engine.ts'
import { alternate } from './measure.ts'
import type { Section } from './table.ts'

/** Spread over networks: a bridge takes 1,023 ports. */
const networks = 4
const atOnce = 4

export async function explain(context: Context): Promise<Section> {
  const crowd = Number(process.env['LINKSPAN_BENCH_CONTAINERS'] ?? 1000)
  const engine = await openLinkspan(join(context.directory, 'e'))
  try {
    context.say(`explain: starting ${crowd} containers`)
    for (let index = 0; index < networks; index++) await engine.docker('network', 'create', `crowd${index}`)
    await engine.docker('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'httpd', '-f', '-p', '80')
    await engine.docker('run', '-d', '--name', 'near', 'busybox', 'sleep', '86400')
    for (let first = 0; first < crowd; first += atOnce) {
      context.signal.throwIfAborted()
      const names = Array.from({ length: Math.min(atOnce, crowd - first) }, (_, at) => first + at)
      await Promise.all(names.map(index => startOne(engine, index)))
    }
    const ask = (from: string, to: string) =>
      engine.api.call('GET', `/linkspan/v1/explain?from=${from}&to=${to}`)
    const samples = await alternate(
      [
        { name: 'to a neighbour', run: () => ask('near', 'web:80') },
        { name: 'from outside to a published port', run: () => ask('internet', 'web:80') },
        { name: 'to another network', run: () => ask('near', 'c1:80') },
      ],
      { rounds: context.rounds, warmup: 3, signal: context.signal },
    )
    return {
      name: `explain: with ${crowd} containers`,
      rows: samples.map(each => ({ ...each, unit: 'ms', atMost: 20 })),
      notes: ['over the API, on a kept connection'],
    }
  } finally {
    await engine.close()
  }
}

async function startOne({ api }: Engine, index: number): Promise<void> {
  const network = `crowd${index % networks}`
  const { body } = await api.call('POST', `/containers/create?name=c${index}`, {
    Image: 'busybox',
    Cmd: ['sleep', '86400'],
    HostConfig: { NetworkMode: network },
  })
  const { Id } = JSON.parse(body) as { readonly Id: string }
  await api.call('POST', `/containers/${Id}/start`)
}
