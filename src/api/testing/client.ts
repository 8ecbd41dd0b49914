/** HTTP by hand over a unix socket: tests see the very bytes that a client gets. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiServer, type ApiServer } from '../server.ts'
import { MemoryEngine } from './memory-engine.ts'

export interface Reply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export interface Bench {
  readonly engine: MemoryEngine
  readonly path: string
  readonly server: ApiServer
  close(): Promise<void>
}

export async function startBench(): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'linkspan-api-'))
  const path = join(directory, 's')
  const engine = new MemoryEngine()
  const server = createApiServer(engine)
  await server.listen({ kind: 'unix', path })
  return {
    engine,
    path,
    server,
    close: async () => {
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** A connection that keeps what came. */
export class Wire {
  readonly socket: Socket
  bytes: Buffer = Buffer.alloc(0)
  ended = false
  closed = false
  #wake: () => void = () => undefined

  constructor(path: string) {
    this.socket = createConnection({ path, allowHalfOpen: true })
    this.socket.on('data', data => {
      this.bytes = Buffer.concat([this.bytes, data])
      this.#wake()
    })
    this.socket.on('end', () => {
      this.ended = true
      this.#wake()
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.ended = true
      this.closed = true
      this.#wake()
    })
  }

  send(text: string | Buffer): void {
    this.socket.write(text)
  }

  /** Waits until the bytes so far satisfy the condition; throws if the connection ends before. */
  async until(condition: (bytes: Buffer) => boolean): Promise<Buffer> {
    while (!condition(this.bytes)) {
      if (this.ended) throw new Error(`the connection ended after ${JSON.stringify(this.bytes.toString())}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    return this.bytes
  }

  async untilText(text: string): Promise<Buffer> {
    return this.until(bytes => bytes.includes(text))
  }

  async untilEnd(): Promise<Buffer> {
    while (!this.ended) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    return this.bytes
  }
}

function parseReply(bytes: Buffer): Reply {
  const text = bytes.toString('latin1')
  const gap = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, gap).split('\r\n')
  const headers = new Map(
    lines.map(line => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  )
  return { status: Number(first.split(' ')[1]), headers, body: text.slice(gap + 4) }
}

/** One request on its own connection. `body` objects go as JSON, text and bytes as they are. */
export async function request(
  bench: Bench,
  method: string,
  target: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const payload =
    typeof body === 'string' || Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body)
  const type = payload === undefined || typeof body !== 'object' ? {} : { 'Content-Type': 'application/json' }
  const all = {
    Host: 'docker',
    Connection: 'close',
    ...type,
    ...(payload === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(payload)) }),
    ...headers,
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const wire = new Wire(bench.path)
  // In one piece: a server that answers early closes, and a write after that would lose the answer.
  wire.send(
    Buffer.concat([
      Buffer.from(`${method} ${target} HTTP/1.1\r\n${head.join('')}\r\n`),
      Buffer.from(payload ?? ''),
    ]),
  )
  const bytes = await wire.untilEnd()
  wire.socket.destroy()
  return parseReply(bytes)
}

export const jsonOf = (reply: Reply): unknown => JSON.parse(reply.body)
