/** For tests of the command line: an engine that records what it is asked and answers from a table. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import { main } from './main.ts'

export interface RecordedRequest {
  readonly method: string
  /** Without the version; the query's parameters sorted. */
  readonly path: string
  /** Parsed where it is JSON. */
  readonly body?: unknown
}

export interface Answer {
  readonly status?: number
  /** Sent as JSON unless it is text. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Takes the connection over: called after `101 UPGRADED` was sent. */
  readonly upgrade?: (socket: Socket) => void
  /** The answer's end is held back until this resolves; the head goes out at once. */
  readonly after?: Promise<unknown>
}

export type Answers = (request: RecordedRequest) => Answer | undefined

export interface FakeEngine {
  readonly host: string
  readonly requests: RecordedRequest[]
  answer: Answers
  close(): Promise<void>
}

export const notFound: Answer = { status: 404, body: { message: 'nothing here' } }

function normalPath(url: string): string {
  const [path = '', query] = url.replace(/^\/v\d+\.\d+\//, '/').split('?')
  if (query === undefined) return path
  const sorted = new URLSearchParams(query)
  sorted.sort()
  return `${path}?${sorted.toString()}`
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function record(request: IncomingMessage, text: string): RecordedRequest {
  const path = normalPath(request.url ?? '')
  const method = request.method ?? ''
  if (text === '') return { method, path }
  try {
    return { method, path, body: JSON.parse(text) as unknown }
  } catch {
    return { method, path, body: text }
  }
}

/** Listens on a socket of its own. Pings are answered and not recorded. */
export async function fakeEngine(answers: Answers = () => notFound): Promise<FakeEngine> {
  const directory = mkdtempSync(join(tmpdir(), 'fake-'))
  const path = join(directory, 's')
  const engine: { answer: Answers; readonly requests: RecordedRequest[] } = { answer: answers, requests: [] }
  const sockets = new Set<Socket>()

  const respond = (request: RecordedRequest): Answer => engine.answer(request) ?? notFound

  const server: Server = createServer((request, response) => {
    void (async () => {
      response.setHeader('Api-Version', '1.51')
      response.setHeader('Ostype', 'linux')
      if (request.url?.endsWith('/_ping') === true) {
        response.end(request.method === 'HEAD' ? undefined : 'OK')
        return
      }
      const recorded = record(request, await bodyOf(request))
      engine.requests.push(recorded)
      const { status = 200, body, headers = {}, after } = respond(recorded)
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
      response.flushHeaders()
      await after
      response.end(
        body === undefined ? undefined : typeof body === 'string' ? body : `${JSON.stringify(body)}\n`,
      )
    })()
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('upgrade', (request, socket: Socket, head: Buffer) => {
    const length = Number(request.headers['content-length'] ?? 0)
    const recorded = record(request, head.subarray(0, length).toString())
    engine.requests.push(recorded)
    const { status = 200, body, headers = {}, upgrade } = respond(recorded)
    if (upgrade === undefined) {
      const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
      socket.end(
        `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      )
      return
    }
    const type = headers['Content-Type'] ?? 'application/vnd.docker.multiplexed-stream'
    socket.write(
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
    )
    upgrade(socket)
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    host: `unix://${path}`,
    requests: engine.requests,
    get answer() {
      return engine.answer
    },
    set answer(next: Answers) {
      engine.answer = next
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** One frame of multiplexed output. */
export function frame(stream: 1 | 2 | 3, text: string): Buffer {
  const data = Buffer.from(text)
  const head = Buffer.alloc(8)
  head[0] = stream
  head.writeUInt32BE(data.length, 4)
  return Buffer.concat([head, data])
}

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Milliseconds since the epoch that the program takes for now. */
  readonly now?: number
  readonly signals?: EventEmitter
  /** Makes standard input and output terminals of this size. */
  readonly terminal?: { readonly columns: number; readonly rows: number }
  /** Called with our end of the terminal, to type. */
  readonly type?: (input: PassThrough) => void
}

function collected(stream: PassThrough): () => string {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

/** Runs a command line of ours in this process. */
export async function linkspan(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const stdin = new PassThrough()
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const [out, err] = [collected(stdout), collected(stderr)]
  const terminal = options.terminal === undefined ? {} : { isTTY: true, ...options.terminal }
  const input = Object.assign(
    stdin,
    options.terminal === undefined ? {} : { isTTY: true, setRawMode: () => stdin },
  )
  if (options.type === undefined) stdin.end(options.input ?? '')
  else options.type(stdin)
  const status = await main(args, {
    env: { HOME: '/nonexistent', ...options.env },
    stdin: input,
    stdout: Object.assign(stdout, terminal),
    stderr,
    signals: options.signals ?? new EventEmitter(),
    now: () => options.now ?? Date.now(),
  })
  return { status, stdout: out(), stderr: err() }
}

/** '' where the reference client can be asked, else why not. */
export const noDocker = ((): string => {
  const { status, stdout } = spawnSync('docker', ['--version'], { encoding: 'utf8' })
  if (status !== 0) return 'no docker command to compare with'
  return stdout.startsWith('Docker version 28.2.2,')
    ? ''
    : `compares with docker 28.2.2, this is ${stdout.trim()}`
})()
if (noDocker !== '') process.stderr.write(`skipped: comparison with docker: ${noDocker}\n`)

/** Runs docker itself; its name is ours in what it prints, so that the two can be compared. */
export async function docker(
  args: readonly string[],
  options: Pick<RunOptions, 'env' | 'input'> = {},
): Promise<Ran> {
  const child = spawn('docker', [...args], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', TZ: 'UTC', ...options.env },
  })
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [status] = (await once(child, 'close')) as [number | null]
  const ours = (chunks: Buffer[]): string =>
    Buffer.concat(chunks)
      .toString()
      .replace(/docker:/g, 'linkspan:')
      .replace(/command: docker/g, 'command: linkspan')
      .replace(/'docker ([\w-])/g, "'linkspan $1")
      .replace(/Usage: {2}docker/g, 'Usage:  linkspan')
  return { status: status ?? 255, stdout: ours(out), stderr: ours(err) }
}
