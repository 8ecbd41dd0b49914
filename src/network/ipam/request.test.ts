import { describe, expect, it } from 'vitest'
import { parsePrefix, prefixRange } from '../address.ts'
import type { Pool, PoolRequest } from '../types.ts'
import { defaultPools, furtherPools, ulaBase, withUla } from './pools.ts'
import { RangeSet } from './range-set.ts'
import { checkPoolRequests, poolsFromRequests } from './request.ts'
import type { PoolContext } from './request.ts'

const both = { enableIPv4: true, enableIPv6: true }

const context = (extra: Partial<PoolContext> = {}): PoolContext => ({
  enableIPv4: true,
  enableIPv6: false,
  withoutGateway: [],
  taken4: RangeSet.empty,
  taken6: RangeSet.empty,
  avoid4: RangeSet.empty,
  routed4: RangeSet.empty,
  routed6: RangeSet.empty,
  furtherPools: [],
  avoid6: RangeSet.empty,
  pools: withUla(defaultPools, ulaBase(new Uint8Array([1, 2, 3, 4, 5]))),
  ...extra,
})

const range = (text: string): RangeSet => {
  const prefix = parsePrefix(text)
  return prefix === undefined ? RangeSet.empty : RangeSet.empty.add(...prefixRange(prefix))
}

describe('checkPoolRequests', () => {
  it.each<[PoolRequest, readonly string[]]>([
    [{ subnet: '10.0.0.0' }, ['invalid subnet 10.0.0.0: invalid CIDR block notation']],
    [{ subnet: '10.0.0.1/8' }, ['invalid subnet 10.0.0.1/8: it should be 10.0.0.0/8']],
    [{ subnet: '10.0.0.0/24', ipRange: 'x' }, ['invalid ip-range x: invalid CIDR block notation']],
    [
      { subnet: '10.0.0.0/24', ipRange: 'fd00::/64' },
      ['invalid ip-range fd00::/64: parent subnet is an IPv4 block'],
    ],
    [
      { subnet: '10.0.0.0/24', ipRange: '10.0.0.0/16' },
      ['invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24'],
    ],
    [
      { subnet: '10.0.0.0/24', ipRange: '10.0.1.7/25' },
      [
        'invalid ip-range 10.0.1.7/25: it should be 10.0.1.0/25',
        "invalid ip-range 10.0.1.7/25: parent subnet 10.0.0.0/24 doesn't contain ip-range",
      ],
    ],
    [{ subnet: '10.0.0.0/24', gateway: '10.0.1' }, ['invalid gateway 10.0.1: invalid address']],
    [
      { subnet: '10.0.0.0/24', gateway: 'fd00::1' },
      ['invalid gateway fd00::1: parent subnet is an IPv4 block'],
    ],
    [
      { subnet: 'fd00::/64', gateway: 'fd01::1' },
      ["invalid gateway fd01::1: parent subnet fd00::/64 doesn't contain this address"],
    ],
    [
      { subnet: '10.0.0.0/24', auxiliary: { one: '10.0.1.1', two: 'y' } },
      [
        "invalid auxiliary address one: parent subnet 10.0.0.0/24 doesn't contain this address",
        'invalid auxiliary address two: invalid address',
      ],
    ],
  ])('names every problem of %j', (request, problems) => {
    expect(() => checkPoolRequests([request], both)).toThrow(
      expect.objectContaining({
        code: 'networkConfigInvalid',
        status: 400,
        message: `invalid network config:\n${problems.map(line => `* ${line}`).join('\n')}`,
      }),
    )
  })

  it('collects the problems of all entries', () => {
    expect(() => checkPoolRequests([{ subnet: 'a' }, { subnet: 'b' }], both)).toThrow(
      'invalid network config:\n* invalid subnet a: invalid CIDR block notation\n* invalid subnet b: invalid CIDR block notation',
    )
  })

  it.each<[string, PoolRequest]>([
    ['empty fields', { subnet: '10.0.0.0/24', ipRange: '', gateway: '', auxiliary: {} }],
    ['a range as large as the subnet', { subnet: '10.0.0.0/24', ipRange: '10.0.0.0/24' }],
    ['no subnet', {}],
  ])('lets pass %s', (_, request) => {
    expect(() => checkPoolRequests([request], both)).not.toThrow()
  })

  it('skips IPv6 entries of a network without IPv6', () => {
    expect(() =>
      checkPoolRequests([{ subnet: 'fd00::1/64', gateway: 'x' }], { enableIPv4: true, enableIPv6: false }),
    ).not.toThrow()
  })
})

describe('poolsFromRequests', () => {
  it.each<[string, PoolRequest, Partial<Pool>]>([
    ['the first usable address', { subnet: '172.30.0.0/16' }, { gateway: '172.30.0.1' }],
    ['the one asked for', { subnet: '172.30.0.0/24', gateway: '172.30.0.254' }, { gateway: '172.30.0.254' }],
    [
      'the first of the ip-range',
      { subnet: '172.30.0.0/24', ipRange: '172.30.0.64/26' },
      { gateway: '172.30.0.64', range: '172.30.0.64/26' },
    ],
    [
      'past the network address in the ip-range',
      { subnet: '172.30.0.0/24', ipRange: '172.30.0.0/26' },
      { gateway: '172.30.0.1' },
    ],
    [
      'past auxiliary addresses',
      { subnet: '172.30.0.0/24', auxiliary: { a: '172.30.0.1' } },
      { gateway: '172.30.0.2' },
    ],
    [
      'an auxiliary address, if asked for',
      { subnet: '172.30.0.0/24', gateway: '172.30.0.7', auxiliary: { a: '172.30.0.7' } },
      { gateway: '172.30.0.7' },
    ],
    ['the lower one of a /31', { subnet: '10.0.0.0/31' }, { gateway: '10.0.0.0' }],
    ['the only one of a /32', { subnet: '10.0.0.9/32' }, { gateway: '10.0.0.9' }],
  ])('gateway: %s', (_, request, expected) => {
    expect(poolsFromRequests([request], context())).toEqual([
      expect.objectContaining({ family: 4, automatic: false, ...expected }),
    ])
  })

  it.each([
    ['fd00::/64', 'fd00::1'],
    ['fd00::/127', 'fd00::'],
    ['fd00::5/128', 'fd00::5'],
  ])('gateway of %s is %s', (subnet, gateway) => {
    const pools = poolsFromRequests([{ subnet }], context({ enableIPv4: false, enableIPv6: true }))
    expect(pools).toEqual([expect.objectContaining({ family: 6, gateway })])
  })

  it('lists IPv4 first and adds an automatic pool for a family without any', () => {
    const pools = poolsFromRequests([{ subnet: 'fd00::/64' }], context({ enableIPv6: true }))
    expect(pools.map(pool => [pool.subnet, pool.automatic])).toEqual([
      ['172.17.0.0/16', true],
      ['fd00::/64', false],
    ])
    expect(poolsFromRequests([{ subnet: '10.0.0.0/24' }], context({ enableIPv6: true }))[1]).toMatchObject({
      subnet: 'fd01:203:405::/64',
      gateway: 'fd01:203:405::1',
      automatic: true,
    })
  })

  it('takes the size from an unspecified address', () => {
    expect(
      poolsFromRequests([{ subnet: '0.0.0.0/24' }], context({ taken4: range('172.17.0.0/24') })),
    ).toEqual([{ family: 4, subnet: '172.17.1.0/24', gateway: '172.17.1.1', auxiliary: {}, automatic: true }])
  })

  it('skips entries of a family the network does not have', () => {
    const pools = poolsFromRequests([{ subnet: 'fd00::/64' }, { subnet: '10.0.0.0/24' }], context())
    expect(pools.map(pool => pool.subnet)).toEqual(['10.0.0.0/24'])
  })

  it('reserves no gateway where none is wanted, but keeps one that was asked for', () => {
    const isolated = context({ withoutGateway: [4] })
    expect(poolsFromRequests([{ subnet: '10.0.0.0/31' }], isolated)[0]).not.toHaveProperty('gateway')
    expect(poolsFromRequests([{ subnet: '10.0.0.0/24', gateway: '10.0.0.9' }], isolated)[0]?.gateway).toBe(
      '10.0.0.9',
    )
  })

  it('lets a user take what the host has, but not what another network has', () => {
    const request = [{ subnet: '172.30.0.0/16' }]
    expect(poolsFromRequests(request, context({ avoid4: range('172.30.1.0/24') }))).toHaveLength(1)
    for (const taken of ['172.30.1.0/24', '172.16.0.0/12', '172.30.0.0/16']) {
      expect(() => poolsFromRequests(request, context({ taken4: range(taken) }))).toThrow(
        'invalid pool request: Pool overlaps with other one on this address space',
      )
    }
  })

  it('finds an overlap that differs only in its ip-range', () => {
    const taken = { taken4: range('10.0.0.0/24') }
    expect(() =>
      poolsFromRequests([{ subnet: '10.0.0.0/24', ipRange: '10.0.0.128/25' }], context(taken)),
    ).toThrow(expect.objectContaining({ code: 'poolOverlap', status: 403 }))
  })

  it.each<[PoolRequest, string]>([
    [{ subnet: '10.0.0.0/24', gateway: '10.0.0.0' }, 'gatewayTaken'],
    [{ subnet: '10.0.0.0/24', gateway: '10.0.0.255' }, 'gatewayTaken'],
    [{ subnet: '10.0.0.0/30', auxiliary: { a: '10.0.0.1', b: '10.0.0.2' } }, 'noGatewayLeft'],
    [{ ipRange: '10.0.0.0/25' }, 'rangeWithoutSubnet'],
    [{ gateway: '10.0.0.1' }, 'networkConfigInvalid'],
    [{ auxiliary: { a: '10.0.0.1' } }, 'auxiliaryOutside'],
    [{ subnet: '0.0.0.0/8' }, 'poolsExhausted'],
  ])('refuses %j: %s', (request, code) => {
    expect(() => poolsFromRequests([request], context())).toThrow(expect.objectContaining({ code }))
  })

  it('goes on elsewhere when the default pools are used up, and keeps clear of what the host routes', () => {
    const taken4 = range('172.16.0.0/12').add(...prefixRange({ family: 4, base: 0xc0a80000n, length: 16 }))
    const further = { taken4, furtherPools }
    const subnetFor = (more: Partial<PoolContext>): string | undefined =>
      poolsFromRequests([], context({ ...further, ...more }))[0]?.subnet
    expect(subnetFor({})).toBe('10.0.0.0/24')
    expect(subnetFor({ avoid4: range('10.0.0.128/25') })).toBe('10.0.1.0/24')
    expect(subnetFor({ routed4: range('10.0.0.0/9') })).toBe('10.128.0.0/24')
    // A gateway to all of 10.0.0.0/8 does not keep the engine from working.
    expect(subnetFor({ routed4: range('10.0.0.0/8') })).toBe('10.0.0.0/24')
    // Elsewhere first, before anything that the host routes.
    expect(subnetFor({ taken4: RangeSet.empty, routed4: range('172.16.0.0/12') })).toBe('192.168.0.0/20')
    expect(() => subnetFor({ avoid4: range('10.0.0.0/8') })).toThrow(/--default-address-pool/)
  })

  it('says so when the default pools are used up', () => {
    const taken4 = range('172.16.0.0/12').add(...prefixRange({ family: 4, base: 0xc0a80000n, length: 16 }))
    expect(() => poolsFromRequests([], context({ taken4 }))).toThrow(
      'all predefined address pools have been fully subnetted',
    )
  })
})
