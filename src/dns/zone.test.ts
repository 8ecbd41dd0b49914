import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { addressBytes } from './address.ts'
import type { Id, ZoneChange, ZoneSandbox } from './types.ts'
import { nameKey } from './wire.ts'
import { type Addresses, Zone } from './zone.ts'

const text = (addresses: Addresses | undefined): { ipv4: string[]; ipv6: string[] } | undefined =>
  addresses && {
    ipv4: addresses.ipv4.map(address => address.join('.')).sort(),
    ipv6: addresses.ipv6.map(address => Buffer.from(address).toString('hex')).sort(),
  }

const network = (id: Id, name = id): ZoneChange => ({ put: 'network', network: { id, name } })
const endpoint = (id: Id, on: Id, names: string[], ipv4?: string, ipv6?: string): ZoneChange => ({
  put: 'endpoint',
  endpoint: {
    id,
    network: on,
    names,
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
  },
})
const sandbox = (id: Id, networks: Id[], links: ZoneSandbox['links'] = {}): ZoneChange => ({
  put: 'sandbox',
  sandbox: { id, networks, links, servers: [], external: true, ndotsSet: false },
})

function zoneOf(...changes: readonly ZoneChange[]): Zone {
  const zone = new Zone()
  zone.apply(changes)
  return zone
}

const shop = [
  network('n1', 'shop'),
  network('n2', 'Back.Office'),
  network('n3', 'elsewhere'),
  endpoint('e1', 'n1', ['Web', 'www', '0123456789ab', 'example.com'], '172.18.0.2', 'fd00::2'),
  endpoint('e2', 'n1', ['db', 'store'], '172.18.0.3'),
  endpoint('e3', 'n1', ['db-2', 'store'], '172.18.0.4'),
  endpoint('e4', 'n2', ['web', 'only.back'], '172.19.0.2'),
  endpoint('e5', 'n2', ['six'], undefined, 'fd00:1::6'),
  endpoint('e6', 'n3', ['hidden'], '172.20.0.2'),
  sandbox('s', ['n1', 'n2'], { n1: { Backend: 'e2', www: 'e3', gone: 'e9' } }),
  sandbox('back', ['n2']),
]

describe('lookup', () => {
  const zone = zoneOf(...shop)
  test.each<[string, string[] | undefined, string]>([
    ['web', ['172.18.0.2'], 'first network answers alone'],
    ['WEB', ['172.18.0.2'], 'letter case does not matter'],
    ['0123456789ab', ['172.18.0.2'], 'short id'],
    ['example.com', ['172.18.0.2'], 'an alias that equals a domain'],
    ['store', ['172.18.0.3', '172.18.0.4'], 'a name that two have'],
    ['web.shop', ['172.18.0.2'], 'name and network'],
    ['web.back.office', ['172.19.0.2'], 'the network has a dot'],
    ['WEB.BACK.OFFICE', ['172.19.0.2'], 'the network in capitals'],
    ['only.back', ['172.19.0.2'], 'the name has a dot'],
    ['only.back.back.office', ['172.19.0.2'], 'both have a dot'],
    ['six', [], 'known without an IPv4 address'],
    ['backend', ['172.18.0.3'], 'link alias'],
    ['www', ['172.18.0.4'], 'link alias hides a name'],
    ['www.shop', ['172.18.0.4'], 'link alias with the network'],
    ['gone', undefined, 'link to nobody'],
    ['hidden', undefined, 'a network that the sandbox is not on'],
    ['hidden.elsewhere', undefined, 'such a network by name'],
    ['nobody', undefined, 'unknown'],
    ['web.nowhere', undefined, 'unknown network'],
    ['shop', undefined, 'the network alone'],
    ['.shop', undefined, 'nothing before the network'],
    ['', undefined, 'the root'],
  ])('%s → %j: %s', (name, expected) => {
    expect(text(zone.lookup('s', nameKey(name)))?.ipv4).toEqual(expected)
  })

  test('the shortest network suffix is tried first', () => {
    const dotted = zoneOf(
      network('n1', 'c'),
      network('n2', 'b.c'),
      endpoint('e1', 'n1', ['a.b'], '10.0.0.1'),
      endpoint('e2', 'n2', ['a'], '10.0.0.2'),
      sandbox('s', ['n2', 'n1']),
    )
    expect(text(dotted.lookup('s', 'a.b.c'))?.ipv4).toEqual(['10.0.0.1'])
    dotted.apply([{ drop: 'endpoint', id: 'e1' }])
    expect(text(dotted.lookup('s', 'a.b.c'))?.ipv4).toEqual(['10.0.0.2'])
  })

  test('an alias is private to its sandbox', () => {
    expect(zone.lookup('back', 'backend')).toBeUndefined()
  })

  test('an address that two endpoints share is given once', () => {
    const shared = zoneOf(
      network('n'),
      endpoint('a', 'n', ['x'], '10.0.0.1'),
      endpoint('b', 'n', ['x'], '10.0.0.1'),
      sandbox('s', ['n']),
    )
    expect(text(shared.lookup('s', 'x'))?.ipv4).toEqual(['10.0.0.1'])
  })

  test('a sandbox that is not known knows nobody', () => {
    expect(zone.lookup('x', 'web')).toBeUndefined()
    expect(zone.reverse('x', '2.0.18.172.in-addr.arpa')).toBeUndefined()
  })
})

describe('changes', () => {
  test('a renamed endpoint has its new names only', () => {
    const zone = zoneOf(...shop, endpoint('e1', 'n1', ['shopfront'], '172.18.0.2'))
    expect(text(zone.lookup('back', 'web'))?.ipv4).toEqual(['172.19.0.2'])
    expect(text(zone.lookup('s', 'web'))?.ipv4).toEqual(['172.19.0.2'])
    expect(text(zone.lookup('s', 'shopfront'))?.ipv4).toEqual(['172.18.0.2'])
    expect(wireName(zone.reverse('s', '2.0.18.172.in-addr.arpa'))).toBe('shopfront.shop.')
  })

  test('an endpoint that is gone takes its names along', () => {
    const zone = zoneOf(...shop)
    expect(text(zone.lookup('s', 'store'))?.ipv4).toHaveLength(2)
    zone.apply([{ drop: 'endpoint', id: 'e2' }])
    expect(text(zone.lookup('s', 'store'))?.ipv4).toEqual(['172.18.0.4'])
    expect(zone.lookup('s', 'db')).toBeUndefined()
    expect(zone.reverse('s', '3.0.18.172.in-addr.arpa')).toBeUndefined()
  })

  test('a network that is gone knows no names, and has them again when it is back', () => {
    const zone = zoneOf(...shop, { drop: 'network', id: 'n2' })
    expect(zone.lookup('back', 'six')).toBeUndefined()
    zone.apply([network('n2', 'back')])
    expect(text(zone.lookup('back', 'six.back'))?.ipv6).toEqual(['fd00000100000000'.padEnd(31, '0') + '6'])
  })

  test('dropping what is not there is no error', () => {
    const zone = zoneOf(
      { drop: 'network', id: 'x' },
      { drop: 'endpoint', id: 'x' },
      { drop: 'sandbox', id: 'x' },
    )
    expect(zone.lookup('s', 'x')).toBeUndefined()
  })

  test('names that property names of objects hide are ordinary', () => {
    const zone = zoneOf(network('n'), endpoint('e', 'n', ['constructor'], '10.0.0.1'), sandbox('s', ['n']))
    expect(text(zone.lookup('s', 'constructor'))?.ipv4).toEqual(['10.0.0.1'])
    expect(zone.lookup('s', '__proto__')).toBeUndefined()
    expect(zone.lookup('s', 'tostring')).toBeUndefined()
  })
})

function wireName(bytes: Uint8Array | null | undefined): string | null | undefined {
  if (bytes === undefined || bytes === null) return bytes
  let name = ''
  for (let offset = 0; (bytes[offset] ?? 0) > 0; offset += 1 + (bytes[offset] ?? 0)) {
    name += `${Buffer.from(bytes.subarray(offset + 1, offset + 1 + (bytes[offset] ?? 0))).toString()}.`
  }
  return name
}

describe('reverse', () => {
  const zone = zoneOf(...shop, endpoint('e7', 'n1', ['a'.repeat(64)], '172.18.0.9'))
  const six = '6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa'
  test.each([
    ['2.0.18.172.in-addr.arpa', 'Web.shop.'],
    ['2.0.19.172.in-addr.arpa', 'web.Back.Office.'],
    [six, 'six.Back.Office.'],
    ['9.0.18.172.in-addr.arpa', null],
    ['2.0.20.172.in-addr.arpa', undefined],
    ['1.0.18.172.in-addr.arpa', undefined],
    ['02.0.18.172.in-addr.arpa', undefined],
    ['0.18.172.in-addr.arpa', undefined],
    ['in-addr.arpa', undefined],
  ])('%s → %s', (name, expected) => {
    expect(wireName(zone.reverse('s', name))).toBe(expected)
  })

  test('an address that changed hands names its newest holder', () => {
    const changed = zoneOf(...shop, endpoint('e8', 'n1', ['new'], '172.18.0.2'))
    expect(wireName(changed.reverse('s', '2.0.18.172.in-addr.arpa'))).toBe('new.shop.')
    changed.apply([{ drop: 'endpoint', id: 'e1' }])
    expect(wireName(changed.reverse('s', '2.0.18.172.in-addr.arpa'))).toBe('new.shop.')
  })

  test('an address that a server outside has given out is left to that server', () => {
    const published = zoneOf(...shop)
    published.publish('back', addressBytes('172.18.0.2') ?? new Uint8Array())
    expect(wireName(published.reverse('s', '2.0.18.172.in-addr.arpa'))).toBe('Web.shop.')
    published.publish('s', addressBytes('172.18.0.2') ?? new Uint8Array())
    expect(published.reverse('s', '2.0.18.172.in-addr.arpa')).toBeUndefined()
    expect(text(published.lookup('s', 'web'))?.ipv4).toEqual(['172.18.0.2'])
    published.apply([endpoint('e1', 'n1', ['web'], '172.18.0.2')])
    expect(wireName(published.reverse('s', '2.0.18.172.in-addr.arpa'))).toBe('web.shop.')
  })
})

describe('a zone after any changes', () => {
  const ids = (prefix: string): fc.Arbitrary<string> => fc.nat(4).map(number => `${prefix}${number}`)
  const name = fc.constantFrom('a', 'B', 'b', 'a.b', 'c', 'a.c')
  const ipv4 = fc.nat(5).map(last => `10.0.0.${last}`)
  const ipv6 = fc.nat(5).map(last => `fd00::${last}`)
  const change: fc.Arbitrary<ZoneChange> = fc.oneof(
    fc.record({
      put: fc.constant('network' as const),
      network: fc.record({ id: ids('n'), name: fc.constantFrom('b', 'c', 'B.c') }),
    }),
    fc.record({
      put: fc.constant('endpoint' as const),
      endpoint: fc.record(
        { id: ids('e'), network: ids('n'), names: fc.array(name, { maxLength: 4 }), ipv4, ipv6 },
        { requiredKeys: ['id', 'network', 'names'] },
      ),
    }),
    fc.record({
      put: fc.constant('sandbox' as const),
      sandbox: fc.record({
        id: ids('s'),
        networks: fc.uniqueArray(ids('n'), { maxLength: 3 }),
        links: fc.dictionary(ids('n'), fc.dictionary(name, ids('e'), { maxKeys: 2 }), { maxKeys: 2 }),
        servers: fc.constant([]),
        external: fc.boolean(),
        ndotsSet: fc.boolean(),
      }),
    }),
    fc.record({
      drop: fc.constantFrom('network' as const, 'endpoint' as const, 'sandbox' as const),
      id: fc.oneof(ids('n'), ids('e'), ids('s')),
    }),
  )
  const questions = ['a', 'b', 'c', 'a.b', 'a.c', 'b.c', 'a.b.c', 'a.b.b', 'a.c.b.c', 'b.b.c', 'd']
  const reverses = [0, 1, 2, 3, 4, 5].map(last => `${last}.0.0.10.in-addr.arpa`)

  test('answers like one built from scratch', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), changes => {
        const zone = new Zone()
        for (const one of changes) {
          zone.apply([one])
          // Whatever a look-up remembers must not outlive the next change.
          for (const question of questions) text(zone.lookup('s0', question))
        }
        const last = new Map<string, ZoneChange>()
        for (const one of changes) {
          if ('drop' in one) {
            last.delete(`${one.drop} ${one.id}`)
            continue
          }
          const record =
            one.put === 'network' ? one.network : one.put === 'endpoint' ? one.endpoint : one.sandbox
          // Put again is newest: which of two holders of an address is named depends on it.
          last.delete(`${one.put} ${record.id}`)
          last.set(`${one.put} ${record.id}`, one)
        }
        const fresh = zoneOf(...last.values())
        for (const asker of ['s0', 's1', 's2', 's3', 's4']) {
          expect(zone.sandbox(asker)).toEqual(fresh.sandbox(asker))
          for (const question of questions) {
            expect(text(zone.lookup(asker, question))).toEqual(text(fresh.lookup(asker, question)))
          }
          for (const reverse of reverses)
            expect(zone.reverse(asker, reverse)).toEqual(fresh.reverse(asker, reverse))
        }
      }),
      { numRuns: 500 },
    )
  })
})
