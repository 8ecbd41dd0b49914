/** Pulling an image, for `pull` and for the commands that find it missing. */
import { readFileSync } from 'node:fs'
import type { Context, Output } from './context.ts'
import { configPath } from './context.ts'
import { showProgress, type ProgressLine } from './progress.ts'
import { familiarName, type Reference } from './reference.ts'

interface StoredAuth {
  readonly auth?: string
  readonly identitytoken?: string
}

/** Credentials of a registry as `docker login` stored them, in the header's form; `{}` where there are none. */
export function registryAuth(domain: string, env: Context['env']): string {
  let stored: StoredAuth | undefined
  try {
    const config = JSON.parse(readFileSync(configPath(env), 'utf8')) as { auths?: Record<string, StoredAuth> }
    stored = config.auths?.[domain === 'docker.io' ? 'https://index.docker.io/v1/' : domain]
  } catch {
    // No such file, or not ours to read: as if nobody had logged in.
  }
  let credentials: Record<string, string> = {}
  if (stored?.identitytoken !== undefined)
    credentials = { identitytoken: stored.identitytoken, serveraddress: domain }
  else if (stored?.auth !== undefined) {
    const [username = '', ...rest] = Buffer.from(stored.auth, 'base64').toString().split(':')
    credentials = { username, password: rest.join(':'), serveraddress: domain }
  }
  return Buffer.from(JSON.stringify(credentials)).toString('base64url').padEnd(4, '=')
}

export async function pullImage(
  context: Context,
  reference: Reference,
  options: { readonly output: Output | undefined; readonly platform: string; readonly allTags?: boolean },
): Promise<void> {
  const { domain, path, tag, digest } = reference
  const messages = context.client.stream<ProgressLine>('POST', '/images/create', {
    query: {
      fromImage: domain === 'docker.io' ? `docker.io/${path}` : familiarName(reference),
      tag: digest ?? (options.allTags === true ? undefined : (tag ?? 'latest')),
      platform: options.platform === '' ? undefined : options.platform,
    },
    headers: { 'X-Registry-Auth': registryAuth(domain, context.env) },
  })
  await showProgress(messages, options.output ?? silence)
}

const silence = { isTTY: false, write: () => true } as unknown as Output
