import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatPrefix, overlaps, parsePrefix } from '../address.ts'
import type { Network } from '../types.ts'
import { conflictText, routeConflicts } from './conflicts.ts'

const network = (name: string, ...subnets: readonly string[]): Network => ({
  id: name,
  name,
  created: '',
  driver: 'bridge',
  enableIPv4: true,
  enableIPv6: true,
  internal: false,
  attachable: false,
  ipam: { driver: 'default', options: null },
  pools: subnets.map(subnet => ({
    family: subnet.includes(':') ? 6 : 4,
    subnet,
    auxiliary: {},
    automatic: false,
  })),
  options: {},
  labels: {},
  bridge: {
    name: `br-${name}`,
    mac: '',
    icc: true,
    masquerade: true,
    hostBinding: '0.0.0.0',
    interfacePrefix: 'eth',
    adopted: false,
    isDefault: false,
  },
})

const networks = [network('shop', '10.60.0.0/24', 'fd60::/64'), network('lab', '172.18.0.0/16')]

it.each<readonly [destination: string, link: string | undefined, found: readonly string[]]>([
  ['default', 'eth0', []],
  ['0.0.0.0/1', 'tun0', []],
  ['128.0.0.0/1', 'tun0', []],
  ['10.60.0.0/24', 'br-shop', []],
  ['172.18.5.0/24', 'br-lab', []],
  ['10.60.1.0/24', 'tun0', []],
  ['10.0.0.0/8', 'tun0', ['shop 10.60.0.0/24']],
  ['10.60.0.7/32', 'wg0', ['shop 10.60.0.0/24']],
  ['172.16.0.0/12', undefined, ['lab 172.18.0.0/16']],
  ['fd60::/16', 'wg0', ['shop fd60::/64']],
  ['fd60:0:0:1::/64', 'wg0', []],
  ['nonsense', 'wg0', []],
])('a route to %s by %s overlaps %j', (destination, link, found) => {
  const conflicts = routeConflicts(networks, [{ destination, link }])
  expect(conflicts.map(each => `${each.network.name} ${each.subnet}`)).toEqual(found)
})

it('is said in a sentence', () => {
  const [conflict] = routeConflicts(networks, [{ destination: '10.0.0.0/8', link: 'tun0' }])
  if (conflict === undefined) throw new Error('nothing found')
  expect(conflictText(conflict)).toMatch(
    /^network shop \(10\.60\.0\.0\/24\) and the host's route to 10\.0\.0\.0\/8 by tun0 overlap/,
  )
})

it('finds what comparing each with each finds', () => {
  const prefix = fc
    .tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.integer({ min: 8, max: 28 }))
    .map(([a, b, length]) => parsePrefix(`10.${a}.${b}.0/${length}`))
    .map(each => (each === undefined ? '' : formatPrefix(each)))
  fc.assert(
    fc.property(
      fc.array(prefix, { maxLength: 20 }),
      fc.array(prefix, { maxLength: 20 }),
      (subnets, routes) => {
        const parsed = (text: string) => parsePrefix(text) ?? { family: 4, base: 0n, length: 0 }
        const disjoint: string[] = []
        for (const subnet of subnets) {
          if (!disjoint.some(other => overlaps(parsed(other), parsed(subnet)))) disjoint.push(subnet)
        }
        const found = routeConflicts(
          disjoint.map((subnet, at) => network(String(at), subnet)),
          routes.map(destination => ({ destination, link: 'tun0' })),
        ).map(({ subnet, route }) => `${route.destination} ${subnet}`)
        const expected = routes.flatMap(route =>
          disjoint
            .filter(subnet => overlaps(parsed(route), parsed(subnet)))
            .map(subnet => `${route} ${subnet}`),
        )
        expect(found.toSorted()).toEqual(expected.toSorted())
      },
    ),
  )
})
