/**
 * An OCI image layout around files that are there already, just complete enough for umoci to unpack it; and image
 * configurations as our own records. The configuration's bytes are never touched: their digest is the image's id.
 */

import { createHash } from 'node:crypto'
import { link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fault } from '../base/index.ts'
import type { Blob } from './blob.ts'
import type { Compression } from './compression.ts'
import type { ImageConfig, StoredImage } from './types.ts'

export interface Platform {
  readonly os: string
  /** As Go says it: amd64, arm64. */
  readonly architecture: string
}

const goNames: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }

/** The platform whose images run here. */
export const hostPlatform: Platform = {
  os: 'linux',
  architecture: goNames[process.arch] ?? process.arch,
}

/** The entry of an image index that runs here; undefined if there is none. */
export function choosePlatform<T extends { readonly platform?: Partial<Platform> }>(
  manifests: readonly T[],
  { os, architecture }: Platform,
): T | undefined {
  return manifests.find(({ platform }) => platform?.os === os && platform.architecture === architecture)
}

/** Docker's image configuration (and OCI's, which is the same with fewer fields). */
interface ConfigFile {
  readonly created?: string
  readonly author?: string
  readonly comment?: string
  readonly architecture?: string
  readonly os?: string
  readonly config?: ImageConfig | null
  readonly rootfs?: { readonly diff_ids?: readonly string[] | null }
  readonly history?:
    | readonly {
        readonly created?: string
        readonly created_by?: string
        readonly comment?: string
        readonly empty_layer?: boolean
      }[]
    | null
}

const zeroTime = '0001-01-01T00:00:00Z'

/** An image configuration's text → everything but what only the disk knows (size). */
export function parseConfig(text: string): Omit<StoredImage, 'id' | 'digest' | 'size'> {
  let file: ConfigFile
  try {
    file = JSON.parse(text) as ConfigFile
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw fault('invalidParameter', `invalid image configuration: ${why}`)
  }
  return {
    created: file.created ?? zeroTime,
    author: file.author ?? '',
    comment: file.comment ?? '',
    architecture: file.architecture ?? '',
    os: file.os ?? 'linux',
    config: file.config ?? {},
    layers: file.rootfs?.diff_ids ?? [],
    history: (file.history ?? []).map(one => ({
      created: one.created ?? zeroTime,
      createdBy: one.created_by ?? '',
      comment: one.comment ?? '',
      emptyLayer: one.empty_layer ?? false,
    })),
  }
}

/** The configuration of an image that `docker import` makes out of one layer. */
export function importedConfig(
  config: ImageConfig,
  diffId: string,
  message: string,
  created: string,
): string {
  return JSON.stringify({
    architecture: hostPlatform.architecture,
    comment: message,
    config,
    created,
    history: [{ created, comment: message }],
    os: hostPlatform.os,
    rootfs: { type: 'layers', diff_ids: [diffId] },
  })
}

/** Makes the layout `directory` (tag `image`); the files are linked into it, because several images may share one. */
export async function writeLayout(
  directory: string,
  config: Blob,
  layers: readonly (Blob & { readonly compression: Compression })[],
): Promise<void> {
  const blobs = join(directory, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: descriptor('config.v1+json', config),
    layers: layers.map(layer =>
      descriptor(`layer.v1.tar${layer.compression === 'gzip' ? '+gzip' : ''}`, layer),
    ),
  })
  // A layer can occur twice, but there is only one file.
  const paths = new Map([config, ...layers].map(blob => [blob.digest, blob.path]))
  for (const [digest, path] of paths) await link(path, join(blobs, digest.slice('sha256:'.length)))
  const digest = createHash('sha256').update(manifest).digest('hex')
  await writeFile(join(blobs, digest), manifest)
  const reference = {
    ...descriptor('manifest.v1+json', { digest: `sha256:${digest}`, size: Buffer.byteLength(manifest) }),
    annotations: { 'org.opencontainers.image.ref.name': 'image' },
  }
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [reference] }))
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

function descriptor(kind: string, { digest, size }: Omit<Blob, 'path'>): Record<string, unknown> {
  return { mediaType: `application/vnd.oci.image.${kind}`, digest, size }
}
