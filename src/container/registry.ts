/**
 * Pulling by skopeo. It writes the `dir:` form: manifest and configuration keep their bytes, so the image's id and
 * digest are the registry's. skopeo's own policy file, its default credentials and Docker's login files are not used:
 * the client sends what it wants used.
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fault } from '../base/index.ts'
import type { Blob } from './blob.ts'
import { choosePlatform, hostPlatform } from './layout.ts'
import { familiarName, familiarReference, isLoopbackRegistry, type Reference } from './reference.ts'
import type { Progress, RegistryAuth } from './types.ts'

/** What a reference means at a moment. */
export interface RemoteImage {
  /** Of what the reference names: the index where there is one. */
  readonly digest: string
  /** Of the manifest for this machine. */
  readonly manifest: string
}

export interface PulledImage {
  readonly config: Blob
  readonly layers: readonly Blob[]
}

interface Manifest {
  readonly manifests?: readonly {
    readonly digest: string
    readonly platform?: { readonly os: string; readonly architecture: string }
  }[]
  readonly config?: { readonly digest: string; readonly size: number }
  readonly layers?: readonly { readonly digest: string; readonly size: number }[]
}

/** One reference at its registry. All faults are in Docker's words. */
export class Registry {
  readonly #skopeo: string
  readonly #reference: Reference
  readonly #auth: RegistryAuth | undefined

  constructor(skopeo: string, reference: Reference, auth: RegistryAuth | undefined) {
    this.#skopeo = skopeo
    this.#reference = reference
    this.#auth = auth
  }

  /**
   * One request. The download then asks for exactly what came out, so that a tag moved meanwhile cannot mix two
   * images.
   */
  async resolve(): Promise<RemoteImage> {
    const raw = await this.#run(options => ['inspect', '--raw', ...options('--'), dockerUrl(this.#reference)])
    const digest = this.#reference.digest ?? `sha256:${createHash('sha256').update(raw).digest('hex')}`
    const { manifests } = parseManifest(raw)
    if (manifests === undefined) return { digest, manifest: digest }
    const chosen = choosePlatform(manifests, hostPlatform)
    if (chosen === undefined) {
      const platform = `${hostPlatform.os}/${hostPlatform.architecture}`
      throw fault('notFound', `no matching manifest for ${platform} in the manifest list entries`)
    }
    return { digest, manifest: chosen.digest }
  }

  /** Copies an image into a new directory below `work`. */
  async download(image: RemoteImage, work: string, progress: Progress): Promise<PulledImage> {
    const directory = join(work, 'copy')
    await mkdir(directory)
    const { registry, path } = this.#reference
    const source = dockerUrl({ registry, path, digest: image.manifest })
    const layersSeen = tellLayers(directory, progress)
    try {
      await this.#run(
        options => ['--insecure-policy', 'copy', ...options('--src-'), source, `dir:${directory}`],
        line => layersSeen.read(line),
      )
      layersSeen.finish()
    } finally {
      layersSeen.close()
    }
    const { config, layers = [] } = parseManifest(await readFile(join(directory, 'manifest.json')))
    if (config === undefined) {
      throw fault('invalidParameter', 'image manifests of schema version 1 are no longer supported')
    }
    const blob = ({ digest, size }: { readonly digest: string; readonly size: number }): Blob => ({
      digest,
      size,
      path: join(directory, digest.slice(digest.indexOf(':') + 1)),
    })
    return { config: blob(config), layers: layers.map(blob) }
  }

  /** Runs skopeo with the options that every access to the registry needs; `options` prefixes them for the command. */
  async #run(
    command: (options: (prefix: string) => readonly string[]) => readonly string[],
    onLine?: (line: string) => void,
  ): Promise<Buffer> {
    const { registry } = this.#reference
    const insecure = isLoopbackRegistry(registry) ? ['tls-verify=false'] : []
    const fail = (stderr: string): Error => pullFault(this.#reference, stderr)
    const auth = this.#auth
    if (auth === undefined) {
      const args = command(prefix => [...insecure, 'no-creds'].map(option => prefix + option))
      return runSkopeo(this.#skopeo, args, fail, onLine)
    }
    // In a file, because command lines are for everybody to read.
    const directory = await mkdtemp(join(tmpdir(), 'linkspan-auth-'))
    try {
      const file = join(directory, 'auth.json')
      await writeFile(file, authContent(registry, auth), { mode: 0o600 })
      const args = command(prefix => [...insecure, `authfile=${file}`].map(option => prefix + option))
      return await runSkopeo(this.#skopeo, args, fail, onLine)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

function parseManifest(bytes: Buffer): Manifest {
  return JSON.parse(bytes.toString()) as Manifest
}

function dockerUrl({ registry, path, tag, digest }: Reference): string {
  // skopeo takes a tag or a digest, not both; the digest is the stricter one.
  return `docker://${registry}/${path}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`
}

/**
 * Tells of each layer when skopeo names it, and when its file has its final name: then it is complete. The two reach us
 * on different ways, in any order; the configuration, which is a file as well, is never named as a blob.
 */
function tellLayers(
  directory: string,
  progress: Progress,
): { read(line: string): void; finish(): void; close(): void } {
  const named = new Set<string>()
  const complete = new Set<string>()
  const tell = (status: string, id: string): void => progress({ status, progressDetail: {}, id })
  const completed = (id: string): void => {
    if (complete.has(id)) return
    complete.add(id)
    if (named.has(id)) tell('Download complete', id)
  }
  const watcher = watch(directory, (_, name) => {
    const id = /^([0-9a-f]{12})[0-9a-f]{52}$/.exec(name ?? '')?.[1]
    if (id !== undefined) completed(id)
  })
  watcher.on('error', () => undefined)
  return {
    read: line => {
      const id = /^Copying blob sha256:([0-9a-f]{12})/.exec(line)?.[1]
      if (id === undefined || named.has(id)) return
      named.add(id)
      tell('Pulling fs layer', id)
      if (complete.has(id)) tell('Download complete', id)
    },
    // All is there; what the watcher has not yet said, it need not say any more.
    finish: () => {
      for (const id of named) completed(id)
    },
    close: () => watcher.close(),
  }
}

/** containers-auth.json(5), for one registry. */
function authContent(registry: string, auth: RegistryAuth): string {
  const basic = Buffer.from(`${auth.username ?? ''}:${auth.password ?? ''}`).toString('base64')
  const entry =
    auth.identityToken === undefined || auth.identityToken === ''
      ? { auth: basic }
      : { auth: Buffer.from('<token>:').toString('base64'), identitytoken: auth.identityToken }
  return JSON.stringify({ auths: { [registry]: entry } })
}

async function runSkopeo(
  program: string,
  args: readonly string[],
  fail: (stderr: string) => Error,
  onLine?: (line: string) => void,
): Promise<Buffer> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  let errors = ''
  if (onLine === undefined) child.stdout.on('data', (data: Buffer) => output.push(data))
  else createInterface(child.stdout).on('line', onLine)
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0) resolve(Buffer.concat(output))
      else reject(fail(errors))
    })
  })
}

/** What skopeo prints → what Docker says for the same thing. */
export function pullFault(reference: Reference, stderr: string): Error {
  const text = lastMessage(stderr)
  const name = familiarName(reference)
  if (/manifest unknown|manifest invalid/i.test(text)) {
    return fault(
      'notFound',
      `manifest for ${familiarReference(reference)} not found: manifest unknown: manifest unknown`,
    )
  }
  if (/name unknown|repository name not known/i.test(text)) {
    return fault(
      'notFound',
      `repository ${name} not found: name unknown: repository name not known to registry`,
    )
  }
  if (/unauthorized|authentication required|denied|invalid username\/password|\b401\b|\b403\b/i.test(text)) {
    return fault(
      'notFound',
      `pull access denied for ${name}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    )
  }
  // The last request is the one that decided; before it skopeo may tell of the attempt with TLS.
  const request = text.lastIndexOf('Get "')
  return fault('internal', request >= 0 ? text.slice(request) : text)
}

/** The message of skopeo's last fatal line. */
function lastMessage(stderr: string): string {
  const matches = [...stderr.matchAll(/level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*"|\S+)/g)]
  const quoted = matches.at(-1)?.[1]
  if (quoted === undefined) return stderr.trim().split('\n').at(-1) ?? ''
  try {
    return quoted.startsWith('"') ? (JSON.parse(quoted) as string) : quoted
  } catch {
    return quoted
  }
}
