/** Image references as people type them: `busybox`, `localhost:5000/team/app:1.2`, `name@sha256:…`. */
import { Failure } from './failure.ts'

export interface Reference {
  /** `docker.io`, `localhost:5000` */
  readonly domain: string
  /** `library/busybox` */
  readonly path: string
  readonly tag: string | undefined
  /** `sha256:…` */
  readonly digest: string | undefined
}

const hub = 'docker.io'
const segment = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

export function parseReference(text: string): Reference {
  const [beforeDigest = '', digest] = text.split('@')
  const slash = beforeDigest.lastIndexOf('/')
  const colon = beforeDigest.lastIndexOf(':')
  const tag = colon > slash ? beforeDigest.slice(colon + 1) : undefined
  const name = tag === undefined ? beforeDigest : beforeDigest.slice(0, colon)
  const first = name.split('/')[0] ?? ''
  // The first part is a registry if it cannot be a path: it has a dot, a port, capitals, or is localhost.
  const registry =
    name.includes('/') && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = registry ? first : hub
  const rest = registry ? name.slice(first.length + 1) : name
  const path = domain === hub && !rest.includes('/') ? `library/${rest}` : rest
  if (path !== path.toLowerCase()) {
    throw new Failure(`invalid reference format: repository name (${path}) must be lowercase`)
  }
  const wrong =
    !path.split('/').every(part => segment.test(part)) ||
    (tag !== undefined && !/^[\w][\w.-]{0,127}$/.test(tag)) ||
    (digest !== undefined && !/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/.test(digest))
  if (wrong) throw new Failure('invalid reference format')
  return { domain, path, tag, digest }
}

/** As docker prints it: Docker Hub and `library/` are left out. */
export function familiarName({ domain, path }: Reference): string {
  if (domain !== hub) return `${domain}/${path}`
  return path.replace(/^library\//, '')
}

/** The familiar name with its tag or digest; `latest` where neither is said. */
export function familiarReference(reference: Reference): string {
  const name = familiarName(reference)
  const tag = reference.tag ?? (reference.digest === undefined ? 'latest' : undefined)
  return `${name}${tag === undefined ? '' : `:${tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`
}
