import { describe, expect, it } from 'vitest'
import { check } from './body.ts'
import { containerRequest } from './container-request.ts'
import { MemoryState } from './testing/memory-engine.ts'
import { bridge, idOf } from './testing/records.ts'
import { newest, type ApiVersion } from './version.ts'
import { containerCreate } from './wire/container.ts'

const state = new MemoryState()
const net = { ...bridge, id: idOf('a'), name: 'net', bridge: undefined }
const { bridge: _dropped, ...userNet } = net
state.networks.set(net.id, { ...userNet, bridge: { ...(bridge.bridge ?? never()), isDefault: false } })

function never(): never {
  throw new Error('the bridge record has settings')
}

const make = (body: object, version: ApiVersion = newest, ipForwarding = true) =>
  containerRequest('web', check(containerCreate, 'CreateRequest', { Image: 'busybox', ...body }), {
    state,
    version,
    ipForwarding,
  })

const endpointsConfig = (EndpointsConfig: object) => ({ NetworkingConfig: { EndpointsConfig } })

describe('shapes that clients send', () => {
  it('the CLI without --network', () => {
    const { request, warnings } = make({
      HostConfig: { NetworkMode: 'default', PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } },
      ...endpointsConfig({ default: { IPAMConfig: {}, MacAddress: '', GwPriority: 0 } }),
    })
    expect(warnings).toEqual([])
    expect(request.hostConfig.NetworkMode).toBe('bridge')
    expect(request.hostConfig.PortBindings).toEqual({ '80/tcp': [{ HostIp: '', HostPort: '8080' }] })
    expect(request.endpoints).toEqual({ bridge: { emptyIpam: true } })
  })

  it.each([{}, { NetworkingConfig: null }, endpointsConfig({})])('nothing but an image: %j', body => {
    const { request } = make(body)
    expect(request.endpoints).toEqual({ bridge: {} })
    expect(request.hostConfig.NetworkMode).toBe('bridge')
    expect(request.config).toEqual({ Image: 'busybox' })
    expect(request.name).toBe('web')
  })

  it('several networks: the one of the mode first', () => {
    const { request } = make({
      HostConfig: { NetworkMode: 'net' },
      ...endpointsConfig({
        bridge: { GwPriority: 1 },
        net: { Aliases: ['db'], IPAMConfig: { IPv4Address: '10.0.0.2' } },
      }),
    })
    expect(Object.entries(request.endpoints)).toEqual([
      ['net', { aliases: ['db'], ipv4: '10.0.0.2' }],
      ['bridge', { gatewayPriority: 1 }],
    ])
  })

  it('the mode by name, the endpoint by id prefix', () => {
    const { request } = make({
      HostConfig: { NetworkMode: 'net' },
      ...endpointsConfig({ aaaa: { Aliases: ['x'] } }),
    })
    expect(request.endpoints).toEqual({ net: { aliases: ['x'] } })
  })

  it('a container’s namespace', () => {
    const { request } = make({
      HostConfig: { NetworkMode: 'container:x' },
      ...endpointsConfig({ 'container:x': {} }),
    })
    expect(request.endpoints).toEqual({})
  })

  it('ports without bindings, numbers of protocols left out', () => {
    const { request } = make({ HostConfig: { PortBindings: { '80/tcp': null, '53/udp': [], '81': [{}] } } })
    const any = [{ HostIp: '', HostPort: '' }]
    // Keys that look like whole numbers come first in JavaScript.
    expect(request.hostConfig.PortBindings).toEqual({ '81/tcp': any, '80/tcp': any, '53/udp': any })
  })

  it('hosts in every spelling', () => {
    const { request } = make({
      HostConfig: { ExtraHosts: ['a:1.2.3.4', 'b=fe80::1', 'c:[::1]', 'd:host-gateway', 'e:::1'] },
    })
    expect(request.hostConfig.ExtraHosts).toEqual([
      'a:1.2.3.4',
      'b:fe80::1',
      'c:::1',
      'd:host-gateway',
      'e:::1',
    ])
  })
})

describe('refusals', () => {
  it.each<[string, object, string, ApiVersion?]>([
    ['no image', { Image: '' }, 'config cannot be empty'],
    ['null endpoint', endpointsConfig({ net: null }), 'no EndpointSettings for net'],
    [
      'several networks below 1.44',
      endpointsConfig({ net: {}, bridge: {} }),
      'Container cannot be created with multiple network endpoints: net, bridge',
      43,
    ],
    [
      'links with host mode',
      { HostConfig: { NetworkMode: 'host', Links: ['x'] } },
      "conflicting options: host type networking can't be used with links",
    ],
    [
      'another network with host mode',
      { HostConfig: { NetworkMode: 'host' }, ...endpointsConfig({ net: {} }) },
      'cannot connect container to host network',
    ],
    [
      'another network with none',
      { HostConfig: { NetworkMode: 'none' }, ...endpointsConfig({ net: {} }) },
      'one of the networks in private (none) mode',
    ],
    ...(
      [
        [{ Hostname: 'h' }, 'hostname and the network mode'],
        [{ ExposedPorts: { '80/tcp': {} } }, 'port exposing and the container type network mode'],
        [{ MacAddress: '02:42:ac:11:00:02' }, 'mac-address and the network mode'],
        [{ HostConfig: { PublishAllPorts: true } }, 'port publishing and the container type network mode'],
        [
          { HostConfig: { PortBindings: { '80/tcp': [] } } },
          'port publishing and the container type network mode',
        ],
        [{ HostConfig: { Dns: ['1.1.1.1'] } }, 'dns and the network mode'],
        [{ HostConfig: { ExtraHosts: ['a:1.1.1.1'] } }, 'custom host-to-IP mapping and the network mode'],
        [{ HostConfig: { Links: ['a'] } }, "container type network can't be used with links"],
      ] as const
    ).map(([body, text]): [string, object, string] => [
      `container mode with ${JSON.stringify(body)}`,
      {
        ...body,
        HostConfig: { ...('HostConfig' in body ? body.HostConfig : {}), NetworkMode: 'container:x' },
      },
      `conflicting options: ${text}`,
    ]),
    ['malformed host', { HostConfig: { ExtraHosts: ['nonsense'] } }, 'bad format for add-host: "nonsense"'],
    ['bad address of a host', { HostConfig: { ExtraHosts: ['a:b'] } }, 'invalid IP address in add-host: "b"'],
    ['bad name server', { HostConfig: { Dns: ['x'] } }, 'invalid IP address: x'],
    ['bad MAC', { MacAddress: 'x' }, 'invalid MAC address: x'],
    [
      'two MACs',
      {
        MacAddress: '02:42:ac:11:00:02',
        ...endpointsConfig({ default: { MacAddress: '02:42:ac:11:00:03' } }),
      },
      'the container-wide MAC address must match',
    ],
    [
      'unknown restart policy',
      { HostConfig: { RestartPolicy: { Name: 'sometimes' } } },
      "invalid restart policy: unknown policy 'sometimes'",
    ],
    [
      'retries without failures',
      { HostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 1 } } },
      "maximum retry count can only be used with 'on-failure'",
    ],
    ['nameless variable', { Env: ['=x'] }, 'invalid environment variable: =x'],
    [
      'sysctl of an interface',
      { HostConfig: { Sysctls: { 'net.ipv4.conf.eth0.forwarding': '1' } } },
      "must be supplied using driver option 'com.docker.network.endpoint.sysctls'",
    ],
    [
      'sysctl of eth1',
      { HostConfig: { Sysctls: { 'net.ipv4.conf.eth1.forwarding': '1' } } },
      'unable to determine network endpoint for sysctl net.ipv4.conf.eth1.forwarding',
      47,
    ],
  ])('%s', (_name, body, text, version) => {
    expect(() => make(body, version)).toThrow(text)
  })
})

describe('versions', () => {
  it('moves a container-wide MAC to the main network, with a warning from 1.44 on', () => {
    const body = { MacAddress: '02:42:ac:11:00:09' }
    expect(make(body, 43).warnings).toEqual([])
    const { request, warnings } = make(body, 44)
    expect(request.endpoints).toEqual({ bridge: { mac: '02:42:ac:11:00:09' } })
    expect(warnings).toHaveLength(1)
  })

  it('moves sysctls of eth0 to the endpoint', () => {
    const { request, warnings } = make(
      { HostConfig: { Sysctls: { 'net.ipv4.conf.eth0.forwarding': '1', 'net.ipv4.ip_forward': '0' } } },
      47,
    )
    expect(request.hostConfig.Sysctls).toEqual({ 'net.ipv4.ip_forward': '0' })
    expect(request.endpoints['bridge']?.driverOptions).toEqual({
      'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=1',
    })
    expect(warnings[0]).toMatch(/^Migrated sysctl/)
  })

  it('drops gateway priorities below 1.48', () => {
    const body = endpointsConfig({ default: { GwPriority: 5 } })
    expect(make(body, 47).request.endpoints).toEqual({ bridge: {} })
    expect(make(body, 48).request.endpoints).toEqual({ bridge: { gatewayPriority: 5 } })
  })

  it('warns when nothing is forwarded', () => {
    expect(make({}, newest, false).warnings).toEqual([
      'IPv4 forwarding is disabled. Networking will not work.',
    ])
  })
})
