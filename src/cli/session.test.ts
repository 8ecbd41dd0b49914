/** Live connections: output, input, terminal, signals, exit statuses; against an engine that plays its part. */
import { EventEmitter } from 'node:events'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDetachFilter, parseDetachKeys } from './detach.ts'
import { createDemultiplexer } from './stdcopy.ts'
import { fakeEngine, frame, linkspan, type Answer, type FakeEngine, type RecordedRequest } from './testing.ts'

const id = 'f'.repeat(64)

describe('multiplexed output', () => {
  it('comes apart the same however it is cut', () => {
    const message = fc.record({
      stream: fc.constantFrom(1 as const, 2 as const),
      text: fc.string({ maxLength: 20 }),
    })
    fc.assert(
      fc.property(fc.array(message), fc.integer({ min: 1, max: 9 }), (messages, step) => {
        const bytes = Buffer.concat(messages.map(({ stream, text }) => frame(stream, text)))
        const take = createDemultiplexer()
        const out = { 1: '', 2: '' }
        const collected: Record<1 | 2, Buffer[]> = { 1: [], 2: [] }
        for (let at = 0; at < bytes.length; at += step) {
          for (const { stream, data } of take(bytes.subarray(at, at + step))) collected[stream].push(data)
        }
        for (const stream of [1, 2] as const) out[stream] = Buffer.concat(collected[stream]).toString()
        const expected = (wanted: 1 | 2): string =>
          messages
            .filter(one => one.stream === wanted)
            .map(one => one.text)
            .join('')
        expect(out).toEqual({ 1: expected(1), 2: expected(2) })
      }),
    )
  })
  it('may carry an error of the engine', () => {
    expect(() => createDemultiplexer()(frame(3, 'broken'))).toThrow('broken')
    expect(() => createDemultiplexer()(Buffer.from('no frame at all'))).toThrow('unrecognized stream')
  })
})

describe('detach keys', () => {
  it.each([
    ['ctrl-p,ctrl-q', [16, 17]],
    ['a,ctrl-@', [97, 0]],
    ['ctrl-]', [29]],
  ])('%s', (text, bytes) => expect([...parseDetachKeys(text)]).toEqual(bytes))
  it.each(['', 'ctrl-1', 'ab'])('%s are none', text =>
    expect(() => parseDetachKeys(text)).toThrow('invalid detach keys'),
  )

  const type = (chunks: readonly string[]): { text: string; detached: boolean } => {
    const filter = createDetachFilter(parseDetachKeys('ctrl-p,ctrl-q'))
    let text = ''
    for (const chunk of chunks) {
      const { data, detached } = filter.push(Buffer.from(chunk))
      text += data.toString()
      if (detached) return { text, detached }
    }
    return { text, detached: false }
  }
  it.each([
    [['ab\u0010\u0011cd'], 'ab', true],
    [['ab\u0010', '\u0011'], 'ab', true],
    [['\u0010', 'x'], '\u0010x', false],
    [['\u0010\u0010\u0011'], '\u0010', true],
    [['\u0011'], '\u0011', false],
  ])('%j', (chunks, text, detached) => expect(type(chunks)).toEqual({ text, detached }))
})

describe('run', () => {
  let engine: FakeEngine
  let script: {
    readonly start?: Answer
    readonly status?: number
    readonly play?: (socket: { write(data: Buffer | string): unknown; end(): unknown }) => void
    readonly tty?: boolean
  } = {}
  let typed = ''
  let ended: () => void = () => undefined
  let gone: Promise<void> = Promise.resolve()

  function answer({ method, path }: RecordedRequest): Answer | undefined {
    const [route = ''] = path.split('?')
    if (route === '/containers/create') return { status: 201, body: { Id: id, Warnings: [] } }
    if (route === `/containers/${id}/attach` || (route.endsWith('/start') && route.startsWith('/exec'))) {
      return {
        upgrade: socket => {
          socket.on('data', (chunk: Buffer) => {
            typed += chunk.toString()
          })
          socket.on('close', ended)
          if (script.play === undefined) {
            socket.write(frame(1, 'out\n'))
            socket.write(frame(2, 'err\n'))
            socket.on('end', () => socket.end())
            socket.end()
            ended()
          } else script.play(socket)
        },
      }
    }
    if (route.endsWith('/wait')) return { body: { StatusCode: script.status ?? 0 }, after: gone }
    if (route === `/containers/${id}/start`) return script.start ?? { status: 204 }
    if (route === '/containers/web/json') {
      return {
        body: {
          Id: id,
          Config: { Tty: script.tty ?? false, OpenStdin: true },
          HostConfig: {},
          State: { Running: true },
        },
      }
    }
    if (method === 'POST' && route === '/containers/web/exec') return { status: 201, body: { Id: 'e1' } }
    if (route === '/exec/e1/json') return { body: { ExitCode: script.status ?? 0, Running: false } }
    return { status: 204 }
  }

  const set = (next: typeof script): void => {
    script = next
    typed = ''
    engine.requests.splice(0)
    gone = new Promise(resolve => {
      ended = resolve
    })
  }

  beforeAll(async () => {
    engine = await fakeEngine(answer)
  })
  afterAll(async () => engine.close())
  const env = (): { env: Record<string, string> } => ({ env: { DOCKER_HOST: engine.host } })
  const asked = (): string[] =>
    engine.requests.map(({ method, path }) => `${method} ${path.replace(id, 'ID').split('?')[0]}`)

  it('attaches and waits before it starts, keeps the streams apart and ends with the container’s status', async () => {
    set({ status: 7 })
    expect(await linkspan(['run', '--rm', 'busybox'], env())).toEqual({
      status: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(asked()).toEqual([
      'POST /containers/create',
      'POST /containers/ID/attach',
      'POST /containers/ID/wait',
      'POST /containers/ID/start',
    ])
    expect(engine.requests[2]?.path).toContain('condition=removed')
  })

  it('sends its input and closes it', async () => {
    set({
      play: socket =>
        (socket as unknown as EventEmitter).on('end', () => {
          socket.write(frame(1, `got ${typed}`))
          socket.end()
          ended()
        }),
    })
    expect(await linkspan(['run', '-i', 'busybox', 'cat'], { ...env(), input: 'hello' })).toMatchObject({
      status: 0,
      stdout: 'got hello',
    })
  })

  it.each([
    ['exec: "x": executable file not found in $PATH', 127],
    ['exec: "/x": stat /x: no such file or directory', 127],
    ['exec: "/etc/passwd": permission denied', 126],
    ['open /: is a directory', 126],
    ['Bind for 0.0.0.0:80 failed: port is already allocated', 125],
  ])('ends a failed start (%s) with %d', async (message, status) => {
    set({ start: { status: 500, body: { message } }, play: () => undefined })
    const ran = await linkspan(['run', 'busybox'], env())
    expect(ran).toEqual({
      status,
      stdout: '',
      stderr: `linkspan: Error response from daemon: ${message}\n\nRun 'linkspan run --help' for more information\n`,
    })
  })

  it('prints the id and leaves with -d', async () => {
    set({})
    expect(await linkspan(['run', '-d', 'busybox'], env())).toEqual({
      status: 0,
      stdout: `${id}\n`,
      stderr: '',
    })
    expect(asked()).toEqual(['POST /containers/create', 'POST /containers/ID/start'])
  })

  it('pulls a missing image and tries again', async () => {
    set({})
    let tries = 0
    const usual = engine.answer
    engine.answer = request => {
      if (request.path.startsWith('/containers/create')) {
        tries += 1
        if (tries === 1) return { status: 404, body: { message: 'No such image: busybox:latest' } }
      }
      if (request.path.startsWith('/images/create'))
        return { body: `${JSON.stringify({ status: 'Downloaded' })}\n` }
      return usual(request)
    }
    try {
      const ran = await linkspan(['run', '-d', 'busybox'], env())
      expect(ran).toEqual({
        status: 0,
        stdout: `${id}\n`,
        stderr: "Unable to find image 'busybox:latest' locally\nDownloaded\n",
      })
      tries = 0
      expect((await linkspan(['run', '-d', '--pull', 'never', 'busybox'], env())).status).toBe(125)
    } finally {
      engine.answer = usual
    }
  })

  it('passes signals on', async () => {
    const signals = new EventEmitter()
    set({
      play: socket => {
        signals.emit('SIGTERM', 'SIGTERM')
        setImmediate(() => {
          socket.end()
          ended()
        })
      },
    })
    await linkspan(['run', 'busybox'], { ...env(), signals })
    expect(engine.requests.some(({ path }) => path === `/containers/${id}/kill?signal=TERM`)).toBe(true)
    expect(signals.listenerCount('SIGTERM')).toBe(0)
  })

  it('tells the terminal’s size, types raw and leaves by the detach keys', async () => {
    set({ play: socket => void socket.write('$ ') })
    const ran = await linkspan(['run', '-it', 'busybox'], {
      ...env(),
      terminal: { columns: 100, rows: 30 },
      type: input => setTimeout(() => input.write('ls\n\u0010\u0011'), 50),
    })
    expect(ran).toEqual({ status: 0, stdout: '$ ', stderr: '' })
    expect(typed).toBe('ls\n')
    expect(engine.requests.map(({ path }) => path)).toContain(`/containers/${id}/resize?h=30&w=100`)
  })

  it('refuses a terminal that is none', async () => {
    set({})
    expect(await linkspan(['run', '-it', 'busybox'], env())).toEqual({
      status: 1,
      stdout: '',
      stderr: 'the input device is not a TTY\n',
    })
    expect(engine.requests).toEqual([])
  })

  it('runs another process with exec and ends as it ends', async () => {
    set({ status: 3 })
    expect(await linkspan(['exec', '-e', 'A=1', '-u', 'u', '-w', '/w', 'web', 'ls', '-l'], env())).toEqual({
      status: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(engine.requests[1]?.body).toEqual({
      User: 'u',
      Privileged: false,
      Tty: false,
      AttachStdin: false,
      AttachStderr: true,
      AttachStdout: true,
      DetachKeys: '',
      Env: ['A=1'],
      WorkingDir: '/w',
      Cmd: ['ls', '-l'],
    })
  })
})
