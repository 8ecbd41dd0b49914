/**
 * Images on disk: `dataRoot/images/<64 hex of the configuration's digest>/` with `rootfs/` (one flattened read-only
 * tree, the overlays' lower directory), `image.json` (the record) and, if it was pulled, `digest`. Layers are applied by umoci, which knows
 * whiteouts, links and extended attributes; their archives are not kept.
 *
 * Everything is made under a name that begins with `.new-`, flushed, and renamed: an image is there whole or not at
 * all. Removing goes the other way. What a crash left under such a name, `sweep` takes away.
 */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { fault } from '../base/index.ts'
import { readArchive } from './archive.ts'
import { storeBlob, type Blob } from './blob.ts'
import { applyChanges } from './changes.ts'
import { compressionOf, decompressed, type Compression } from './compression.ts'
import { importedConfig, parseConfig, writeLayout } from './layout.ts'
import { requireProgram } from './probe.ts'
import { familiarReference, parseReference, withDefaultTag } from './reference.ts'
import { Registry, type RemoteImage } from './registry.ts'
import type { ContainerSettings, ImageStore, Progress, StoredImage } from './types.ts'

const run = promisify(execFile)
const temporary = '.new-'

/** Opens the store. A missing program is a fault that names the package, when it is needed first. */
export async function openImageStore(settings: ContainerSettings): Promise<ImageStore> {
  const directory = join(settings.dataRoot, 'images')
  await mkdir(directory, { recursive: true, mode: 0o711 })
  return new Store(directory)
}

class Store implements ImageStore {
  readonly #directory: string
  /** Temporary directories in use; `sweep` leaves them alone. */
  readonly #busy = new Set<string>()

  constructor(directory: string) {
    this.#directory = directory
  }

  async load(
    archive: Readable,
    progress: Progress,
  ): Promise<readonly { readonly image: StoredImage; readonly tags: readonly string[] }[]> {
    return this.#withTemporary(async work => {
      const results = []
      for (const { config, layers, tags } of await readArchive(archive, work)) {
        const image = await this.#add(config, layers, progress, 'Loading layer')
        results.push({ image, tags })
      }
      return results
    })
  }

  async import(
    tree: Readable,
    options: { readonly changes: readonly string[]; readonly message: string },
  ): Promise<StoredImage> {
    const config = applyChanges({}, options.changes)
    return this.#withTemporary(async work => {
      const layer = await storeBlob(await decompressed(tree), join(work, 'layer'))
      const text = importedConfig(config, layer.digest, options.message, new Date().toISOString())
      const blob = await storeBlob(Readable.from(Buffer.from(text)), join(work, 'config'))
      return this.#add(blob, [layer], () => undefined, '')
    })
  }

  async pull(
    reference: string,
    auth: Parameters<ImageStore['pull']>[1],
    progress: Progress,
  ): Promise<StoredImage> {
    const parsed = withDefaultTag(parseReference(reference))
    const registry = new Registry(await requireProgram('skopeo'), parsed, auth)
    const target = await registry.resolve()
    // Only now: what is wrong with the name or the registry is still an error with a status of its own.
    progress({ status: `Pulling from ${parsed.path}`, id: parsed.tag ?? familiarReference(parsed) })
    const image = (await this.#pulled(target.digest)) ?? (await this.#download(registry, target, progress))
    progress({ status: `Digest: ${target.digest}` })
    return { ...image, digest: target.digest }
  }

  async #download(registry: Registry, target: RemoteImage, progress: Progress): Promise<StoredImage> {
    return this.#withTemporary(async work => {
      const { config, layers } = await registry.download(target, work, progress)
      const image = await this.#add(config, layers, progress, 'Pull complete')
      await writeFile(join(this.#directory, hexOf(image.id), 'digest'), target.digest)
      return image
    })
  }

  /** The image that was pulled under this digest. */
  async #pulled(digest: string): Promise<StoredImage | undefined> {
    for (const name of await readdir(this.#directory)) {
      const known = await readFile(join(this.#directory, name, 'digest'), 'utf8').catch(() => '')
      if (known === digest && /^[0-9a-f]{64}$/.test(name)) return this.#read(name)
    }
    return undefined
  }

  rootfs(id: string): string {
    return join(this.#directory, hexOf(id), 'rootfs')
  }

  async remove(id: string): Promise<void> {
    await this.#discard(hexOf(id))
  }

  async sweep(known: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      if (!known.has(`sha256:${name}`) && !this.#busy.has(name)) await this.#discard(name)
    }
  }

  /** Unpacks an image; one that is there already is only read. The files given are used up. */
  async #add(config: Blob, layers: readonly Blob[], progress: Progress, done: string): Promise<StoredImage> {
    const known = await this.#read(config.digest)
    const record = known ?? (await this.#withTemporary(work => this.#unpack(work, config, layers)))
    for (const layer of known === undefined && done !== '' ? layers : []) {
      progress({
        status: done,
        progressDetail: {},
        id: layer.digest.slice('sha256:'.length, 'sha256:'.length + 12),
      })
    }
    return record
  }

  async #unpack(work: string, config: Blob, layers: readonly Blob[]): Promise<StoredImage> {
    const description = parseConfig(await readFile(config.path, 'utf8'))
    if (description.layers.length !== layers.length) {
      throw fault(
        'invalidParameter',
        `invalid manifest, layers length mismatch: expected ${String(layers.length)}, got ${String(description.layers.length)}`,
      )
    }
    const layout = join(work, 'layout')
    const rootfs = join(work, 'rootfs')
    if (layers.length === 0) {
      await mkdir(rootfs)
    } else {
      const plain = []
      for (const layer of layers) plain.push(await unpackable(layer))
      await writeLayout(layout, config, plain)
      await this.#runUmoci(['raw', 'unpack', '--image', `${layout}:image`, rootfs])
      await rm(layout, { recursive: true })
    }
    // Whatever a layer says of its own top directory: `tar -C tree .` of a private directory would close the image to
    // everybody but root. Docker skips that entry as well.
    await chown(rootfs, 0, 0)
    await chmod(rootfs, 0o755)
    const image: StoredImage = { id: config.digest, ...description, size: await treeSize(rootfs) }
    await writeFile(join(work, 'image.json'), JSON.stringify(image))
    await flush(work)
    try {
      await rename(work, join(this.#directory, hexOf(image.id)))
    } catch (error) {
      // Somebody else unpacked the same image meanwhile; theirs is as good.
      const code = (error as NodeJS.ErrnoException).code
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    }
    await flush(this.#directory)
    return image
  }

  async #runUmoci(args: readonly string[]): Promise<void> {
    const umoci = await requireProgram('umoci')
    try {
      await run(umoci, args, { maxBuffer: 64 * 1024 * 1024 })
    } catch (error) {
      const stderr = (error as { stderr?: string }).stderr ?? String(error)
      const lines = stderr.trim().split('\n')
      throw fault(
        'invalidParameter',
        `unpacking the image failed: ${(lines.at(-1) ?? '').replace(/^.*?\bmsg=/, '')}`,
      )
    }
  }

  async #read(id: string): Promise<StoredImage | undefined> {
    try {
      return JSON.parse(await readFile(join(this.#directory, hexOf(id), 'image.json'), 'utf8')) as StoredImage
    } catch {
      return undefined
    }
  }

  async #withTemporary<T>(use: (directory: string) => Promise<T>): Promise<T> {
    const name = temporary + randomBytes(6).toString('hex')
    const path = join(this.#directory, name)
    this.#busy.add(name)
    try {
      await mkdir(path, { mode: 0o711 })
      return await use(path)
    } finally {
      await rm(path, { recursive: true, force: true })
      this.#busy.delete(name)
    }
  }

  /** Takes the name away first, so that a crash leaves nothing half-removed under it. */
  async #discard(name: string): Promise<void> {
    const path = join(this.#directory, name)
    const doomed = join(this.#directory, `${temporary}${randomBytes(6).toString('hex')}`)
    try {
      await rename(path, doomed)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await rm(doomed, { recursive: true, force: true })
  }
}

function hexOf(id: string): string {
  const hex = id.startsWith('sha256:') ? id.slice('sha256:'.length) : id
  // It becomes a path.
  if (!/^[0-9a-f]{64}$/.test(hex)) throw fault('invalidParameter', `invalid image id: ${id}`)
  return hex
}

/** A layer in a form that umoci reads: plain or gzip. */
async function unpackable(layer: Blob): Promise<Blob & { readonly compression: Compression }> {
  const file = await open(layer.path)
  const head = Buffer.alloc(6)
  try {
    await file.read(head, 0, head.length, 0)
  } finally {
    await file.close()
  }
  const compression = compressionOf(head)
  if (compression === 'none' || compression === 'gzip') return { ...layer, compression }
  const plain = await storeBlob(await decompressed(createReadStream(layer.path)), `${layer.path}.tar`)
  return { ...plain, compression: 'none' }
}

/** Bytes of all files below a directory; one with several names counts once. */
async function treeSize(directory: string): Promise<number> {
  let total = 0
  const counted = new Set<number>()
  const pending = [directory]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const child = join(path, entry.name)
      if (entry.isDirectory()) {
        pending.push(child)
      } else if (entry.isFile()) {
        const { size, nlink, ino } = await lstat(child)
        if (nlink > 1 && counted.has(ino)) continue
        if (nlink > 1) counted.add(ino)
        total += size
      }
    }
  }
  return total
}

/** Everything written below a path, on disk. One call for the file system; a tree of files would take one for each. */
async function flush(path: string): Promise<void> {
  await run('sync', ['--file-system', path])
}
