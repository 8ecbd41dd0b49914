import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Attached } from './gateway.ts'
import { chooseGateway, gatewayThrough, networkOrder } from './gateway.ts'
import type { Network, Pool } from './types.ts'

interface Shape {
  readonly priority?: number
  readonly internal?: boolean
  readonly ipv4?: boolean
  readonly ipv6?: boolean
  readonly auxiliary?: Readonly<Record<string, string>>
  readonly mode4?: 'isolated' | 'routed'
  readonly gateway?: boolean
  readonly driver?: Network['driver']
}

function attached(name: string, shape: Shape = {}): Attached {
  const { priority = 0, internal = false, ipv4 = true, ipv6 = false, auxiliary = {}, gateway = true } = shape
  const pools: Pool[] = [
    {
      family: 4,
      subnet: '10.0.0.0/24',
      auxiliary,
      automatic: false,
      ...(gateway ? { gateway: '10.0.0.1' } : {}),
    },
    { family: 6, subnet: 'fd00::/64', auxiliary: {}, automatic: false, gateway: 'fd00::1' },
  ]
  return {
    network: {
      id: name,
      name,
      created: '',
      driver: shape.driver ?? 'bridge',
      enableIPv4: ipv4,
      enableIPv6: ipv6,
      internal,
      attachable: false,
      ipam: { driver: 'default', options: null },
      pools: pools.filter(pool => (pool.family === 4 ? ipv4 : ipv6)),
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
        ...(shape.mode4 === undefined ? {} : { gatewayMode4: shape.mode4 }),
      },
    },
    endpoint: {
      id: `endpoint of ${name}`,
      networkId: name,
      sandboxId: '',
      ifname: '',
      hostIfname: '',
      mac: '',
      linkLocal: [],
      gatewayPriority: priority,
      dnsNames: [],
      links: {},
      ...(ipv4 ? { ipv4: '10.0.0.2/24' } : {}),
      ...(ipv6 ? { ipv6: 'fd00::2/64' } : {}),
    },
  }
}

const name = (each: Attached | undefined): string | undefined => each?.network.name

describe('chooseGateway', () => {
  it.each<[string, readonly Attached[], string | undefined, string | undefined]>([
    ['nothing', [], undefined, undefined],
    ['the only one', [attached('a')], 'a', undefined],
    ['by name', [attached('b'), attached('a')], 'a', undefined],
    ['by priority before name', [attached('a'), attached('b', { priority: 1 })], 'b', undefined],
    ['negative priority last', [attached('a', { priority: -1 }), attached('b')], 'b', undefined],
    [
      'never an internal one',
      [attached('a', { internal: true, priority: 9 }), attached('b')],
      'b',
      undefined,
    ],
    ['none if all are internal', [attached('a', { internal: true })], undefined, undefined],
    ['both families before one', [attached('a'), attached('b', { ipv6: true })], 'b', 'b'],
    [
      'priority before both families',
      [attached('a', { priority: 1 }), attached('b', { ipv6: true })],
      'a',
      'b',
    ],
    ['each family by itself', [attached('a'), attached('b', { ipv4: false, ipv6: true })], 'a', 'b'],
    ['not in isolated mode', [attached('a', { mode4: 'isolated' }), attached('b')], 'b', undefined],
    ['in routed mode', [attached('a', { mode4: 'routed' })], 'a', undefined],
    ['not without a gateway address', [attached('a', { gateway: false }), attached('b')], 'b', undefined],
    ['not through host or none', [attached('a', { driver: 'host' })], undefined, undefined],
  ])('%s', (_, list, four, six) => {
    expect(name(chooseGateway(list, 4))).toBe(four)
    expect(name(chooseGateway(list, 6))).toBe(six)
  })
})

it('prefers the auxiliary address that users name as gateway', () => {
  expect(gatewayThrough(attached('a'), 4)).toBe('10.0.0.1')
  expect(gatewayThrough(attached('a', { auxiliary: { DefaultGatewayIPv4: '10.0.0.9' } }), 4)).toBe('10.0.0.9')
})

describe('networkOrder', () => {
  it('asks the gateway’s network first, then by priority, family and name', () => {
    const list = [
      attached('d'),
      attached('internal', { internal: true, priority: 5 }),
      attached('c'),
      attached('both', { ipv6: true }),
      attached('first', { priority: 1 }),
    ]
    expect(networkOrder(list).map(name)).toEqual(['first', 'internal', 'both', 'c', 'd'])
  })

  it('does not depend on the order in which the networks were joined', () => {
    const shape = fc.record({
      priority: fc.integer({ min: -1, max: 1 }),
      internal: fc.boolean(),
      ipv6: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(shape, { maxLength: 6 }).chain(shapes => {
          const list = shapes.map((each, at) => attached(`n${at}`, each))
          return fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))
        }),
        ([list, shuffled]) => {
          expect(networkOrder(shuffled)).toEqual(networkOrder(list))
          const gateway = chooseGateway(list, 4)
          if (gateway !== undefined) expect(networkOrder(list)[0]).toBe(gateway)
        },
      ),
    )
  })
})
