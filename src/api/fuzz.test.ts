/**
 * Random requests over every route: an answer always comes, it is one of the documented statuses, bad input is never a
 * server error, no answer shows a stack, and the server serves on.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { routes } from './routes/index.ts'
import { request, startBench, Wire, type Bench } from './testing/client.ts'

let bench: Bench
beforeAll(async () => {
  bench = await startBench()
  bench.engine.add({ name: 'web' })
})
afterAll(async () => {
  await bench.close()
})

/** Streams that stay open by design, and attach and exec, which leave HTTP: server.test.ts has them. */
const parked = [
  '/events',
  '/containers/:id/stats',
  '/containers/:id/wait',
  '/containers/:id/attach',
  '/exec/:id/start',
  '/linkspan/v1/containers/:id/dns/questions',
]
const finite = routes.filter(route => !parked.includes(route.pattern))

const names = fc.constantFrom(
  'web',
  'bridge',
  'none',
  'busybox',
  'nosuch',
  'a%2Fb',
  '%00',
  '__proto__',
  'a%20b',
)

const fieldNames = [
  'Name',
  'Container',
  'EndpointConfig',
  'IPAM',
  'IPAMConfig',
  'Config',
  'Image',
  'Cmd',
  'Entrypoint',
  'Env',
  'HostConfig',
  'NetworkMode',
  'PortBindings',
  'ExposedPorts',
  'Labels',
  'Options',
  'NetworkingConfig',
  'EndpointsConfig',
  'Sysctls',
  'RestartPolicy',
  'MacAddress',
  'ExtraHosts',
  'Mounts',
  'Tty',
  'Detach',
  'ConsoleSize',
  'Healthcheck',
  'Ulimits',
  'bridge',
  '80/tcp',
]

const { value: body } = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      null,
      true,
      false,
      0,
      -1,
      1.5,
      1e300,
      '',
      'web',
      'busybox',
      'bridge',
      '80',
      '::1',
      '\u0000',
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...fieldNames), tie('value'), { maxKeys: 6 }),
  ),
}))

const queries = fc.constantFrom(
  '',
  '?all=1&size=1',
  '?filters={}',
  '?filters={"name":["("]}',
  '?filters={"label":{"a":true}}',
  '?filters=%7B%22until%22%3A%5B%22x%22%5D%7D',
  '?name=web&t=x&signal=NOPE',
  '?h=-1&w=99999999',
  '?h=x',
  '?since=x&until=y&tail=-1&stdout=1',
  '?verbose=perhaps&scope=moon',
  '?limit=1&before=nosuch',
  '?fromImage=&fromSrc=x',
  '?type=nonsense',
  '?%zz=%zz',
)

const versions = fc.constantFrom('', '/v1.24', '/v1.43', '/v1.47', '/v1.51')
const contentTypes = fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', '')

it('answers every request with a documented status', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...finite),
      names,
      versions,
      queries,
      fc.oneof(
        body.map(value => JSON.stringify(value)),
        fc.string({ maxLength: 20 }),
      ),
      contentTypes,
      async (route, name, version, query, text, contentType) => {
        const path = route.pattern.replaceAll(/[:*]\w+/g, name)
        const reply = await request(
          bench,
          route.method,
          `${version}${path}${query}`,
          text,
          contentType === '' ? {} : { 'Content-Type': contentType },
        )
        const told = `${route.method} ${version}${path}${query} ${text} → ${reply.status} ${reply.body}`
        // 501 and 503 say what is absent.
        const allowed = reply.status < 500 || [501, 503].includes(reply.status)
        expect(allowed, told).toBe(true)
        expect(reply.status, told).toBeGreaterThanOrEqual(200)
        expect(reply.body).not.toMatch(/\n\s+at |\.ts:\d+/)
        expect(reply.headers.get('api-version')).toBe('1.51')
      },
    ),
    { numRuns: 1500 },
  )
  expect((await request(bench, 'GET', '/_ping')).body).toBe('OK')
})

it('lives through bytes that are no HTTP', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async noise => {
      const wire = new Wire(bench.path)
      wire.send(Buffer.concat([noise, Buffer.from('\r\n\r\n')]))
      wire.socket.end()
      await wire.untilEnd()
      wire.socket.destroy()
    }),
    { numRuns: 100 },
  )
  expect((await request(bench, 'GET', '/_ping')).body).toBe('OK')
})
