import { isIP } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressWithLength,
  contains,
  formatAddress,
  formatPrefix,
  isLoopback,
  macFromBytes,
  macOfIPv4,
  overlaps,
  parseAddress,
  parseInterfaceMac,
  parseMac,
  parsePrefix,
  prefixAround,
  prefixRange,
  stripLength,
} from './address.ts'
import type { Address } from './address.ts'

const address4: fc.Arbitrary<Address> = fc.bigInt(0n, (1n << 32n) - 1n).map(value => ({ family: 4, value }))
const address6: fc.Arbitrary<Address> = fc
  // Whole groups of zeros are what the short form is about: mix them in.
  .array(fc.oneof(fc.constant(0n), fc.bigInt(0n, 0xffffn)), { minLength: 8, maxLength: 8 })
  .map(groups => ({ family: 6, value: groups.reduce((value, group) => (value << 16n) | group, 0n) }))
const address = fc.oneof(address4, address6)

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1', 4, 0x7f000001n],
    ['255.255.255.255', 4, 0xffffffffn],
    ['::', 6, 0n],
    ['FD00::2', 6, (0xfd00n << 112n) | 2n],
    ['::ffff:10.0.0.1', 6, 0xffff0a000001n],
  ])('reads %s', (text, family, value) => {
    expect(parseAddress(text)).toEqual({ family, value })
  })

  it.each([
    '',
    '127.1',
    '2130706433',
    '010.0.0.1',
    '1.2.3.04',
    '0x7f.0.0.1',
    '1.2.3.256',
    '1.2.3',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4/24',
    'fe80::1%eth0',
    '[::1]',
    '::1/64',
    '1::2::3',
    '12345::',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    '::g',
    'host',
  ])('refuses %j', text => {
    expect(parseAddress(text)).toBeUndefined()
  })

  it('reads only what the platform calls an address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string()), text => {
        const parsed = parseAddress(text)
        if (parsed !== undefined) expect(isIP(text)).toBe(parsed.family)
      }),
    )
  })
})

describe('formatAddress', () => {
  it.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['0:0:1:0:0:0:0:0', '0:0:1::'],
    ['2001:DB8::000A', '2001:db8::a'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
  ])('writes %s as %s', (text, canonical) => {
    const parsed = parseAddress(text)
    expect(parsed && formatAddress(parsed)).toBe(canonical)
  })

  it('is undone by parseAddress', () => {
    fc.assert(
      fc.property(address, each => {
        expect(parseAddress(formatAddress(each))).toEqual(each)
      }),
    )
  })
})

describe('prefixes', () => {
  it.each([
    ['172.17.0.0/16', '172.17.0.0/16', false],
    ['172.17.0.1/16', '172.17.0.0/16', true],
    ['0.0.0.0/0', '0.0.0.0/0', false],
    ['fd00::1/64', 'fd00::/64', true],
    ['fd00::1/128', 'fd00::1/128', false],
  ])('reads %s', (text, canonical, hostBits) => {
    const prefix = parsePrefix(text)
    expect(prefix && formatPrefix(prefix)).toBe(canonical)
    expect(prefix?.hostBits).toBe(hostBits)
  })

  it.each([
    '',
    '1.2.3.4',
    '1.2.3.4/',
    '1.2.3.4/33',
    '::/129',
    '1.2.3.4/08',
    '1.2.3.4/-1',
    '1.2.3.4/2/3',
    '1.2.3/8',
  ])('refuses %j', text => {
    expect(parsePrefix(text)).toBeUndefined()
  })

  const prefix = fc
    .tuple(address, fc.nat(128))
    .map(([each, length]) => prefixAround(each, length % (each.family === 4 ? 33 : 129)))

  it('format is undone by parse', () => {
    fc.assert(
      fc.property(prefix, each => {
        expect(parsePrefix(formatPrefix(each))).toEqual({ ...each, hostBits: false })
      }),
    )
  })

  it('contains and overlaps agree with the ranges', () => {
    fc.assert(
      fc.property(prefix, prefix, address, (left, right, each) => {
        const [first, last] = prefixRange(left)
        const [otherFirst, otherLast] = prefixRange(right)
        expect(contains(left, each)).toBe(
          left.family === each.family && each.value >= first && each.value <= last,
        )
        expect(overlaps(left, right)).toBe(
          left.family === right.family && first <= otherLast && otherFirst <= last,
        )
      }),
    )
  })

  it('joins and parts an address and a length', () => {
    const text = addressWithLength(
      { family: 4, value: 0xac110002n },
      prefixAround({ family: 4, value: 0n }, 16),
    )
    expect(text).toBe('172.17.0.2/16')
    expect(stripLength(text)).toBe('172.17.0.2')
    expect(stripLength('fd00::2')).toBe('fd00::2')
  })
})

it.each([
  ['127.0.0.53', true],
  ['127.255.0.1', true],
  ['::1', true],
  ['10.0.0.1', false],
  ['::2', false],
])('isLoopback(%s) is %s', (text, expected) => {
  const parsed = parseAddress(text)
  expect(parsed && isLoopback(parsed)).toBe(expected)
})

describe('MACs', () => {
  it.each([
    ['02:42:AC:11:00:02', '02:42:ac:11:00:02'],
    ['02-42-ac-11-00-02', '02:42:ac:11:00:02'],
    ['0242.ac11.0002', '02:42:ac:11:00:02'],
  ])('reads %s', (text, canonical) => {
    expect(parseMac(text)).toBe(canonical)
  })

  it.each(['', '02:42:ac:11:00', '2:42:ac:11:0:2', '02:42-ac:11:00:02', '0242ac110002', 'zz:42:ac:11:00:02'])(
    'refuses %j',
    text => {
      expect(parseMac(text)).toBeUndefined()
    },
  )

  it('derives one from an IPv4 address', () => {
    expect(macOfIPv4(0xac110002n)).toBe('02:42:ac:11:00:02')
    expect(macOfIPv4(0n)).toBe('02:42:00:00:00:00')
  })

  it('makes any bytes a locally administered unicast MAC and keeps the rest', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), bytes => {
        const mac = macFromBytes(bytes)
        const back = mac.split(':').map(part => Number.parseInt(part, 16))
        expect((back[0] ?? 0) & 3).toBe(2)
        expect((back[0] ?? 0) >> 2).toBe((bytes[0] ?? 0) >> 2)
        expect(back.slice(1)).toEqual([...bytes.subarray(1)])
        expect(parseMac(mac)).toBe(mac)
      }),
    )
  })
})

it.each([
  ['02:42:ac:11:00:02', '02:42:ac:11:00:02'],
  ['02-42-AC-11-00-02', '02:42:ac:11:00:02'],
  ['01:00:5e:00:00:01', undefined],
  ['ff:ff:ff:ff:ff:ff', undefined],
  ['00:00:00:00:00:00', undefined],
  ['02:42', undefined],
])('an interface with the MAC %s has %s', (text, mac) => {
  expect(parseInterfaceMac(text)).toBe(mac)
})
