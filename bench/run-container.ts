/** Running a container with the docker command line, and where the time of it goes. */
import { type Context, openEngines } from './context.ts'
import type { Engine } from './engine.ts'
import { alternate, type Case } from './measure.ts'
import { must } from './run.ts'
import { againstEachOther, type Row, type Section } from './table.ts'

/** What the command line sends for `docker run -d busybox sleep 1000`, as far as it matters here. */
const body = {
  Image: 'busybox',
  Cmd: ['sleep', '1000'],
  HostConfig: { NetworkMode: 'default' },
}

export async function run(context: Context): Promise<Section> {
  const { engines, notes } = await openEngines(context)
  context.say('run: docker run')
  const plan = { rounds: context.rounds, warmup: 2, signal: context.signal }
  const detached = await alternate(engines.map(detachedCase), plan)
  const attached = await alternate(engines.map(attachedCase), plan)
  const created = await alternate(engines.map(createCase), plan)
  const started = await alternate(engines.map(startCase), plan)
  const removed = await alternate(engines.map(removeCase), plan)
  const client: Case = { name: 'docker command line alone', run: () => must(['docker', '--version']) }
  const alone = await alternate([client], plan)
  const rows = againstEachOther([...detached, ...attached, ...created, ...started, ...removed], what =>
    what.includes('-d') ? 0.5 : undefined,
  )
  return {
    name: 'run: a container of busybox',
    rows: [...rows, ...alone.map((each): Row => ({ ...each, unit: 'ms' }))],
    notes,
  }
}

const removeAll = async (engine: Engine) => {
  const ids = (await engine.docker('ps', '-aq')).split('\n').filter(id => id !== '')
  for (const id of ids) await engine.api.call('DELETE', `/containers/${id}?force=1`)
}

const cpuOf = (engine: Engine) => (engine.cpu === undefined ? {} : { cpu: engine.cpu })

function detachedCase(engine: Engine): Case {
  return {
    name: `${engine.name}, docker run -d busybox sleep 1000`,
    run: () => engine.docker('run', '-d', 'busybox', 'sleep', '1000'),
    after: () => removeAll(engine),
    ...cpuOf(engine),
  }
}

function attachedCase(engine: Engine): Case {
  return {
    name: `${engine.name}, docker run --rm busybox true`,
    run: () => engine.docker('run', '--rm', 'busybox', 'true'),
    ...cpuOf(engine),
  }
}

async function create(engine: Engine): Promise<string> {
  const { body: answer } = await engine.api.call('POST', '/containers/create', body)
  return (JSON.parse(answer) as { readonly Id: string }).Id
}

function createCase(engine: Engine): Case {
  return {
    name: `${engine.name}, API create`,
    run: () => create(engine),
    after: () => removeAll(engine),
    ...cpuOf(engine),
  }
}

function startCase(engine: Engine): Case {
  let id = ''
  return {
    name: `${engine.name}, API start`,
    before: async () => {
      id = await create(engine)
    },
    run: () => engine.api.call('POST', `/containers/${id}/start`),
    after: () => removeAll(engine),
    ...cpuOf(engine),
  }
}

function removeCase(engine: Engine): Case {
  let id = ''
  return {
    name: `${engine.name}, API remove by force`,
    before: async () => {
      id = await create(engine)
      await engine.api.call('POST', `/containers/${id}/start`)
    },
    run: () => engine.api.call('DELETE', `/containers/${id}?force=1`),
    ...cpuOf(engine),
  }
}
