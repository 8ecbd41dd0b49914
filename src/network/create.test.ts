import { describe, expect, it } from 'vitest'
import { parsePrefix, prefixRange } from './address.ts'
import type { NetworkContext, NetworkRequest } from './create.ts'
import { checkConfigUnused, networkFromRequest } from './create.ts'
import { defaultPools, ulaBase } from './ipam/pools.ts'
import { RangeSet } from './ipam/range-set.ts'
import { optionKeys } from './options.ts'
import type { Network } from './types.ts'

const id = '0123456789abcdef'.repeat(4)

const context = (extra: Partial<NetworkContext> = {}): NetworkContext => ({
  id,
  mac: '02:42:00:00:00:01',
  created: '2026-11-23T15:47:50.050040613Z',
  nameTaken: () => false,
  networks: [],
  taken4: RangeSet.empty,
  taken6: RangeSet.empty,
  avoid4: RangeSet.empty,
  routed4: RangeSet.empty,
  routed6: RangeSet.empty,
  furtherPools: [],
  avoid6: RangeSet.empty,
  pools: defaultPools,
  ulaBase: ulaBase(new Uint8Array([1, 2, 3, 4, 5])),
  defaultOptions: {},
  ...extra,
})

const create = (request: Partial<NetworkRequest>, extra: Partial<NetworkContext> = {}): Network =>
  networkFromRequest({ name: 'shop', ...request }, context(extra))

const range = (text: string): RangeSet => {
  const prefix = parsePrefix(text)
  return prefix === undefined ? RangeSet.empty : RangeSet.empty.add(...prefixRange(prefix))
}

describe('networkFromRequest', () => {
  it('makes a bridge network of next to nothing', () => {
    expect(create({})).toEqual({
      id,
      name: 'shop',
      created: '2026-11-23T15:47:50.050040613Z',
      driver: 'bridge',
      enableIPv4: true,
      enableIPv6: false,
      internal: false,
      attachable: false,
      ipam: { driver: 'default', options: null },
      pools: [{ family: 4, subnet: '172.17.0.0/16', gateway: '172.17.0.1', auxiliary: {}, automatic: true }],
      options: {},
      labels: {},
      bridge: {
        name: 'br-0123456789ab',
        mac: '02:42:00:00:00:01',
        icc: true,
        masquerade: true,
        hostBinding: '0.0.0.0',
        interfacePrefix: 'eth',
        adopted: false,
        isDefault: false,
      },
    })
  })

  it('makes the tutorial’s network with everything named', () => {
    const network = create({
      driver: 'bridge',
      ipam: {
        driver: 'default',
        options: {},
        config: [{ subnet: '172.30.0.0/24', gateway: '172.30.0.254', ipRange: '172.30.0.64/26' }],
      },
      labels: { k: 'v' },
      options: { [optionKeys.bridgeName]: 'br-fixed' },
    })
    expect(network.bridge?.name).toBe('br-fixed')
    expect(network.ipam).toEqual({ driver: 'default', options: {} })
    expect(network.labels).toEqual({ k: 'v' })
    expect(network.pools).toEqual([
      {
        family: 4,
        subnet: '172.30.0.0/24',
        range: '172.30.0.64/26',
        gateway: '172.30.0.254',
        auxiliary: {},
        automatic: false,
      },
    ])
  })

  it.each<[string, Partial<NetworkRequest>, number, string]>([
    ['blank name', { name: ' \t' }, 400, 'invalid name: name is empty'],
    ['predefined name', { name: 'host' }, 403, 'operation is not permitted on predefined host network '],
    [
      'predefined alias',
      { name: 'default' },
      403,
      'operation is not permitted on predefined default network ',
    ],
    ['swarm driver', { driver: 'overlay' }, 403, 'This node is not a swarm manager.'],
    ['swarm scope', { scope: 'swarm' }, 403, 'This node is not a swarm manager.'],
    ['ingress', { ingress: true }, 403, 'Ingress network can only be global scope network'],
    ['no family', { enableIPv4: false }, 400, 'IPv4 or IPv6 must be enabled'],
    ['family switch', { options: { [optionKeys.enableIPv4]: 'x' } }, 400, 'is not a valid bool'],
    [
      'contradictory pool',
      { ipam: { config: [{ subnet: '10.0.0.1/8' }] } },
      400,
      'invalid network config:\n',
    ],
    ['unknown driver', { driver: 'nosuch' }, 404, 'plugin "nosuch" not found'],
    ['unknown IPAM driver', { ipam: { driver: 'dhcp' } }, 404, 'plugin "dhcp" not found'],
    [
      'two subnets',
      { ipam: { config: [{ subnet: '10.0.0.0/24' }, { subnet: '10.0.1.0/24' }] } },
      403,
      "bridge driver doesn't support multiple subnets",
    ],
    [
      'overlapping subnets',
      { ipam: { config: [{ subnet: '10.0.0.0/24' }, { subnet: '10.0.0.0/16' }] } },
      403,
      'Pool overlaps',
    ],
    [
      'taken gateway',
      { ipam: { config: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.0' }] } },
      403,
      'failed to allocate gateway (10.0.0.0): Address already in use',
    ],
    ['negative MTU', { options: { [optionKeys.mtu]: '-5' } }, 400, 'invalid MTU number: -5'],
    [
      'gateway for an internal network',
      {
        internal: true,
        ipam: { config: [{ subnet: '10.0.0.0/24', auxiliary: { DefaultGatewayIPv4: '10.0.0.9' } }] },
      },
      400,
      'no gateway can be set on an internal bridge network',
    ],
    [
      'multicast',
      { enableIPv6: true, ipam: { config: [{ subnet: 'ff02::/64' }] } },
      400,
      "multicast subnet 'ff02::/64' is not allowed",
    ],
    [
      'part of link-local',
      { enableIPv6: true, ipam: { config: [{ subnet: 'fe80::/80' }] } },
      400,
      "'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'",
    ],
    [
      'IPv4 in IPv6',
      { enableIPv6: true, ipam: { config: [{ subnet: '::ffff:10.0.0.0/104' }] } },
      400,
      'is not a valid IPv6 subnet',
    ],
    ['missing configuration', { configFrom: 'nowhere' }, 404, 'configuration network "nowhere" not found'],
  ])('refuses %s', (_, request, status, message) => {
    expect(() => create(request)).toThrow(
      expect.objectContaining({ status, message: expect.stringContaining(message) }),
    )
  })

  it('refuses a taken name, and says predefined before taken', () => {
    const nameTaken = (): boolean => true
    expect(() => create({}, { nameTaken })).toThrow(
      expect.objectContaining({ status: 409, message: 'network with name shop already exists' }),
    )
    expect(() => create({ name: 'bridge' }, { nameTaken })).toThrow(expect.objectContaining({ status: 403 }))
  })

  it('refuses the subnet of another network with the tutorial’s words', () => {
    const request = { ipam: { config: [{ subnet: '172.30.0.0/16' }] } }
    expect(() => create(request, { taken4: range('172.30.0.0/24') })).toThrow(
      'Pool overlaps with other one on this address space',
    )
  })

  it('keeps automatic subnets clear of networks and of the host', () => {
    const network = create({}, { taken4: range('172.17.0.0/16'), avoid4: range('172.18.4.0/24') })
    expect(network.pools[0]?.subnet).toBe('172.19.0.0/16')
  })

  it('takes the whole of link-local, which the kernel shares', () => {
    const network = create({
      enableIPv4: false,
      enableIPv6: true,
      ipam: { config: [{ subnet: 'fe80::/64' }] },
    })
    expect(network.pools[0]).toMatchObject({ subnet: 'fe80::/64', gateway: 'fe80::1' })
  })

  it('refuses a bridge name that another network has', () => {
    const other = create({ name: 'other', options: { [optionKeys.bridgeName]: 'br-x' } })
    expect(() => create({ options: { [optionKeys.bridgeName]: 'br-x' } }, { networks: [other] })).toThrow(
      `cannot create network ${id} (br-x): conflicts with network ${other.id} (br-x): networks have same bridge name`,
    )
  })

  it('has one host network at most, without pools', () => {
    const host = create({ name: 'host', driver: 'host' }, { predefined: true })
    expect(host).toMatchObject({ driver: 'host', pools: [] })
    expect(host).not.toHaveProperty('bridge')
    expect(() => create({ driver: 'host' }, { networks: [host] })).toThrow(
      expect.objectContaining({ status: 403, message: 'only one instance of "host" network is allowed' }),
    )
  })

  it('walks no networks for an ordinary request', () => {
    const networks: Iterable<Network> = {
      [Symbol.iterator]: () => {
        throw new Error('walked')
      },
    }
    expect(() => create({}, { networks })).not.toThrow()
  })

  it.each<[string, Partial<NetworkRequest>, boolean]>([
    ['an ordinary network', {}, true],
    ['an internal network', { internal: true }, true],
    ['isolated mode', { internal: true, options: { [optionKeys.gatewayMode4]: 'isolated' } }, false],
    ['an inhibited internal network', { internal: true, options: { [optionKeys.inhibitIPv4]: '1' } }, false],
    ['an inhibited network', { options: { [optionKeys.inhibitIPv4]: '1' } }, true],
  ])('gateway of %s', (_, request, has) => {
    expect(create(request).pools[0]?.gateway !== undefined).toBe(has)
  })

  it('gives isolated IPv6 no gateway and IPv4 beside it one', () => {
    const options = { [optionKeys.gatewayMode6]: 'isolated' }
    const network = create({ internal: true, enableIPv6: true, options })
    expect(network.pools.map(pool => pool.gateway)).toEqual(['172.17.0.1', undefined])
  })
})

describe('families', () => {
  const v6 = optionKeys.enableIPv6
  const defaults = { defaultOptions: { bridge: { [v6]: 'true' } } }

  it.each<[string, Partial<NetworkRequest>, Partial<NetworkContext>, boolean, boolean]>([
    ['default', {}, {}, false, false],
    ['asked by field', { enableIPv6: true }, {}, true, false],
    ['asked by option', { options: { [v6]: '1' } }, {}, true, true],
    ['field beats option', { enableIPv6: false, options: { [v6]: '1' } }, {}, false, true],
    ['daemon’s default', {}, defaults, true, true],
    ['field beats the default, which then is not shown', { enableIPv6: false }, defaults, false, false],
    ['default of another driver', {}, { defaultOptions: { macvlan: { [v6]: 'true' } } }, false, false],
  ])('IPv6: %s', (_, request, extra, enabled, echoed) => {
    const network = create(request, extra)
    expect(network.enableIPv6).toBe(enabled)
    expect(v6 in network.options).toBe(echoed)
    expect(network.pools).toHaveLength(enabled ? 2 : 1)
  })
})

it('merges the daemon’s options under those of the request', () => {
  const defaultOptions = { bridge: { [optionKeys.mtu]: '1400', [optionKeys.icc]: 'false' } }
  const network = create({ options: { [optionKeys.mtu]: '1300', other: 'kept' } }, { defaultOptions })
  expect(network.options).toEqual({ [optionKeys.mtu]: '1300', [optionKeys.icc]: 'false', other: 'kept' })
  expect(network.bridge).toMatchObject({ mtu: 1300, icc: false })
})

describe('configuration networks', () => {
  const config = create({
    name: 'template',
    configOnly: true,
    enableIPv6: true,
    ipam: { config: [{ subnet: '10.5.0.0/24' }, { subnet: 'fd05::/64' }] },
    options: { [optionKeys.mtu]: '1400' },
    labels: { from: 'template' },
  })

  it('own nothing', () => {
    expect(config).toMatchObject({
      driver: 'null',
      configOnly: true,
      pools: [],
      ipam: { requests: [{ subnet: '10.5.0.0/24' }, { subnet: 'fd05::/64' }] },
    })
    expect(config).not.toHaveProperty('bridge')
  })

  it('lend their settings', () => {
    const network = create(
      { configFrom: 'template' },
      { networks: [config], defaultOptions: { bridge: { x: 'y' } } },
    )
    expect(network).toMatchObject({
      driver: 'bridge',
      configFrom: 'template',
      enableIPv6: true,
      labels: { from: 'template' },
      options: { [optionKeys.mtu]: '1400' },
      pools: [{ subnet: '10.5.0.0/24' }, { subnet: 'fd05::/64' }],
      bridge: { mtu: 1400 },
    })
    expect(network.options).not.toHaveProperty('x')
    expect(network.ipam).toEqual({ driver: 'default', options: null })
  })

  it('lend a bridge name once, even if the networks can be walked only once', () => {
    const options = { [optionKeys.bridgeName]: 'br-x' }
    const named = create({ name: 'named', configOnly: true, options })
    const user = create({ name: 'user', configFrom: 'named' }, { networks: [named] })
    const networks = [user, named].values()
    expect(() => create({ configFrom: 'named' }, { networks })).toThrow('networks have same bridge name')
  })

  it('check what they hold when they are made', () => {
    const bad = { configOnly: true, ipam: { config: [{ subnet: '10.5.0.1/24' }] } }
    expect(() => create(bad)).toThrow('it should be 10.5.0.0/24')
  })

  it.each<[string, Partial<NetworkRequest>, string]>([
    [
      'internal',
      { configOnly: true, internal: true },
      'configuration network can only contain network specific fields.',
    ],
    [
      'attachable',
      { configOnly: true, attachable: true },
      'configuration network can only contain network specific fields.',
    ],
    [
      'ingress',
      { configOnly: true, ingress: true },
      'configuration network can only contain network specific fields.',
    ],
    [
      'scope',
      { configOnly: true, scope: 'local' },
      'configuration network can only contain network specific fields.',
    ],
    [
      'nested',
      { configOnly: true, configFrom: 'template' },
      'a configuration network cannot depend on another configuration network',
    ],
    [
      'own pool',
      { configFrom: 'template', ipam: { config: [{ subnet: '10.6.0.0/24' }] } },
      'user-specified configurations are not supported',
    ],
    [
      'own label',
      { configFrom: 'template', labels: { a: 'b' } },
      'user-specified configurations are not supported',
    ],
    [
      'own family',
      { configFrom: 'template', enableIPv6: true },
      'user-specified configurations are not supported',
    ],
    [
      'own option',
      { configFrom: 'template', options: { a: 'b' } },
      'network driver options are not supported',
    ],
    ['not a template', { configFrom: 'plain' }, '"plain" is not a configuration network'],
  ])('refuse %s', (_, request, message) => {
    const networks = [config, create({ name: 'plain' })]
    expect(() => create(request, { networks })).toThrow(
      expect.objectContaining({ status: 403, message: expect.stringContaining(message) }),
    )
  })

  it('stay while another network uses them', () => {
    const user = create({ configFrom: 'template' }, { networks: [config] })
    expect(() => checkConfigUnused(config, [config, user])).toThrow(
      'configuration network "template" is in use',
    )
    expect(() => checkConfigUnused(config, [config])).not.toThrow()
    expect(() => checkConfigUnused(user, [config, user])).not.toThrow()
  })
})
