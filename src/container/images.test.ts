import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openImageStore } from './images.ts'
import { parseReference } from './reference.ts'
import { pullFault } from './registry.ts'
import type { ImageStore, ProgressMessage } from './types.ts'

const root = process.getuid?.() === 0
if (!root) process.stderr.write('images: skipped, unpacking with owners and devices needs root\n')

type Entry = readonly [name: string, content: string | Buffer | { link: string }, mode?: number]

async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const [name, content, mode] of entries) {
    if (name.endsWith('/')) archive.entry({ name, type: 'directory', mode: mode ?? 0o755 })
    else if (typeof content === 'string' || Buffer.isBuffer(content)) {
      archive.entry({ name, mode: mode ?? 0o644 }, content)
    } else archive.entry({ name, type: 'symlink', linkname: content.link })
  }
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')
const configOf = (layers: readonly Buffer[], extra: object = {}): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '2026-01-01T00:00:00Z',
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: layers.map(layer => `sha256:${sha256(layer)}`) },
    history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'test' })),
    ...extra,
  })

describe.runIf(root)('image store', () => {
  let directory = ''
  let store: ImageStore
  let layers: readonly Buffer[] = []
  const names = (): string[] => readdirSync(join(directory, 'images'))

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'images-'))
    store = await openImageStore({ dataRoot: directory, execRoot: directory, runtime: undefined })
    layers = [
      await tar([
        ['etc/', ''],
        ['etc/old', 'from below'],
        ['etc/both', 'first'],
        ['run.sh', '#!/bin/sh\n', 0o755],
        ['link', { link: 'etc/both' }],
      ]),
      await tar([
        ['etc/.wh.old', ''],
        ['etc/both', 'second'],
      ]),
    ]
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const quiet = (): void => undefined

  it('imports a tree, plain or compressed, with the changes in its configuration', async () => {
    const tree = await tar([
      ['./bin/', ''],
      ['./bin/tool', 'x'.repeat(1000), 0o755],
    ])
    const image = await store.import(Readable.from([tree.subarray(0, 3), tree.subarray(3)]), {
      changes: ['CMD ["/bin/tool"]', 'EXPOSE 80'],
      message: 'Imported from -',
    })
    expect(image).toMatchObject({
      id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      os: 'linux',
      comment: 'Imported from -',
      config: { Cmd: ['/bin/tool'], ExposedPorts: { '80/tcp': {} } },
      size: 1000,
      layers: [`sha256:${sha256(tree)}`],
      history: [{ comment: 'Imported from -', emptyLayer: false }],
    })
    const tool = join(store.rootfs(image.id), 'bin/tool')
    expect(readFileSync(tool, 'utf8')).toBe('x'.repeat(1000))
    expect(lstatSync(tool).mode & 0o777).toBe(0o755)
    for (const compressed of [gzipSync(tree), execFileSync('xz', ['-c'], { input: tree })]) {
      const again = await store.import(Readable.from([compressed]), { changes: [], message: '' })
      expect(again.layers).toEqual(image.layers)
    }
  })

  it('loads docker-archives with several images, links between layers, and keeps the ids', async () => {
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = layers
    const one = configOf([first])
    const two = configOf([first, second])
    const archive = await tar([
      ['aaa/', ''],
      ['aaa/layer.tar', first],
      ['bbb/layer.tar', { link: '../aaa/layer.tar' }],
      ['ccc/layer.tar', second],
      ['one.json', one],
      ['two.json', two],
      [
        'manifest.json',
        JSON.stringify([
          { Config: 'one.json', RepoTags: ['one:1'], Layers: ['aaa/layer.tar'] },
          { Config: 'two.json', RepoTags: null, Layers: ['bbb/layer.tar', 'ccc/layer.tar'] },
        ]),
      ],
    ])
    const messages: ProgressMessage[] = []
    const loaded = await store.load(Readable.from([gzipSync(archive)]), message => messages.push(message))
    expect(loaded.map(({ image, tags }) => [image.id, tags])).toEqual([
      [`sha256:${sha256(one)}`, ['one:1']],
      [`sha256:${sha256(two)}`, []],
    ])
    const rootfs = store.rootfs(loaded[1]?.image.id ?? '')
    expect(readdirSync(join(rootfs, 'etc'))).toEqual(['both'])
    expect(readFileSync(join(rootfs, 'link'), 'utf8')).toBe('second')
    expect(readdirSync(join(store.rootfs(loaded[0]?.image.id ?? ''), 'etc')).sort()).toEqual(['both', 'old'])
    expect(messages).toContainEqual({
      status: 'Loading layer',
      progressDetail: {},
      id: sha256(first).slice(0, 12),
    })
    const again = await store.load(Readable.from([archive]), quiet)
    expect(again.map(({ image }) => image)).toEqual(loaded.map(({ image }) => image))
  })

  it.each([
    ['gzip', (layer: Buffer) => gzipSync(layer)],
    ['zstd', (layer: Buffer) => execFileSync('zstd', ['-c', '-q'], { input: layer })],
  ])('loads OCI layouts with %s layers and a multi-platform index', async (kind, compress) => {
    const packed = layers.map(compress)
    const config = configOf(layers, { comment: kind })
    const descriptor = (data: string | Buffer): object => ({
      mediaType: 'x',
      digest: `sha256:${sha256(data)}`,
      size: data.length,
    })
    const manifest = JSON.stringify({ config: descriptor(config), layers: packed.map(descriptor) })
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch
    const index = JSON.stringify({
      manifests: [
        { ...descriptor('nowhere'), platform: { os: 'linux', architecture: 'sparc' } },
        { ...descriptor(manifest), platform: { os: 'linux', architecture } },
      ],
    })
    const top = JSON.stringify({
      manifests: [
        { ...descriptor(index), annotations: { 'io.containerd.image.name': 'docker.io/library/oci:1' } },
      ],
    })
    const blobs = [...packed, config, manifest, index].map((data): Entry => [
      `blobs/sha256/${sha256(data)}`,
      data,
    ])
    const loaded = await store.load(Readable.from([await tar([...blobs, ['index.json', top]])]), quiet)
    expect(loaded).toMatchObject([
      { image: { id: `sha256:${sha256(config)}` }, tags: ['docker.io/library/oci:1'] },
    ])
    expect(readdirSync(join(store.rootfs(`sha256:${sha256(config)}`), 'etc'))).toEqual(['both'])
  })

  it.each([
    ['no archive', () => Promise.resolve(Buffer.from('this is not a tar archive'.repeat(100)))],
    ['an archive without a manifest', () => tar([['something', 'else']])],
    [
      'a missing layer',
      () =>
        tar([
          ['manifest.json', '[{"Config":"c","Layers":["l"]}]'],
          ['c', '{}'],
        ]),
    ],
    [
      'a layer that is not the one of the configuration',
      async () =>
        tar([
          ['manifest.json', '[{"Config":"c","Layers":["l"]}]'],
          ['c', configOf([Buffer.from('other')])],
          ['l', await tar([['file', 'content']])],
        ]),
    ],
    ['nothing at all', () => Promise.resolve(Buffer.alloc(0))],
  ])('refuses %s and leaves nothing', async (_, archive) => {
    const before = names()
    await expect(store.load(Readable.from([await archive()]), quiet)).rejects.toMatchObject({ status: 400 })
    expect(names()).toEqual(before)
  })

  it('passes on a client that goes away, and leaves nothing', async () => {
    const before = names()
    const broken = Readable.from(
      (async function* () {
        yield (await tar([['file', 'x'.repeat(5000)]])).subarray(0, 2000)
        throw new Error('client went away')
      })(),
    )
    await expect(store.import(broken, { changes: [], message: '' })).rejects.toThrow('client went away')
    expect(names()).toEqual(before)
  })

  it('removes, and sweeps what nobody knows', async () => {
    const make = (text: string) =>
      tar([['file', text]]).then(tree => store.import(Readable.from([tree]), { changes: [], message: text }))
    const [kept, removed, unknown] = [await make('kept'), await make('removed'), await make('unknown')]
    await store.remove(removed.id)
    await store.remove(removed.id)
    expect(existsSync(store.rootfs(removed.id))).toBe(false)
    mkdirSync(join(directory, 'images', '.new-left-by-a-crash', 'rootfs'), { recursive: true })
    await store.sweep(new Set([kept.id]))
    expect(names()).toEqual([kept.id.slice('sha256:'.length)])
    expect(existsSync(store.rootfs(unknown.id))).toBe(false)
  })

  describe('pull', () => {
    let registry: ChildProcess | undefined
    let address = ''
    let config = ''

    beforeAll(async () => {
      const port = 20_000 + (process.pid % 20_000)
      address = `127.0.0.1:${String(port)}`
      const settings = join(directory, 'registry.yml')
      writeFileSync(
        settings,
        `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(directory, 'registry')}}}\nhttp: {addr: "${address}"}\n`,
      )
      registry = spawn('docker-registry', ['serve', settings], { stdio: 'ignore' })
      for (let attempt = 0; attempt < 100; attempt++) {
        const up = await new Promise<boolean>(resolve => {
          const socket = connect(port, '127.0.0.1', () => {
            socket.destroy()
            resolve(true)
          }).on('error', () => resolve(false))
        })
        if (up) break
        await sleep(50)
      }
      config = configOf(layers)
      const archive = join(directory, 'push.tar')
      const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = layers
      writeFileSync(
        archive,
        await tar([
          ['1.tar', first],
          ['2.tar', second],
          ['c.json', config],
          [
            'manifest.json',
            JSON.stringify([{ Config: 'c.json', RepoTags: ['a:1'], Layers: ['1.tar', '2.tar'] }]),
          ],
        ]),
      )
      execFileSync('skopeo', [
        '--insecure-policy',
        'copy',
        '--dest-tls-verify=false',
        `docker-archive:${archive}`,
        `docker://${address}/team/app:v1`,
      ])
    })
    afterAll(async () => {
      const gone = new Promise(resolve => registry?.once('exit', resolve))
      registry?.kill()
      await gone
    })

    it('brings an image with its id, digest and progress', async () => {
      const messages: ProgressMessage[] = []
      const image = await store.pull(`${address}/team/app:v1`, undefined, message => messages.push(message))
      expect(image).toMatchObject({
        id: `sha256:${sha256(config)}`,
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      })
      expect(readdirSync(join(store.rootfs(image.id), 'etc'))).toEqual(['both'])
      expect(messages[0]).toEqual({ status: 'Pulling from team/app', id: 'v1' })
      expect(messages.at(-1)).toEqual({ status: `Digest: ${image.digest ?? ''}` })
      expect(messages.filter(({ status }) => status === 'Pulling fs layer')).toHaveLength(2)
      expect(messages.filter(({ status }) => status === 'Pull complete')).toHaveLength(2)
      const byDigest = await store.pull(`${address}/team/app@${image.digest ?? ''}`, undefined, quiet)
      expect(byDigest).toEqual(image)
    })

    it('says in Docker’s words what is wrong', async () => {
      await expect(store.pull(`${address}/team/app:none`, undefined, quiet)).rejects.toMatchObject({
        status: 404,
        message: `manifest for ${address}/team/app:none not found: manifest unknown: manifest unknown`,
      })
      await expect(store.pull('127.0.0.1:1/x', undefined, quiet)).rejects.toMatchObject({
        status: 500,
        message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
      })
      expect(names().filter(name => name.startsWith('.'))).toEqual([])
    })
  })
})

describe('pullFault', () => {
  const reference = parseReference('someone/secret:1')
  it.each([
    [
      'time="t" level=fatal msg="Error parsing image name: reading manifest 1 in docker.io/someone/secret: errors:\\ndenied: requested access to the resource is denied\\nunauthorized: authentication required"',
      404,
      "pull access denied for someone/secret, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    ],
    [
      'time="t" level=fatal msg="reading manifest 1 in quay.io/x: name unknown: repository name not known to registry"',
      404,
      'repository someone/secret not found: name unknown: repository name not known to registry',
    ],
    [
      'time="t" level=fatal msg="pinging container registry registry-1.docker.io: Get \\"https://registry-1.docker.io/v2/\\": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: no such host"',
      500,
      'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: no such host',
    ],
    ['something else', 500, 'something else'],
  ])('%s', (stderr, status, message) => {
    expect(pullFault(reference, stderr)).toMatchObject({ status, message })
  })
})
