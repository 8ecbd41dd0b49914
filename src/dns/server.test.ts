import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import * as fc from 'fast-check'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'

import { framed } from './frames.ts'
import { LocalResolver, usualTuning } from './resolver.ts'
import type { ServerLimits } from './server.ts'
import {
  addressReply,
  boundSocket,
  decoded,
  exchangeTcp,
  exchangeUdp,
  openSockets,
  questionBytes,
  rawSocket,
  Upstream,
} from './testing.ts'
import type { ZoneChange } from './types.ts'

const directory = mkdtempSync(join(tmpdir(), 'dns-'))
const resolvConf = join(directory, 'resolv.conf')
afterAll(() => rmSync(directory, { recursive: true }))

const endpoint = (id: string, names: string[], ipv4?: string, ipv6?: string): ZoneChange => ({
  put: 'endpoint',
  endpoint: {
    id,
    network: 'n',
    names,
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
  },
})

const zone: readonly ZoneChange[] = [
  { put: 'network', network: { id: 'n', name: 'shop' } },
  endpoint('web', ['web', 'twin'], '172.18.0.2'),
  endpoint('six', ['six', 'twin'], undefined, 'fd00::6'),
  ...Array.from({ length: 50 }, (_, index) => endpoint(`many${index}`, ['many'], `172.18.1.${index}`)),
  ...Array.from({ length: 2000 }, (_, index) =>
    endpoint(`crowd${index}`, ['crowd'], `172.18.${100 + (index >> 8)}.${index & 255}`),
  ),
  {
    put: 'sandbox',
    sandbox: { id: 's', networks: ['n'], links: {}, servers: [], external: true, ndotsSet: false },
  },
]

let upstream: Upstream
let resolver: LocalResolver
let udp: number
let tcp: number

/** Long deadlines, so that whoever waits for one by mistake fails. */
const patient: ServerLimits = { idleMs: 60_000, connections: 4 }
const impatient: ServerLimits = { idleMs: 1500, connections: 4 }

async function start(limits: ServerLimits): Promise<void> {
  upstream = await Upstream.start('127.0.0.1', 0, (_, bytes) => addressReply(bytes, [192, 0, 2, 1]))
  writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
  resolver = new LocalResolver(
    { ttl: 600, resolvConf, cache: 0 },
    (_, family, type) => Promise.resolve(rawSocket(family, type)),
    { forwarding: { ...usualTuning.forwarding, port: upstream.port }, limits },
  )
  await resolver.update(zone)
  await listen()
}

async function listen(): Promise<void> {
  const sockets = { udp: boundSocket('udp'), tcp: boundSocket('tcp') }
  await resolver.listen('s', { udp: sockets.udp.fd, tcp: sockets.tcp.fd })
  udp = sockets.udp.port
  tcp = sockets.tcp.port
}

beforeEach(() => start(patient))

afterEach(async () => {
  await resolver.close()
  await upstream.stop()
})

const data = (packet: ReturnType<typeof decoded>): string[] =>
  (packet.answers ?? [])
    .map(answer => ('data' in answer && typeof answer.data === 'string' ? answer.data : ''))
    .sort()

const viaUdp = async (bytes: Uint8Array): Promise<ReturnType<typeof decoded>> =>
  decoded(await exchangeUdp(udp, bytes))
const viaTcp = async (bytes: Uint8Array): Promise<ReturnType<typeof decoded>> => {
  const [answer] = await exchangeTcp(tcp, [bytes])
  return decoded(answer ?? Buffer.alloc(0))
}

describe.each([
  ['udp', viaUdp],
  ['tcp', viaTcp],
])('by %s', (_, ask) => {
  test.each<[string, string, string[]]>([
    ['web', 'A', ['172.18.0.2']],
    ['WeB', 'A', ['172.18.0.2']],
    ['web.shop', 'A', ['172.18.0.2']],
    ['web', 'AAAA', []],
    ['six', 'AAAA', ['fd00::6']],
    ['six', 'A', []],
    ['web', 'MX', []],
    ['web', 'TXT', []],
    ['web', 'SOA', []],
    ['web', 'SRV', []],
    ['twin', 'ANY', ['172.18.0.2', 'fd00::6']],
    ['2.0.18.172.in-addr.arpa', 'PTR', ['web.shop']],
    ['2.0.18.172.IN-ADDR.ARPA', 'PTR', ['web.shop']],
    ['2.0.18.172.in-addr.arpa', 'A', []],
    ['6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa', 'PTR', ['six.shop']],
  ])('%s %s is answered here', async (name, type, expected) => {
    const answer = await ask(questionBytes(name, type))
    expect(answer).toMatchObject({ id: 7, rcode: 'NOERROR', flag_ra: true, flag_rd: true, flag_aa: false })
    expect(answer.questions).toMatchObject([{ name, type }])
    expect(data(answer)).toEqual(expected)
    for (const record of answer.answers ?? []) expect(record).toMatchObject({ ttl: 600 })
    expect(upstream.asked).toHaveLength(0)
  })

  test.each([
    ['elsewhere.example', 'A'],
    ['nobody', 'A'],
    ['9.9.18.172.in-addr.arpa', 'A'],
  ])('%s is forwarded', async (name, type) => {
    const answer = await ask(questionBytes(name, type, { id: 99 }))
    expect(answer.id).toBe(99)
    expect(data(answer)).toEqual(['192.0.2.1'])
    expect(upstream.asked).toHaveLength(1)
  })

  test('the host’s new servers are asked once its file has changed', async () => {
    writeFileSync(resolvConf, '# nobody\n')
    expect((await ask(questionBytes('elsewhere.example', 'A'))).rcode).toBe('SERVFAIL')
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    expect(data(await ask(questionBytes('elsewhere.example', 'A')))).toEqual(['192.0.2.1'])
  })

  test('an address that a server outside gives out is left to it in reverse', async () => {
    upstream.behaviour = (_, bytes) => addressReply(bytes, [172, 18, 0, 2])
    await ask(questionBytes('web.corp.example', 'A'))
    await ask(questionBytes('2.0.18.172.in-addr.arpa', 'PTR'))
    expect(upstream.asked).toHaveLength(2)
  })

  test('what cannot be read gets FORMERR, what is no query NOTIMP', async () => {
    expect(await ask(Buffer.from('000101000001000000000000c00c00010001', 'hex'))).toMatchObject({
      id: 1,
      rcode: 'FORMERR',
      questions: [],
    })
    expect(
      await ask(Buffer.from('0002290000010000000000000161000001 0001'.replace(' ', ''), 'hex')),
    ).toMatchObject({
      id: 2,
      rcode: 'NOTIMP',
    })
  })

  test('an EDNS version from the future is told which we know', async () => {
    const bytes = questionBytes('web', 'A', { edns: 1232 })
    bytes[bytes.length - 5] = 1
    expect((await ask(bytes)).additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }])
  })

  test('names of other classes are not ours', async () => {
    const bytes = questionBytes('web', 'TXT')
    bytes[bytes.length - 1] = 3
    await ask(bytes)
    expect(upstream.asked).toHaveLength(1)
  })

  test('single labels are answered empty where ndots was set', async () => {
    const sandbox = { id: 's', networks: ['n'], links: {}, servers: [], external: true, ndotsSet: true }
    await resolver.update([{ put: 'sandbox', sandbox }])
    expect(await ask(questionBytes('nobody', 'AAAA'))).toMatchObject({ rcode: 'NOERROR', answers: [] })
    expect(data(await ask(questionBytes('web', 'A')))).toEqual(['172.18.0.2'])
    expect(upstream.asked).toHaveLength(0)
    await ask(questionBytes('nobody', 'MX'))
    await ask(questionBytes('nobody.example', 'A'))
    expect(upstream.asked).toHaveLength(2)
  })

  test('changes hold from the next question on', async () => {
    await resolver.update([endpoint('web', ['renamed'], '172.18.0.99'), { drop: 'endpoint', id: 'six' }])
    expect(data(await ask(questionBytes('renamed', 'A')))).toEqual(['172.18.0.99'])
    await ask(questionBytes('web', 'A'))
    await ask(questionBytes('six', 'AAAA'))
    expect(upstream.asked).toHaveLength(2)
  })

  test('a sandbox that is not known is told SERVFAIL', async () => {
    await resolver.update([{ drop: 'sandbox', id: 's' }])
    expect((await ask(questionBytes('web', 'A'))).rcode).toBe('SERVFAIL')
  })
})

describe('size', () => {
  test('an answer that is too long is cut with TC, and whole by TCP', async () => {
    const cut = await exchangeUdp(udp, questionBytes('many', 'A'))
    expect(cut.length).toBeLessThanOrEqual(512)
    expect(decoded(cut)).toMatchObject({ flag_tc: true })
    const whole = await viaTcp(questionBytes('many', 'A'))
    expect(whole.flag_tc).toBe(false)
    expect(new Set(data(whole)).size).toBe(50)
  })

  test('EDNS offers more', async () => {
    const whole = await viaUdp(questionBytes('many', 'A', { edns: 4096 }))
    expect(whole.flag_tc).toBe(false)
    expect(whole.answers).toHaveLength(50)
    expect(whole.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 4096 }])
  })

  test('a reply from outside that is longer than the client takes is cut too', async () => {
    upstream.behaviour = (_, bytes) => {
      const reply = Buffer.concat([bytes, Buffer.alloc(600)])
      reply.writeUInt16BE(0x8180, 2)
      return reply
    }
    expect(await viaUdp(questionBytes('long.example', 'A'))).toMatchObject({ flag_tc: true, answers: [] })
    expect(await exchangeUdp(udp, questionBytes('long.example', 'A', { edns: 1232 }))).toHaveLength(641)
  })
})

describe('tcp', () => {
  test('many questions on one connection, local and forwarded', async () => {
    const names = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'web' : `x${index}.example`))
    const answers = await exchangeTcp(
      tcp,
      names.map((name, id) => questionBytes(name, 'A', { id })),
    )
    expect(answers.map(bytes => decoded(bytes).id).sort((a = 0, b = 0) => a - b)).toEqual([...names.keys()])
  })

  test('a question may come byte by byte, and the client may close its side', async () => {
    const client = connect({ port: tcp, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    for (const byte of framed(questionBytes('far.example', 'A'))) {
      client.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    client.end()
    const chunks: Buffer[] = []
    for await (const chunk of client as AsyncIterable<Buffer>) chunks.push(chunk)
    expect(data(decoded(Buffer.concat(chunks).subarray(2)))).toEqual(['192.0.2.1'])
  })

  test('a client that sends an empty message is dropped at once', async () => {
    const client = connect(tcp, '127.0.0.1')
    client.write(Buffer.alloc(2))
    await once(client.resume(), 'close')
  })

  test('connections are bounded, and room comes back', async () => {
    const clients = Array.from({ length: 4 }, () => connect(tcp, '127.0.0.1').resume())
    await Promise.all(clients.map(client => once(client, 'connect')))
    const fifth = connect(tcp, '127.0.0.1')
    fifth.on('error', () => undefined)
    await once(fifth.resume(), 'close')
    for (const client of clients) client.destroy()
    await expect.poll(() => viaTcp(questionBytes('web', 'A')).then(data, () => [])).toEqual(['172.18.0.2'])
  })

  test('a client that takes no answers is not read further', async () => {
    const client = connect(tcp, '127.0.0.1')
    client.on('error', () => undefined)
    await once(client, 'connect')
    // Each answer has 32 KiB; all of them would be 128 MiB.
    const questions = Buffer.concat(Array(4000).fill(framed(questionBytes('crowd', 'A'))))
    const before = process.memoryUsage().arrayBuffers
    client.write(questions)
    for (let turn = 0; turn < 50; turn++) {
      expect(data(await viaUdp(questionBytes('web', 'A')))).toEqual(['172.18.0.2'])
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
    client.destroy()
  })

  test('a client that takes its answers late gets them all', async () => {
    const questions = Array.from({ length: 300 }, (_, id) => questionBytes('crowd', 'A', { id }))
    const answers = await exchangeTcp(tcp, questions)
    expect(answers.map(bytes => bytes.readUInt16BE())).toEqual([...questions.keys()])
  })
})

describe('deadlines', () => {
  beforeEach(async () => {
    await resolver.close()
    await upstream.stop()
    await start(impatient)
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a message', Buffer.from('0100abcd', 'hex')],
  ])('a client that sends %s is dropped, and others are served meanwhile', async (_, bytes) => {
    const client = connect(tcp, '127.0.0.1')
    client.write(bytes)
    const closed = once(client, 'close')
    expect(data(await viaTcp(questionBytes('web', 'A')))).toEqual(['172.18.0.2'])
    client.resume()
    await closed
  })

  test('single bytes now and then do not keep a connection', async () => {
    const client = connect(tcp, '127.0.0.1')
    client.on('error', () => undefined)
    client.resume()
    client.write(Buffer.from('ffff', 'hex'))
    const drip = setInterval(() => client.write(Buffer.of(0)), 100)
    await once(client, 'close')
    clearInterval(drip)
  })

  test('questions now and then do', async () => {
    const client = connect(tcp, '127.0.0.1')
    for (let turn = 0; turn < 6; turn++) {
      await setTimeout(300)
      client.write(framed(questionBytes('web', 'A')))
      await once(client, 'data')
    }
    client.destroy()
  })
})

test('a burst of questions is answered whole', async () => {
  const client = createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 })
  client.connect(udp, '127.0.0.1')
  await once(client, 'connect')
  const ids = new Set<number>()
  client.on('message', bytes => ids.add(bytes.readUInt16BE()))
  // More than the kernel's usual buffer takes; all are sent before the resolver has its turn.
  for (let id = 0; id < 400; id++) client.send(questionBytes('web', 'A', { id }))
  await expect.poll(() => ids.size).toBe(400)
  client.close()
})

test('any bytes leave the resolver answering', async () => {
  const client = createSocket('udp4')
  client.connect(udp, '127.0.0.1')
  await once(client, 'connect')
  client.on('message', () => undefined)
  const real = questionBytes('web.shop', 'A', { edns: 1232 })
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 100 }),
        fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 5 }).map(changes => {
          const bytes = Uint8Array.from(real)
          for (const [index, byte] of changes) bytes[index] = byte
          return bytes
        }),
      ),
      async bytes => {
        client.send(bytes)
        const stream = connect(tcp, '127.0.0.1')
        stream.on('error', () => undefined)
        stream.end(bytes)
        stream.resume()
        await once(stream, 'close')
      },
    ),
    { numRuns: 200 },
  )
  client.close()
  expect(data(await viaUdp(questionBytes('web', 'A')))).toEqual(['172.18.0.2'])
  expect(data(await viaTcp(questionBytes('web', 'A')))).toEqual(['172.18.0.2'])
})

describe('sockets', () => {
  const held = (fd: number): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }

  test('listening again replaces them, unlisten closes them', async () => {
    const again = { udp: boundSocket('udp'), tcp: boundSocket('tcp') }
    await resolver.listen('s', { udp: again.udp.fd, tcp: again.tcp.fd })
    expect(data(decoded(await exchangeUdp(again.udp.port, questionBytes('web', 'A'))))).toEqual([
      '172.18.0.2',
    ])
    const idle = connect(again.tcp.port, '127.0.0.1')
    await once(idle, 'connect')
    idle.on('error', () => undefined)
    const dropped = once(idle.resume(), 'close')
    await resolver.unlisten('s')
    expect([again.udp.fd, again.tcp.fd].map(held)).toEqual([false, false])
    await dropped
    await resolver.unlisten('s')
  })

  test.each<[string, () => Promise<void>]>([
    ['unlisten', () => resolver.unlisten('s')],
    ['close', () => resolver.close()],
  ])('%s drops what is under way', async (_, end) => {
    upstream.behaviour = () => undefined
    const client = createSocket('udp4')
    client.connect(udp, '127.0.0.1')
    await once(client, 'connect')
    const before = openSockets()
    client.send(questionBytes('far.example', 'A'))
    await expect.poll(() => upstream.asked.length).toBe(1)
    expect(openSockets()).toBe(before + 1)
    await end()
    expect(openSockets()).toBe(before - 2)
    client.close()
  })

  test('sockets that cannot be used are closed and refused', async () => {
    const before = readdirSync('/proc/self/fd').length
    for (const [first, second] of [
      ['tcp', 'tcp'],
      ['udp', 'udp'],
    ] as const) {
      const wrong = { udp: rawSocket(4, first), tcp: rawSocket(4, second) }
      await expect(resolver.listen('t', wrong)).rejects.toThrow()
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before)
    closeSync(rawSocket(4, 'udp'))
  })
})
