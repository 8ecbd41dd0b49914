import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Protocol } from '../types.ts'
import type { HeldPorts, HostPorts } from './table.ts'
import { PortTable, bindingText } from './table.ts'

const ports = (
  hostIp: string,
  hostFrom: number,
  hostTo = hostFrom,
  protocol: Protocol = 'tcp',
): HostPorts => ({
  protocol,
  hostIp,
  hostFrom,
  hostTo,
})

describe('conflict', () => {
  it.each<[HostPorts, HostPorts, boolean]>([
    [ports('0.0.0.0', 80), ports('0.0.0.0', 80), true],
    [ports('0.0.0.0', 80), ports('127.0.0.1', 80), true],
    [ports('127.0.0.1', 80), ports('0.0.0.0', 80), true],
    [ports('127.0.0.2', 80), ports('127.0.0.3', 80), false],
    [ports('0.0.0.0', 80), ports('::', 80), false],
    [ports('::', 80), ports('fd00::1', 80), true],
    [ports('fd00::1', 80), ports('::', 80), true],
    [ports('0.0.0.0', 80), ports('0.0.0.0', 80, 80, 'udp'), false],
    [ports('0.0.0.0', 8000, 8999), ports('0.0.0.0', 8500), true],
    [ports('0.0.0.0', 8500), ports('0.0.0.0', 8000, 8999), true],
    [ports('0.0.0.0', 8000, 8999), ports('127.0.0.1', 8999, 9005), true],
    [ports('0.0.0.0', 8000, 8999), ports('0.0.0.0', 9000, 9005), false],
  ])('%j against %j: %s', (held, asked, expected) => {
    const rival = PortTable.empty.hold(held, 'web').conflict(asked)
    expect(rival).toEqual(expected ? { ...held, holder: 'web' } : undefined)
  })
})

it('names the first port in the way when it refuses', () => {
  const table = PortTable.empty.hold(ports('0.0.0.0', 8500, 8600), 'web')
  expect(() => table.hold(ports('127.0.0.1', 8000, 8999), 'other')).toThrow(
    expect.objectContaining({
      code: 'portAllocated',
      message: expect.stringContaining('Bind for 127.0.0.1:8500 failed: port is already allocated'),
    }),
  )
  expect(bindingText('::', 80)).toBe('[::]:80')
})

it('releases only what was held exactly so', () => {
  const table = PortTable.empty.hold(ports('0.0.0.0', 80, 89), 'web')
  for (const other of [
    ports('0.0.0.0', 80),
    ports('0.0.0.0', 81, 89),
    ports('127.0.0.1', 80, 89),
    ports('0.0.0.0', 80, 89, 'udp'),
  ]) {
    expect(table.release(other)).toBe(table)
  }
  expect(table.release(ports('0.0.0.0', 80, 89)).conflict(ports('0.0.0.0', 80, 89))).toBeUndefined()
  expect(table.conflict(ports('0.0.0.0', 85))).toBeDefined()
})

it('keeps ten thousand ports in a tree that is not deep', () => {
  let table = PortTable.empty
  for (let port = 1; port <= 10_000; port++) table = table.hold(ports('0.0.0.0', port), `c${port}`)
  expect(table.conflict(ports('127.0.0.1', 7777))?.holder).toBe('c7777')
  for (let port = 1; port <= 10_000; port += 2) table = table.release(ports('0.0.0.0', port))
  expect(table.conflict(ports('127.0.0.1', 7777))).toBeUndefined()
  expect(table.conflict(ports('127.0.0.1', 7778))?.holder).toBe('c7778')
})

/** The model: a list, looked through from end to end. */
function overlap(a: HostPorts, b: HostPorts): boolean {
  const families = a.hostIp.includes(':') === b.hostIp.includes(':')
  const wild = [a.hostIp, b.hostIp].some(each => each === '0.0.0.0' || each === '::')
  return (
    a.protocol === b.protocol &&
    families &&
    (wild || a.hostIp === b.hostIp) &&
    a.hostFrom <= b.hostTo &&
    b.hostFrom <= a.hostTo
  )
}

it('behaves like a list under any history, and never changes', () => {
  const some = fc
    .record({
      protocol: fc.constantFrom<Protocol>('tcp', 'udp'),
      hostIp: fc.constantFrom('0.0.0.0', '127.0.0.1', '127.0.0.2', '10.0.0.1', '::', 'fd00::1'),
      hostFrom: fc.integer({ min: 1, max: 40 }),
      length: fc.integer({ min: 1, max: 6 }),
    })
    .map(({ length, ...rest }) => ({ ...rest, hostTo: rest.hostFrom + length - 1 }))
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ hold: some }) },
    { weight: 1, arbitrary: fc.record({ release: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ ask: some }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let table = PortTable.empty
      let held: readonly HeldPorts[] = []
      for (const [at, each] of steps.entries()) {
        if ('release' in each) {
          const gone = held[each.release % Math.max(1, held.length)]
          if (gone === undefined) continue
          const before = table
          table = table.release(gone)
          held = held.filter(other => other !== gone)
          expect(before.conflict(gone)).toEqual(gone)
          continue
        }
        const asked = 'hold' in each ? each.hold : each.ask
        const rivals = held.filter(other => overlap(other, asked))
        const rival = table.conflict(asked)
        if (rivals.length === 0) expect(rival).toBeUndefined()
        else expect(rivals).toContainEqual(rival)
        if ('ask' in each || rivals.length > 0) continue
        const before = table
        table = table.hold(asked, `c${at}`)
        expect(before.conflict(asked)).toBeUndefined()
        held = [...held, { ...asked, holder: `c${at}` }]
      }
    }),
    { numRuns: 300 },
  )
})
