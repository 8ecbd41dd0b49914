/** Connecting a container to a bridge: the engine's operations against the kernel floor, and over the API. */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { elementsOf } from '../src/engine/firewall/nftables.ts'
import { rulesetText } from '../src/engine/firewall/ruleset.ts'
import { openKernel, type Kernel, type Operation, type VethSpec } from '../src/kernel/index.ts'
import { openNamespace } from '../src/kernel/namespace.ts'
import { type Context, openEngines } from './context.ts'
import { type Engine, root } from './engine.ts'
import { connectFloor } from './floor.ts'
import { alternate, type Case } from './measure.ts'
import { againstEachOther, type Row, type Section } from './table.ts'

const bridge = 'bench0'
const gateway = '10.99.0.1'

export async function connect(context: Context): Promise<Section> {
  const kernelRows = await atTheKernel(context)
  const { engines, notes } = await openEngines(context)
  context.say('connect: over the API')
  const cases = await Promise.all(engines.map(apiCase))
  const samples = await alternate(cases, { rounds: context.rounds, signal: context.signal })
  for (const engine of engines) await engine.docker('rm', '-f', 'bench-connect')
  for (const engine of engines) await engine.docker('network', 'rm', 'bench-net')
  return {
    name: 'connect: a running container to a bridge',
    rows: [...kernelRows, ...againstEachOther(samples)],
    notes: [
      'kernel floor: veth, alias, address, route, disable_ipv6 and one map element, encoded beforehand, sockets open',
      ...notes,
    ],
  }
}

/** Starts the kernel worker in the namespace of the bench. */
export function openBenchKernel(directory: string): Promise<Kernel> {
  return openKernel(
    {
      netnsDirectory: join(directory, 'netns'),
      poolSize: 0,
      namespaceSysctls: {},
      resolver: { address: '127.0.0.11', port: 65_053 },
    },
    { worker: new URL('dist/kernel-worker.js', `file://${root}`) },
  )
}

async function atTheKernel(context: Context): Promise<readonly Row[]> {
  context.say('connect: at the kernel')
  const kernel = await openBenchKernel(context.directory)
  try {
    await kernel.run([
      { do: 'nft.load', text: rulesetText({ guarded: [] }) },
      {
        do: 'bridge.add',
        bridge: {
          name: bridge,
          mac: '02:42:00:00:00:01',
          alias: 'linkspan:bench',
          addresses: [`${gateway}/16`],
          ipv6: false,
        },
      },
    ])
    const ours = await kernel.takeNamespace()
    const theirs = await kernel.takeNamespace()
    const namespace = openNamespace(theirs.path)
    const vethOf = (name: string, netns: string, address: string, mac: string): VethSpec => ({
      name,
      alias: `linkspan:${'0'.repeat(64)}`,
      bridge,
      peer: { netns, name: 'eth0', mac, addresses: [`${address}/16`], ipv6: false },
    })
    const publish = (target: string, port: number) =>
      elementsOf({
        kind: 'publish',
        key: '',
        owner: '',
        bridge,
        protocol: 'tcp',
        hostIp: '0.0.0.0',
        hostFrom: port,
        hostTo: port,
        target,
        targetFrom: 80,
      })
    const our = vethOf('veth-ours', ours.name, '10.99.0.2', '02:42:0a:63:00:02')
    const their = vethOf('veth-floor', theirs.name, '10.99.0.3', '02:42:0a:63:00:03')
    const operations: readonly Operation[] = [
      { do: 'veth.add', veth: our },
      {
        do: 'route.set',
        route: { netns: ours.name, destination: 'default', family: 4, gateway, link: 'eth0' },
      },
      { do: 'nft.elements', add: publish('10.99.0.2', 8001), delete: [] },
    ]
    const theirElements = publish('10.99.0.3', 8002)
    const floor = connectFloor(their, gateway, theirElements, namespace)
    const cases: readonly Case[] = [
      {
        name: 'linkspan, kernel worker',
        run: () => kernel.run(operations),
        after: () =>
          kernel.run([remove(our.name), { do: 'nft.elements', add: [], delete: publish('10.99.0.2', 8001) }]),
      },
      {
        name: 'kernel floor',
        run: () => floor.run(),
        after: () => kernel.run([remove(their.name), { do: 'nft.elements', add: [], delete: theirElements }]),
      },
    ]
    try {
      const [mine, base] = await alternate(cases, {
        rounds: context.rounds * 4,
        warmup: 10,
        signal: context.signal,
      })
      if (mine === undefined || base === undefined) return []
      return [
        { ...mine, unit: 'ms', reference: { row: base.name, atMost: 2 } },
        { ...base, unit: 'ms' },
      ]
    } finally {
      floor.close()
      closeSync(namespace)
      await kernel.run([remove(bridge)])
      await kernel.deleteNamespaces([ours.name, theirs.name])
    }
  } finally {
    await kernel.close()
  }
}

const remove = (name: string): Operation => ({ do: 'links.delete', names: [name] })

async function apiCase(engine: Engine): Promise<Case> {
  await engine.docker('network', 'create', 'bench-net')
  await engine.docker('run', '-d', '--name', 'bench-connect', 'busybox', 'sleep', '100000')
  return {
    name: `${engine.name}, API`,
    run: () => engine.api.call('POST', '/networks/bench-net/connect', { Container: 'bench-connect' }),
    after: () => engine.api.call('POST', '/networks/bench-net/disconnect', { Container: 'bench-connect' }),
    ...(engine.cpu === undefined ? {} : { cpu: engine.cpu }),
  }
}
