import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAddress, parseAddress } from '../address.ts'
import type { Pool } from '../types.ts'
import { allocateDynamic, checkStatic, poolUsage, reservedIn } from './allocate.ts'
import { RangeSet } from './range-set.ts'

const pool = (subnet: string, extra: Partial<Pool> = {}): Pool => ({
  family: subnet.includes(':') ? 6 : 4,
  subnet,
  auxiliary: {},
  automatic: false,
  ...extra,
})

const value = (text: string): bigint => parseAddress(text)?.value ?? -1n
const set = (...texts: readonly string[]): RangeSet => RangeSet.of(texts.map(value))

function allocated(from: Pool, used: RangeSet = RangeSet.empty): string | undefined {
  const found = allocateDynamic(from, used)
  return found === undefined ? undefined : formatAddress({ family: from.family, value: found })
}

describe('allocateDynamic', () => {
  it.each<[string, Pool, string | undefined]>([
    ['after network and gateway', pool('172.17.0.0/16', { gateway: '172.17.0.1' }), '172.17.0.2'],
    [
      'from the ip-range',
      pool('172.30.0.0/24', { gateway: '172.30.0.254', range: '172.30.0.64/26' }),
      '172.30.0.64',
    ],
    [
      'past auxiliary addresses',
      pool('10.0.0.0/24', { gateway: '10.0.0.1', auxiliary: { a: '10.0.0.2' } }),
      '10.0.0.3',
    ],
    ['from a /31 with a gateway', pool('10.0.0.0/31', { gateway: '10.0.0.0' }), '10.0.0.1'],
    ['from a /31 without one', pool('10.0.0.0/31'), '10.0.0.0'],
    ['nothing from a /32 that is the gateway', pool('10.0.0.0/32', { gateway: '10.0.0.0' }), undefined],
    ['past the anycast address', pool('fd00::/64'), 'fd00::1'],
    ['from a /127', pool('fd00::/127', { gateway: 'fd00::' }), 'fd00::1'],
    ['from a range of 64 host bits', pool('fd00::/48', { range: 'fd00:0:0:5::/64' }), 'fd00:0:0:5::'],
  ])('%s', (_, from, expected) => {
    expect(allocated(from)).toBe(expected)
  })

  it('hands out the last address of a range that ends on a 64-bit boundary', () => {
    const from = pool('fd00::/64', { gateway: 'fd00::1' })
    const used = RangeSet.empty.add(value('fd00::2'), value('fd00::ffff:ffff:ffff:fffe'))
    expect(allocated(from, used)).toBe('fd00::ffff:ffff:ffff:ffff')
  })

  it('gives all of a small subnet once, ends, and gives the lowest freed one again', () => {
    const from = pool('10.0.0.0/29', { gateway: '10.0.0.1' })
    let used = RangeSet.empty
    const given: string[] = []
    for (let count = 0; count < 10; count++) {
      const next = allocateDynamic(from, used)
      if (next === undefined) break
      given.push(formatAddress({ family: 4, value: next }))
      used = used.add(next)
    }
    expect(given).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6'])
    expect(allocated(from, used.remove(value('10.0.0.5')).remove(value('10.0.0.3')))).toBe('10.0.0.3')
  })

  it('never has two owners for one address, whatever comes and goes', () => {
    const from = pool('10.0.0.0/27', {
      gateway: '10.0.0.1',
      range: '10.0.0.16/28',
      auxiliary: { x: '10.0.0.20' },
    })
    const action = fc.oneof(
      fc.constant('dynamic' as const),
      fc.record({ ask: fc.nat(40) }),
      fc.record({ free: fc.nat(40) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), actions => {
        let used = RangeSet.empty
        const owned = new Set<bigint>()
        const take = (address: bigint): void => {
          expect(owned.has(address)).toBe(false)
          expect(reservedIn(from).has(address)).toBe(false)
          owned.add(address)
          used = used.add(address)
        }
        for (const each of actions) {
          if (each === 'dynamic') {
            const next = allocateDynamic(from, used)
            const free = Array.from({ length: 16 }, (_, at) => value('10.0.0.16') + BigInt(at)).filter(
              address => !owned.has(address) && !reservedIn(from).has(address),
            )
            expect(next).toBe(free[0])
            if (next !== undefined) take(next)
          } else if ('ask' in each) {
            try {
              take(checkStatic([from], used, `10.0.0.${each.ask}`).address.value)
            } catch (error) {
              expect(error).toMatchObject({ code: each.ask > 31 ? 'addressOutside' : 'addressInUse' })
            }
          } else {
            const address = value(`10.0.0.${each.free}`)
            owned.delete(address)
            used = used.remove(address)
          }
        }
      }),
    )
  })
})

describe('checkStatic', () => {
  const pools = [
    pool('172.30.0.0/24', {
      gateway: '172.30.0.254',
      range: '172.30.0.64/26',
      auxiliary: { x: '172.30.0.9' },
    }),
    pool('fd00::/64', { gateway: 'fd00::1' }),
  ]

  it.each(['172.30.0.77', '172.30.0.5', 'fd00::77'])('allows %s, inside or outside the ip-range', text => {
    expect(checkStatic(pools, RangeSet.empty, text).address).toEqual(parseAddress(text))
  })

  it.each([
    ['172.30.0.0', 'addressInUse'],
    ['172.30.0.255', 'addressInUse'],
    ['172.30.0.254', 'addressInUse'],
    ['172.30.0.9', 'addressInUse'],
    ['172.30.0.80', 'addressInUse'],
    ['fd00::', 'addressInUse'],
    ['10.9.9.9', 'addressOutside'],
    ['fd01::1', 'addressOutside'],
    ['172.30.77', 'addressOutside'],
  ])('refuses %s: %s', (text, code) => {
    expect(() => checkStatic(pools, set('172.30.0.80'), text)).toThrow(expect.objectContaining({ code }))
  })
})

describe('poolUsage', () => {
  it.each<[string, Pool, RangeSet, bigint, bigint]>([
    ['a fresh /24', pool('10.0.0.0/24', { gateway: '10.0.0.1' }), RangeSet.empty, 3n, 253n],
    [
      'a range beside the gateway',
      pool('10.0.0.0/24', { gateway: '10.0.0.1', range: '10.0.0.16/28' }),
      RangeSet.empty,
      3n,
      16n,
    ],
    [
      'a range over the network address',
      pool('10.0.0.0/24', { gateway: '10.0.0.1', range: '10.0.0.0/28' }),
      RangeSet.empty,
      3n,
      14n,
    ],
    [
      'a static address outside the range',
      pool('10.0.0.0/24', { gateway: '10.0.0.1', range: '10.0.0.16/28' }),
      set('10.0.0.99'),
      4n,
      16n,
    ],
    ['more than 64 bits', pool('fd00::/48', { gateway: 'fd00::1' }), RangeSet.empty, 2n, (1n << 64n) - 1n],
  ])('counts %s', (_, from, used, inUse, dynamicAvailable) => {
    expect(poolUsage(from, used)).toEqual({ inUse, dynamicAvailable })
  })
})
