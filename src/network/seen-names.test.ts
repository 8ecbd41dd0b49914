import { describe, expect, it } from 'vitest'
import { seenNames } from './seen-names.ts'
import type { BridgeSettings, Endpoint, Network } from './types.ts'

const settings: BridgeSettings = {
  name: 'br',
  mac: '02:42:00:00:00:01',
  icc: true,
  masquerade: true,
  hostBinding: '0.0.0.0',
  interfacePrefix: 'eth',
  adopted: false,
  isDefault: false,
}

const network = (name: string, bridge: Partial<BridgeSettings> = {}): Network => ({
  id: name,
  name,
  created: '',
  driver: 'bridge',
  enableIPv4: true,
  enableIPv6: false,
  internal: false,
  attachable: false,
  ipam: { driver: 'default', options: null },
  pools: [{ family: 4, subnet: '10.0.0.0/24', gateway: '10.0.0.1', auxiliary: {}, automatic: true }],
  options: {},
  labels: {},
  bridge: { ...settings, ...bridge },
})

const endpoint = (
  container: string,
  on: string,
  address: string,
  rest: Partial<Endpoint> = {},
): Endpoint => ({
  id: `${container}-${on}`,
  networkId: on,
  sandboxId: container,
  ifname: 'eth0',
  hostIfname: 'veth1',
  mac: '02:42:00:00:00:02',
  ipv4: `${address}/24`,
  linkLocal: [],
  gatewayPriority: 0,
  dnsNames: [container],
  links: {},
  ...rest,
})

function see(own: readonly Endpoint[], all: readonly Endpoint[], networks: readonly Network[]) {
  const joined = own.flatMap(one => {
    const on = networks.find(each => each.id === one.networkId)
    return on === undefined ? [] : [{ endpoint: one, network: on }]
  })
  return seenNames(joined, {
    endpointsOfNetwork: id => all.filter(one => one.networkId === id),
    containerOf: one => one.sandboxId,
    endpointOfContainer: (container, on) =>
      all.find(one => one.sandboxId === container && one.networkId === on),
  })
}

describe('the names that a container sees', () => {
  it('are those of its networks; replicas share one, an earlier network hides a later one’s', () => {
    const web = endpoint('web', 'a', '10.0.0.2')
    const webOnB = endpoint('web', 'b', '10.0.1.2', { gatewayPriority: -1 })
    const all = [
      web,
      webOnB,
      endpoint('db1', 'a', '10.0.0.3', { dnsNames: ['db1', 'DB'] }),
      endpoint('db2', 'a', '10.0.0.4', { dnsNames: ['db2', 'db'] }),
      endpoint('db3', 'b', '10.0.1.3', { dnsNames: ['db3', 'db'] }),
      endpoint('far', 'c', '10.0.2.2'),
    ]
    const seen = see([web, webOnB], all, [network('a'), network('b'), network('c')])
    expect(seen.filter(one => one.name.toLowerCase() === 'db')).toEqual([
      {
        name: 'DB',
        network: 'a',
        addresses: ['10.0.0.3', '10.0.0.4'],
        containers: ['db1', 'db2'],
        link: false,
        hidden: false,
      },
      { name: 'db', network: 'b', addresses: ['10.0.1.3'], containers: ['db3'], link: false, hidden: true },
    ])
    expect(seen.map(one => one.name)).not.toContain('far')
  })

  it('have link aliases first, which hide', () => {
    const web = endpoint('web', 'a', '10.0.0.2', { links: { db: 'pg' } })
    const all = [web, endpoint('pg', 'a', '10.0.0.3'), endpoint('db', 'a', '10.0.0.4')]
    const [link, ...others] = see([web], all, [network('a')])
    expect(link).toMatchObject({ name: 'db', addresses: ['10.0.0.3'], link: true, hidden: false })
    expect(others.find(one => one.name === 'db')).toMatchObject({ hidden: true })
  })

  it('are none on the default bridge, unless it was given them', () => {
    const web = endpoint('web', 'a', '10.0.0.2')
    expect(see([web], [web], [network('a', { isDefault: true })])).toEqual([])
    expect(see([web], [web], [network('a', { isDefault: true, names: true })])).toHaveLength(1)
  })
})
