import { closeSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKernel } from './client.ts'
import { KernelError } from './error.ts'
import type { Kernel } from './operation.ts'
import { cannotRun, enterFreshNetwork, scratch, shell } from './testing.ts'

/** Inside the repository, so that the bundle finds koffi, as it does in an installation. */
const output = fileURLToPath(new URL('../../.cache', import.meta.url))
const workerFile = join(output, `kernel-worker-${process.pid}.js`)

/** Node runs no TypeScript: the worker is bundled as the build does it. */
async function bundleWorker(): Promise<URL> {
  const input = fileURLToPath(new URL('worker.ts', import.meta.url))
  const bundle = await rolldown({ input, platform: 'node', external: ['koffi', /^node:/] })
  await bundle.write({ file: workerFile, format: 'esm' })
  await bundle.close()
  return pathToFileURL(workerFile)
}

describe.skipIf(cannotRun !== '')('kernel on its worker', () => {
  const place = scratch({ poolSize: 2 })
  let kernel: Kernel

  beforeAll(async () => {
    enterFreshNetwork()
    kernel = await openKernel(place.settings, { worker: await bundleWorker() })
  })
  afterAll(() => {
    place.remove()
    rmSync(workerFile, { force: true })
  })

  test('runs operations, answers by position', async () => {
    const { name, path, resolver } = await kernel.takeNamespace()
    closeSync(resolver.udp)
    closeSync(resolver.tcp)
    const bridge = {
      name: 'br0',
      mac: '02:42:00:00:00:01',
      alias: 'a',
      addresses: ['10.1.0.1/24'],
      ipv6: false,
    }
    const peer = {
      netns: name,
      name: 'eth0',
      mac: '02:42:0a:01:00:02',
      addresses: ['10.1.0.2/24'],
      ipv6: false,
    }
    const results = await kernel.run([
      { do: 'bridge.add', bridge },
      { do: 'veth.add', veth: { name: 'veth0', alias: 'b', bridge: 'br0', peer } },
      { do: 'sysctl.set', key: 'net/ipv4/ip_forward', value: '1' },
    ])
    const links = await kernel.links()
    const { hostIndex } = results[1] as { hostIndex: number }
    expect(links.find(link => link.name === 'veth0')?.index).toBe(hostIndex)
    expect(results[2]).toBeNull()
    expect(shell('busybox ping -c1 -W2 10.1.0.2')).toContain('1 packets received')
    expect(shell('ip -4 -o address show dev eth0', path)).toContain('10.1.0.2/24')
    await kernel.announce(name, 'eth0', 2, 100)
    await kernel.run([{ do: 'links.delete', names: ['br0', 'veth0'] }])
    await kernel.deleteNamespaces([name])
    expect((await kernel.namespaces()).filter(namespace => !namespace.free)).toEqual([])
  })

  test('an error keeps its class, code and position across the thread', async () => {
    const failure = kernel.run([
      { do: 'sysctl.set', key: 'net/ipv4/ip_forward', value: '0' },
      { do: 'links.delete', names: ['a-name-that-is-too-long'] },
    ])
    await expect(failure).rejects.toBeInstanceOf(KernelError)
    await expect(failure).rejects.toMatchObject({ code: 'EINVAL', position: 1 })
    expect(shell('cat /proc/sys/net/ipv4/ip_forward')).toBe('1\n')
  })

  test('a name whose link is being deleted can be used again at once', async () => {
    const bridge = { name: 'br1', mac: '02:42:00:00:00:02', alias: 'a', addresses: [], ipv6: false }
    await kernel.run([{ do: 'bridge.add', bridge }])
    const deleting = kernel.run([{ do: 'links.delete', names: ['br1', 'absent'] }])
    const making = kernel.run([{ do: 'bridge.add', bridge: { ...bridge, mac: '02:42:00:00:00:03' } }])
    expect(await deleting).toEqual([null])
    await making
    expect((await kernel.links()).find(link => link.name === 'br1')?.mac).toBe('02:42:00:00:00:03')
    const [first, second] = [['br1'], ['br1', 'br1']].map(names =>
      kernel.run([{ do: 'links.delete', names }]),
    )
    await Promise.all([first, second])
    expect((await kernel.links()).map(link => link.name)).toEqual(['lo'])
  })

  test('what is asked is answered: routes, elements, sockets, holders', async () => {
    const { name, resolver } = await kernel.takeNamespace()
    expect(await kernel.routes(name)).toEqual([])
    expect(await kernel.elements('no', 'such')).toBeUndefined()
    await expect(kernel.openResolver(name)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    for (const descriptor of [resolver.udp, resolver.tcp]) closeSync(descriptor)
    const again = await kernel.openResolver(name)
    const socket = await kernel.openSocket(name, 4, 'udp')
    for (const descriptor of [again.udp, again.tcp, socket]) closeSync(descriptor)
    const port = { protocol: 'udp', address: '0.0.0.0', from: 777, to: 777 } as const
    expect(await kernel.portHolder(port)).toBe('')
    await kernel.run([{ do: 'port.reserve', port }])
    expect(await kernel.portHolder(port)).toContain(`pid ${process.pid} `)
    await kernel.run([{ do: 'port.release', port }])
    await kernel.deleteNamespaces([name])
  })

  test('the pool is filled behind the answer, and empty when it closes', async () => {
    const { name, resolver } = await kernel.takeNamespace()
    closeSync(resolver.udp)
    closeSync(resolver.tcp)
    const free = async () => (await kernel.namespaces()).filter(namespace => namespace.free).length
    await expect.poll(free).toBe(2)
    await kernel.deleteNamespaces([name])
    await kernel.close()
    expect(shell(`ls ${place.settings.netnsDirectory}`)).toBe('')
    await expect(kernel.links()).rejects.toThrow('ended')
  })

  test('a worker that ends by itself is told, and rejects what comes after', async () => {
    const file = join(place.directory, 'ends.mjs')
    writeFileSync(
      file,
      `import { parentPort } from 'node:worker_threads'
      parentPort.postMessage({ id: 0, value: null })
      parentPort.once('message', () => process.exit(1))`,
    )
    const failures: Error[] = []
    const options = { worker: pathToFileURL(file), onFailure: (error: Error) => failures.push(error) }
    const ending = await openKernel(place.settings, options)
    await expect(ending.links()).rejects.toThrow('ended')
    await expect(ending.links()).rejects.toThrow('ended')
    expect(failures).toHaveLength(1)
  })

  test('a worker that cannot start says why', async () => {
    const settings = { ...place.settings, netnsDirectory: join(workerFile, 'netns') }
    await expect(openKernel(settings, { worker: pathToFileURL(workerFile) })).rejects.toMatchObject({
      code: 'ENOTDIR',
    })
  })
})
