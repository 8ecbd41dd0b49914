/**
 * The Engine API from the client's side: JSON, streams, and connections that leave HTTP (attach, exec). Paths carry no
 * version: the engine then answers in the newest form it has.
 */
import { request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Host } from './host.ts'
import { EngineError, Failure } from './failure.ts'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface CallOptions {
  readonly query?: Query
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, chunked; excludes `body`. */
  readonly upload?: Readable
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A connection after the upgrade: raw bytes both ways, write side closed by `end()`. */
export interface Hijacked {
  readonly socket: Socket
  /** Bytes that came together with the answer's head. */
  readonly head: Buffer
  /** `application/vnd.docker.multiplexed-stream` or `…raw-stream`; '' where the engine does not say. */
  readonly mediaType: string
}

/** `{a: true, b: undefined, c: 2}` → `?a=1&c=2`; false and undefined are left out. */
export function queryString(query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue
    parameters.set(key, value === true ? '1' : String(value))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The message of an error answer: JSON as the engine gives it, else the text itself. */
function errorMessage(status: number, body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    // Some of Docker's sentences end with a space; its command line does not show it.
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed)
      return String(parsed.message).trim()
  } catch {
    // Not JSON: a proxy, or something that is no engine.
  }
  return body.trim() === '' ? `unexpected answer with status ${status}` : body.trim()
}

export class Client {
  readonly #host: Host

  constructor(host: Host) {
    this.#host = host
  }

  /** `unix:///run/linkspan/docker.sock` */
  get address(): string {
    return this.#host.text
  }

  /** JSON answer; undefined for an empty one. Statuses from 400 on throw EngineError. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.open(method, path, options)
    const text = (await collect(response)).toString()
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  /** The answer's text as it came. */
  async text(method: string, path: string, options: CallOptions = {}): Promise<string> {
    return (await collect(await this.open(method, path, options))).toString()
  }

  /** The answer once its head is there; the body is the caller's to read. */
  async open(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const payload = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body))
    const headers: Record<string, string | number> = { ...options.headers }
    if (payload !== undefined) {
      headers['Content-Type'] = 'application/json'
      headers['Content-Length'] = payload.length
    } else if (options.upload === undefined && method === 'POST') {
      headers['Content-Length'] = 0
    }
    const outgoing = this.#request(method, path, options, headers)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.once('error', error => reject(this.#explain(error)))
      if (options.upload === undefined) outgoing.end(payload)
      else {
        options.upload.once('error', error => outgoing.destroy(error))
        options.upload.pipe(outgoing)
      }
    })
    if ((response.statusCode ?? 500) >= 400) {
      const text = (await collect(response)).toString()
      throw new EngineError(response.statusCode ?? 500, errorMessage(response.statusCode ?? 500, text))
    }
    return response
  }

  /** One JSON value per line (pull, load), each as it arrives. */
  async *stream<T>(method: string, path: string, options: CallOptions = {}): AsyncGenerator<T> {
    for await (const line of this.lines(method, path, options)) yield JSON.parse(line) as T
  }

  /** The lines of the answer that are not blank, each as it arrives. */
  async *lines(method: string, path: string, options: CallOptions = {}): AsyncGenerator<string> {
    const response = await this.open(method, path, options)
    response.setEncoding('utf8')
    let rest = ''
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.trim() !== '') yield line
    }
    if (rest.trim() !== '') yield rest
  }

  /** POSTs and takes the connection over. An engine that answers 200 instead of 101 is understood, too. */
  async hijack(path: string, options: Pick<CallOptions, 'query' | 'body'> = {}): Promise<Hijacked> {
    const payload = Buffer.from(options.body === undefined ? '' : JSON.stringify(options.body))
    const headers: Record<string, string | number> = {
      Connection: 'Upgrade',
      Upgrade: 'tcp',
      'Content-Length': payload.length,
      ...(options.body === undefined
        ? { 'Content-Type': 'text/plain' }
        : { 'Content-Type': 'application/json' }),
    }
    const outgoing = this.#request('POST', path, options, headers)
    return new Promise<Hijacked>((resolve, reject) => {
      outgoing.once('upgrade', (response, socket: Socket, head: Buffer) => {
        resolve({ socket, head, mediaType: response.headers['content-type'] ?? '' })
      })
      outgoing.once('response', response => {
        collect(response).then(body => {
          const status = response.statusCode ?? 500
          reject(
            status >= 400
              ? new EngineError(status, errorMessage(status, body.toString()))
              : new Failure(`unable to upgrade to tcp, received ${status}`),
          )
        }, reject)
      })
      outgoing.once('error', error => reject(this.#explain(error)))
      outgoing.end(payload)
    })
  }

  #request(
    method: string,
    path: string,
    options: CallOptions,
    headers: Readonly<Record<string, string | number>>,
  ): ClientRequest {
    const host = this.#host
    const base: RequestOptions = {
      method,
      path: path + queryString(options.query),
      headers: { Host: host.kind === 'unix' ? 'localhost' : `${host.hostname}:${host.port}`, ...headers },
      agent: false,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }
    return request(
      host.kind === 'unix'
        ? { ...base, socketPath: host.path }
        : { ...base, host: host.hostname, port: host.port },
    )
  }

  #explain(error: Error & { readonly code?: string }): Error {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
      return new Failure(
        `Cannot connect to the Docker daemon at ${this.#host.text}. Is the docker daemon running?`,
        1,
        { cause: error },
      )
    }
    if (error.code === 'EACCES') {
      return new Failure(
        `permission denied while trying to connect to the Docker daemon socket at ${this.#host.text}`,
        1,
        { cause: error },
      )
    }
    return error
  }
}
