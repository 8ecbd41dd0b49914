/** With the kernel floor: a prepared namespace, its sockets, and clients inside it that ask 127.0.0.11. */

import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { build } from 'rolldown'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { inNamespace, type Kernel, openKernel, type PreparedNamespace } from '../kernel/index.ts'
import { LocalResolver, usualTuning } from './resolver.ts'
import { addressReply, boundSocket, decoded, questionBytes, rawSocket, Upstream } from './testing.ts'
import type { ZoneChange } from './types.ts'
import { ask } from './upstream.ts'

const root = process.getuid?.() === 0
if (!root) process.stderr.write('skipped: needs root: makes network namespaces\n')

/** Where the server inside listens, in a namespace that has no other. */
const serverPort = 5353

describe.skipIf(!root)('inside a namespace', () => {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  /** Inside the repository, so that the bundle finds koffi. */
  const bundle = fileURLToPath(new URL(`../../.cache/dns-test-kernel-${process.pid}.js`, import.meta.url))
  let kernel: Kernel
  let namespace: PreparedNamespace
  let resolver: LocalResolver

  beforeAll(async () => {
    await build({
      input: fileURLToPath(new URL('../kernel/worker.ts', import.meta.url)),
      platform: 'node',
      external: ['koffi', /^node:/],
      logLevel: 'silent',
      output: { file: bundle, format: 'esm' },
    })
    kernel = await openKernel(
      {
        netnsDirectory: join(directory, 'netns'),
        poolSize: 0,
        namespaceSysctls: {},
        resolver: { address: '127.0.0.11', port: 65_053 },
      },
      { worker: pathToFileURL(bundle) },
    )
    namespace = await kernel.takeNamespace()
    closeSync(namespace.resolver.udp)
    closeSync(namespace.resolver.tcp)
    writeFileSync(join(directory, 'resolv.conf'), '')
  })

  afterAll(async () => {
    await kernel.deleteNamespaces([namespace.name])
    await kernel.close()
    rmSync(bundle)
    rmSync(directory, { recursive: true })
  })

  beforeEach(async () => {
    resolver = new LocalResolver(
      { ttl: 600, resolvConf: join(directory, 'resolv.conf'), cache: 0 },
      (sandbox, family, type) => kernel.openSocket(sandbox, family, type),
      { ...usualTuning, forwarding: { ...usualTuning.forwarding, port: serverPort } },
    )
    await resolver.update([
      { put: 'network', network: { id: 'n', name: 'shop' } },
      { put: 'endpoint', endpoint: { id: 'e', network: 'n', names: ['web'], ipv4: '172.18.0.2' } },
      sandbox([]),
    ])
    await resolver.listen(namespace.name, await kernel.openResolver(namespace.name))
  })

  afterEach(() => resolver.close())

  const sandbox = (servers: readonly string[]): ZoneChange => ({
    put: 'sandbox',
    sandbox: { id: namespace.name, networks: ['n'], links: {}, servers, external: true, ndotsSet: false },
  })

  const askInside = (name: string, protocol: 'udp' | 'tcp'): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      const open = (family: 4 | 6, type: 'udp' | 'tcp'): Promise<number> =>
        Promise.resolve(inNamespace(namespace.path, () => rawSocket(family, type)))
      const attempt = ask('127.0.0.11', 53, protocol, questionBytes(name, 'A'), open, {
        message: bytes => {
          attempt.cancel()
          const { rcode, answers } = decoded(Buffer.from(bytes))
          resolve([rcode, ...(answers ?? []).map(answer => (answer.type === 'A' ? answer.data : ''))])
        },
        failed: () => reject(new Error('nobody answers')),
      })
    })

  test.each(['udp', 'tcp'] as const)('127.0.0.11 answers by %s', async protocol => {
    expect(await askInside('Web.Shop', protocol)).toEqual(['NOERROR', '172.18.0.2'])
    expect(await askInside('elsewhere.example', protocol)).toEqual(['SERVFAIL'])
  })

  test.each(['udp', 'tcp'] as const)(
    'the sandbox’s own servers are asked from inside by %s',
    async protocol => {
      const inside = inNamespace(namespace.path, () => ({
        udp: boundSocket('udp', serverPort).fd,
        tcp: boundSocket('tcp', serverPort).fd,
      }))
      const upstream = await Upstream.adopt(inside, (_, bytes) => addressReply(bytes, [192, 0, 2, 9]))
      await resolver.update([sandbox(['127.0.0.1'])])
      expect(await askInside('elsewhere.example', protocol)).toEqual(['NOERROR', '192.0.2.9'])
      await upstream.stop()
    },
  )
})
