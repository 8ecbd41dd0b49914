/** Images made from nothing, as `docker save` writes them: manifest.json, a configuration, and layers. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { pack } from 'tar-stream'

const run = promisify(execFile)
const busyboxScript = new URL('../../scripts/busybox-image', import.meta.url).pathname

/** Path → content; null = a directory; an object = a symbolic link. */
export type Tree = Readonly<Record<string, string | null | { readonly link: string }>>

/** The tar of busybox's root file system. */
export async function busyboxLayer(): Promise<Buffer> {
  const { stdout } = await run(busyboxScript, [], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** Its top directory is private, as that of an archive made with `tar -C $(mktemp -d) .` is. */
export async function layer(tree: Tree): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: './', type: 'directory', mode: 0o700 })
  for (const [name, content] of Object.entries(tree)) {
    if (content === null) archive.entry({ name, type: 'directory', mode: 0o755 })
    else if (typeof content === 'string') archive.entry({ name, mode: 0o644 }, content)
    else archive.entry({ name, type: 'symlink', linkname: content.link })
  }
  archive.finalize()
  return collect(archive)
}

export interface ImageParts {
  readonly layers: readonly Buffer[]
  readonly tags: readonly string[]
  /** The `config` part of the image's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex')

/** A docker-archive with one image in it; its id is the digest of its configuration. */
export async function dockerArchive({ layers, tags, config }: ImageParts): Promise<Buffer> {
  const image = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '2020-02-02T02:02:02Z',
    config: config ?? { Cmd: ['sh'], Env: ['PATH=/bin:/sbin:/usr/bin:/usr/sbin'] },
    rootfs: { type: 'layers', diff_ids: layers.map(each => `sha256:${sha256(each)}`) },
    history: layers.map((_, index) => ({ created: '2020-02-02T02:02:02Z', created_by: `step ${index + 1}` })),
  })
  const configName = `${sha256(image)}.json`
  const layerNames = layers.map((_, index) => `layer-${index + 1}/layer.tar`)
  const archive = pack()
  layers.forEach((data, index) => archive.entry({ name: layerNames[index] ?? '' }, data))
  archive.entry({ name: configName }, image)
  archive.entry(
    { name: 'manifest.json' },
    JSON.stringify([{ Config: configName, RepoTags: tags, Layers: layerNames }]),
  )
  archive.finalize()
  return collect(archive)
}

/** As `dockerArchive`, into a file. */
export async function writeArchive(path: string, parts: ImageParts): Promise<string> {
  writeFileSync(path, await dockerArchive(parts))
  return path
}

async function collect(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
