import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RangeSet } from '../ipam/range-set.ts'
import type { PortRequest, PublishedPort } from '../types.ts'
import type { PortAllocation, PortContext } from './allocate.ts'
import { allocatePorts } from './allocate.ts'
import { PortTable } from './table.ts'

const context = (extra: Partial<PortContext> = {}): PortContext => ({
  table: PortTable.empty,
  ephemeral: [32768, 60999],
  reserved: RangeSet.empty,
  busy: RangeSet.empty,
  cursor: {},
  hostBinding: '0.0.0.0',
  endpoint4: 'e4',
  endpoint6: undefined,
  hostHasIPv6: true,
  holder: 'me',
  nameOf: holder => `container ${holder}`,
  ...extra,
})

const request = (
  containerPort: number,
  host: number | readonly [number, number] = 0,
  extra: Partial<PortRequest> = {},
): PortRequest => {
  const [hostFrom, hostTo] = typeof host === 'number' ? [host, host] : host
  return { protocol: 'tcp', containerPort, hostIp: '', hostFrom, hostTo, ...extra }
}

/** `0.0.0.0:8080->80 e4`, `0.0.0.0:8000-8009->8000 e4`. */
const spell = ({ ports }: PortAllocation): string[] =>
  ports.map(port => {
    const range = port.hostTo === port.hostFrom ? `${port.hostFrom}` : `${port.hostFrom}-${port.hostTo}`
    return `${port.hostIp}:${range}->${port.containerFrom} ${port.endpointId}`
  })

const held = (hostIp: string, from: number, to = from, holder = 'web'): PortTable =>
  PortTable.empty.hold({ protocol: 'tcp', hostIp, hostFrom: from, hostTo: to }, holder)

describe('host addresses', () => {
  it.each<[string, Partial<PortRequest>, Partial<PortContext>, readonly string[]]>([
    ['every address by default', {}, {}, ['0.0.0.0:80->80 e4', ':::80->80 e4']],
    ['IPv4 alone on a host without IPv6', {}, { hostHasIPv6: false }, ['0.0.0.0:80->80 e4']],
    ['each family through its own endpoint', {}, { endpoint6: 'e6' }, ['0.0.0.0:80->80 e4', ':::80->80 e6']],
    [
      'IPv6 alone for a container with IPv6 alone',
      {},
      { endpoint4: undefined, endpoint6: 'e6' },
      [':::80->80 e6'],
    ],
    ['explicit 0.0.0.0', { hostIp: '0.0.0.0' }, {}, ['0.0.0.0:80->80 e4']],
    [
      'explicit 0.0.0.0 for a container with IPv6 alone',
      { hostIp: '0.0.0.0' },
      { endpoint4: undefined, endpoint6: 'e6' },
      [],
    ],
    ['explicit ::', { hostIp: '::' }, {}, [':::80->80 e4']],
    ['a specific address', { hostIp: '127.0.0.1' }, {}, ['127.0.0.1:80->80 e4']],
    ['the network’s binding', {}, { hostBinding: '192.0.2.1' }, ['192.0.2.1:80->80 e4']],
    ['nothing without a gateway', {}, { endpoint4: undefined }, []],
  ])('%s', (_, extra, given, expected) => {
    expect(spell(allocatePorts([request(80, 80, extra)], context(given)))).toEqual(expected)
  })

  it('refuses an explicit IPv6 address on a host without IPv6', () => {
    expect(() =>
      allocatePorts([request(80, 80, { hostIp: '::1' })], context({ hostHasIPv6: false })),
    ).toThrow('failed to bind host port [::1]:80/tcp: cannot assign requested address')
  })
})

describe('named ports', () => {
  it('names the holder of a port that is taken', () => {
    expect(() => allocatePorts([request(80, 80)], context({ table: held('0.0.0.0', 80) }))).toThrow(
      expect.objectContaining({
        code: 'portAllocated',
        status: 500,
        message: 'Bind for 0.0.0.0:80 failed: port is already allocated (held by container web)',
      }),
    )
  })

  it('finds a conflict on IPv6 only', () => {
    expect(() => allocatePorts([request(80, 80)], context({ table: held('::', 80) }))).toThrow(
      'Bind for [::]:80 failed: port is already allocated',
    )
  })

  it('names the first taken port of a run', () => {
    const run = request(8000, [8000, 8999], { containerTo: 8999 })
    expect(() => allocatePorts([run], context({ table: held('127.0.0.1', 8123) }))).toThrow(
      'Bind for 0.0.0.0:8123 failed',
    )
  })

  it('publishes a thousand ports as one', () => {
    const run = request(8000, [18000, 18999], { containerTo: 8999 })
    expect(spell(allocatePorts([run], context()))).toEqual([
      '0.0.0.0:18000-18999->8000 e4',
      ':::18000-18999->8000 e4',
    ])
  })

  it('are taken before free choices that come first', () => {
    const all = [request(80), request(81, [32768, 32770]), request(82, 32768)]
    expect(spell(allocatePorts(all, context({ hostHasIPv6: false })))).toEqual([
      '0.0.0.0:32770->80 e4',
      '0.0.0.0:32769->81 e4',
      '0.0.0.0:32768->82 e4',
    ])
  })

  it('leave the given table as it was when a later one fails', () => {
    const table = held('0.0.0.0', 81)
    expect(() => allocatePorts([request(80, 80), request(81, 81)], context({ table }))).toThrow('0.0.0.0:81')
    expect(table.conflict({ protocol: 'tcp', hostIp: '0.0.0.0', hostFrom: 80, hostTo: 80 })).toBeUndefined()
  })
})

describe('ranges', () => {
  it('give the lowest port that is free on every address', () => {
    const table = held('0.0.0.0', 8000, 8001).hold(
      { protocol: 'tcp', hostIp: '::', hostFrom: 8002, hostTo: 8002 },
      'x',
    )
    expect(spell(allocatePorts([request(80, [8000, 8010])], context({ table })))).toEqual([
      '0.0.0.0:8003->80 e4',
      ':::8003->80 e4',
    ])
  })

  it('go around what foreign programs hold, and into what is reserved', () => {
    const given = context({ reserved: RangeSet.of([8001n]), busy: RangeSet.of([8000n]), hostHasIPv6: false })
    expect(spell(allocatePorts([request(80, [8000, 8010])], given))).toEqual(['0.0.0.0:8001->80 e4'])
  })

  it('end', () => {
    const table = held('127.0.0.1', 8000, 8010)
    expect(() => allocatePorts([request(80, [8000, 8010])], context({ table }))).toThrow(
      'all ports are allocated',
    )
  })
})

describe('free choices', () => {
  const v4 = { hostHasIPv6: false }

  it('begin as the tutorial shows and go on where the last one ended', () => {
    const first = allocatePorts([request(80), request(53, 0, { protocol: 'udp' })], context(v4))
    expect(spell(first)).toEqual(['0.0.0.0:32768->53 e4', '0.0.0.0:32768->80 e4'])
    const { table, cursor } = allocatePorts([request(80)], context({ ...v4, ...first }))
    const freed = table.release({ protocol: 'tcp', hostIp: '0.0.0.0', hostFrom: 32769, hostTo: 32769 })
    expect(spell(allocatePorts([request(80)], context({ ...v4, table: freed, cursor })))).toEqual([
      '0.0.0.0:32770->80 e4',
    ])
  })

  it('wrap around, skip what is reserved or held, and end', () => {
    const given = {
      ...v4,
      ephemeral: [100, 105] as const,
      reserved: RangeSet.of([102n]),
      cursor: { tcp: 104 },
    }
    const busy = context({ ...given, busy: RangeSet.of([104n]) })
    expect(spell(allocatePorts([request(1)], busy))).toEqual(['0.0.0.0:105->1 e4'])
    const all = allocatePorts(
      [request(1), request(3), request(5), request(7)],
      context({ ...given, table: held('127.0.0.1', 101) }),
    )
    expect(all.ports.map(port => port.hostFrom)).toEqual([104, 105, 100, 103])
    expect(() => allocatePorts([request(9)], context({ ...given, table: all.table }))).toThrow(
      'all ports are allocated',
    )
  })

  it('keep a run together where there is room and split it where there is none', () => {
    const run = request(1, 0, { containerTo: 4 })
    const given = { ...v4, ephemeral: [100, 110] as const }
    expect(spell(allocatePorts([run], context({ ...given, table: held('0.0.0.0', 102) })))).toEqual([
      '0.0.0.0:103-106->1 e4',
    ])
    const table = held('0.0.0.0', 102).hold(
      { protocol: 'tcp', hostIp: '0.0.0.0', hostFrom: 105, hostTo: 109 },
      'x',
    )
    expect(spell(allocatePorts([run], context({ ...given, table })))).toEqual([
      '0.0.0.0:100-101->1 e4',
      '0.0.0.0:103-104->3 e4',
    ])
    expect(() => allocatePorts([run], context({ ...given, ephemeral: [100, 102], table }))).toThrow(
      'all ports are allocated',
    )
  })
})

it('never gives one port to two containers, nor different numbers to the two families', () => {
  const some = fc.record({
    port: fc.integer({ min: 1, max: 20 }),
    length: fc.integer({ min: 1, max: 4 }),
    host: fc.constantFrom('any', 'named', 'range'),
    hostIp: fc.constantFrom('', '', '127.0.0.1', '0.0.0.0', '::'),
  })
  const command = fc.record({ requests: fc.array(some, { maxLength: 4 }), drop: fc.boolean() })
  fc.assert(
    fc.property(fc.array(command, { maxLength: 15 }), commands => {
      let { table, cursor } = context()
      let running: { readonly id: string; readonly ports: readonly PublishedPort[] }[] = []
      for (const [at, { requests, drop }] of commands.entries()) {
        const [oldest] = running
        if (drop && oldest !== undefined) {
          for (const port of oldest.ports) table = table.release(port)
          running = running.slice(1)
        }
        const asked = requests.map(({ port, length, host, hostIp }): PortRequest => {
          const last = port + length - 1
          const run = length > 1 && host !== 'range' ? { containerTo: last } : {}
          if (host === 'any') return { ...request(port, 0, { hostIp }), ...run }
          return { ...request(port, [100 + port, 100 + last], { hostIp }), ...run }
        })
        let result: PortAllocation
        try {
          result = allocatePorts(asked, context({ table, cursor, ephemeral: [110, 140], holder: `c${at}` }))
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(portAllocated|portsExhausted)$/) })
          continue
        }
        ;({ table, cursor } = result)
        running.push({ id: `c${at}`, ports: result.ports })
        const count = asked.reduce(
          (sum, { hostIp, containerPort, containerTo = containerPort }) =>
            sum + (containerTo - containerPort + 1) * (hostIp === '' ? 2 : 1),
          0,
        )
        expect(result.ports.reduce((sum, port) => sum + port.hostTo - port.hostFrom + 1, 0)).toBe(count)
      }
      const all = running.flatMap(({ ports }) => ports)
      for (const [at, one] of all.entries()) {
        for (const other of all.slice(at + 1)) {
          const clash =
            one.hostIp.includes(':') === other.hostIp.includes(':') &&
            (one.hostIp === other.hostIp || [one.hostIp, other.hostIp].includes('0.0.0.0')) &&
            one.hostFrom <= other.hostTo &&
            other.hostFrom <= one.hostTo
          expect(clash).toBe(false)
        }
      }
    }),
    { numRuns: 200 },
  )
})
