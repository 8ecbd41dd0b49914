/**
 * The page's side of the server: its files, its gate, and the part of the API that it may use. Running containers is
 * not in that part: whoever steals a session can rearrange networks, but not become root.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Gate, isLoopbackHost, type Verdict } from './gate.ts'
import { readPage, type PageFile } from './files.ts'

export { pageHeader } from './gate.ts'

/** Path of the route that hands out tokens: for the unix socket only. */
export const tokenPath = '/linkspan/v1/ui'

const allowed: readonly (readonly [method: RegExp, path: RegExp])[] = [
  [
    /^(GET|HEAD)$/,
    /^\/(_ping|version|info|events|networks(\/.+)?|containers\/json|containers\/[^/]+\/json)$/,
  ],
  [/^POST$/, /^\/networks\/(create|prune|.+\/connect|.+\/disconnect)$/],
  [/^DELETE$/, /^\/networks\/.+$/],
  [/^(GET|POST|DELETE)$/, /^\/linkspan\/v1\/(?!ui$).+$/],
]

/** Nothing from elsewhere, no inline script, no frame around it. */
const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

const refusals: Readonly<Record<Exclude<Verdict, 'welcome'>, readonly [status: number, sentence: string]>> = {
  foreignHost: [421, 'this page is served to 127.0.0.1, ::1 and localhost only'],
  noSession: [401, 'run "linkspan ui" and open the address that it prints'],
  crossOrigin: [403, 'a request of another site: refused'],
}

export class Web {
  readonly #gate = new Gate()
  readonly #directory: string
  #files: ReadonlyMap<string, PageFile> | undefined

  /** @param directory of the built page */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Address to open once, within ten minutes. */
  visit(place: string): string {
    return `http://${place}/?t=${this.#gate.token()}`
  }

  /** True if the request may go on to the API; otherwise it has been answered. */
  admits(request: IncomingMessage, response: ServerResponse): boolean {
    for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value)
    if (!isLoopbackHost(request.headers.host)) return refuse(response, 'foreignHost')
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    this.#files ??= readPage(this.#directory)
    const token = searchParams.get('t')
    if (pathname === '/' && token !== null) return this.#enter(request, response, token)
    const file = this.#files.get(pathname)
    const cookie = cookieName(request)
    if (file?.immutable === true) return sendFile(request, response, file)
    const verdict = this.#gate.judge(request, cookie)
    if (verdict !== 'welcome') return refuse(response, verdict)
    if (file !== undefined) return sendFile(request, response, file)
    const method = request.method ?? ''
    if (allowed.some(([methods, paths]) => methods.test(method) && paths.test(pathname))) {
      response.setHeader('Cache-Control', 'no-store')
      return true
    }
    return answer(response, 404, pathname === '/' ? 'the page was not built' : 'not for the page')
  }

  /** The token leaves the address bar at once, and with it the browser's history. */
  #enter(request: IncomingMessage, response: ServerResponse, token: string): false {
    const session = this.#gate.open(token)
    if (session === undefined) return refuse(response, 'noSession')
    const cookie = `${cookieName(request)}=${session}; Path=/; HttpOnly; SameSite=Strict`
    response.writeHead(303, { Location: '/', 'Set-Cookie': cookie, 'Content-Length': 0 })
    response.end()
    return false
  }
}

/** Cookies do not know ports: two engines on one host, or two tunnels, must not overwrite each other's. */
const cookieName = (request: IncomingMessage): string =>
  `linkspan-${/:(\d+)$/.exec(request.headers.host ?? '')?.[1] ?? '80'}`

function refuse(response: ServerResponse, verdict: Exclude<Verdict, 'welcome'>): false {
  const [status, sentence] = refusals[verdict]
  return answer(response, status, sentence)
}

function answer(response: ServerResponse, status: number, message: string): false {
  const body = `${JSON.stringify({ message })}\n`
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
  return false
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: PageFile): false {
  response.setHeader('ETag', file.etag)
  response.setHeader('Cache-Control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
  response.setHeader('Vary', 'Accept-Encoding')
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return answer(response, 405, 'method not allowed')
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304)
    response.end()
    return false
  }
  const packed = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  const body = packed ? file.gzip : file.bytes
  if (packed) response.setHeader('Content-Encoding', 'gzip')
  response.writeHead(200, { 'Content-Type': file.type, 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
  return false
}
