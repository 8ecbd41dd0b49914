/**
 * Pulling by skopeo. It writes the `dir:` form: manifest and configuration keep their bytes, so the image's id and
 * digest are the registry's. skopeo's own policy file, its default credentials and Docker's login files are not used:
 * the client sends what it wants used.
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fault } from '../base/index.ts'
import type { Blob } from './blob.ts'
import { choosePlatform, type Platform } from './layout.ts'
import { familiarName, familiarReference, isLoopbackRegistry, type Reference } from './reference.ts'
import type { Progress, RegistryAuth } from './types.ts'

export interface PulledImage {
  /** Of what the reference names: the index where there is one. */
  readonly digest: string
  readonly config: Blob
  readonly layers: readonly Blob[]
}

interface Manifest {
  readonly schemaVersion: number
  readonly mediaType?: string
  readonly manifests?: readonly {
    readonly digest: string
    readonly platform?: { readonly os: string; readonly architecture: string }
  }[]
  readonly config?: { readonly digest: string; readonly size: number }
  readonly layers?: readonly { readonly digest: string; readonly size: number }[]
}

/** Copies an image into the empty directory `directory`. Faults in Docker's words. */
export async function pullImage(
  skopeo: string,
  reference: Reference,
  auth: RegistryAuth | undefined,
  directory: string,
  platform: Platform,
  progress: Progress,
): Promise<PulledImage> {
  const authFile = `${directory}.auth`
  try {
    const options = [
      ...(isLoopbackRegistry(reference.registry) ? ['tls-verify=false'] : []),
      ...(auth === undefined ? ['no-creds'] : [`authfile=${authFile}`]),
    ]
    if (auth !== undefined) {
      await writeFile(authFile, authContent(reference.registry, auth), { mode: 0o600, flag: 'wx' })
    }
    const fail = (stderr: string): Error => pullFault(reference, stderr)
    // One request says what the name means now; the copy then asks for exactly that, so that a tag moved meanwhile
    // cannot mix two images, and the digest is the one `docker pull` shows.
    const raw = await runSkopeo(
      [skopeo, 'inspect', '--raw', ...options.map(option => `--${option}`), dockerUrl(reference)],
      fail,
    )
    const digest = reference.digest ?? digestOf(raw)
    const index = parseManifest(raw)
    const chosen = index.manifests === undefined ? undefined : choosePlatform(index.manifests, platform)
    if (index.manifests !== undefined && chosen === undefined) {
      throw fault(
        'notFound',
        `no matching manifest for ${platform.os}/${platform.architecture} in the manifest list entries`,
      )
    }
    const exact = dockerUrl({
      registry: reference.registry,
      path: reference.path,
      digest: chosen?.digest ?? digest,
    })
    const downloaded = watchBlobs(directory, progress)
    try {
      await runSkopeo(
        [
          skopeo,
          '--insecure-policy',
          'copy',
          ...options.map(option => `--src-${option}`),
          exact,
          `dir:${directory}`,
        ],
        fail,
        line => {
          const id = /^Copying blob sha256:([0-9a-f]{12})/.exec(line)?.[1]
          if (id !== undefined) progress({ status: 'Pulling fs layer', progressDetail: {}, id })
        },
      )
    } finally {
      downloaded.close()
    }
    const manifest = parseManifest(await readFile(join(directory, 'manifest.json')))
    if (manifest.config === undefined) {
      throw fault('invalidParameter', 'image manifests of schema version 1 are no longer supported')
    }
    const blob = (one: { readonly digest: string; readonly size: number }): Blob => ({
      digest: one.digest,
      size: one.size,
      path: join(directory, one.digest.slice(one.digest.indexOf(':') + 1)),
    })
    return { digest, config: blob(manifest.config), layers: (manifest.layers ?? []).map(blob) }
  } finally {
    await rm(authFile, { force: true })
  }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function parseManifest(bytes: Buffer): Manifest {
  return JSON.parse(bytes.toString()) as Manifest
}

function dockerUrl({ registry, path, tag, digest }: Reference): string {
  // skopeo takes a tag or a digest, not both; the digest is the stricter one.
  return `docker://${registry}/${path}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`
}

/** A layer's file gets its final name when it is complete. */
function watchBlobs(directory: string, progress: Progress): { close(): void } {
  const seen = new Set<string>()
  const watcher = watch(directory, (_, name) => {
    if (name === null || !/^[0-9a-f]{64}$/.test(name) || seen.has(name)) return
    seen.add(name)
    progress({ status: 'Download complete', progressDetail: {}, id: name.slice(0, 12) })
  })
  watcher.on('error', () => undefined)
  return watcher
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
  [program = '', ...args]: readonly string[],
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
