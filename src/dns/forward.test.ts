import { closeSync } from 'node:fs'

import { decode } from 'dns-packet'
import { afterEach, describe, expect, test } from 'vitest'

import { type Deliver, Forwarder, type ForwardSettings } from './forward.ts'
import { addressReply, type Behaviour, openSockets, questionBytes, rawSocket, Upstream } from './testing.ts'
import type { SocketSource, ZoneSandbox } from './types.ts'
import { parseQuery, rcode } from './wire.ts'

const upstreams: Upstream[] = []
const forwarders: Forwarder[] = []
afterEach(async () => {
  for (const forwarder of forwarders.splice(0)) forwarder.close()
  for (const upstream of upstreams.splice(0)) await upstream.stop()
})

/** Servers on 127.0.0.1, 127.0.0.2, … with one port, as servers on 53 have. */
async function start(...behaviours: readonly Behaviour[]): Promise<{ port: number; servers: string[] }> {
  let port = 0
  const servers: string[] = []
  for (const [index, behaviour] of behaviours.entries()) {
    const address = `127.0.0.${index + 1}`
    const upstream = await Upstream.start(address, port, behaviour)
    upstreams.push(upstream)
    port = upstream.port
    servers.push(address)
  }
  return { port, servers }
}

function forwarder(settings: Partial<ForwardSettings>): Forwarder {
  const made = new Forwarder({
    hostServers: () => [],
    sockets: () => Promise.reject(new Error('no namespace here')),
    port: 53,
    nextAfterMs: 50,
    giveUpAfterMs: 5000,
    cache: 0,
    ...settings,
  })
  forwarders.push(made)
  return made
}

const host: ZoneSandbox = { id: 's', networks: [], links: {}, servers: [], external: true, ndotsSet: false }

function ask(
  to: Forwarder,
  bytes: Uint8Array,
  protocol: 'udp' | 'tcp' = 'udp',
  from = host,
): Promise<Uint8Array | number> {
  return new Promise(resolve => put(to, bytes, resolve, protocol, from))
}

function put(
  to: Forwarder,
  bytes: Uint8Array,
  deliver: Deliver,
  protocol: 'udp' | 'tcp' = 'udp',
  from = host,
): void {
  const query = parseQuery(bytes)
  if (typeof query === 'string') throw new Error(query)
  to.ask(from, { bytes, query }, protocol, deliver)
}

/** A reply as a server gives it: the question back, with other flags and records behind it. */
function replyBytes(
  question: Buffer,
  flags: number,
  records = '',
  counts: readonly number[] = [0, 0, 0],
): Buffer {
  const reply = Buffer.concat([question, Buffer.from(records.replaceAll(/\s/g, ''), 'hex')])
  reply.writeUInt16BE(flags, 2)
  for (const [index, count] of counts.entries()) reply.writeUInt16BE(count, 6 + 2 * index)
  return reply
}

const silent: Behaviour = () => undefined
const gives =
  (last: number): Behaviour =>
  (_, bytes) =>
    addressReply(bytes, [192, 0, 2, last])
const says =
  (code: number): Behaviour =>
  (_, bytes) =>
    replyBytes(bytes, 0x8180 | code)

function addressIn(reply: Uint8Array | number): string | number {
  if (typeof reply === 'number') return reply
  const [answer] = decode(Buffer.from(reply)).answers ?? []
  return answer?.type === 'A' ? answer.data : 'none'
}

const soa = '0006 0001 00000e10 0016 026e7300 00 00000001 00000002 00000003 00000004 00000005'

describe.each(['udp', 'tcp'] as const)('by %s', protocol => {
  test('a reply comes back byte for byte under the id that was asked with', async () => {
    const { port, servers } = await start((_, bytes) => replyBytes(bytes, 0x8583, `c00c ${soa}`, [0, 1, 0]))
    const question = questionBytes('NoBody.example', 'A', { id: 0xabcd })
    const reply = await ask(forwarder({ port, hostServers: () => servers }), question, protocol)
    expect(reply).toEqual(replyBytes(question, 0x8583, `c00c ${soa}`, [0, 1, 0]))
    expect(upstreams[0]?.asked[0]?.questions?.[0]?.name).toBe('NoBody.example')
  })

  test.each([
    ['is silent', silent],
    ['says SERVFAIL', says(rcode.serverFailure)],
    ['says REFUSED', says(rcode.refused)],
    [
      'answers under another id',
      (_: unknown, bytes: Buffer) => Buffer.from(replyBytes(bytes, 0x8180)).fill(1, 0, 2),
    ],
    [
      'answers another question',
      (_: unknown, bytes: Buffer) => {
        const reply = replyBytes(bytes, 0x8180)
        reply.write('x', 13)
        return reply
      },
    ],
    ['answers nonsense', () => Buffer.from('nonsense')],
  ] satisfies [string, Behaviour][])('the second server is asked if the first %s', async (_, behaviour) => {
    const { port, servers } = await start(behaviour, gives(2))
    const reply = await ask(
      forwarder({ port, hostServers: () => servers }),
      questionBytes('a', 'A'),
      protocol,
    )
    expect(addressIn(reply)).toBe('192.0.2.2')
  })

  test('the second server is asked at once if nobody listens at the first', async () => {
    const { port } = await start(gives(1))
    const to = forwarder({ port, hostServers: () => ['127.0.0.9', '127.0.0.1'], nextAfterMs: 60_000 })
    expect(addressIn(await ask(to, questionBytes('a', 'A'), protocol))).toBe('192.0.2.1')
  })

  test.each([
    ['no such name', rcode.nameError],
    ['not implemented', rcode.notImplemented],
    ['bad format', rcode.formatError],
    ['no records', rcode.noError],
  ])('%s is an answer, and nobody else is asked', async (_, code) => {
    const { port, servers } = await start(says(code), gives(2))
    const reply = await ask(
      forwarder({ port, hostServers: () => servers }),
      questionBytes('a', 'A'),
      protocol,
    )
    expect(typeof reply === 'number' ? undefined : (reply[3] ?? 0) & 15).toBe(code)
    expect(upstreams[1]?.asked).toHaveLength(0)
  })

  test('SERVFAIL when all fail', async () => {
    const { port, servers } = await start(says(rcode.serverFailure), says(rcode.refused))
    const to = forwarder({ port, hostServers: () => [...servers, '127.0.0.9'] })
    expect(await ask(to, questionBytes('a', 'A'), protocol)).toBe(rcode.serverFailure)
    expect(upstreams.map(upstream => upstream.asked.length)).toEqual([1, 1])
  })

  test('SERVFAIL when all are silent', async () => {
    const { port, servers } = await start(silent)
    const to = forwarder({ port, hostServers: () => servers, giveUpAfterMs: 100 })
    expect(await ask(to, questionBytes('a', 'A'), protocol)).toBe(rcode.serverFailure)
  })

  test('questions of the same bytes are asked once; each gets its id', async () => {
    const { port, servers } = await start(gives(1))
    const to = forwarder({ port, hostServers: () => servers })
    const replies = await Promise.all(
      [1, 2, 3].map(id => ask(to, questionBytes('a', 'A', { id }), protocol, { ...host, id: `s${id}` })),
    )
    expect(replies.map(reply => (typeof reply === 'number' ? reply : reply[1]))).toEqual([1, 2, 3])
    expect(replies.map(addressIn)).toEqual(Array(3).fill('192.0.2.1'))
    expect(upstreams[0]?.asked).toHaveLength(1)
  })

  test('a sandbox’s own servers are asked over sockets from its namespace', async () => {
    const { port, servers } = await start(silent, gives(2))
    const opened: Parameters<SocketSource>[] = []
    const to = forwarder({
      port,
      hostServers: () => ['127.0.0.1'],
      sockets: async (sandbox, family, type) => {
        opened.push([sandbox, family, type])
        return rawSocket(family, type)
      },
    })
    const inside = { ...host, servers, external: false }
    expect(addressIn(await ask(to, questionBytes('a', 'A'), protocol, inside))).toBe('192.0.2.2')
    expect(opened).toEqual([
      ['s', 4, protocol],
      ['s', 4, protocol],
    ])
  })

  test('servers may have IPv6 addresses', async ({ skip }) => {
    const upstream = await Upstream.start('::1', 0, gives(6)).catch(() => undefined)
    if (upstream === undefined) return skip('no IPv6 on loopback here')
    upstreams.push(upstream)
    const to = forwarder({ port: upstream.port, hostServers: () => ['::1'] })
    expect(addressIn(await ask(to, questionBytes('a', 'A'), protocol))).toBe('192.0.2.6')
    const inside = forwarder({
      port: upstream.port,
      sockets: async (_, family, type) => rawSocket(family, type),
    })
    const own = { ...host, servers: ['::1'] }
    expect(addressIn(await ask(inside, questionBytes('a', 'A'), protocol, own))).toBe('192.0.2.6')
  })

  test('the next server is asked if no socket can be had, or none that can be used', async () => {
    const { port } = await start(gives(1))
    const before = openSockets()
    let turn = 0
    const to = forwarder({
      port,
      nextAfterMs: 60_000,
      sockets: async (_, family, type) => {
        turn += 1
        if (turn === 1) throw new Error('the namespace is gone')
        return rawSocket(family, turn === 2 ? (type === 'udp' ? 'tcp' : 'udp') : type)
      },
    })
    const inside = { ...host, servers: ['127.0.0.2', '127.0.0.3', '127.0.0.1'] }
    expect(addressIn(await ask(to, questionBytes('a', 'A'), protocol, inside))).toBe('192.0.2.1')
    await expect.poll(openSockets).toBe(before)
  })
})

test('ids and ports are not the asker’s, and new each time', async () => {
  const { port, servers } = await start(gives(1))
  const to = forwarder({ port, hostServers: () => servers })
  for (let turn = 0; turn < 20; turn++) await ask(to, questionBytes(`a${turn}`, 'A', { id: 7 }))
  const [upstream] = upstreams
  expect(new Set(upstream?.asked.map(packet => packet.id)).size).toBeGreaterThan(15)
  expect(new Set(upstream?.peers.map(peer => peer.port)).size).toBeGreaterThan(15)
})

test('a lost question is sent again', async () => {
  let lost = true
  const { port, servers } = await start((question, bytes) => {
    if (!lost) return gives(1)(question, bytes)
    lost = false
    return undefined
  })
  expect(addressIn(await ask(forwarder({ port, hostServers: () => servers }), questionBytes('a', 'A')))).toBe(
    '192.0.2.1',
  )
})

test('a slow first server may still answer after the second was asked', async () => {
  let first: (() => void) | undefined
  const { port, servers } = await start(silent, () => {
    first?.()
    return undefined
  })
  const [slow] = upstreams
  if (slow === undefined) throw new Error('no server')
  let seen: Buffer | undefined
  slow.behaviour = (question, bytes) => (seen === undefined ? void (seen = bytes) : gives(1)(question, bytes))
  const answered = ask(forwarder({ port, hostServers: () => servers }), questionBytes('a', 'A'))
  await new Promise<void>(resolve => (first = resolve))
  expect(addressIn(await answered)).toBe('192.0.2.1')
})

describe('who may not ask', () => {
  test('a sandbox on internal networks only is answered at once, and no host server hears of it', async () => {
    const { port, servers } = await start(gives(1))
    const replies: (Uint8Array | number)[] = []
    const to = forwarder({ port, hostServers: () => servers })
    put(to, questionBytes('a', 'A'), reply => replies.push(reply), 'udp', { ...host, external: false })
    expect(replies).toEqual([rcode.serverFailure])
  })

  test('nobody to ask, or only ourselves', () => {
    const replies: (Uint8Array | number)[] = []
    put(forwarder({}), questionBytes('a', 'A'), reply => replies.push(reply))
    const loop = { ...host, servers: ['127.0.0.11'] }
    put(forwarder({}), questionBytes('a', 'A'), reply => replies.push(reply), 'udp', loop)
    expect(replies).toEqual([rcode.serverFailure, rcode.serverFailure])
  })

  test('more than 1,024 questions of a sandbox; others are served', async () => {
    const { port, servers } = await start((question, bytes) =>
      question.questions?.[0]?.name === 'other' ? gives(1)(question, bytes) : undefined,
    )
    const to = forwarder({ port, hostServers: () => servers, nextAfterMs: 60_000 })
    let refused = 0
    const deliver: Deliver = reply => {
      expect(reply).toBe(rcode.refused)
      refused += 1
    }
    for (let index = 0; index < 1024; index++)
      put(to, questionBytes(`q${index % 10}`, 'A', { id: index }), deliver)
    expect(refused).toBe(0)
    put(to, questionBytes('more', 'A'), deliver)
    put(to, questionBytes('q1', 'A'), deliver)
    expect(refused).toBe(2)
    expect(addressIn(await ask(to, questionBytes('other', 'A'), 'udp', { ...host, id: 'other' }))).toBe(
      '192.0.2.1',
    )
    to.forget('s')
    expect(addressIn(await ask(to, questionBytes('other', 'A')))).toBe('192.0.2.1')
  })

  test('the count goes down with every answer', async () => {
    const { port, servers } = await start(gives(1))
    const to = forwarder({ port, hostServers: () => servers })
    for (let turn = 0; turn < 3; turn++) {
      const all = Array.from({ length: 600 }, (_, id) => ask(to, questionBytes(`q${id % 7}`, 'A', { id })))
      expect(new Set((await Promise.all(all)).map(addressIn))).toEqual(new Set(['192.0.2.1']))
    }
  })
})

describe('nothing is left open', () => {
  test.each(['udp', 'tcp'] as const)('after forget, by %s', async protocol => {
    const { port, servers } = await start(silent)
    const before = openSockets()
    const late: ((fd: number) => void)[] = []
    const to = forwarder({
      port,
      sockets: (_, family, type) =>
        late.length > 0
          ? Promise.resolve(rawSocket(family, type))
          : new Promise(resolve => late.push(fd => resolve(fd))),
    })
    const inside = { ...host, servers }
    const replies: (Uint8Array | number)[] = []
    put(to, questionBytes('a', 'A'), reply => replies.push(reply), protocol, inside)
    put(to, questionBytes('b', 'A'), reply => replies.push(reply), protocol, inside)
    await expect.poll(() => upstreams[0]?.asked.length).toBeGreaterThan(0)
    to.forget('s')
    late[0]?.(rawSocket(4, protocol))
    await expect.poll(() => openSockets() - before).toBe(0)
    expect(replies).toEqual([])
  })

  test('the raw sockets of these tests are real', () => {
    const before = openSockets()
    const fd = rawSocket(6, 'udp')
    expect(openSockets()).toBe(before + 1)
    closeSync(fd)
  })
})

/** The question back with one address and the TTL that it may be kept. */
function lasting(question: Buffer, seconds: number): Buffer {
  const reply = addressReply(question, [192, 0, 2, 1])
  reply.writeUInt32BE(seconds, question.length + 6)
  return reply
}

/** Time to live of the first answer. */
function ttlOf(reply: Uint8Array | number): number | undefined {
  if (typeof reply === 'number') return undefined
  const [answer] = decode(Buffer.from(reply)).answers ?? []
  return answer !== undefined && 'ttl' in answer ? answer.ttl : undefined
}

describe('the cache', () => {
  test('answers again under the asker’s id, without asking again', async () => {
    const { port, servers } = await start((_, bytes) => lasting(bytes, 300))
    const to = forwarder({ port, hostServers: () => servers, cache: 16 })
    await ask(to, questionBytes('example.test', 'A', { id: 1 }))
    const again = await ask(to, questionBytes('example.test', 'A', { id: 99 }))
    expect(upstreams[0]?.asked).toHaveLength(1)
    expect(typeof again === 'number' ? again : decode(Buffer.from(again)).id).toBe(99)
    expect(ttlOf(again)).toBe(300)
    // Another type, another letter case, another protocol are other questions.
    await ask(to, questionBytes('example.test', 'AAAA'))
    await ask(to, questionBytes('Example.test', 'A'))
    await ask(to, questionBytes('example.test', 'A'), 'tcp')
    expect(upstreams[0]?.asked).toHaveLength(4)
  })

  test('keeps nothing that says it must not be kept, and nothing at all when it is off', async () => {
    const { port, servers } = await start((_, bytes) => lasting(bytes, 0))
    const to = forwarder({ port, hostServers: () => servers, cache: 16 })
    const off = forwarder({ port, hostServers: () => servers, cache: 0 })
    for (const one of [to, to, off, off]) await ask(one, questionBytes('example.test', 'A'))
    expect(upstreams[0]?.asked).toHaveLength(4)
  })

  test('does not outlive a change of servers, and is not shared with who has servers of its own', async () => {
    const { port } = await start(
      (_, bytes) => lasting(bytes, 300),
      (_, bytes) => lasting(bytes, 300),
    )
    let servers = ['127.0.0.1']
    const to = forwarder({
      port,
      hostServers: () => servers,
      cache: 16,
      sockets: (_, family, type) => Promise.resolve(rawSocket(family, type)),
    })
    await ask(to, questionBytes('example.test', 'A'))
    servers = ['127.0.0.2']
    await ask(to, questionBytes('example.test', 'A'))
    expect(upstreams[1]?.asked).toHaveLength(1)
    await ask(to, questionBytes('example.test', 'A'), 'udp', { ...host, servers: ['127.0.0.2'] })
    expect(upstreams[1]?.asked).toHaveLength(2)
  })
})

describe('silent servers', () => {
  test('come last afterwards: the next question does not wait for them', async () => {
    const { port, servers } = await start(
      () => undefined,
      (_, bytes) => addressReply(bytes, [192, 0, 2, 1]),
    )
    const to = forwarder({ port, hostServers: () => servers })
    await ask(to, questionBytes('first.test', 'A'))
    await ask(to, questionBytes('second.test', 'A'))
    await ask(to, questionBytes('third.test', 'A'))
    expect(upstreams[0]?.asked.flatMap(packet => packet.questions?.map(one => one.name))).toEqual([
      'first.test',
    ])
    expect(upstreams[1]?.asked).toHaveLength(3)
  })

  test('says who answered', async () => {
    const { port, servers } = await start((_, bytes) => lasting(bytes, 300))
    const to = forwarder({ port, hostServers: () => servers, cache: 16 })
    const from = (): Promise<string> =>
      new Promise(resolve => put(to, questionBytes('a.test', 'A'), (_, who) => resolve(who)))
    expect([await from(), await from()]).toEqual(['127.0.0.1', 'cache'])
    const inside = new Promise<string>(resolve =>
      put(to, questionBytes('a.test', 'A'), (_, who) => resolve(who), 'udp', { ...host, external: false }),
    )
    expect(await inside).toBe('nobody')
  })
})
