import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApiServer } from './server.ts'
import { frame } from './stream.ts'
import { jsonOf, request, startBench, Wire, type Bench } from './testing/client.ts'
import { MemoryEngine } from './testing/memory-engine.ts'
import { bridge, config, endpoint, idOf, running, sandbox } from './testing/records.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
})
afterEach(async () => {
  await bench.close()
})

const message = (text: string) => ({ message: text })

describe('versions', () => {
  it.each([
    ['/v1.51/_ping', 200],
    ['/v1.24/_ping', 200],
    ['/_ping', 200],
  ])('%s is served', async (path, status) => {
    expect((await request(bench, 'GET', path)).status).toBe(status)
  })

  it.each([
    ['/v1.52/info', 'client version 1.52 is too new. Maximum supported API version is 1.51'],
    ['/v2.0/info', 'client version 2.0 is too new. Maximum supported API version is 1.51'],
    [
      '/v1.23/info',
      'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    ],
  ])('%s is refused', async (path, text) => {
    const reply = await request(bench, 'GET', path)
    expect(reply.status).toBe(400)
    // Clients older than 1.24 read errors as plain text.
    const plain = path.startsWith('/v1.23/')
    expect(plain ? reply.body : jsonOf(reply)).toEqual(plain ? `${text}\n` : message(text))
  })

  it('tells its version on every answer, errors included', async () => {
    for (const [method, path] of [
      ['HEAD', '/_ping'],
      ['GET', '/networks'],
      ['GET', '/nonsense'],
      ['PUT', '/networks'],
    ] as const) {
      const { headers } = await request(bench, method, path)
      expect(headers.get('api-version'), path).toBe('1.51')
      expect(headers.get('ostype')).toBe('linux')
      expect(headers.get('docker-experimental')).toBe('false')
      expect(headers.get('server')).toMatch(/^Docker\/\d+\.\d+\.\d+ \(linux\)$/)
    }
  })

  it('pings', async () => {
    const got = await request(bench, 'GET', '/_ping')
    expect(got.body).toBe('OK')
    expect(got.headers.get('cache-control')).toBe('no-cache, no-store, must-revalidate')
    const head = await request(bench, 'HEAD', '/_ping')
    expect([head.status, head.body, head.headers.get('content-length')]).toEqual([200, '', '0'])
  })
})

describe('routes', () => {
  it.each([
    ['GET', '/nonsense', 404, 'page not found'],
    ['GET', '/v1.51/nonsense', 404, 'page not found'],
    ['GET', '/', 404, 'page not found'],
    ['PUT', '/networks', 405, 'method not allowed'],
    ['POST', '/networks/web', 405, 'method not allowed'],
    ['GET', '/networks/%zz', 400, 'malformed request path: invalid URL escape'],
    ['GET', '/volumes/x', 404, 'get x: no such volume'],
    [
      'GET',
      '/swarm',
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ],
  ])('%s %s: %i', async (method, path, status, text) => {
    const reply = await request(bench, method, path)
    expect(reply.status).toBe(status)
    expect(jsonOf(reply)).toEqual(message(text))
    expect(reply.headers.get('content-type')).toBe('application/json')
  })

  it.each(['/networks/a/b%20c', '/networks/a%2Fb%20c', '/v1.40/networks/a%2fb%20c'])(
    'finds a network with a slash in its name at %s',
    async path => {
      await request(bench, 'POST', '/networks/create', { Name: 'a/b c' })
      expect(jsonOf(await request(bench, 'GET', path))).toMatchObject({ Name: 'a/b c' })
    },
  )

  it('connects to a network whose name ends in a route of its own', async () => {
    await request(bench, 'POST', '/networks/create', { Name: 'x/connect' })
    const container = bench.engine.add()
    const reply = await request(bench, 'POST', '/networks/x/connect/connect', { Container: container.id })
    expect([reply.status, reply.body]).toEqual([200, ''])
  })
})

describe('JSON bodies', () => {
  const create = '/networks/create'

  it.each<[string, string | undefined, Record<string, string>, string]>([
    ['no body', undefined, {}, 'invalid JSON: got EOF while reading request body'],
    ['cut short', '{"Name":', { 'Content-Type': 'application/json' }, 'invalid JSON: unexpected EOF'],
    [
      'no JSON',
      'nonsense',
      { 'Content-Type': 'application/json' },
      "invalid JSON: invalid character 'o' looking for beginning of value",
    ],
    ['two values', '{}{}', { 'Content-Type': 'application/json' }, 'unexpected content after JSON'],
    [
      'wrong type of body',
      '{}',
      { 'Content-Type': 'text/plain' },
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    ],
    ['type missing', '{}', {}, "unsupported Content-Type header (): must be 'application/json'"],
    [
      'wrong type of a field',
      '{"name":1}',
      { 'Content-Type': 'application/json' },
      'invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Name of type string',
    ],
    [
      'wrong type inside',
      '{"Name":"x","IPAM":{"Config":[{"Subnet":{}}]}}',
      { 'Content-Type': 'application/json' },
      'invalid JSON: json: cannot unmarshal object into Go struct field CreateRequest.IPAM.Config.0.Subnet of type string',
    ],
    [
      'array for an object',
      '[]',
      { 'Content-Type': 'application/json' },
      'invalid JSON: json: cannot unmarshal array into Go value of type CreateRequest',
    ],
  ])('%s', async (_name, body, headers, text) => {
    const reply = await request(bench, 'POST', create, body, headers)
    expect([reply.status, jsonOf(reply)]).toEqual([400, message(text)])
  })

  it('takes keys in any case, null for nothing, unknown fields and a charset', async () => {
    const reply = await request(
      bench,
      'POST',
      create,
      '{"NAME":"net","labels":{"k":"v"},"ipam":null,"CheckDuplicate":true,"Strange":[1]}',
      { 'Content-Type': 'application/json; charset=utf-8' },
    )
    expect(reply.status).toBe(201)
    expect(Object.keys(jsonOf(reply) as object)).toEqual(['Id', 'Warning'])
    expect(jsonOf(await request(bench, 'GET', '/networks/net'))).toMatchObject({ Labels: { k: 'v' } })
  })

  it('refuses a body beyond the bound and answers', async () => {
    const reply = await request(bench, 'POST', create, `{"Name":"${'x'.repeat(9 * 1024 * 1024)}"}`, {
      'Content-Type': 'application/json',
    })
    expect([reply.status, jsonOf(reply)]).toEqual([400, message('http: request body too large')])
  })

  it('does not mistake __proto__ for anything', async () => {
    const reply = await request(bench, 'POST', create, '{"Name":"p","Labels":{"__proto__":"x"}}', {
      'Content-Type': 'application/json',
    })
    expect(reply.status).toBe(201)
    expect(jsonOf(await request(bench, 'GET', '/networks/p'))).toMatchObject({ Name: 'p', Internal: false })
  })

  it('answers after a late body that it does not want, so that closing resets nothing', async () => {
    const wire = new Wire(bench.path)
    wire.send('GET /networks HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 5\r\n\r\n')
    await new Promise(resolve => setTimeout(resolve, 50))
    wire.send('hello')
    expect((await wire.untilEnd()).toString()).toContain('HTTP/1.1 200 OK')
    wire.socket.destroy()
  })

  it('serves the next request of a connection whose body nobody read', async () => {
    const wire = new Wire(bench.path)
    wire.send('POST /nonsense HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello')
    await wire.untilText('page not found')
    wire.send('GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n')
    await wire.untilText('\r\n\r\nOK')
    wire.socket.destroy()
  })
})

describe('networks', () => {
  it('inspects with the keys in Docker’s order', async () => {
    const { state } = bench.engine
    state.containers.set(running.id, running)
    state.sandboxes.set(sandbox.id, sandbox)
    state.endpoints.set(endpoint.id, endpoint)
    const { body } = await request(bench, 'GET', '/networks/bridge')
    expect(body.endsWith('}\n')).toBe(true)
    expect(JSON.parse(body)).toMatchObject({
      Containers: {
        [running.id]: {
          Name: 'web',
          EndpointID: endpoint.id,
          MacAddress: '02:42:ac:11:00:02',
          IPv4Address: '172.17.0.2/16',
          IPv6Address: '',
        },
      },
    })
    expect(Object.keys(JSON.parse(body) as object).join(' ')).toBe(
      'Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom ConfigOnly Containers Options Labels',
    )
  })

  it('lists containers below 1.28 only', async () => {
    const { state } = bench.engine
    state.sandboxes.set(sandbox.id, sandbox)
    state.endpoints.set(endpoint.id, endpoint)
    const containers = async (version: string) => {
      const reply = await request(bench, 'GET', `/v${version}/networks?filters={"name":["bridge"]}`)
      return (jsonOf(reply) as { Containers: object }[]).map(one => Object.keys(one.Containers))
    }
    expect(await containers('1.27')).toEqual([[`ep-${endpoint.id}`]])
    expect(await containers('1.28')).toEqual([[]])
  })

  it('answers with the engine’s faults', async () => {
    const container = bench.engine.add()
    const cases: [string, string, unknown, number, string][] = [
      ['POST', '/networks/create', { Name: ' ' }, 400, 'invalid name: name is empty'],
      [
        'POST',
        '/networks/create',
        { Name: 'host' },
        403,
        'operation is not permitted on predefined host network ',
      ],
      ['GET', '/networks/nosuch', undefined, 404, 'network nosuch not found'],
      ['GET', '/networks/bridge?scope=swarm', undefined, 404, 'network bridge not found'],
      ['DELETE', '/networks/nosuch', undefined, 404, 'network nosuch not found'],
      ['POST', '/networks/nosuch/connect', { Container: container.id }, 404, 'network nosuch not found'],
      ['POST', '/networks/bridge/connect', { Container: 'nosuch' }, 404, 'No such container: nosuch'],
      ['GET', '/networks?filters={"x":["y"]}', undefined, 400, "invalid filter 'x'"],
      ['GET', '/networks?filters=nonsense', undefined, 400, 'invalid filter'],
      ['GET', '/networks?filters={"type":["x"]}', undefined, 400, "invalid filter: 'type'='x'"],
    ]
    for (const [method, path, body, status, text] of cases) {
      const reply = await request(bench, method, path, body)
      expect([reply.status, jsonOf(reply)], path).toEqual([status, message(text)])
    }
  })

  it('prunes and names nothing as null', async () => {
    await request(bench, 'POST', '/networks/create', { Name: 'old' })
    const prune = async () => jsonOf(await request(bench, 'POST', '/networks/prune'))
    expect(await prune()).toEqual({ NetworksDeleted: ['old'] })
    expect(await prune()).toEqual({ NetworksDeleted: null })
  })
})

describe('containers', () => {
  it('creates, lists and inspects', async () => {
    const created = await request(bench, 'POST', '/containers/create?name=web', {
      Image: 'busybox',
      Cmd: 'true',
      HostConfig: { NetworkMode: 'default', LogConfig: { Type: 'json-file' }, Strange: 1 },
    })
    expect(created.status).toBe(201)
    const { Id, Warnings } = jsonOf(created) as { Id: string; Warnings: string[] }
    expect(Warnings).toEqual([])
    expect(jsonOf(await request(bench, 'GET', '/containers/json'))).toEqual([])
    expect(jsonOf(await request(bench, 'GET', '/containers/json?all=True'))).toMatchObject([
      { Id, Names: ['/web'], State: 'created', Status: 'Created', Command: 'true' },
    ])
    expect(jsonOf(await request(bench, 'GET', `/containers/${Id.slice(0, 12)}/json`))).toMatchObject({
      Id,
      HostConfig: { NetworkMode: 'bridge', Strange: 1 },
      Config: { Cmd: ['true'] },
    })
  })

  it('answers 304 without a body, 404 for an image that is not there', async () => {
    const { id } = bench.engine.add()
    const started = await request(bench, 'POST', `/containers/${id}/start`)
    expect([started.status, started.body]).toEqual([304, ''])
    const missing = await request(bench, 'POST', '/containers/create', { Image: 'nosuch' })
    expect([missing.status, jsonOf(missing)]).toEqual([404, message('No such image: nosuch')])
  })

  it('sends the head of wait at once and the body at exit', async () => {
    const { id } = bench.engine.add()
    const wire = new Wire(bench.path)
    wire.send(`POST /v1.51/containers/${id}/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n`)
    await wire.untilText('\r\n\r\n')
    expect(wire.bytes.toString()).toContain('HTTP/1.1 200 OK')
    expect(wire.bytes.toString()).not.toContain('StatusCode')
    bench.engine.exit(id, 3)
    await wire.untilText('{"StatusCode":3}\n')
    wire.socket.destroy()
  })

  it('lists its own processes as ps -ef does', async () => {
    const { id } = bench.engine.add()
    const reply = jsonOf(await request(bench, 'GET', `/containers/${id}/top`)) as {
      Titles: string[]
      Processes: string[][]
    }
    expect(reply.Titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
    expect(reply.Processes.map(row => [row.length, row[1], row[2]])).toEqual([
      [8, String(process.pid), String(process.ppid)],
    ])
  })
})

/** Payload of the frames behind the head of an answer. */
function deframe(bytes: Buffer): string {
  const start = bytes.indexOf('\r\n\r\n')
  if (start === -1) return ''
  let at = start + 4
  let text = ''
  while (at + 8 <= bytes.length) {
    const length = bytes.readUInt32BE(at + 4)
    text += bytes.toString('utf8', at + 8, at + 8 + length)
    at += 8 + length
  }
  return text
}

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n'

describe('attach', () => {
  const attach = (id: string, headers: string, version = '1.51') => {
    const wire = new Wire(bench.path)
    wire.send(
      `POST /v${version}/containers/${id}/attach?stream=1&stdin=1&stdout=true&stderr=True HTTP/1.1\r\nHost: d\r\n${headers}\r\n`,
    )
    return wire
  }
  const afterHead = (bytes: Buffer): Buffer => bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)

  it('upgrades, frames both streams, takes input, and ends with the output', async () => {
    const { id } = bench.engine.add({ config: { ...config, OpenStdin: true, StdinOnce: true } })
    const strings = bench.engine.strings(id)
    const wire = attach(id, upgrade)
    const head = (await wire.untilText('\r\n\r\n')).toString()
    expect(head).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/)
    expect(head).toContain('Content-Type: application/vnd.docker.multiplexed-stream\r\n')
    expect(head).toContain('Connection: Upgrade\r\nUpgrade: tcp\r\n')
    wire.send('hello')
    bench.engine.output(id, { stream: 'stdout', data: Buffer.from('out') })
    bench.engine.output(id, { stream: 'stderr', data: Buffer.from('err!') })
    await wire.untilText('err!')
    wire.socket.end()
    while (!strings.inputEnded) await new Promise(resolve => setImmediate(resolve))
    expect(Buffer.concat(strings.input).toString()).toBe('hello')
    // The client's half is closed; output goes on.
    bench.engine.output(id, { stream: 'stdout', data: Buffer.from('later') })
    bench.engine.output(id, 'end')
    expect(afterHead(await wire.untilEnd())).toEqual(
      Buffer.concat([
        Buffer.from([1, 0, 0, 0, 0, 0, 0, 3]),
        Buffer.from('out'),
        Buffer.from([2, 0, 0, 0, 0, 0, 0, 4]),
        Buffer.from('err!'),
        frame('stdout', Buffer.from('later')),
      ]),
    )
    expect(strings.detached).toBe(1)
  })

  it('takes the old form without upgrade, raw bytes after the head', async () => {
    const { id } = bench.engine.add({ config: { ...config, Tty: true, OpenStdin: true } })
    const wire = attach(id, '')
    const head = (await wire.untilText('\r\n\r\n')).toString()
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head).toContain('Content-Type: application/vnd.docker.raw-stream\r\n')
    expect(head).toContain('Connection: close\r\n')
    expect(head).not.toMatch(/Transfer-Encoding/i)
    wire.send('ls\n')
    bench.engine.output(id, { stream: 'stdout', data: Buffer.from('file\n') })
    bench.engine.output(id, 'end')
    expect(afterHead(await wire.untilEnd()).toString()).toBe('file\n')
    expect(Buffer.concat(bench.engine.strings(id).input).toString()).toBe('ls\n')
  })

  it('undoes the chunks of an old client that sends its input as a body', async () => {
    const { id } = bench.engine.add({ config: { ...config, OpenStdin: true, StdinOnce: true } })
    const strings = bench.engine.strings(id)
    const wire = attach(id, 'Transfer-Encoding: chunked\r\n')
    await wire.untilText('\r\n\r\n')
    wire.send('3\r\nabc\r\n0\r\n\r\n')
    while (!strings.inputEnded) await new Promise(resolve => setImmediate(resolve))
    expect(Buffer.concat(strings.input).toString()).toBe('abc')
    bench.engine.output(id, { stream: 'stdout', data: Buffer.from('x') })
    bench.engine.output(id, 'end')
    expect(afterHead(await wire.untilEnd())).toEqual(frame('stdout', Buffer.from('x')))
  })

  it('drops a client with a terminal that closes its half, and keeps the container’s stdin', async () => {
    const { id } = bench.engine.add({ config: { ...config, Tty: true, OpenStdin: true, StdinOnce: true } })
    const wire = attach(id, upgrade)
    await wire.untilText('\r\n\r\n')
    wire.socket.end()
    await wire.untilEnd()
    const strings = bench.engine.strings(id)
    expect([strings.inputEnded, strings.detached]).toEqual([false, 1])
  })

  it('drops a client that does not read, not the container', async () => {
    const { id } = bench.engine.add()
    const wire = attach(id, upgrade)
    await wire.untilText('\r\n\r\n')
    wire.socket.pause()
    const data = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 40; i++) bench.engine.output(id, { stream: 'stdout', data })
    expect(bench.engine.strings(id).detached).toBe(1)
    wire.socket.destroy()
  })

  it('answers errors as HTTP, upgraded or not', async () => {
    for (const headers of [upgrade, '']) {
      const wire = attach('nosuch', headers)
      await wire.untilText('{"message":"No such container: nosuch"}\n')
      expect(wire.bytes.toString()).toMatch(/^HTTP\/1\.1 404 /)
      wire.socket.destroy()
    }
  })

  it('calls the frames raw-stream below 1.42', async () => {
    const { id } = bench.engine.add()
    const wire = attach(id, upgrade, '1.41')
    await wire.untilText('application/vnd.docker.raw-stream\r\n')
    wire.socket.destroy()
  })
})

describe('logs', () => {
  it('frames, and puts times in front when asked', async () => {
    const { id } = bench.engine.add()
    const { body, headers } = await request(
      bench,
      'GET',
      `/containers/${id}/logs?stdout=1&stderr=1&timestamps=1`,
    )
    expect(headers.get('content-type')).toBe('application/vnd.docker.multiplexed-stream')
    const stamp = '2026-11-23T15:47:43.000000001Z '
    expect(body).toContain(frame('stdout', Buffer.from(`${stamp}out\n`)).toString('latin1'))
    expect(body).toContain(frame('stderr', Buffer.from(`${stamp}err\n`)).toString('latin1'))
  })

  it('wants at least one stream', async () => {
    const { id } = bench.engine.add()
    const reply = await request(bench, 'GET', `/containers/${id}/logs`)
    expect([reply.status, jsonOf(reply)]).toEqual([
      400,
      message('Bad parameters: you must choose at least one stream'),
    ])
  })
})

describe('exec', () => {
  const create = async (cmd: string[]) => {
    const { id } = bench.engine.add()
    const reply = await request(bench, 'POST', `/containers/${id}/exec`, {
      Cmd: cmd,
      AttachStdin: true,
      AttachStdout: true,
    })
    expect(reply.status).toBe(201)
    return (jsonOf(reply) as { Id: string }).Id
  }

  it.each([
    ['in one piece', (text: string) => [text]],
    ['byte by byte', (text: string) => text.split('')],
  ])('reads its JSON body behind the upgrade, %s', async (_name, pieces) => {
    const id = await create(['cat'])
    const wire = new Wire(bench.path)
    const body = '{"Detach":false,"Tty":false}'
    for (const piece of pieces(
      `POST /exec/${id}/start HTTP/1.1\r\nHost: d\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}early`,
    )) {
      wire.send(piece)
      await new Promise(resolve => setImmediate(resolve))
    }
    await wire.until(bytes => deframe(bytes) === 'early')
    wire.send(' late')
    await wire.until(bytes => deframe(bytes) === 'early late')
    wire.socket.end()
    expect((await wire.untilEnd()).toString('latin1')).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/)
    wire.socket.destroy()
  })

  it('tells of a command that cannot run in the stream', async () => {
    const id = await create(['nosuch'])
    const wire = new Wire(bench.path)
    wire.send(
      `POST /exec/${id}/start HTTP/1.1\r\nHost: d\r\n${upgrade}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    )
    const text = (await wire.untilEnd()).toString('latin1')
    expect(text).toContain('101 UPGRADED')
    expect(text).toContain('executable file not found in $PATH\r\n')
  })

  it('inspects', async () => {
    const id = await create(['ls', '-l'])
    const view = jsonOf(await request(bench, 'GET', `/exec/${id}/json`)) as object
    expect(Object.keys(view).join(' ')).toBe(
      'ID Running ExitCode ProcessConfig OpenStdin OpenStderr OpenStdout CanRemove ContainerID DetachKeys Pid',
    )
    expect(view).toMatchObject({ ProcessConfig: { entrypoint: 'ls', arguments: ['-l'] } })
  })
})

describe('images', () => {
  it('streams progress; a failure before it is a status, after it a line', async () => {
    const pull = async (name: string) => request(bench, 'POST', `/images/create?fromImage=${name}&tag=latest`)
    expect(await pull('good')).toMatchObject({
      status: 200,
      body: expect.stringContaining('"status":"Pulling good:latest"') as string,
    })
    expect(await pull('refused')).toMatchObject({ status: 404 })
    expect((await pull('broken')).body).toContain(
      '{"errorDetail":{"message":"connection reset"},"error":"connection reset"}',
    )
  })

  it('loads and imports', async () => {
    expect((await request(bench, 'POST', '/images/load', Buffer.from('tar'))).body).toContain(
      '{"stream":"Loaded image: busybox:latest\\n"}',
    )
    const imported = await request(bench, 'POST', '/images/create?fromSrc=-&repo=x', Buffer.from('tar'))
    expect(imported.body).toContain(`{"status":"sha256:${idOf('e')}"}`)
  })

  it('finds references with slashes', async () => {
    const reply = await request(bench, 'GET', '/images/registry.example/a/b:1/json')
    expect(jsonOf(reply)).toEqual(message('No such image: registry.example/a/b:1'))
  })
})

describe('events', () => {
  const event = (action: string, time: bigint) => ({
    type: 'network' as const,
    action,
    actor: { id: bridge.id, attributes: { type: 'bridge', name: 'bridge' } },
    time,
  })

  it('gives the past, then the present, one line each', async () => {
    bench.engine.emit(event('create', 1_700_000_000_000_000_001n))
    const wire = new Wire(bench.path)
    wire.send('GET /events?since=1600000000&filters={"type":["network"]} HTTP/1.1\r\nHost: d\r\n\r\n')
    await wire.untilText('create')
    bench.engine.emit(event('destroy', 1_700_000_001_000_000_002n))
    await wire.untilText('destroy')
    expect(wire.bytes.toString()).toContain(
      `{"Type":"network","Action":"create","Actor":{"ID":"${bridge.id}","Attributes":{"name":"bridge","type":"bridge"}},"scope":"local","time":1700000000,"timeNano":1700000000000000001}\n`,
    )
    wire.socket.destroy()
  })

  it('ends by itself when until is past', async () => {
    bench.engine.emit(event('create', 5n))
    const reply = await request(bench, 'GET', '/events?until=1600000000')
    expect(reply.body).toContain('"Action":"create"')
  })
})

describe('the end', () => {
  it('ends parked requests and leaves no socket behind', async () => {
    const { id } = bench.engine.add()
    const targets = [
      ['POST', `/containers/${id}/wait`, ''],
      ['GET', '/events', ''],
      ['POST', `/containers/${id}/attach?stream=1&stdout=1`, upgrade],
    ] as const
    const wires = targets.map(([method, path, headers]) => {
      const wire = new Wire(bench.path)
      wire.send(`${method} ${path} HTTP/1.1\r\nHost: d\r\n${headers}\r\n`)
      return wire
    })
    for (const wire of wires) await wire.untilText('\r\n\r\n')
    await bench.server.close()
    for (const wire of wires) {
      await wire.untilEnd()
      wire.socket.destroy()
    }
    expect(wires[0]?.bytes.toString()).toContain('the engine is shutting down')
    expect(bench.engine.strings(id).detached).toBe(1)
    expect(existsSync(bench.path)).toBe(false)
  })
})

describe('listening', () => {
  it('makes the socket private, takes over a stale one, refuses one in use', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'linkspan-listen-'))
    const path = join(directory, 's')
    const stale = createServer()
    await new Promise<void>(resolve => {
      stale.listen(path, resolve)
    })
    const server = createApiServer(new MemoryEngine())
    await expect(server.listen({ kind: 'unix', path })).rejects.toThrow('in use')
    await new Promise(resolve => {
      stale.close(resolve)
    })
    await server.listen({ kind: 'unix', path })
    expect(statSync(path).mode & 0o777).toBe(0o660)
    const where = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })
    expect((await (await fetch(`http://${where}/_ping`)).text()).trim()).toBe('OK')
    await server.close()
    rmSync(directory, { recursive: true })
  })
})
