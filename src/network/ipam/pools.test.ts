import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatPrefix, parsePrefix, prefixRange } from '../address.ts'
import { checkAddressPool, choosePool, defaultPools, ulaBase, withUla } from './pools.ts'
import { RangeSet } from './range-set.ts'

function rangesOf(...subnets: readonly string[]): RangeSet {
  return RangeSet.ofRanges(
    subnets.flatMap(text => {
      const prefix = parsePrefix(text)
      if (prefix === undefined) return []
      const [first, last] = prefixRange(prefix)
      return [{ first, last }]
    }),
  )
}

const none = RangeSet.empty
const chosen = (taken: RangeSet, avoid: RangeSet = none, size?: number): string | undefined => {
  const prefix = choosePool(4, defaultPools, [taken, avoid], size)
  return prefix && formatPrefix(prefix)
}

describe('choosePool', () => {
  it('gives thirty-one networks, lowest first, then none', () => {
    let taken = none
    const subnets: string[] = []
    for (let count = 0; count < 40; count++) {
      const prefix = choosePool(4, defaultPools, [taken])
      if (prefix === undefined) break
      subnets.push(formatPrefix(prefix))
      taken = taken.add(...prefixRange(prefix))
    }
    expect(subnets).toHaveLength(31)
    expect(subnets.slice(0, 4)).toEqual(['172.17.0.0/16', '172.18.0.0/16', '172.19.0.0/16', '172.20.0.0/16'])
    expect(subnets.slice(14, 17)).toEqual(['172.31.0.0/16', '192.168.0.0/20', '192.168.16.0/20'])
    expect(subnets.at(-1)).toBe('192.168.240.0/20')
  })

  it('uses a freed subnet again at once', () => {
    expect(chosen(rangesOf('172.17.0.0/16', '172.19.0.0/16'))).toBe('172.18.0.0/16')
  })

  it('keeps clear of a part of a subnet and of all that covers it', () => {
    expect(chosen(rangesOf('172.17.5.0/24'))).toBe('172.18.0.0/16')
    expect(chosen(none, rangesOf('172.16.0.0/12'))).toBe('192.168.0.0/20')
    expect(chosen(rangesOf('172.18.0.0/16'), rangesOf('172.17.3.3/32'))).toBe('172.19.0.0/16')
  })

  it('cuts a size of its own where a block is large enough', () => {
    expect(chosen(rangesOf('172.17.0.0/24'), none, 24)).toBe('172.17.1.0/24')
    expect(chosen(none, none, 15)).toBe('172.20.0.0/15')
    expect(chosen(none, none, 12)).toBeUndefined()
  })

  it('takes the lowest block first, whatever the order of the flags', () => {
    const pools = [
      { base: '10.9.0.0/16', size: 24 },
      { base: '10.1.0.0/16', size: 24 },
    ]
    expect(choosePool(4, pools, [])).toEqual({ family: 4, base: 0x0a010000n, length: 24 })
  })

  it('has room for as many /64 as a /48 holds', () => {
    const pools = withUla(defaultPools, ulaBase(new Uint8Array([1, 2, 3, 4, 5])))
    const all = parsePrefix('fd01:203:405::/48')
    const [first, last] = prefixRange(all ?? { family: 6, base: 0n, length: 0 })
    const taken = none.add(first, last).remove(last - (1n << 64n) + 1n, last)
    const prefix = choosePool(6, pools, [taken])
    expect(prefix && formatPrefix(prefix)).toBe('fd01:203:405:ffff::/64')
  })

  it('never overlaps what is taken or to be avoided', () => {
    const block = fc.record({ offset: fc.nat(255), length: fc.integer({ min: 18, max: 28 }) })
    fc.assert(
      fc.property(fc.array(block), fc.array(block), fc.integer({ min: 18, max: 28 }), (one, two, size) => {
        const sets = [one, two].map(list =>
          list.reduce((set, { offset, length }) => {
            const prefix = parsePrefix(`10.0.${offset}.0/${length}`)
            return prefix === undefined ? set : set.add(...prefixRange(prefix))
          }, none),
        )
        const [taken = none, avoid = none] = sets
        const prefix = choosePool(4, [{ base: '10.0.0.0/16', size }], [taken, avoid])
        if (prefix === undefined) return
        expect(taken.overlaps(...prefixRange(prefix))).toBe(false)
        expect(avoid.overlaps(...prefixRange(prefix))).toBe(false)
        expect(parsePrefix(formatPrefix(prefix))?.hostBits).toBe(false)
      }),
    )
  })
})

it('adds no unique local block to pools that have IPv6 of their own', () => {
  const pools = [{ base: 'fd12::/56', size: 64 }]
  expect(withUla(pools, ulaBase(new Uint8Array(5)))).toBe(pools)
})

describe('checkAddressPool', () => {
  it('gives a canonical base', () => {
    expect(checkAddressPool({ base: '10.10.1.1/16', size: 24 })).toEqual({ base: '10.10.0.0/16', size: 24 })
  })

  it.each([
    ['10.0.0.0', 24],
    ['10.0.0.0/16', 8],
    ['10.0.0.0/16', 33],
    ['10.0.0.0/16', 24.5],
    ['fd00::/48', 129],
  ])('refuses %s size %s', (base, size) => {
    expect(() => checkAddressPool({ base, size })).toThrow(/invalid default address pool/)
  })
})
