/** The real thread, from a real bundle: built into a directory of its own, as `npm run build` builds it into dist. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { build } from 'rolldown'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { openResolver } from './client.ts'
import { usualTuning } from './resolver.ts'
import {
  addressReply,
  boundSocket,
  decoded,
  exchangeTcp,
  exchangeUdp,
  questionBytes,
  rawSocket,
  Upstream,
} from './testing.ts'
import type { Resolver, SocketSource, ZoneSandbox } from './types.ts'

const directory = mkdtempSync(join(tmpdir(), 'dns-'))
const worker = pathToFileURL(join(directory, 'dns-worker.js'))
const settings = { ttl: 5, resolvConf: join(directory, 'resolv.conf'), cache: 0 }
const sandbox: ZoneSandbox = {
  id: 's',
  networks: ['n'],
  links: {},
  servers: ['127.0.0.1'],
  external: true,
  ndotsSet: false,
}
const closing: { close(): Promise<void> }[] = []

beforeAll(async () => {
  await build({
    input: { 'dns-worker': fileURLToPath(new URL('./worker.ts', import.meta.url)) },
    platform: 'node',
    logLevel: 'silent',
    output: { dir: directory, format: 'esm' },
  })
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
})
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close()
})
afterAll(() => rmSync(directory, { recursive: true }))

async function open(sockets: SocketSource, port = 53): Promise<Resolver> {
  const tuning = { ...usualTuning, forwarding: { ...usualTuning.forwarding, port } }
  const resolver = await openResolver(settings, sockets, { worker, tuning })
  closing.push(resolver)
  return resolver
}

async function listen(resolver: Resolver): Promise<{ udp: number; tcp: number }> {
  const [udp, tcp] = [boundSocket('udp'), boundSocket('tcp')]
  await resolver.listen('s', { udp: udp.fd, tcp: tcp.fd })
  return { udp: udp.port, tcp: tcp.port }
}

describe('the resolver on its own thread', () => {
  test('answers on sockets that were made on this one', async () => {
    const resolver = await open((_, family, type) => Promise.resolve(rawSocket(family, type)))
    const ports = await listen(resolver)
    await resolver.update([
      { put: 'network', network: { id: 'n', name: 'shop' } },
      { put: 'endpoint', endpoint: { id: 'e', network: 'n', names: ['web'], ipv4: '172.18.0.2' } },
      { put: 'sandbox', sandbox },
    ])
    const question = questionBytes('web', 'A')
    const expected = [{ type: 'A', data: '172.18.0.2', ttl: 5 }]
    expect(decoded(await exchangeUdp(ports.udp, question)).answers).toMatchObject(expected)
    const [answer] = await exchangeTcp(ports.tcp, [question])
    expect(decoded(answer ?? Buffer.alloc(0)).answers).toMatchObject(expected)
    await resolver.unlisten('s')
  })

  test('asks this thread for sockets inside a namespace', async () => {
    const upstream = await Upstream.start('127.0.0.1', 0, (_, bytes) => addressReply(bytes, [192, 0, 2, 1]))
    closing.push({ close: () => upstream.stop() })
    let fail = true
    const resolver = await open((asker, family, type) => {
      expect([asker, family, type]).toEqual(['s', 4, 'udp'])
      return fail ? Promise.reject(new Error('no such namespace')) : Promise.resolve(rawSocket(family, type))
    }, upstream.port)
    const ports = await listen(resolver)
    await resolver.update([{ put: 'sandbox', sandbox }])
    expect(decoded(await exchangeUdp(ports.udp, questionBytes('x.example', 'A'))).rcode).toBe('SERVFAIL')
    fail = false
    expect(decoded(await exchangeUdp(ports.udp, questionBytes('x.example', 'A'))).answers).toHaveLength(1)
  })

  test('says what went wrong with a call, and goes on', async () => {
    const resolver = await open(() => Promise.reject(new Error('none')))
    await expect(
      resolver.listen('s', { udp: rawSocket(4, 'tcp'), tcp: rawSocket(4, 'tcp') }),
    ).rejects.toThrow(/^name resolver: /)
    await listen(resolver)
  })

  test('is refused when it is closed', async () => {
    const resolver = await open(() => Promise.reject(new Error('none')))
    await listen(resolver)
    await Promise.all([resolver.close(), resolver.close()])
    await expect(resolver.update([])).rejects.toThrow('the name resolver ended')
  })

  test('a thread that cannot start is told', async () => {
    const nowhere = pathToFileURL(join(directory, 'nowhere.js'))
    const failures: Error[] = []
    const onFailure = (error: Error): void => void failures.push(error)
    const none: SocketSource = () => Promise.reject(new Error('none'))
    await expect(openResolver(settings, none, { worker: nowhere, onFailure })).rejects.toThrow(
      'the name resolver failed',
    )
    expect(failures).toHaveLength(1)
  })
})
