/**
 * The route table. A pattern is a path in which `:name` stands for one segment and `*name` for the rest, slashes
 * included (`/networks/*id/connect`); the first that matches in the order of the table wins. Paths are matched after
 * percent-decoding, so `a%2Fb` and `a/b` are the same network.
 */
import { fault } from '../base/index.ts'
import { negotiate, newest, type ApiVersion } from './version.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'

export interface Route<H> {
  readonly method: Method
  readonly pattern: string
  readonly handler: H
}

export interface Match<H> {
  readonly handler: H
  readonly version: ApiVersion
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
}

interface Compiled<H> extends Route<H> {
  readonly expression: RegExp
}

function compile(pattern: string): RegExp {
  const source = pattern
    .replaceAll('.', String.raw`\.`)
    .replaceAll(/\*(\w+)/g, '(?<$1>.+)')
    .replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')
  return new RegExp(`^${source}$`, 's')
}

/** Clients behind a proxy send the whole URL. */
function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const local = target.replace(/^https?:\/\/[^/?]*/i, '')
  const question = local.indexOf('?')
  return question === -1
    ? { path: local, query: '' }
    : { path: local.slice(0, question), query: local.slice(question + 1) }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw fault('invalidParameter', `malformed request path: invalid URL escape`)
  }
}

const firstSegment = (path: string): string => path.split('/', 2)[1] ?? ''

/** Returns the function that finds the handler; it throws pageNotFound, methodNotAllowed and the version faults. */
export function createRouter<H>(routes: readonly Route<H>[]): (method: string, target: string) => Match<H> {
  // By first segment, so that a request is tested against a dozen patterns and not a hundred.
  const table = new Map<string, Compiled<H>[]>()
  for (const route of routes) {
    const compiled = { ...route, expression: compile(route.pattern) }
    const key = firstSegment(route.pattern)
    table.set(key, [...(table.get(key) ?? []), compiled])
  }
  return (method, target) => {
    const { path, query } = splitTarget(target)
    const decoded = decode(path)
    const [, prefix, rest] = /^\/v([0-9][0-9.]*)(\/.*)$/s.exec(decoded) ?? [undefined, undefined, decoded]
    let pathKnown = false
    for (const route of table.get(firstSegment(rest ?? '')) ?? []) {
      const match = route.expression.exec(rest ?? '')
      if (match === null) continue
      pathKnown = true
      if (route.method !== method) continue
      return {
        handler: route.handler,
        version: prefix === undefined ? newest : negotiate(prefix),
        params: match.groups ?? {},
        query: new URLSearchParams(query),
      }
    }
    throw fault(pathKnown ? 'methodNotAllowed' : 'pageNotFound')
  }
}
