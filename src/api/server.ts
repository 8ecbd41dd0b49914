/**
 * The HTTP server: listening, dispatch, errors, upgrades, and an end that leaves no client hanging.
 *
 * Facts about node:http that shaped it: an upgraded request has left the parser, so its body and its answer are ours to
 * read and write by hand; a request that hijacks without asking for an upgrade (old clients) still has the parser on
 * its socket, which must be taken off before the client's raw bytes are taken for a second request.
 */
import { once } from 'node:events'
import { createServer, ServerResponse, type IncomingMessage, type Server } from 'node:http'
import { createConnection, type Socket } from 'node:net'
import { chmodSync, chownSync, lstatSync, readFileSync, unlinkSync } from 'node:fs'
import { PassThrough, type Readable } from 'node:stream'
import { Fault, fault } from '../base/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Answer, ApiLog, Call, Handler } from './call.ts'
import type { Insight } from './insight.ts'
import { createRouter } from './router.ts'
import { routes } from './routes/index.ts'
import type { Hijacked } from './stream.ts'
import { dockerVersion, newest, versionText } from './version.ts'
import { Web } from './web/index.ts'

export type ApiAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** A listening socket that somebody handed over. */
  | { readonly kind: 'fd'; readonly fd: number }

export interface ApiOptions {
  readonly log?: ApiLog | undefined
  /** Owner of unix sockets, name or number; default `docker`, where there is such a group. */
  readonly group?: string | undefined
  /** Who answers questions about the engine under /linkspan/v1. */
  readonly insight?: Insight | undefined
  /** The web page; undefined = none. */
  readonly page?: PageOptions | undefined
}

export interface PageOptions {
  /** Loopback address to serve it on. */
  readonly host: string
  readonly port: number
  /** Of the built page. */
  readonly directory: string
  /** Another port will do if this one is taken. */
  readonly anyPort: boolean
}

export interface ApiServer {
  /** Starts to listen; resolves with where: the path, or `host:port` (the port chosen, if 0 was asked for). */
  listen(address: ApiAddress): Promise<string>
  /** Serves the page if that has not been done; resolves with an address to open once. Throws if there is no page. */
  visit(): Promise<string>
  /** Stops listening, ends parked requests (wait, events, attach, logs) and resolves once every connection is closed. */
  close(): Promise<void>
}

const silent: ApiLog = { debug: () => undefined, warn: () => undefined, error: () => undefined }

const commonHeaders: Readonly<Record<string, string>> = {
  'Api-Version': versionText(newest),
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: `Docker/${dockerVersion} (linux)`,
}

/** How long the rest of a body that nobody wants is waited for. */
const lateBodyMilliseconds = 500
/** How long requests in flight may take once the server closes. */
const closeMilliseconds = 3000
/** How long the last output may then take to reach its reader. */
const flushMilliseconds = 500

function groupId(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name)
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find(one => one.startsWith(`${name}:`))
  return line === undefined ? undefined : Number(line.split(':')[2])
}

/** Resolves with true if somebody answers on the unix socket. */
const answers = async (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const probe = createConnection(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })

/** Removes the socket file that a killed engine left behind; one that is in use is an error. */
async function clearStale(path: string): Promise<void> {
  const entry = lstatSync(path, { throwIfNoEntry: false })
  if (entry === undefined) return
  if (!entry.isSocket()) throw new Error(`${path} exists and is not a socket`)
  if (await answers(path)) throw new Error(`${path} is in use by another engine`)
  unlinkSync(path)
}

function send(response: ServerResponse, answer: Answer): void {
  const { status, json, text, headers } = answer
  const payload = json === undefined ? text : `${json}\n`
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value)
  response.statusCode = status
  if (payload === undefined) {
    if (status !== 204 && status !== 304) response.setHeader('Content-Length', 0)
    response.end()
    return
  }
  response.setHeader('Content-Type', json === undefined ? 'text/plain; charset=utf-8' : 'application/json')
  response.setHeader('Content-Length', Buffer.byteLength(payload))
  response.end(payload)
}

/** The body of an upgraded request, read by hand: `Content-Length` bytes of the socket, then the end. */
function bodyOf(request: IncomingMessage, socket: Socket, upgraded: boolean): Readable {
  if (!upgraded) return request
  const length = Number(request.headers['content-length'] ?? 0)
  const body = new PassThrough()
  let missing = Number.isSafeInteger(length) ? length : 0
  const take = (): void => {
    while (missing > 0) {
      const chunk = socket.read(Math.min(missing, socket.readableLength)) as Buffer | null
      if (chunk === null || chunk.length === 0) break
      missing -= chunk.length
      body.write(chunk)
    }
    if (missing > 0) return
    socket.off('readable', take)
    socket.off('end', stop)
    body.end()
  }
  const stop = (): void => {
    missing = 0
    take()
  }
  if (missing === 0) body.end()
  else {
    socket.on('readable', take)
    socket.on('end', stop)
    take()
  }
  return body
}

/**
 * Lets the rest of a body come in before it is answered without having been read: a connection that closes with unread
 * input is reset by the kernel, and the client might lose the answer. Bounded, for bodies that never end.
 */
async function arrived(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return
  request.resume()
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, lateBodyMilliseconds)
    request.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    request.once('end', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

const wantsUpgrade = (request: IncomingMessage): boolean => request.headers.upgrade?.toLowerCase() === 'tcp'

/**
 * Takes the socket away from HTTP. In the old form the parser still listens to it: its listeners go, and the first
 * listener of ours unhooks it. A request with a chunked body (dockerode with an open stdin) keeps the parser, which
 * undoes the chunks for us.
 */
function takeOver(
  request: IncomingMessage,
  response: ServerResponse,
  socket: Socket,
  upgraded: boolean,
): Readable {
  response.detachSocket(socket)
  if (upgraded) return socket
  if (request.headers['transfer-encoding'] !== undefined) return request
  for (const event of ['data', 'end', 'drain', 'timeout']) socket.removeAllListeners(event)
  return socket
}

class Connections implements ApiServer {
  readonly #engine: Engine
  readonly #log: ApiLog
  readonly #group: string | undefined
  readonly #insight: Insight | undefined
  readonly #page: PageOptions | undefined
  readonly #web: Web
  /** Where the page is served, once somebody asked for it. */
  #pagePlace: Promise<string> | undefined
  readonly #find = createRouter<Handler>(routes)
  readonly #servers = new Set<Server>()
  readonly #hijacked = new Set<Socket>()
  readonly #running = new Set<Promise<void>>()
  /** One per request on its way: aborted when its client goes or the server closes. */
  readonly #calls = new Set<AbortController>()
  #closing = false

  constructor(engine: Engine, options: ApiOptions) {
    this.#engine = engine
    this.#log = options.log ?? silent
    this.#group = options.group
    this.#insight = options.insight
    this.#page = options.page
    this.#web = new Web(options.page?.directory ?? '')
  }

  async listen(address: ApiAddress): Promise<string> {
    if (address.kind === 'unix') await clearStale(address.path)
    const server = this.#createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.once('listening', () => {
        server.off('error', reject)
        resolve()
      })
      this.#bind(server, address)
    })
    this.#servers.add(server)
    if (address.kind !== 'unix') return placeOf(server)
    this.#giveToGroup(address.path)
    return address.path
  }

  async visit(): Promise<string> {
    const page = this.#page
    if (page === undefined)
      throw fault('unavailable', 'the page is switched off: the engine runs with --web off')
    this.#pagePlace ??= this.#servePage(page)
    try {
      return this.#web.visit(await this.#pagePlace)
    } catch (error) {
      this.#pagePlace = undefined
      throw error
    }
  }

  async #servePage(page: PageOptions): Promise<string> {
    const server = this.#createServer((request, response) => this.#web.admits(request, response))
    const bind = async (port: number): Promise<void> => {
      server.listen(port, page.host)
      await once(server, 'listening')
    }
    try {
      await bind(page.port)
    } catch (error) {
      if (!page.anyPort) throw fault('unavailable', `the page cannot be served: ${firstLine(error)}`)
      await bind(0)
    }
    this.#servers.add(server)
    return placeOf(server)
  }

  /** Binding happens inside `listen`: with this mask nobody can connect before the mode is right. */
  #bind(server: Server, address: ApiAddress): void {
    if (address.kind === 'tcp') server.listen(address.port, address.host)
    else if (address.kind === 'fd') server.listen({ fd: address.fd })
    else {
      const mask = process.umask(0o117)
      try {
        server.listen(address.path)
      } finally {
        process.umask(mask)
      }
    }
  }

  #giveToGroup(path: string): void {
    chmodSync(path, 0o660)
    const group = groupId(this.#group ?? 'docker')
    if (group !== undefined) chownSync(path, 0, group)
    else if (this.#group !== undefined) {
      this.#log.warn({ group: this.#group }, 'no such group: the socket belongs to root alone')
    }
  }

  /** @param admits answers what may not come in, and gives false for it; such servers take no upgrades */
  #createServer(admits?: (request: IncomingMessage, response: ServerResponse) => boolean): Server {
    const server = createServer({
      // Filters travel in the URL, and Go's servers take a megabyte of head.
      maxHeaderSize: 1024 * 1024,
      // Requests may be parked for days: wait, events, attach.
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
    })
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (admits?.(request, response) ?? true) this.#accept(request, response, request.socket, false)
    })
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (admits !== undefined) {
        socket.destroy()
        return
      }
      if (head.length > 0) socket.unshift(head)
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      // Without the parser nobody else ends the connection after an ordinary answer.
      response.once('finish', () => socket.destroySoon())
      socket.on('error', () => socket.destroy())
      this.#hijacked.add(socket)
      socket.once('close', () => this.#hijacked.delete(socket))
      this.#accept(request, response, socket, true)
    })
    server.on('clientError', (_error: Error, socket: Socket) => {
      if (socket.writable && !this.#hijacked.has(socket)) {
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      } else socket.destroy()
    })
    return server
  }

  #accept(request: IncomingMessage, response: ServerResponse, socket: Socket, upgraded: boolean): void {
    const work = this.#serve(request, response, socket, upgraded)
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Socket,
    upgraded: boolean,
  ): Promise<void> {
    for (const [name, value] of Object.entries(commonHeaders)) response.setHeader(name, value)
    response.on('error', () => undefined)
    const controller = new AbortController()
    const onClose = (): void => controller.abort()
    socket.once('close', onClose)
    this.#calls.add(controller)
    if (this.#closing) controller.abort()
    try {
      const match = this.#find(request.method ?? '', request.url ?? '')
      const call: Call = {
        engine: this.#engine,
        insight: this.#insight,
        log: this.#log,
        version: match.version,
        params: match.params,
        query: match.query,
        headers: request.headers,
        body: bodyOf(request, socket, upgraded),
        signal: controller.signal,
        closing: () => this.#closing,
        visit: async () => this.visit(),
        response,
        hijack: contentType => this.#hijack(request, response, socket, upgraded, contentType),
      }
      const answer = await match.handler(call)
      if (answer !== undefined) {
        if (!upgraded) await arrived(request)
        send(response, answer)
      }
    } catch (error) {
      if (!upgraded) await arrived(request)
      this.#refuse(request, response, error)
    } finally {
      socket.off('close', onClose)
      this.#calls.delete(controller)
    }
  }

  #hijack(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Socket,
    upgraded: boolean,
    contentType: string,
  ): Hijacked {
    const input = takeOver(request, response, socket, upgraded)
    this.#hijacked.add(socket)
    socket.once('close', () => this.#hijacked.delete(socket))
    socket.on('error', () => socket.destroy())
    const headers = Object.entries({ ...commonHeaders, 'Content-Type': contentType })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    const head =
      upgraded && wantsUpgrade(request)
        ? `HTTP/1.1 101 UPGRADED\r\n${headers}Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
        : `HTTP/1.1 200 OK\r\n${headers}Connection: close\r\n\r\n`
    socket.write(head)
    return { input, output: socket }
  }

  /**
   * Bad requests, and going away in the middle of one, are the client's business; what nobody foresaw is logged with its
   * stack, which no answer shows.
   */
  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = error instanceof Fault ? error : fault('internal', firstLine(error))
    const details = { method: request.method, url: request.url, error }
    const gone = request.socket.destroyed
    if (known.status >= 500 && !(error instanceof Fault) && !gone) this.#log.error(details, 'request failed')
    else this.#log.debug(details, 'request refused')
    // Detached (hijacked) or half written: the only honest answer left is the end.
    if (response.socket === null || response.headersSent) {
      request.socket.destroy()
      return
    }
    if (known.status === 304) send(response, { status: 304 })
    else if (isBeforeJsonErrors(request.url ?? ''))
      send(response, { status: known.status, text: `${known.message}\n` })
    else send(response, { status: known.status, json: JSON.stringify({ message: known.message }) })
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const controller of this.#calls) controller.abort()
    const closed = [...this.#servers].map(
      async server =>
        new Promise<void>(resolve => {
          server.close(() => resolve())
        }),
    )
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, closeMilliseconds)
    })
    await Promise.race([Promise.allSettled(this.#running), late])
    clearTimeout(timer)
    for (const server of this.#servers) server.closeAllConnections()
    for (const socket of this.#hijacked) socket.destroySoon()
    // A peer that does not read keeps its connection from flushing.
    const stuck = setTimeout(() => {
      for (const socket of this.#hijacked) socket.destroy()
    }, flushMilliseconds)
    await Promise.all(closed)
    clearTimeout(stuck)
  }
}

/** Clients older than API 1.24 read errors as plain text. */
const isBeforeJsonErrors = (url: string): boolean => /^\/v(?:0|1\.(?:1?\d|2[0-3]))(?:[./]|$)/.test(url)
/** `127.0.0.1:7353`, `[::1]:7353` */
function placeOf(server: Server): string {
  const bound = server.address()
  if (typeof bound !== 'object' || bound === null) return String(bound)
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n', 1)[0] ?? ''
}

export function createApiServer(engine: Engine, options: ApiOptions = {}): ApiServer {
  return new Connections(engine, options)
}
