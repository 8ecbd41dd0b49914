/** Creating and removing networks. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openBenchKernel } from './connect.ts'
import { type Context, openEngines } from './context.ts'
import type { Engine } from './engine.ts'
import { bridgeFloor } from './floor.ts'
import { alternate, type Case } from './measure.ts'
import { must } from './run.ts'
import { againstEachOther, type Row, type Section } from './table.ts'

const floorName = 'kernel floor: a bridge'

export async function network(context: Context): Promise<Section> {
  const { engines, notes } = await openEngines(context)
  context.say('network: create and remove')
  const kernel = await openBenchKernel(context.directory)
  const plan = { rounds: context.rounds, warmup: 2, signal: context.signal }
  const bridge = {
    name: 'br-bench',
    mac: '02:42:00:00:00:02',
    alias: 'linkspan:bench',
    addresses: ['10.98.0.1/16'],
    ipv6: false,
  }
  const floor = bridgeFloor(bridge)
  try {
    const floorCase: Case = {
      name: floorName,
      run: () => floor.run(),
      after: () => kernel.run([{ do: 'links.delete', names: [bridge.name] }]),
    }
    const answered = await alternate(engines.map(pingCase), plan)
    const created = await alternate([...engines.map(createCase), floorCase], plan)
    const removed = await alternate(engines.map(removeCase), plan)
    const rows = againstEachOther([...answered, ...created, ...removed]).map((each): Row => {
      if (each.name !== 'linkspan, create') return each
      return { ...each, reference: { row: 'linkspan, ping', within: 3 } }
    })
    return {
      name: 'network: create and remove over the API',
      rows,
      notes: [
        'a bridge is deleted behind the answer to its removal; dockerd deletes before it answers',
        ...notes,
      ],
    }
  } finally {
    floor.close()
    await kernel.close()
  }
}

/** The bridge of the removed network is deleted behind the answer: the next sample waits for that. */
async function bridgesGone(engine: Engine): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const [command = '', ...args] = engine.lab.argv('host', ['ip', '-o', 'link', 'show', 'type', 'bridge'])
    if (!(await must([command, ...args])).includes('br-')) return
    await sleep(20)
  }
  throw new Error(`${engine.name} does not delete its bridge`)
}

/** What any answer costs: HTTP, and two processes that have to wake up. */
function pingCase(engine: Engine): Case {
  return {
    name: `${engine.name}, ping`,
    before: () => sleep(100),
    run: () => engine.api.call('GET', '/_ping'),
  }
}

function createCase(engine: Engine): Case {
  return {
    name: `${engine.name}, create`,
    run: () => engine.api.call('POST', '/networks/create', { Name: 'bench-net', CheckDuplicate: true }),
    after: async () => {
      await engine.api.call('DELETE', '/networks/bench-net')
      await bridgesGone(engine)
    },
    ...(engine.cpu === undefined ? {} : { cpu: engine.cpu }),
  }
}

function removeCase(engine: Engine): Case {
  return {
    name: `${engine.name}, remove`,
    before: () => engine.api.call('POST', '/networks/create', { Name: 'bench-net', CheckDuplicate: true }),
    run: () => engine.api.call('DELETE', '/networks/bench-net'),
    after: () => bridgesGone(engine),
    ...(engine.cpu === undefined ? {} : { cpu: engine.cpu }),
  }
}
