import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApiServer, type ApiServer } from '../index.ts'
import { MemoryEngine } from '../testing/memory-engine.ts'
import { Gate, isLoopbackHost } from './gate.ts'

describe('the Host header', () => {
  it.each(['127.0.0.1:7353', 'localhost', 'LOCALHOST:80', '[::1]:7353'])('%s is loopback', host => {
    expect(isLoopbackHost(host)).toBe(true)
  })
  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:7353',
    '127.0.0.1.evil.example',
    'localhost.evil.example:80',
    '127.0.0.1:80:90',
    '[::1',
    '10.0.0.1',
  ])('%s is not', host => {
    expect(isLoopbackHost(host)).toBe(false)
  })
})

describe('tokens', () => {
  it('work once, and not after ten minutes', () => {
    let now = 0
    const gate = new Gate(() => now)
    const token = gate.token()
    expect(gate.open(token)).toBeTypeOf('string')
    expect(gate.open(token)).toBeUndefined()
    expect(gate.open('guess')).toBeUndefined()
    const late = gate.token()
    now += 10 * 60_000 + 1
    expect(gate.open(late)).toBeUndefined()
  })

  it('are bounded in number: the oldest goes', () => {
    const gate = new Gate()
    const first = gate.token()
    for (let more = 0; more < 32; more++) gate.token()
    expect(gate.open(first)).toBeUndefined()
  })
})

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

let server: ApiServer
let directory: string
let port: number

/** With http.request, because fetch does not let a test lie about its Host. */
function ask(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => (text += String(chunk)))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'linkspan-web-'))
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<!doctype html><title>Linkspan</title>')
  writeFileSync(join(directory, 'assets/index-abc.js'), 'export {}\n')
  server = createApiServer(new MemoryEngine(), {
    page: { host: '127.0.0.1', port: 0, directory, anyPort: true },
  })
  port = Number(new URL(await server.visit()).port)
})
afterEach(async () => {
  await server.close()
  rmSync(directory, { recursive: true })
})

/** Follows the address that `linkspan ui` prints; answers with the session's cookie. */
async function enter(): Promise<string> {
  const url = new URL(await server.visit())
  const reply = await ask('GET', `${url.pathname}${url.search}`)
  expect(reply.status).toBe(303)
  expect(reply.headers['location']).toBe('/')
  const [cookie = ''] = reply.headers['set-cookie'] ?? []
  expect(cookie).toContain('HttpOnly')
  expect(cookie).toContain('SameSite=Strict')
  return cookie.split(';')[0] ?? ''
}

describe('the page', () => {
  it('is shown to who comes with the token, and to nobody else', async () => {
    expect((await ask('GET', '/')).status).toBe(401)
    expect((await ask('GET', '/?t=guess')).status).toBe(401)
    const cookie = await enter()
    const page = await ask('GET', '/', { cookie })
    expect(page.status).toBe(200)
    expect(page.body).toContain('<title>Linkspan</title>')
    expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  })

  it('is kept by the browser for as long as it is the same', async () => {
    const cookie = await enter()
    const { headers } = await ask('GET', '/', { cookie })
    expect((await ask('GET', '/', { cookie, 'if-none-match': String(headers['etag']) })).status).toBe(304)
    const script = await ask('GET', '/assets/index-abc.js')
    expect(script.headers['cache-control']).toContain('immutable')
    expect(script.headers['content-type']).toContain('javascript')
  })

  it('answers no request for another host, whatever it carries', async () => {
    const cookie = await enter()
    for (const path of ['/', '/networks', '/assets/index-abc.js']) {
      expect((await ask('GET', path, { cookie, host: 'evil.example' })).status).toBe(421)
    }
  })

  it('may look at networks and change them, but not run containers or make tokens', async () => {
    const cookie = await enter()
    const page = { cookie, 'x-linkspan-page': '1', 'content-type': 'application/json' }
    expect((await ask('GET', '/networks', page)).status).toBe(200)
    expect((await ask('POST', '/networks/create', page, '{"Name":"n"}')).status).toBe(201)
    expect((await ask('POST', '/containers/create', page, '{"Image":"busybox"}')).status).toBe(404)
    expect((await ask('POST', '/linkspan/v1/ui', page)).status).toBe(404)
    expect((await ask('GET', '/v1.51/containers/json', page)).status).toBe(404)
    expect((await ask('GET', '/../../etc/passwd', page)).status).toBe(404)
  })

  it('changes nothing on the word of another site', async () => {
    const cookie = await enter()
    const json = { cookie, 'content-type': 'application/json' }
    const body = '{"Name":"n"}'
    expect((await ask('POST', '/networks/create', json, body)).status).toBe(403)
    const foreign = { ...json, 'x-linkspan-page': '1', origin: 'http://evil.example' }
    expect((await ask('POST', '/networks/create', foreign, body)).status).toBe(403)
    expect((await ask('POST', '/networks/create', { 'x-linkspan-page': '1' }, body)).status).toBe(401)
    const own = { ...json, 'x-linkspan-page': '1', origin: `http://127.0.0.1:${port}` }
    expect((await ask('POST', '/networks/create', { ...own, host: `127.0.0.1:${port}` }, body)).status).toBe(
      201,
    )
  })

  it('takes no upgrades', async () => {
    const cookie = await enter()
    await expect(
      ask('POST', '/containers/x/attach', { cookie, connection: 'Upgrade', upgrade: 'tcp' }),
    ).rejects.toThrow()
  })
})

it('goes to another port if its own is taken, unless it was asked for that one', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const address = taken.address()
  const used = typeof address === 'object' && address !== null ? address.port : 0
  const page = { host: '127.0.0.1', port: used, directory }
  const easy = createApiServer(new MemoryEngine(), { page: { ...page, anyPort: true } })
  const strict = createApiServer(new MemoryEngine(), { page: { ...page, anyPort: false } })
  expect(new URL(await easy.visit()).port).not.toBe(String(used))
  await expect(strict.visit()).rejects.toThrow(/the page cannot be served: .*EADDRINUSE/)
  await easy.close()
  await strict.close()
  await new Promise(resolve => taken.close(resolve))
})

it('says that it is switched off', async () => {
  const off = createApiServer(new MemoryEngine())
  await expect(off.visit()).rejects.toThrow('the page is switched off')
  await off.close()
})
