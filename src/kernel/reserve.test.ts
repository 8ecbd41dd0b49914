import * as fc from 'fast-check'
import { closeSync, existsSync } from 'node:fs'
import { createServer, connect, type Server } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KernelError } from './error.ts'
import { attempt } from './ffi.ts'
import type { ReservationSpec } from './operation.ts'
import {
  formatRanges,
  mergeRanges,
  parseRanges,
  portHolder,
  PortReservations,
  subtractRanges,
  type PortRange,
} from './reserve.ts'
import { openBoundSocket, openInternetSocket, socketAddress } from './socket.ts'
import { parseBoundSocket } from './sockdiag.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'
import { cannotRun, enterFreshNetwork, scratch, shell } from './testing.ts'

describe('ranges of ports', () => {
  test.each([
    ['', []],
    ['\n', []],
    ['8080', [{ from: 8080, to: 8080 }]],
    [
      '9148,8080,20000-20999\n',
      [
        { from: 8080, to: 8080 },
        { from: 9148, to: 9148 },
        { from: 20_000, to: 20_999 },
      ],
    ],
    ['1-5,4-9,10', [{ from: 1, to: 10 }]],
  ])('%j', (text, ranges) => expect(parseRanges(text)).toEqual(ranges))

  const range = fc
    .tuple(fc.nat(300), fc.nat(20))
    .map(([from, length]): PortRange => ({ from, to: from + length }))
  const ranges = fc.array(range, { maxLength: 8 })
  const portsOf = (list: readonly PortRange[]) =>
    new Set(
      list.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, offset) => from + offset)),
    )

  test('are sets of ports: merged, subtracted, written and read', () => {
    fc.assert(
      fc.property(ranges, ranges, (some, others) => {
        const merged = mergeRanges(some)
        expect(portsOf(merged)).toEqual(portsOf(some))
        expect(parseRanges(formatRanges(merged))).toEqual(merged)
        const removed = portsOf(others)
        const left = [...portsOf(some)].filter(port => !removed.has(port))
        expect(portsOf(subtractRanges(merged, others))).toEqual(new Set(left))
      }),
    )
  })
})

test('any answer of sock_diag is a socket or a KernelError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), payload => {
      try {
        parseBoundSocket({ type: 20, flags: 0, sequence: 0, payload: Buffer.from(payload) })
      } catch (error) {
        expect(error).toBeInstanceOf(KernelError)
      }
    }),
  )
})

describe.skipIf(cannotRun !== '')('reservations', () => {
  const place = scratch()
  const record = join(place.directory, 'record')
  let ports: PortReservations
  const servers: Server[] = []
  const spec = (change: Partial<ReservationSpec> = {}): ReservationSpec => ({
    protocol: 'tcp',
    address: '0.0.0.0',
    from: 8080,
    to: change.from ?? 8080,
    ...change,
  })
  const listen = async (port: number, host: string) => {
    const server = createServer().listen(port, host)
    servers.push(server)
    await once(server, 'listening')
    return server
  }
  const inUse = (port: number): unknown => expect.objectContaining({ code: 'EADDRINUSE', port })

  beforeAll(enterFreshNetwork)
  afterAll(() => place.remove())
  beforeEach(() => {
    ports = new PortReservations(record)
  })
  afterEach(() => {
    ports.close()
    expect(existsSync(record)).toBe(false)
    for (const server of servers.splice(0)) server.close()
  })

  test.each([
    ['tcp', '0.0.0.0'],
    ['tcp', '::'],
    ['udp', '0.0.0.0'],
    ['udp', '::1'],
  ] as const)('nobody else can bind a reserved %s port of %s, until it is released', (protocol, address) => {
    ports.reserve(spec({ protocol, address }))
    expect(() => openBoundSocket(address, 8080, protocol)).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    )
    expect(ports.release(spec({ protocol, address }))).toBe(true)
    expect(ports.release(spec({ protocol, address }))).toBe(false)
    closeSync(openBoundSocket(address, 8080, protocol))
  })

  test.each([
    ['another family', { address: '::' }, true],
    ['another protocol', { protocol: 'udp' }, true],
    ['another port', { from: 8081 }, true],
    ['the same', {}, false],
    ['one address where all are reserved', { address: '127.0.0.1' }, false],
    ['a range around it', { from: 8070, to: 8090 }, false],
    ['a range of many around it', { from: 8000, to: 9000 }, false],
  ] as const)('beside 0.0.0.0:8080/tcp, %s can be reserved: %s', (_, change, possible) => {
    ports.reserve(spec())
    const reserve = () => ports.reserve(spec(change))
    if (possible) reserve()
    else expect(reserve).toThrow(inUse(8080))
  })

  test('all addresses are not free while one is reserved; different addresses are', () => {
    ports.reserve(spec({ address: '127.0.0.2' }))
    ports.reserve(spec({ address: '127.0.0.3' }))
    expect(() => ports.reserve(spec())).toThrow(inUse(8080))
  })

  test('a foreign listener is noticed, its port and its process are told', async () => {
    await listen(8085, '127.0.0.1')
    const range = spec({ from: 8080, to: 8090 })
    expect(() => ports.reserve(range)).toThrow(inUse(8085))
    expect(portHolder(range)).toMatch(new RegExp(`^pid ${process.pid} \\(.+\\)$`))
    expect(portHolder(spec({ from: 8086 }))).toBe('')
    // Nothing of the range is held: the other ports are free.
    for (const from of [8080, 8084, 8086, 8090]) ports.reserve(spec({ from }))
  })

  test('an address that the host has not got is refused as such', () => {
    expect(() => ports.reserve(spec({ address: '192.0.2.1' }))).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
  })

  test.each(['tcp', 'udp'] as const)(
    'the %s sockets are given to one after the other who serves them',
    protocol => {
      const range = spec({ protocol, to: 8082 })
      ports.reserve(range)
      for (let turn = 0; turn < 2; turn++) {
        const sockets = ports.serve(range)
        expect(sockets).toHaveLength(3)
        for (const descriptor of sockets) closeSync(descriptor)
      }
      ports.release(range)
      ports.reserve(range)
      expect(ports.serve(range).map(closeSync)).toHaveLength(3)
    },
  )

  test('connections are never accepted: their first packet is dropped', () => {
    ports.reserve(spec())
    const client = openInternetSocket(4, 'tcp')
    const target = socketAddress('127.0.0.1', 8080)
    expect(attempt('connect', client, target, target.length)).toBeLessThan(0)
    // Over lo a handshake would be complete by now.
    expect(shell('ss -Htan "dport = 8080"')).toMatch(/^SYN-SENT/)
    closeSync(client)
  })

  test('copies of the sockets are served, and the port stays held until both are closed', async () => {
    ports.reserve(spec({ to: 8081 }))
    const copies = ports.serve(spec({ to: 8081 }))
    expect(copies).toHaveLength(2)
    const [first, second] = copies.map(fd => {
      const server = createServer(socket => socket.end('served')).listen({ fd })
      servers.push(server)
      return server
    })
    const client = connect(8081, '127.0.0.1').setEncoding('utf8')
    expect(await once(client, 'data')).toEqual(['served'])
    ports.release(spec({ to: 8081 }))
    expect(() => openBoundSocket('0.0.0.0', 8080, 'tcp')).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    )
    for (const server of [first, second]) server?.close()
    closeSync(openBoundSocket('0.0.0.0', 8080, 'tcp'))
  })

  test.each([{ protocol: 'sctp' as const }, { to: 9000 }, { from: 8083 }])(
    'there is nothing to serve of %j',
    change => {
      if (!('protocol' in change) && !('from' in change)) ports.reserve(spec(change))
      expect(ports.serve(spec(change))).toEqual([])
    },
  )

  test('a port whose last connection has just ended can be reserved', async () => {
    const server = await listen(8080, '127.0.0.1')
    server.on('connection', socket => socket.end())
    const client = connect(8080, '127.0.0.1')
    client.resume()
    await once(client, 'close')
    server.close()
    await once(server, 'close')
    expect(shell('ss -Htan state time-wait')).toContain('127.0.0.1:8080')
    ports.reserve(spec())
  })

  test('a wide range is kept from chance, its neighbours’ settings stay', () => {
    writeSysctl('net/ipv4/ip_local_reserved_ports', '8080,20500')
    const range = spec({ from: 20_000, to: 20_999 })
    ports.reserve(range)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('8080,20000-20999')
    expect(() => ports.reserve(range)).toThrow(inUse(20_000))
    ports.release(range)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('8080,20500')
    writeSysctl('net/ipv4/ip_local_reserved_ports', '\n')
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('')
  })

  test('reservations that cover the same ports keep them until the last is released', () => {
    const four = spec({ from: 20_000, to: 20_999 })
    const six = spec({ from: 20_500, to: 21_499, address: '::' })
    ports.reserve(four)
    ports.reserve(six)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('20000-21499')
    ports.release(four)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('20500-21499')
    ports.release(six)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('')
  })

  test('what a process that died had reserved is given back by the next', () => {
    writeSysctl('net/ipv4/ip_local_reserved_ports', '20500')
    ports.reserve(spec({ from: 20_000, to: 20_999 }))
    ports.reserve(spec({ from: 30_000, to: 30_999 }))
    ports.release(spec({ from: 30_000, to: 30_999 }))
    const next = new PortReservations(record)
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('20500')
    next.reserve(spec({ from: 20_000, to: 20_999 }))
    next.close()
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('20500')
    writeSysctl('net/ipv4/ip_local_reserved_ports', '\n')
  })

  test('a foreign listener in a wide range is noticed, if it is in the way', async () => {
    await listen(20_400, '127.0.0.1')
    const wide = { from: 20_000, to: 20_999 }
    expect(() => ports.reserve(spec(wide))).toThrow(inUse(20_400))
    expect(readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('')
    ports.reserve(spec({ ...wide, address: '127.0.0.2' }))
    ports.reserve(spec({ ...wide, protocol: 'udp' }))
  })
})
