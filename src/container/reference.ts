/**
 * Image references as the distribution project defines them: `[registry[:port]/]path[:tag][@digest]`.
 * People write the familiar form (`busybox`), registries know the full one (`docker.io/library/busybox:latest`).
 */

import { fault } from '../base/index.ts'

export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  readonly registry: string
  /** `library/busybox`. */
  readonly path: string
  readonly tag?: string
  /** `sha256:…`. */
  readonly digest?: string
}

const defaultRegistry = 'docker.io'
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const registryPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`)
const pathPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^\w[\w.-]{0,127}$/
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/

/** Reads a familiar or full reference; throws `invalidParameter` in Docker's words. Adds no default tag. */
export function parseReference(text: string): Reference {
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  }
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  // A first part is a registry only if it cannot be a path: it has a dot, a port or capitals, or is localhost.
  const named = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const registry = !named || first === 'index.docker.io' ? defaultRegistry : first
  let rest = named ? text.slice(slash + 1) : text

  const at = rest.indexOf('@')
  const digest = at < 0 ? undefined : rest.slice(at + 1)
  if (at >= 0) rest = rest.slice(0, at)
  const colon = rest.indexOf(':')
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  if (colon >= 0) rest = rest.slice(0, colon)
  if (registry === defaultRegistry && rest !== '' && !rest.includes('/')) rest = `library/${rest}`

  if (rest !== rest.toLowerCase()) {
    throw invalid(`invalid reference format: repository name (${rest}) must be lowercase`)
  }
  const ok =
    registryPattern.test(registry) &&
    pathPattern.test(rest) &&
    (tag === undefined || tagPattern.test(tag)) &&
    (digest === undefined || digestPattern.test(digest))
  if (!ok) throw invalid('invalid reference format')
  if (registry.length + 1 + rest.length > 255) {
    throw invalid('invalid reference format: repository name must not be longer than 255 characters')
  }
  return {
    registry,
    path: rest,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** The same reference with `:latest` if it names neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference
}

/** `docker.io/library/busybox:latest`; only what the reference names. */
export function fullReference(reference: Reference): string {
  return `${reference.registry}/${reference.path}${suffix(reference)}`
}

/** The repository as people write it: `busybox`, `localhost:5000/web`. */
export function familiarName(reference: Reference): string {
  if (reference.registry !== defaultRegistry) return `${reference.registry}/${reference.path}`
  const rest = reference.path.replace(/^library\//, '')
  return rest.includes('/') ? reference.path : rest
}

/** `busybox:latest`; only what the reference names. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference)
}

/** Registries on this machine are spoken to without TLS, as Docker does by default. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:[0-9]+$/, '')
  return host === 'localhost' || host === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(host)
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`)
}

function invalid(message: string): Error {
  return fault('invalidParameter', message)
}

/**
 * The key under which an image's name is kept and shown: familiar, with its tag (`busybox:latest`). undefined if the
 * text is no reference.
 */
export function normaliseReference(text: string): string | undefined {
  try {
    return familiarReference(withDefaultTag(parseReference(text)))
  } catch {
    return undefined
  }
}
