/**
 * What `docker save` writes, in its old form (manifest.json, one directory per layer, links between them) and its new
 * one (an OCI layout), as a stream: every file goes to disk once, hashed on its way. Configurations keep their bytes,
 * so an image keeps its id.
 */

import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import { fault } from '../base/index.ts'
import { storeBlob, type Blob } from './blob.ts'
import { decompressed } from './compression.ts'
import { choosePlatform, hostPlatform } from './layout.ts'

export interface ArchivedImage {
  readonly config: Blob
  readonly layers: readonly Blob[]
  readonly tags: readonly string[]
}

/** Unpacks an archive, compressed or not, into `directory` and lists the images in it. */
export async function readArchive(archive: Readable, directory: string): Promise<readonly ArchivedImage[]> {
  const files = await extractFiles(await decompressed(archive), directory)
  if (files.has('manifest.json')) return dockerImages(files)
  if (files.has('index.json')) return ociImages(files)
  throw fault('invalidParameter', 'invalid archive: does not contain a manifest.json')
}

/** Regular files by their name in the archive, links resolved. */
class ArchiveFiles {
  readonly #blobs = new Map<string, Blob>()
  readonly #links = new Map<string, string>()

  add(name: string, blob: Blob): void {
    this.#blobs.set(clean(name), blob)
  }

  link(name: string, target: string): void {
    this.#links.set(clean(name), clean(target))
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined
  }

  get(name: string): Blob {
    const blob = this.#find(name)
    if (blob === undefined) throw fault('invalidParameter', `invalid archive: ${name} is missing`)
    return blob
  }

  async json(name: string): Promise<unknown> {
    const text = await readFile(this.get(name).path, 'utf8')
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw fault('invalidParameter', `invalid archive: ${name}: ${why}`)
    }
  }

  #find(name: string): Blob | undefined {
    let current = clean(name)
    for (let steps = 0; steps < 16; steps++) {
      const blob = this.#blobs.get(current)
      if (blob !== undefined) return blob
      const next = this.#links.get(current)
      if (next === undefined) return undefined
      current = next
    }
    return undefined
  }
}

function clean(name: string): string {
  return posix.join('/', name).slice(1)
}

async function extractFiles(tar: Readable, directory: string): Promise<ArchiveFiles> {
  const files = new ArchiveFiles()
  const entries = extract()
  let count = 0
  const reading = pipeline(tar, entries)
  // The loop below sees the same error; without a listener here it would count as unhandled meanwhile.
  reading.catch(() => undefined)
  try {
    for await (const entry of entries) {
      const { name, type, linkname } = entry.header
      if (type === 'file' || type === 'contiguous-file') {
        // Numbered, because a name in an archive may be anything.
        files.add(name, await storeBlob(entry, join(directory, `file${String(count++)}`)))
        continue
      }
      if (type === 'symlink') files.link(name, posix.join(posix.dirname(clean(name)), linkname ?? ''))
      if (type === 'link') files.link(name, linkname ?? '')
      entry.resume()
    }
    await reading
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error
    const why = error instanceof Error ? error.message : String(error)
    throw fault('invalidParameter', `Error processing tar file: ${why}`)
  }
  return files
}

async function dockerImages(files: ArchiveFiles): Promise<ArchivedImage[]> {
  const manifest = (await files.json('manifest.json')) as {
    Config: string
    RepoTags?: string[] | null
    Layers?: string[] | null
  }[]
  return manifest.map(({ Config, RepoTags, Layers }) => ({
    config: files.get(Config),
    layers: (Layers ?? []).map(name => files.get(name)),
    tags: RepoTags ?? [],
  }))
}

interface Descriptor {
  readonly mediaType?: string
  readonly digest: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string }
}

async function ociImages(files: ArchiveFiles): Promise<ArchivedImage[]> {
  const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`
  const { manifests } = (await files.json('index.json')) as { manifests: Descriptor[] }
  const images: ArchivedImage[] = []
  for (const descriptor of manifests) {
    let manifest = (await files.json(blobName(descriptor.digest))) as {
      manifests?: Descriptor[]
      config?: Descriptor
      layers?: Descriptor[]
    }
    if (manifest.manifests !== undefined) {
      const chosen = choosePlatform(manifest.manifests, hostPlatform)
      if (chosen === undefined) continue
      manifest = (await files.json(blobName(chosen.digest))) as typeof manifest
    }
    if (manifest.config === undefined) continue
    const tag =
      descriptor.annotations?.['io.containerd.image.name'] ??
      descriptor.annotations?.['org.opencontainers.image.ref.name']
    images.push({
      config: files.get(blobName(manifest.config.digest)),
      layers: (manifest.layers ?? []).map(({ digest }) => files.get(blobName(digest))),
      // A bare tag names no repository.
      tags: tag === undefined || !/[/:]/.test(tag) ? [] : [tag],
    })
  }
  return images
}
