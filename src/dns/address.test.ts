import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { addressBytes, reverseName } from './address.ts'

test.each([
  ['172.18.0.2', 'ac120002'],
  ['0.0.0.0', '00000000'],
  ['::', '00'.repeat(16)],
  ['::1', `${'00'.repeat(15)}01`],
  ['fd00::12:3', `fd00${'00'.repeat(10)}00120003`],
  ['fd00:1:2:3:4:5:6:7', 'fd000001000200030004000500060007'],
  ['1::', `0001${'00'.repeat(14)}`],
  ['::ffff:10.1.2.3', `${'00'.repeat(10)}ffff0a010203`],
  ['FE80::1%eth0', `fe80${'00'.repeat(13)}01`],
  ['172.18.0', undefined],
  ['172.18.0.256', undefined],
  ['::1::', undefined],
  ['', undefined],
  ['web', undefined],
])('%s', (text, bytes) => {
  const address = addressBytes(text)
  expect(address === undefined ? undefined : Buffer.from(address).toString('hex')).toBe(bytes)
})

test('reverse names', () => {
  expect(reverseName(Uint8Array.of(172, 18, 0, 2))).toBe('2.0.18.172.in-addr.arpa')
  expect(reverseName(addressBytes('2001:db8::567:89ab') ?? new Uint8Array())).toBe(
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  )
})

test('every way to write an address gives its bytes', () => {
  fc.assert(
    fc.property(fc.ipV6(), text => {
      const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1)
      expect(addressBytes(text)).toHaveLength(16)
      expect(addressBytes(text)).toEqual(addressBytes(canonical))
    }),
  )
})
