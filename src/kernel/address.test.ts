import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  broadcastAddress,
  checkInterfaceName,
  formatAddress,
  formatCidr,
  formatMac,
  isLinkLocal,
  parseAddress,
  parseCidr,
  parseMac,
} from './address.ts'
import { KernelError } from './error.ts'

describe('addresses', () => {
  test.each([
    ['172.17.0.2', 'ac110002'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['fd00::2', `fd${'00'.repeat(14)}02`],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.1', `${'00'.repeat(10)}ffffc0000201`],
    ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['1:2::', '00010002' + '00'.repeat(12)],
  ])('%s', (text, hex) => {
    expect(parseAddress(text).toString('hex')).toBe(hex)
    expect(formatAddress(Buffer.from(hex, 'hex'))).toBe(text)
  })

  test.each([
    '',
    '1.2.3',
    '127.1',
    '0x7f.0.0.1',
    '01.2.3.4',
    '1:2',
    ':::',
    'fe80::1%eth0',
    '1.2.3.4/8',
    ' 1.2.3.4',
  ])('%s is refused', text => {
    expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })

  test('IPv6 text is what the URL standard writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
        const text = formatAddress(bytes)
        fc.pre(!text.startsWith('::ffff:'))
        expect(`[${text}]`).toBe(new URL(`http://[${text}]`).hostname)
      }),
    )
  })

  test('text and bytes are each other’s inverse', () => {
    const sizes = fc.constantFrom(4, 16).chain(size => fc.uint8Array({ minLength: size, maxLength: size }))
    const sparse = fc
      .array(fc.constantFrom(0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map(list => Uint8Array.from(list))
    fc.assert(
      fc.property(fc.oneof(sizes, sparse), bytes => {
        expect(new Uint8Array(parseAddress(formatAddress(bytes)))).toEqual(bytes)
      }),
    )
  })

  test('any text is an address or a KernelError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4Extended()), text => {
        try {
          expect([4, 16]).toContain(parseAddress(text).length)
        } catch (error) {
          expect(error).toBeInstanceOf(KernelError)
        }
      }),
    )
  })
})

describe('prefixes', () => {
  test('with and without a length', () => {
    expect(parseCidr('10.1.2.3/8')).toEqual({ family: 4, address: Buffer.from([10, 1, 2, 3]), length: 8 })
    expect(parseCidr('fd00::1')).toMatchObject({ family: 6, length: 128 })
    expect(formatCidr(Buffer.from([10, 1, 2, 3]), 8)).toBe('10.1.2.3/8')
  })
  test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8x', 'fd00::/129', '/8', '10.0.0.0/1e1'])(
    '%s is refused',
    text => expect(() => parseCidr(text)).toThrow(KernelError),
  )
  test.each([
    ['172.17.0.1/16', '172.17.255.255'],
    ['10.0.0.1/30', '10.0.0.3'],
    ['10.0.0.1/0', '255.255.255.255'],
    ['10.0.0.1/31', undefined],
    ['fd00::1/64', undefined],
  ])('broadcast of %s is %s', (cidr, expected) => {
    const broadcast = broadcastAddress(parseCidr(cidr))
    expect(broadcast && formatAddress(broadcast)).toBe(expected)
  })
  test.each([
    ['169.254.3.4', true],
    ['169.253.3.4', false],
    ['fe80::1', true],
    ['febf::1', true],
    ['fec0::1', false],
  ])('%s is link-local: %s', (text, expected) => expect(isLinkLocal(parseAddress(text))).toBe(expected))
})

test('MAC addresses', () => {
  expect(parseMac('02:42:AC:11:00:02').toString('hex')).toBe('0242ac110002')
  expect(formatMac(Buffer.from('0242ac110002', 'hex'))).toBe('02:42:ac:11:00:02')
  for (const text of ['', '02:42:ac:11:00', '02-42-ac-11-00-02', '02:42:ac:11:00:0g']) {
    expect(() => parseMac(text)).toThrow(KernelError)
  }
})

test('interface names', () => {
  for (const name of ['eth0', 'br-0123456789ab', 'a.b', 'ü']) expect(checkInterfaceName(name)).toBe(name)
  for (const name of ['', '0123456789abcdef', 'a/b', 'a b', 'a:b', '.', '..', 'a\0', 'üüüüüüüü']) {
    expect(() => checkInterfaceName(name)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  }
})
