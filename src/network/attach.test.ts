import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress, stripLength } from './address.ts'
import { attach, type AttachContext } from './attach.ts'
import { RangeSet } from './ipam/range-set.ts'
import type { EndpointRequest, Network } from './types.ts'

const network: Network = {
  id: 'n'.repeat(64),
  name: 'shop',
  created: '2026-01-01T00:00:00Z',
  driver: 'bridge',
  enableIPv4: true,
  enableIPv6: false,
  internal: false,
  attachable: false,
  ipam: { driver: 'default', options: null },
  pools: [{ family: 4, subnet: '10.5.0.0/29', gateway: '10.5.0.1', auxiliary: {}, automatic: false }],
  options: {},
  labels: {},
  bridge: {
    name: 'br-shop',
    mac: '02:00:00:00:00:01',
    icc: true,
    masquerade: true,
    hostBinding: '0.0.0.0',
    interfacePrefix: 'eth',
    adopted: false,
    isDefault: false,
  },
}

function context(fields: Partial<AttachContext> = {}): AttachContext {
  return {
    endpointId: 'e',
    sandboxId: 's',
    container: { id: 'c'.repeat(64), name: 'web', hostname: 'web.host' },
    hostIfname: 'veth0123456',
    spareMac: '02:aa:aa:aa:aa:aa',
    interfaces: new Set(),
    members: 0,
    used: () => RangeSet.empty,
    resolveLink: term => `id-of-${term}`,
    ...fields,
  }
}

describe('attach', () => {
  it('takes the lowest free address, its MAC, eth0 and the container’s names', () => {
    expect(attach(network, { aliases: ['db', 'WEB'] }, context())).toMatchObject({
      ipv4: '10.5.0.2/29',
      mac: '02:42:0a:05:00:02',
      ifname: 'eth0',
      dnsNames: ['web', 'db', 'cccccccccccc', 'web.host'],
    })
  })

  it.each<[string, EndpointRequest, Partial<AttachContext>, object]>([
    ['the lowest free index', {}, { interfaces: new Set(['eth0', 'eth2']) }, { ifname: 'eth1' }],
    [
      'an exact name',
      { driverOptions: { 'com.docker.network.endpoint.ifname': 'lan' } },
      {},
      { ifname: 'lan' },
    ],
    [
      'a static address outside nothing',
      { ipv4: '10.5.0.5' },
      {},
      { ipv4: '10.5.0.5/29', mac: '02:42:0a:05:00:05' },
    ],
    ['an own MAC', { mac: '02-AA-bb-00-00-01' }, {}, { mac: '02:aa:bb:00:00:01' }],
    [
      'link-local addresses',
      { linkLocal: ['169.254.1.1', 'fe80::9'] },
      {},
      { linkLocal: ['169.254.1.1/16', 'fe80::9/64'] },
    ],
    [
      'link aliases',
      { links: ['db:store', 'cache'] },
      {},
      { links: { store: 'id-of-db', cache: 'id-of-cache' } },
    ],
  ])('gives %s', (_, request, fields, expected) => {
    expect(attach(network, request, context(fields))).toMatchObject(expected)
  })

  it('refuses the name of an interface that is there', () => {
    const request = { driverOptions: { 'com.docker.network.endpoint.ifname': 'eth0' } }
    expect(() => attach(network, request, context({ interfaces: new Set(['eth0']) }))).toThrow(
      'error renaming interface to "eth0": file exists',
    )
  })

  it('never gives one address to two, and says so when there is none left', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), count => {
        let used = RangeSet.empty
        const given: string[] = []
        for (let n = 0; n < count; n++) {
          const join = () => attach(network, {}, context({ used: () => used }))
          if (n >= 5) {
            expect(join).toThrowError(/no available IPv4 addresses on this network's address pools: shop/)
            continue
          }
          const text = stripLength(join().ipv4 ?? '')
          given.push(text)
          const value = parseAddress(text)?.value ?? 0n
          used = used.add(value, value)
        }
        expect(new Set(given).size).toBe(given.length)
      }),
    )
  })
})

it('knows how many interfaces a bridge can carry', () => {
  expect(attach(network, {}, context({ members: 1022 })).ifname).toBe('eth0')
  expect(() => attach(network, {}, context({ members: 1023 }))).toThrow(/^bridge \S+ is full: /)
})
