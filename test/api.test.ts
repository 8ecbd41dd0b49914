/**
 * The network half of the Engine API, request by request: every refusal with Docker's status and words, every field of
 * the answers, and what differs between the versions 1.24 and 1.51. No client in between.
 */
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'
import { ask, sendBytes, type Answer } from './support/http.ts'

let host: TestHost
/** Full ids of the containers that the rows speak of. */
const ids = new Map<string, string>()

type Body = Readonly<Record<string, unknown>>

const get = (path: string): Promise<Answer> => ask(host, 'GET', path)
const post = (path: string, body?: unknown): Promise<Answer> => ask(host, 'POST', path, { body })
const del = (path: string): Promise<Answer> => ask(host, 'DELETE', path)
const json = async <T>(path: string): Promise<T> => JSON.parse((await get(path)).text) as T
/** A line for the shell on the host, which has to succeed. */
async function sh(line: string): Promise<void> {
  const { code, stderr } = await host.shell(`set -e; ${line}`)
  expect([code, stderr]).toEqual([0, ''])
}
const filtered = (path: string, filters: unknown): string =>
  `${path}?filters=${encodeURIComponent(JSON.stringify(filters))}`

interface NetworkView {
  readonly Name: string
  readonly Id: string
  readonly Created: string
  readonly Containers: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly IPAM: { readonly Config: readonly Readonly<Record<string, string>>[] | null }
}

async function create(body: Body, prefix = ''): Promise<NetworkView> {
  const answer = await post(`${prefix}/networks/create`, body)
  expect([answer.status, answer.message]).toEqual([201, ''])
  const made = JSON.parse(answer.text) as { readonly Id: string; readonly Warning: string }
  expect(Object.keys(made)).toEqual(['Id', 'Warning'])
  expect(made.Id).toMatch(/^[0-9a-f]{64}$/)
  return await json<NetworkView>(`/networks/${made.Id}`)
}

async function container(name: string, body: Body = {}, start = true): Promise<string> {
  const made = await post(`/containers/create?name=${name}`, {
    Image: 'busybox',
    Cmd: ['sleep', '3600'],
    StopSignal: 'SIGKILL',
    ...body,
  })
  expect([made.status, made.message]).toEqual([201, ''])
  const { Id } = JSON.parse(made.text) as { readonly Id: string }
  if (start) expect((await post(`/containers/${Id}/start`)).status).toBe(204)
  ids.set(name, Id)
  return Id
}

beforeAll(async () => {
  host = await TestHost.open()
  await create({
    Name: 'shop',
    IPAM: { Config: [{ Subnet: '10.60.0.0/24' }] },
    Labels: { tier: 'front', x: '' },
  })
  await create({ Name: 'second', Labels: { tier: 'back' } })
  await create({ Name: 'template', ConfigOnly: true, IPAM: { Config: [{ Subnet: '10.66.0.0/24' }] } })
  await container('web', {
    NetworkingConfig: {
      EndpointsConfig: { shop: { IPAMConfig: { IPv4Address: '10.60.0.10' }, Aliases: ['www'] } },
    },
    HostConfig: { NetworkMode: 'shop', PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
    ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
  })
  await container('db')
  await container('idle', {}, false)
  await container('hosted', { HostConfig: { NetworkMode: 'host' } })
  await container('alone', { HostConfig: { NetworkMode: 'none' } })
  await container('guest', { HostConfig: { NetworkMode: 'container:db' } })
})
afterAll(async () => {
  await host?.close()
})

describe('transport', () => {
  it.each(['/_ping', '/v1.24/_ping', '/v1.51/networks', '/nosuch', '/networks/nosuch'])(
    'GET %s carries the headers of every answer',
    async path => {
      const outgoing = request({ socketPath: host.socket, path, agent: false })
      outgoing.end()
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      answer.resume()
      expect(answer.headers).toMatchObject({
        server: expect.stringMatching(/^Docker\/\S+ \(linux\)$/),
        'api-version': '1.51',
        ostype: 'linux',
        'docker-experimental': 'false',
      })
    },
  )

  it('answers a HEAD of _ping with the headers and no body', async () => {
    const text = await sendBytes(host, 'HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    for (const header of [
      'Api-Version: 1.51',
      'Swarm: inactive',
      'Pragma: no-cache',
      'Cache-Control: no-cache, no-store, must-revalidate',
      'Content-Length: 0',
    ]) {
      expect(text).toContain(`${header}\r\n`)
    }
    expect(text).toMatch(/\r\n\r\n$/)
  })

  it.each<readonly [method: string, path: string, status: number, message: RegExp]>([
    ['GET', '/v1.24/networks', 200, /^$/],
    ['GET', '/v1.51/networks/', 200, /^$/],
    ['GET', '/networks/', 200, /^$/],
    [
      'GET',
      '/v1.52/networks',
      400,
      /^client version 1\.52 is too new\. Maximum supported API version is 1\.51$/,
    ],
    ['GET', '/v2.0/networks', 400, /^client version 2\.0 is too new/],
    ['GET', '/networks/x/connect', 404, /^network x\/connect not found$/],
    ['HEAD', '/networks', 405, /^$/],
    ['PATCH', '/networks', 405, /\S/],
    ['POST', '/networks/shop', 405, /\S/],
    ['GET', '/networksx', 404, /^page not found$/],
  ])('%s %s answers %i', async (method, path, status, message) => {
    const answer = await ask(host, method, path)
    expect([answer.status, answer.message]).toEqual([status, expect.stringMatching(message)])
  })

  it('speaks plain text to clients that are older than JSON errors', async () => {
    const text = await sendBytes(host, 'GET /v1.20/networks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toMatch(/Content-Type: text\/plain/)
    expect(text).toMatch(
      /client version 1\.20 is too old\. Minimum supported API version is 1\.24, please upgrade/,
    )
  })

  it('ends bodies with a newline and leaves markup as it is', async () => {
    await create({ Name: 'a<b>&c' })
    const { text } = await get('/networks/a%3Cb%3E%26c')
    expect(text).toMatch(/^\{"Name":"a<b>&c",.*\}\n$/)
    expect((await del('/networks/a%3Cb%3E%26c')).status).toBe(204)
  })
})

/** Networks that a row made are removed after it; what the set-up made stays. */
const kept = ['bridge', 'host', 'none', 'shop', 'second', 'template']
async function removeOthers(): Promise<void> {
  for (const { Name, Id } of await json<NetworkView[]>('/networks')) {
    if (!kept.includes(Name)) expect((await del(`/networks/${Id}`)).status).toBe(204)
  }
}

const pool = (...config: readonly Body[]): Body => ({ Driver: 'default', Config: config })
const bridge = (key: string, value: string): Body => ({ [`com.docker.network.bridge.${key}`]: value })

describe('network create', () => {
  afterEach(removeOthers)

  it.each<readonly [body: Body, status: number, message: RegExp | string]>([
    [{}, 400, 'invalid name: name is empty'],
    [{ Name: '\t ' }, 400, 'invalid name: name is empty'],
    [{ Name: 'shop' }, 409, 'network with name shop already exists'],
    [{ Name: 'shop', CheckDuplicate: false }, 409, 'network with name shop already exists'],
    ...['bridge', 'host', 'none', 'default'].map(
      name => [{ Name: name }, 403, `operation is not permitted on predefined ${name} network `] as const,
    ),
    [{ Name: 'x', Driver: 'overlay' }, 403, /^This node is not a swarm manager\./],
    [{ Name: 'x', Scope: 'swarm' }, 403, /^This node is not a swarm manager\./],
    [{ Name: 'x', Ingress: true }, 403, /\S/],
    [
      { Name: 'x', Options: { 'com.docker.network.enable_ipv6': 'perhaps' } },
      400,
      'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
    ],
    [
      { Name: 'x', Options: { 'com.docker.network.enable_ipv4': 'x' } },
      400,
      'driver-opt "com.docker.network.enable_ipv4" is not a valid bool',
    ],
    [{ Name: 'x', EnableIPv4: false }, 400, 'IPv4 or IPv6 must be enabled'],
    // Pools
    ...(
      [
        ['10.1', '* invalid subnet 10.1: invalid CIDR block notation'],
        ['10.1.0.0', '* invalid subnet 10.1.0.0: invalid CIDR block notation'],
        ['10.1.0.0/33', '* invalid subnet 10.1.0.0/33: invalid CIDR block notation'],
        ['10.1.0.7/24', '* invalid subnet 10.1.0.7/24: it should be 10.1.0.0/24'],
      ] as const
    ).map(
      ([subnet, line]) =>
        [{ Name: 'x', IPAM: pool({ Subnet: subnet }) }, 400, `invalid network config:\n${line}`] as const,
    ),
    ...(
      [
        [{ IPRange: 'x' }, '* invalid ip-range x: invalid CIDR block notation'],
        [{ IPRange: '10.1.0.9/28' }, '* invalid ip-range 10.1.0.9/28: it should be 10.1.0.0/28'],
        [{ IPRange: 'fd00::/64' }, '* invalid ip-range fd00::/64: parent subnet is an IPv4 block'],
        [
          { IPRange: '10.1.0.0/16' },
          '* invalid ip-range 10.1.0.0/16: CIDR block is bigger than its parent subnet 10.1.0.0/24',
        ],
        [
          { IPRange: '10.2.0.0/28' },
          "* invalid ip-range 10.2.0.0/28: parent subnet 10.1.0.0/24 doesn't contain ip-range",
        ],
        [{ Gateway: 'x' }, '* invalid gateway x: invalid address'],
        [{ Gateway: '127.1' }, '* invalid gateway 127.1: invalid address'],
        [{ Gateway: 'fd00::1' }, '* invalid gateway fd00::1: parent subnet is an IPv4 block'],
        [
          { Gateway: '10.2.0.1' },
          "* invalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address",
        ],
        [{ AuxiliaryAddresses: { nas: 'x' } }, '* invalid auxiliary address nas: invalid address'],
        [
          { AuxiliaryAddresses: { nas: 'fd00::1' } },
          '* invalid auxiliary address nas: parent subnet is an IPv4 block',
        ],
        [
          { AuxiliaryAddresses: { nas: '10.2.0.1' } },
          "* invalid auxiliary address nas: parent subnet 10.1.0.0/24 doesn't contain this address",
        ],
        [
          { IPRange: 'x', Gateway: 'y', AuxiliaryAddresses: { nas: 'z' } },
          '* invalid ip-range x: invalid CIDR block notation\n* invalid gateway y: invalid address\n* invalid auxiliary address nas: invalid address',
        ],
      ] as const
    ).map(
      ([entry, lines]) =>
        [
          { Name: 'x', IPAM: pool({ Subnet: '10.1.0.0/24', ...entry }) },
          400,
          `invalid network config:\n${lines}`,
        ] as const,
    ),
    [
      { Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: '10.1.0.1/24' }, { Subnet: 'fd00::1/64' }) },
      400,
      'invalid network config:\n* invalid subnet 10.1.0.1/24: it should be 10.1.0.0/24\n* invalid subnet fd00::1/64: it should be fd00::/64',
    ],
    [{ Name: 'x', IPAM: pool({ IPRange: '10.1.0.0/28' }) }, 400, 'invalid address subpool'],
    [
      { Name: 'x', IPAM: pool({ Subnet: '10.60.0.0/16' }) },
      403,
      'invalid pool request: Pool overlaps with other one on this address space',
    ],
    [
      { Name: 'x', IPAM: pool({ Subnet: '10.60.0.0/24', IPRange: '10.60.0.128/25' }) },
      403,
      'invalid pool request: Pool overlaps with other one on this address space',
    ],
    [
      { Name: 'x', IPAM: pool({ Subnet: '10.1.0.0/24', Gateway: '10.1.0.255' }) },
      403,
      'failed to allocate gateway (10.1.0.255): Address already in use',
    ],
    [
      { Name: 'x', IPAM: pool({ AuxiliaryAddresses: { nas: '10.1.0.1' } }) },
      403,
      /^auxiliary address: \(nas:10\.1\.0\.1\) must belong to the master pool: /,
    ],
    [
      { Name: 'x', IPAM: pool({ Subnet: '10.1.0.0/24' }, { Subnet: '10.2.0.0/24' }) },
      403,
      "bridge driver doesn't support multiple subnets",
    ],
    [
      { Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: 'fd00:1::/64' }, { Subnet: 'fd00:2::/64' }) },
      403,
      "bridge driver doesn't support multiple subnets",
    ],
    [
      { Name: 'x', IPAM: pool({ Subnet: '0.0.0.0/4' }) },
      400,
      /^all predefined address pools have been fully subnetted/,
    ],
    [
      { Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: '::/40' }) },
      400,
      /^all predefined address pools have been fully subnetted/,
    ],
    [
      {
        Name: 'x',
        Internal: true,
        IPAM: pool({ Subnet: '10.1.0.0/24', AuxiliaryAddresses: { DefaultGatewayIPv4: '10.1.0.9' } }),
      },
      400,
      'no gateway can be set on an internal bridge network',
    ],
    [{ Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: 'ff02::/64' }) }, 400, /multicast/],
    [{ Name: 'x', IPAM: pool({ Subnet: '224.1.0.0/16' }) }, 400, /multicast/],
    [{ Name: 'x', IPAM: pool({ Subnet: '127.9.0.0/16' }) }, 400, /loopback/],
    [{ Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: '::1/128' }) }, 400, /loopback/],
    [{ Name: 'x', EnableIPv6: true, IPAM: pool({ Subnet: 'fe80::/60' }) }, 400, /Link-Local/],
    [{ Name: 'x', IPAM: { Driver: 'nosuch' } }, 404, 'plugin "nosuch" not found'],
    // Drivers and their options
    [{ Name: 'x', Driver: 'nosuch' }, 404, 'plugin "nosuch" not found'],
    [{ Name: 'x', Driver: 'host' }, 403, 'only one instance of "host" network is allowed'],
    [{ Name: 'x', Driver: 'null' }, 403, 'only one instance of "null" network is allowed'],
    [{ Name: 'x', Options: { 'com.docker.network.driver.mtu': '-1' } }, 400, 'invalid MTU number: -1'],
    [
      { Name: 'x', Options: { 'com.docker.network.driver.mtu': 'big' } },
      400,
      'failed to parse com.docker.network.driver.mtu value: big (strconv.Atoi: parsing "big": invalid syntax)',
    ],
    ...['enable_icc', 'enable_ip_masquerade', 'inhibit_ipv4'].map(
      key =>
        [
          { Name: 'x', Options: bridge(key, 'perhaps') },
          400,
          `failed to parse com.docker.network.bridge.${key} value: perhaps (strconv.ParseBool: parsing "perhaps": invalid syntax)`,
        ] as const,
    ),
    [
      { Name: 'x', Options: bridge('host_binding_ipv4', 'here') },
      400,
      'failed to parse com.docker.network.bridge.host_binding_ipv4 value: here (nil ip)',
    ],
    [{ Name: 'x', Options: bridge('gateway_mode_ipv4', 'open') }, 400, /unknown gateway mode open/],
    [{ Name: 'x', Options: bridge('gateway_mode_ipv6', 'open') }, 400, /unknown gateway mode open/],
    [
      { Name: 'x', Options: bridge('gateway_mode_ipv4', 'isolated') },
      400,
      "gateway mode 'isolated' can only be used for an internal network",
    ],
    [{ Name: 'x', Options: bridge('name', 'sixteencharacter') }, 400, /com\.docker\.network\.bridge\.name/],
    [{ Name: 'x', Options: bridge('name', 'a/b') }, 400, /com\.docker\.network\.bridge\.name/],
    [{ Name: 'x', Options: bridge('name', 'eth0') }, 409, 'existing interface eth0 is not a bridge'],
    [
      { Name: 'x', Options: bridge('name', 'docker0') },
      403,
      /^cannot create network [0-9a-f]{64} \(docker0\): conflicts with network [0-9a-f]{64} \(docker0\): networks have same bridge name$/,
    ],
    [
      { Name: 'x', Options: { 'com.docker.network.host_ipv4': 'fd00::1' } },
      400,
      /com\.docker\.network\.host_ipv4/,
    ],
    [
      { Name: 'x', Options: { 'com.docker.network.host_ipv6': '10.0.0.1' } },
      400,
      /com\.docker\.network\.host_ipv6/,
    ],
    [
      { Name: 'x', Options: { 'com.docker.network.container_iface_prefix': 'a b' } },
      400,
      /container_iface_prefix/,
    ],
    ...[
      ['nmsgs', '4'],
      ['nmsgs', '-1'],
      ['nmsgs', 'x'],
      ['ms', '99'],
      ['ms', '2001'],
      ['ms', 'x'],
    ].map(
      ([key, value]) =>
        [
          { Name: 'x', Options: { [`com.docker.network.advertise_addr_${key}`]: value } },
          400,
          /advertise_addr/,
        ] as const,
    ),
    // Configuration networks
    ...[{ Internal: true }, { Attachable: true }, { Ingress: true }, { Scope: 'local' }].map(
      field =>
        [
          { Name: 'x', ConfigOnly: true, ...field },
          403,
          /^configuration network can only contain network specific fields\./,
        ] as const,
    ),
    [
      { Name: 'x', ConfigOnly: true, ConfigFrom: { Network: 'template' } },
      403,
      'a configuration network cannot depend on another configuration network',
    ],
    ...[
      { IPAM: pool({ Subnet: '10.1.0.0/24' }) },
      { IPAM: { Driver: 'nosuch' } },
      { IPAM: { Options: { a: 'b' } } },
      { Labels: { a: 'b' } },
      { EnableIPv6: true },
    ].map(
      field =>
        [
          { Name: 'x', ConfigFrom: { Network: 'template' }, ...field },
          403,
          'user-specified configurations are not supported if the network depends on a configuration network',
        ] as const,
    ),
    [
      { Name: 'x', ConfigFrom: { Network: 'template' }, Options: { a: 'b' } },
      403,
      'network driver options are not supported if the network depends on a configuration network',
    ],
    [{ Name: 'x', ConfigFrom: { Network: 'nosuch' } }, 404, 'configuration network "nosuch" not found'],
    [{ Name: 'x', ConfigFrom: { Network: 'shop' } }, 403, /is not a configuration network/],
  ])('refuses %j with %i', async (body, status, message) => {
    const answer = await post('/networks/create', body)
    expect([answer.status, answer.message]).toEqual([
      status,
      typeof message === 'string' ? message : expect.stringMatching(message),
    ])
  })

  it.each<readonly [what: string, body: Body, seen: Body]>([
    [
      'nothing asked for',
      {},
      { Driver: 'bridge', Scope: 'local', EnableIPv4: true, EnableIPv6: false, Internal: false },
    ],
    [
      'every switch',
      { Internal: true, Attachable: true, Labels: { b: '2', a: '' } },
      { Internal: true, Attachable: true, Ingress: false, ConfigOnly: false, Labels: { a: '', b: '2' } },
    ],
    ['a name that is unusual', { Name: 'ü a/b@c#d$e.f' }, { Name: 'ü a/b@c#d$e.f' }],
    ['a scope', { Scope: 'local' }, { Scope: 'local' }],
    [
      'IPAM without entries',
      { IPAM: { Driver: 'default', Options: {}, Config: [] } },
      { IPAM: expect.objectContaining({ Driver: 'default', Options: {} }) },
    ],
    [
      'IPAM options',
      { IPAM: { Options: { foo: 'bar' } } },
      { IPAM: expect.objectContaining({ Options: { foo: 'bar' } }) },
    ],
    [
      'a subnet',
      { IPAM: pool({ Subnet: '10.1.0.0/24' }) },
      { IPAM: expect.objectContaining({ Config: [{ Subnet: '10.1.0.0/24', Gateway: '10.1.0.1' }] }) },
    ],
    [
      'all of a pool',
      {
        IPAM: pool({
          Subnet: '10.1.0.0/16',
          IPRange: '10.1.5.0/24',
          Gateway: '10.1.255.254',
          AuxiliaryAddresses: { nas: '10.1.5.1', DefaultGatewayIPv4: '10.1.0.9' },
        }),
      },
      {
        IPAM: expect.objectContaining({
          Config: [
            {
              Subnet: '10.1.0.0/16',
              IPRange: '10.1.5.0/24',
              Gateway: '10.1.255.254',
              AuxiliaryAddresses: { nas: '10.1.5.1', DefaultGatewayIPv4: '10.1.0.9' },
            },
          ],
        }),
      },
    ],
    [
      'a gateway that is an auxiliary address',
      { IPAM: pool({ Subnet: '10.1.0.0/24', Gateway: '10.1.0.5', AuxiliaryAddresses: { it: '10.1.0.5' } }) },
      { IPAM: expect.objectContaining({ Config: [expect.objectContaining({ Gateway: '10.1.0.5' })] }) },
    ],
    [
      'a range without gateway',
      { IPAM: pool({ Subnet: '10.1.0.0/24', IPRange: '10.1.0.128/25' }) },
      { IPAM: expect.objectContaining({ Config: [expect.objectContaining({ Gateway: '10.1.0.128' })] }) },
    ],
    [
      'the smallest subnets',
      { IPAM: pool({ Subnet: '10.1.0.0/31' }) },
      { IPAM: expect.objectContaining({ Config: [{ Subnet: '10.1.0.0/31', Gateway: '10.1.0.0' }] }) },
    ],
    [
      'a subnet by size',
      { IPAM: pool({ Subnet: '0.0.0.0/24' }) },
      {
        IPAM: expect.objectContaining({
          Config: [
            {
              Subnet: expect.stringMatching(/^172\.\d+\.\d+\.0\/24$/),
              Gateway: expect.stringMatching(/\.1$/),
            },
          ],
        }),
      },
    ],
    [
      'subnets by size, both families',
      { EnableIPv6: true, IPAM: pool({ Subnet: '::/80' }, { Subnet: '0.0.0.0/29' }) },
      {
        EnableIPv6: true,
        IPAM: expect.objectContaining({
          Config: [
            { Subnet: expect.stringMatching(/^172\..*\/29$/), Gateway: expect.stringMatching(/^172\./) },
            { Subnet: expect.stringMatching(/^fd.*\/80$/), Gateway: expect.stringMatching(/^fd.*::1$/) },
          ],
        }),
      },
    ],
    [
      'both families, one of them named',
      { EnableIPv6: true, IPAM: pool({ Subnet: '10.1.0.0/24' }) },
      {
        IPAM: expect.objectContaining({
          Config: [
            { Subnet: '10.1.0.0/24', Gateway: '10.1.0.1' },
            { Subnet: expect.stringMatching(/^fd.*\/64$/), Gateway: expect.stringMatching(/::1$/) },
          ],
        }),
      },
    ],
    [
      'IPv6 alone',
      { EnableIPv4: false, EnableIPv6: true, IPAM: pool({ Subnet: 'fd00:9::/64' }) },
      {
        EnableIPv4: false,
        EnableIPv6: true,
        IPAM: expect.objectContaining({ Config: [{ Subnet: 'fd00:9::/64', Gateway: 'fd00:9::1' }] }),
      },
    ],
    [
      'IPv6 in a network without it',
      { IPAM: pool({ Subnet: 'fd00:9::1/64' }) },
      {
        EnableIPv6: false,
        IPAM: expect.objectContaining({
          Config: [expect.objectContaining({ Subnet: expect.stringMatching(/^172\./) })],
        }),
      },
    ],
    [
      'a range of 64 bits',
      { EnableIPv6: true, IPAM: pool({ Subnet: 'fd00:9::/56', IPRange: 'fd00:9::/64' }) },
      { EnableIPv6: true },
    ],
    [
      'the link-local prefix',
      { EnableIPv6: true, IPAM: pool({ Subnet: 'fe80::/64' }) },
      { EnableIPv6: true },
    ],
    ['families as options', { Options: { 'com.docker.network.enable_ipv6': 'T' } }, { EnableIPv6: true }],
    [
      'options that nobody knows',
      { Options: { foo: 'bar', 'com.example/x': '' } },
      { Options: { foo: 'bar', 'com.example/x': '' } },
    ],
    [
      'every option of the driver',
      {
        Internal: true,
        EnableIPv6: true,
        Options: {
          ...bridge('name', 'every0'),
          ...bridge('enable_icc', 'false'),
          ...bridge('enable_ip_masquerade', 'F'),
          ...bridge('host_binding_ipv4', '127.0.0.1'),
          ...bridge('gateway_mode_ipv4', 'isolated'),
          ...bridge('gateway_mode_ipv6', 'isolated'),
          ...bridge('inhibit_ipv4', '1'),
          ...bridge('trusted_host_interfaces', 'eth0:eth1'),
          'com.docker.network.driver.mtu': '1400',
          'com.docker.network.host_ipv4': '10.10.101.105',
          'com.docker.network.container_iface_prefix': 'lan',
          'com.docker.network.advertise_addr_nmsgs': '0',
          'com.docker.network.advertise_addr_ms': '100',
        },
      },
      {
        Options: expect.objectContaining({ 'com.docker.network.bridge.name': 'every0' }),
        IPAM: expect.objectContaining({
          // Isolated: the host has no address there.
          Config: [{ Subnet: expect.stringMatching(/^172\./) }, { Subnet: expect.stringMatching(/^fd/) }],
        }),
      },
    ],
    [
      'a configuration network',
      {
        ConfigOnly: true,
        EnableIPv6: true,
        IPAM: pool({ Subnet: '10.1.0.0/24' }),
        Labels: { a: 'b' },
        Options: { k: 'v' },
      },
      {
        ConfigOnly: true,
        Driver: 'null',
        IPAM: expect.objectContaining({ Config: [{ Subnet: '10.1.0.0/24' }] }),
        Labels: { a: 'b' },
        Options: { k: 'v' },
      },
    ],
    [
      'a network made from it',
      { ConfigFrom: { Network: 'template' }, Internal: true, Attachable: true },
      {
        ConfigFrom: { Network: 'template' },
        ConfigOnly: false,
        Driver: 'bridge',
        Internal: true,
        IPAM: expect.objectContaining({ Config: [{ Subnet: '10.66.0.0/24', Gateway: '10.66.0.1' }] }),
      },
    ],
    [
      'fields in other cases',
      { enableipv6: true, LABELS: { a: 'b' }, nosuch: 1 },
      { EnableIPv6: true, Labels: { a: 'b' } },
    ],
  ])('takes %s', async (_, body, seen) => {
    const view = await create({ Name: 'made', ...body })
    expect(view).toMatchObject(seen)
    expect(Object.keys(view)).toEqual([
      'Name',
      'Id',
      'Created',
      'Scope',
      'Driver',
      'EnableIPv4',
      'EnableIPv6',
      'IPAM',
      'Internal',
      'Attachable',
      'Ingress',
      'ConfigFrom',
      'ConfigOnly',
      'Containers',
      'Options',
      'Labels',
    ])
    expect(view.Created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)$/)
    expect(view.Containers).toEqual({})
  })

  it('looks at EnableIPv4 since 1.48 only', async () => {
    const body = { Name: 'old', EnableIPv4: false, EnableIPv6: true }
    expect(await create(body, '/v1.47')).toMatchObject({ EnableIPv4: true, EnableIPv6: true })
    await removeOthers()
    expect(await create(body, '/v1.48')).toMatchObject({ EnableIPv4: false, EnableIPv6: true })
  })

  it('does not imitate the duplicates of versions below 1.44', async () => {
    const answer = await post('/v1.24/networks/create', { Name: 'shop', CheckDuplicate: false })
    expect([answer.status, answer.message]).toEqual([409, 'network with name shop already exists'])
  })

  it('leaves the addresses of a bridge alone that somebody else manages', async () => {
    const addresses = async (name: string): Promise<string> =>
      (await host.shell(`ip -o -4 addr show ${name} | awk '{print $4}'`)).stdout.trim()
    await sh('ip link add own0 type bridge; ip addr add 10.77.0.9/24 dev own0; ip link set own0 up')
    const options = { ...bridge('name', 'own0'), ...bridge('inhibit_ipv4', 'true') }
    await create({ Name: 'managed', Options: options, IPAM: pool({ Subnet: '10.77.0.0/24' }) })
    expect(await addresses('own0')).toBe('10.77.0.9/24')
    const isolated = { ...bridge('name', 'iso0'), ...bridge('gateway_mode_ipv4', 'isolated') }
    await create({
      Name: 'cut-off',
      Internal: true,
      Options: isolated,
      IPAM: pool({ Subnet: '10.78.0.0/31' }),
    })
    expect(await addresses('iso0')).toBe('')
    // No gateway takes one of the two addresses.
    for (const name of ['web', 'db']) {
      expect((await post('/networks/cut-off/connect', { Container: name })).status).toBe(200)
    }
    await host.ok('exec', 'web', 'ping', '-c1', '-W5', 'db')
    for (const name of ['web', 'db']) await post('/networks/cut-off/disconnect', { Container: name })
    expect((await del('/networks/managed')).status).toBe(204)
    expect(await addresses('own0')).toBe('10.77.0.9/24')
    await sh('ip link del own0')
  })

  it('announces new addresses as often as it is told to', async () => {
    // Prints the sender of every gratuitous ARP that a bridge of ours sees.
    const listener = host.spawn('/usr/bin/python3', [
      '-uc',
      `import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
print("listening")
while True:
    frame, (name, *_) = s.recvfrom(100)
    if name in ("loud0", "mute0") and frame[28:32] == frame[38:42]: print(socket.inet_ntoa(frame[28:32]))`,
    ])
    await expect.poll(() => listener.output, { timeout: 20_000 }).toContain('listening')
    const networks = [
      ['mute0', '10.79.0.0/24', '0'],
      ['loud0', '10.79.1.0/24', '2'],
    ] as const
    for (const [name, subnet, count] of networks) {
      const options = {
        ...bridge('name', name),
        'com.docker.network.advertise_addr_nmsgs': count,
        'com.docker.network.advertise_addr_ms': '100',
      }
      await create({ Name: name, Options: options, IPAM: pool({ Subnet: subnet }) })
      expect((await post(`/networks/${name}/connect`, { Container: 'db' })).status).toBe(200)
    }
    await expect
      .poll(() => listener.output.match(/10\.79\.1\.2/g) ?? [], { timeout: 20_000 })
      .toEqual(['10.79.1.2', '10.79.1.2'])
    expect(listener.output).not.toContain('10.79.0.')
    listener.kill()
    for (const [name] of networks) await post(`/networks/${name}/disconnect`, { Container: 'db' })
  })

  it('gives an adopted bridge back', async () => {
    await host.shell(
      'ip link add own0 type bridge && ip addr add 10.77.0.1/24 dev own0 && ip link set own0 up',
    )
    await create({ Name: 'adopted', Options: bridge('name', 'own0'), IPAM: pool({ Subnet: '10.77.0.0/24' }) })
    expect((await del('/networks/adopted')).status).toBe(204)
    expect((await host.shell('ip -o link show own0')).code).toBe(0)
    await sh('ip link del own0')
  })
})

describe('the networks that are always there', () => {
  it('are as Docker shows them', async () => {
    expect(await json('/networks/bridge')).toMatchObject({
      Name: 'bridge',
      Scope: 'local',
      Driver: 'bridge',
      IPAM: {
        Driver: 'default',
        Options: null,
        Config: [{ Subnet: '172.17.0.0/16', Gateway: '172.17.0.1' }],
      },
      Options: {
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': 'docker0',
        'com.docker.network.driver.mtu': '1500',
      },
      ConfigFrom: { Network: '' },
    })
    for (const [name, driver] of [
      ['host', 'host'],
      ['none', 'null'],
    ]) {
      expect(await json(`/networks/${name}`)).toMatchObject({
        Driver: driver,
        IPAM: { Driver: 'default', Options: null, Config: null },
        Options: {},
        Labels: {},
      })
    }
  })

  it.each(['bridge', 'host', 'none'])('%s cannot be removed', async name => {
    const answer = await del(`/networks/${name}`)
    expect([answer.status, answer.message]).toEqual([
      403,
      `${name} is a pre-defined network and cannot be removed`,
    ])
  })
})

describe('names and ids', () => {
  afterEach(removeOthers)

  it('finds by full id, name, unique prefix, in this order', async () => {
    const { Id } = await json<NetworkView>('/networks/shop')
    const impostor = await create({ Name: Id })
    expect(await json(`/networks/${Id}`)).toMatchObject({ Name: 'shop' })
    expect(await json(`/networks/${Id.slice(0, 20)}`)).toMatchObject({ Name: 'shop' })
    expect((await del(`/networks/${impostor.Id}`)).status).toBe(204)
    const short = await create({ Name: Id.slice(0, 12) })
    expect(await json(`/networks/${Id.slice(0, 12)}`)).toMatchObject({ Id: short.Id })
    expect((await get('/networks/SHOP')).status).toBe(404)
    expect((await get('/networks/sho')).status).toBe(404)
  })

  it('says that a prefix is ambiguous', async () => {
    // Seventeen networks cannot begin with sixteen digits.
    for (let number = 0; number < 12; number++) await create({ Name: `n${number}`, ConfigOnly: true })
    const all = await json<NetworkView[]>('/networks')
    const digit = Array.from('0123456789abcdef').find(
      each => all.filter(({ Id }) => Id.startsWith(each)).length > 1,
    )
    if (digit === undefined || all.some(({ Name }) => Name === digit))
      throw new Error('no two ids begin alike')
    const count = all.filter(({ Id }) => Id.startsWith(digit)).length
    for (const answer of [await get(`/networks/${digit}`), await del(`/networks/${digit}`)]) {
      expect([answer.status, answer.message]).toEqual([
        400,
        `network ${digit} is ambiguous (${count} matches found based on ID prefix)`,
      ])
    }
  })

  it.each(['a/b', 'a b', 'x@y#z$', 'ünïcode', 'a.b', 'a/connect', "quote's", 'create%', '..', '__proto__'])(
    'takes the name %s in every endpoint',
    async name => {
      await create({ Name: name })
      const path = `/networks/${encodeURIComponent(name)}`
      expect(await json(path)).toMatchObject({ Name: name })
      if (name.includes('/b')) expect(await json(`/networks/${name}`)).toMatchObject({ Name: name })
      expect((await post(`${path}/connect`, { Container: 'db' })).status).toBe(200)
      expect((await post(`${path}/disconnect`, { Container: 'db' })).status).toBe(200)
      expect((await del(path)).status).toBe(204)
    },
  )

  it.each<readonly [query: string, status: number]>([
    ['verbose=true', 200],
    ['verbose=0', 200],
    ['verbose=', 200],
    ['verbose=perhaps', 400],
    ['scope=local', 200],
    ['scope=swarm', 404],
    ['scope=global', 404],
  ])('inspect takes ?%s with %i', async (query, status) => {
    expect((await get(`/networks/shop?${query}`)).status).toBe(status)
  })
})

describe('network list', () => {
  const names = async (filters: unknown, prefix = ''): Promise<string[]> =>
    (await json<NetworkView[]>(filtered(`${prefix}/networks`, filters))).map(({ Name }) => Name).sort()

  it.each<readonly [filters: unknown, found: readonly string[]]>([
    [{}, ['bridge', 'host', 'none', 'second', 'shop', 'template']],
    [{ name: ['shop'] }, ['shop']],
    [{ name: { shop: true } }, ['shop']],
    [{ name: ['o'] }, ['host', 'none', 'second', 'shop']],
    [{ name: ['^s'] }, ['second', 'shop']],
    [{ name: ['^shop$', 'bridge'] }, ['bridge', 'shop']],
    [{ name: ['('] }, []],
    [{ name: ['nosuch'] }, []],
    [{ id: ['^$'] }, []],
    [{ driver: ['bridge'] }, ['bridge', 'second', 'shop']],
    [{ driver: ['host', 'null'] }, ['host', 'none', 'template']],
    [{ driver: ['brid'] }, []],
    [{ scope: ['local'] }, ['bridge', 'host', 'none', 'second', 'shop', 'template']],
    [{ scope: ['swarm', 'global'] }, []],
    [{ label: ['tier'] }, ['second', 'shop']],
    [{ label: ['tier=front'] }, ['shop']],
    [{ label: ['tier', 'x'] }, ['shop']],
    [{ label: ['x='] }, ['shop']],
    [{ label: ['x=1'] }, []],
    [{ type: ['builtin'] }, ['bridge', 'host', 'none']],
    [{ type: ['custom'] }, ['second', 'shop', 'template']],
    [{ type: ['custom', 'builtin'] }, ['bridge', 'host', 'none', 'second', 'shop', 'template']],
    [{ dangling: ['true'] }, ['second', 'template']],
    [{ dangling: ['1'] }, ['second', 'template']],
    [{ dangling: { false: true } }, ['bridge', 'host', 'none', 'shop']],
    [{ type: ['custom'], label: ['tier'], name: ['sec'] }, ['second']],
  ])('%j finds %j', async (filters, found) => {
    expect(await names(filters)).toEqual(found)
    expect(await names(filters, '/v1.24')).toEqual(found)
  })

  it('finds by id and by its beginning', async () => {
    const { Id } = await json<NetworkView>('/networks/shop')
    expect(await names({ id: [Id] })).toEqual(['shop'])
    expect(await names({ id: [`^${Id.slice(0, 14)}`] })).toEqual(['shop'])
  })

  it.each<readonly [filters: unknown, message: string | RegExp]>([
    [{ nosuch: ['x'] }, "invalid filter 'nosuch'"],
    [{ type: ['x'] }, "invalid filter: 'type'='x'"],
    [{ dangling: ['true', 'false'] }, /invalid filter 'dangling=/],
    [{ dangling: ['perhaps'] }, /invalid filter 'dangling=/],
    [['x'], 'invalid filter'],
    [{ name: 'x' }, 'invalid filter'],
    [{ name: { x: 'y' } }, 'invalid filter'],
    ['x', 'invalid filter'],
  ])('refuses %j', async (filters, message) => {
    const answer = await get(filtered('/networks', filters))
    expect([answer.status, answer.message]).toEqual([
      400,
      typeof message === 'string' ? message : expect.stringMatching(message),
    ])
  })

  it('is an empty list, never null', async () => {
    expect((await get(filtered('/networks', { name: ['nosuch'] }))).text).toBe('[]\n')
  })

  it('shows containers below 1.28 only', async () => {
    const member = async (prefix: string) =>
      (await json<NetworkView[]>(`${prefix}/networks`)).find(({ Name }) => Name === 'shop')?.Containers
    expect(Object.keys((await member('/v1.27')) ?? {})).toEqual([ids.get('web')])
    expect(await member('/v1.28')).toEqual({})
  })

  it('shows in inspect the containers that have an endpoint', async () => {
    const { Containers } = await json<NetworkView>('/networks/shop')
    expect(Containers).toEqual({
      [ids.get('web') ?? '']: {
        Name: 'web',
        EndpointID: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        MacAddress: '02:42:0a:3c:00:0a',
        IPv4Address: '10.60.0.10/24',
        IPv6Address: '',
      },
    })
    expect(Object.keys(Containers[ids.get('web') ?? ''] ?? {})).toEqual([
      'Name',
      'EndpointID',
      'MacAddress',
      'IPv4Address',
      'IPv6Address',
    ])
    expect(Object.keys((await json<NetworkView>('/networks/host')).Containers)).toEqual([ids.get('hosted')])
    expect(Object.keys((await json<NetworkView>('/networks/none')).Containers)).toEqual([ids.get('alone')])
  })
})

describe('connect', () => {
  const connect = (network: string, name: string, config?: Body | null, prefix = ''): Promise<Answer> =>
    post(`${prefix}/networks/${network}/connect`, {
      Container: name,
      ...(config === undefined ? {} : { EndpointConfig: config }),
    })
  const disconnect = (network: string, name: string, force?: boolean): Promise<Answer> =>
    post(`/networks/${network}/disconnect`, {
      Container: name,
      ...(force === undefined ? {} : { Force: force }),
    })

  it.each<readonly [network: string, name: string, config: Body, status: number, message: string | RegExp]>([
    ['shop', 'nosuch', {}, 404, 'No such container: nosuch'],
    ['shop', '', {}, 400, /\S/],
    ['nosuch', 'db', {}, 404, 'network nosuch not found'],
    ['shop', 'web', {}, 403, 'endpoint with name web already exists in network shop'],
    [
      'shop',
      'guest',
      {},
      400,
      'container sharing network namespace with another container or host cannot be connected to any other network',
    ],
    [
      'shop',
      'hosted',
      {},
      400,
      'container sharing network namespace with another container or host cannot be connected to any other network',
    ],
    [
      'host',
      'db',
      {},
      400,
      'cannot connect container to host network - container must be created in host network mode',
    ],
    [
      'none',
      'db',
      {},
      400,
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    ],
    [
      'shop',
      'alone',
      {},
      400,
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    ],
    ['template', 'db', {}, 403, /is a configuration only network/],
    [
      'bridge',
      'web',
      { IPAMConfig: { IPv4Address: '172.17.0.99' } },
      400,
      /^invalid endpoint settings:\n\* user-specified IP address is supported on user-defined networks only$/,
    ],
    [
      'bridge',
      'web',
      { Aliases: ['x'] },
      400,
      /^invalid endpoint settings:\n\* network-scoped aliases are only supported for user-defined networks$/,
    ],
    ['shop', 'db', { IPAMConfig: { IPv4Address: '10.60.0' } }, 400, /invalid IPv4 address: 10\.60\.0$/],
    ['shop', 'db', { IPAMConfig: { IPv4Address: 'fd00::1' } }, 400, /invalid IPv4 address: fd00::1$/],
    ['shop', 'db', { IPAMConfig: { IPv6Address: 'x' } }, 400, /invalid IPv6 address: x$/],
    ['shop', 'db', { IPAMConfig: { LinkLocalIPs: ['x'] } }, 400, /invalid link-local IP address: x$/],
    [
      'shop',
      'db',
      { IPAMConfig: { IPv4Address: 'x', IPv6Address: 'y', LinkLocalIPs: ['z'] } },
      400,
      'invalid endpoint settings:\n* invalid IPv4 address: x\n* invalid IPv6 address: y\n* invalid link-local IP address: z',
    ],
    [
      'shop',
      'db',
      { IPAMConfig: { IPv4Address: '10.61.0.1' } },
      400,
      /no configured subnet( or ip-range)? contain(s)? (the )?IP address 10\.61\.0\.1/,
    ],
    [
      'shop',
      'db',
      { DriverOpts: { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.nosuch=1' } },
      400,
      /net\.ipv4\.conf\.eth1\.nosuch/,
    ],
    [
      'shop',
      'db',
      { DriverOpts: { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=much' } },
      400,
      /net\.ipv4\.conf\.eth1\.forwarding/,
    ],
    ['shop', 'db', { IPAMConfig: { IPv6Address: 'fd00::5' } }, 400, /no configured subnet.* fd00::5/],
    ['shop', 'db', { IPAMConfig: { IPv4Address: '10.60.0.10' } }, 403, 'Address already in use'],
    ['shop', 'db', { IPAMConfig: { IPv4Address: '10.60.0.1' } }, 403, 'Address already in use'],
    ['shop', 'db', { IPAMConfig: { IPv4Address: '10.60.0.255' } }, 403, 'Address already in use'],
    ...[
      'x',
      'net.ipv4.conf.eth0.log_martians=1',
      'net.ipv4.conf.IFNAME.log_martians',
      'net.ipv4.conf.IFNAME=1',
      'kernel.x.y.IFNAME.z=1',
      'net.ipv4.conf.IFNAME.log_martians=1,x',
    ].map(
      value =>
        [
          'shop',
          'db',
          { DriverOpts: { 'com.docker.network.endpoint.sysctls': value } },
          400,
          /unrecognised network interface sysctl '/,
        ] as const,
    ),
    ['shop', 'db', { DriverOpts: { 'com.docker.network.endpoint.ifname': 'eth0' } }, 409, /file exists/],
    ['shop', 'db', { DriverOpts: { 'com.docker.network.endpoint.ifname': 'a b' } }, 400, /a b/],
    ['shop', 'db', { Links: ['nosuch:x'] }, 404, 'No such container: nosuch'],
  ])('%s %s %j is refused with %i', async (network, name, config, status, message) => {
    const answer = await connect(network, name, config)
    expect([answer.status, answer.message]).toEqual([
      status,
      typeof message === 'string' ? message : expect.stringMatching(message),
    ])
    // Nothing of it is left.
    expect(Object.keys((await json<NetworkView>('/networks/shop')).Containers)).toEqual([ids.get('web')])
  })

  it('takes every setting of an endpoint, and shows it', async () => {
    await create({
      Name: 'dual',
      EnableIPv6: true,
      IPAM: pool({ Subnet: '10.62.0.0/24' }, { Subnet: 'fd62::/64' }),
    })
    const answer = await connect('dual', 'db', {
      IPAMConfig: {
        IPv4Address: '10.62.0.9',
        IPv6Address: 'fd62::9',
        LinkLocalIPs: ['169.254.7.7', 'fe80::77'],
      },
      Aliases: ['store', 'data'],
      Links: ['web:front'],
      DriverOpts: {
        'com.docker.network.endpoint.ifname': 'lan7',
        'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1',
      },
      GwPriority: 5,
      MacAddress: '02:00:00:00:00:99',
      NetworkID: 'ignored',
      Gateway: 'ignored',
    })
    expect([answer.status, answer.text]).toEqual([200, ''])
    const view = await json<{ NetworkSettings: { Networks: Record<string, Record<string, unknown>> } }>(
      '/containers/db/json',
    )
    const settings = view.NetworkSettings.Networks['dual'] ?? {}
    expect(Object.keys(settings)).toEqual([
      'IPAMConfig',
      'Links',
      'Aliases',
      'MacAddress',
      'DriverOpts',
      'GwPriority',
      'NetworkID',
      'EndpointID',
      'Gateway',
      'IPAddress',
      'IPPrefixLen',
      'IPv6Gateway',
      'GlobalIPv6Address',
      'GlobalIPv6PrefixLen',
      'DNSNames',
    ])
    expect(settings).toMatchObject({
      IPAMConfig: {
        IPv4Address: '10.62.0.9',
        IPv6Address: 'fd62::9',
        LinkLocalIPs: ['169.254.7.7', 'fe80::77'],
      },
      Links: ['web:front'],
      Aliases: ['store', 'data'],
      GwPriority: 5,
      // A MAC address in connect is honoured from API 1.54 on only.
      MacAddress: '02:42:0a:3e:00:09',
      Gateway: '10.62.0.1',
      IPAddress: '10.62.0.9',
      IPPrefixLen: 24,
      IPv6Gateway: 'fd62::1',
      GlobalIPv6Address: 'fd62::9',
      GlobalIPv6PrefixLen: 64,
      DNSNames: ['db', 'store', 'data', ids.get('db')?.slice(0, 12)],
    })
    const inside = await host.ok(
      'exec',
      'db',
      'sh',
      '-c',
      'ip addr show lan7; cat /proc/sys/net/ipv4/conf/lan7/log_martians; ip route',
    )
    for (const text of [
      '10.62.0.9/24',
      'fd62::9/64',
      '169.254.7.7/16',
      'fe80::77/64',
      '\n1\n',
      'default via 10.62.0.1 dev lan7',
    ]) {
      expect(inside).toContain(text)
    }
    const old = await json<{ NetworkSettings: { Networks: Record<string, { Aliases: string[] }> } }>(
      '/v1.44/containers/db/json',
    )
    expect(old.NetworkSettings.Networks['dual']?.Aliases).toEqual(
      expect.arrayContaining(['store', 'data', ids.get('db')?.slice(0, 12)]),
    )
    expect((await disconnect('dual', 'db')).status).toBe(200)
    expect((await del('/networks/dual')).status).toBe(204)
  })

  it('carries packets on a network that has IPv6 alone, and on one that has no way out', async () => {
    await create({ Name: 'six', EnableIPv4: false, EnableIPv6: true, IPAM: pool({ Subnet: 'fd66::/64' }) })
    await create({ Name: 'inner', Internal: true, IPAM: pool({ Subnet: '0.0.0.0/28' }) })
    for (const name of ['web', 'db']) {
      for (const network of ['six', 'inner']) {
        const answer = await connect(network, name)
        expect([answer.status, answer.message]).toEqual([200, ''])
      }
    }
    const view = await json<{ NetworkSettings: { Networks: Record<string, Body> } }>('/containers/db/json')
    expect(view.NetworkSettings.Networks).toMatchObject({
      six: {
        IPAddress: '',
        IPPrefixLen: 0,
        Gateway: '',
        GlobalIPv6Address: 'fd66::3',
        IPv6Gateway: 'fd66::1',
      },
      inner: { IPPrefixLen: 28, Gateway: '', GlobalIPv6Address: '' },
    })
    await host.ok('exec', 'web', 'ping', '-6', '-c1', '-W5', 'db.six')
    await host.ok('exec', 'web', 'ping', '-4', '-c1', '-W5', 'db.inner')
    for (const name of ['web', 'db']) {
      for (const network of ['six', 'inner']) expect((await disconnect(network, name)).status).toBe(200)
    }
    for (const network of ['six', 'inner']) expect((await del(`/networks/${network}`)).status).toBe(204)
  })

  it('shows empty objects as they were sent', async () => {
    const shown = async (config: Body): Promise<Body | undefined> => {
      expect((await connect('second', 'db', config)).status).toBe(200)
      const { NetworkSettings } = await json<{ NetworkSettings: { Networks: Record<string, Body> } }>(
        '/containers/db/json',
      )
      expect((await disconnect('second', 'db')).status).toBe(200)
      return NetworkSettings.Networks['second']
    }
    expect(await shown({})).toMatchObject({ IPAMConfig: null, DriverOpts: null, Links: null, Aliases: null })
    expect(
      await shown({ IPAMConfig: { IPv4Address: '' }, DriverOpts: {}, Links: [], Aliases: [] }),
    ).toMatchObject({ IPAMConfig: {}, DriverOpts: {}, Links: null, Aliases: null })
  })

  it('accepts an address of a subnet that the engine chose', async () => {
    const { IPAM } = await json<NetworkView>('/networks/second')
    const wanted = (IPAM.Config?.[0]?.['Gateway'] ?? '').replace(/\.1$/, '.77')
    expect((await connect('second', 'db', { IPAMConfig: { IPv4Address: wanted } })).status).toBe(200)
    expect((await disconnect('second', 'db')).status).toBe(200)
  })

  it('changes only the configuration of a container that does not run', async () => {
    expect((await connect('shop', 'idle', { Aliases: ['x'] })).status).toBe(200)
    expect(Object.keys((await json<NetworkView>('/networks/shop')).Containers)).toEqual([ids.get('web')])
    // A name that nobody knows is kept as typed; the start fails.
    expect((await connect('nosuch', 'idle')).status).toBe(200)
    const answer = await post('/containers/idle/start')
    expect([answer.status, answer.message]).toEqual([
      404,
      'failed to set up container networking: network nosuch not found',
    ])
    expect((await disconnect('nosuch', 'idle', true)).status).toBe(200)
    expect((await disconnect('shop', 'idle')).status).toBe(200)
    const twice = await disconnect('shop', 'idle')
    expect([twice.status, twice.message]).toEqual([
      expect.toSatisfy((status: number) => status >= 400),
      `container ${ids.get('idle')} is not connected to the network shop`,
    ])
  })

  it.each<readonly [network: string, name: string, force: boolean, status: number, message: string | RegExp]>(
    [
      ['shop', 'db', false, 409, /^container [0-9a-f]{64} is not connected to network shop$/],
      ['shop', 'nosuch', false, 404, 'No such container: nosuch'],
      ['shop', 'nosuch', true, 404, /\S/],
      ['nosuch', 'db', false, 404, 'network nosuch not found'],
      ['nosuch', 'db', true, 404, 'network nosuch not found'],
      [
        'host',
        'hosted',
        false,
        400,
        'cannot disconnect container from host network - container was created in host network mode',
      ],
    ],
  )('disconnect %s %s (force %s) is refused with %i', async (network, name, force, status, message) => {
    const answer = await disconnect(network, name, force)
    expect([answer.status, answer.message]).toEqual([
      status,
      typeof message === 'string' ? message : expect.stringMatching(message),
    ])
  })

  it('leaves a container with its loopback when the last network goes, and takes it back', async () => {
    expect((await disconnect('bridge', 'db')).status).toBe(200)
    expect(await host.ok('exec', 'db', 'ls', '/sys/class/net')).not.toContain('eth')
    const view = await json<{ HostConfig: { NetworkMode: string }; NetworkSettings: { Networks: object } }>(
      '/containers/db/json',
    )
    expect([view.HostConfig.NetworkMode, view.NetworkSettings.Networks]).toEqual(['bridge', {}])
    expect((await connect('bridge', 'db', null)).status).toBe(200)
    expect(await host.ok('exec', 'db', 'ls', '/sys/class/net')).toContain('eth0')
  })

  it('names the endpoints that keep a network from being removed', async () => {
    const answer = await del('/networks/shop')
    expect([answer.status, answer.message]).toEqual([
      403,
      expect.stringMatching(
        /^error while removing network: network shop has active endpoints \(name:"web" id:"[0-9a-f]{12}"\)$/,
      ),
    ])
  })

  it('keeps a configuration network that is in use', async () => {
    await create({ Name: 'user', ConfigFrom: { Network: 'template' } })
    const answer = await del('/networks/template')
    expect([answer.status, answer.message]).toEqual([403, 'configuration network "template" is in use'])
    expect((await del('/networks/user')).status).toBe(204)
  })
})

describe('prune', () => {
  const prune = async (filters?: unknown): Promise<unknown> => {
    const answer = await post(
      filters === undefined ? '/networks/prune' : filtered('/networks/prune', filters),
    )
    expect(answer.status).toBe(200)
    return (JSON.parse(answer.text) as { NetworksDeleted: unknown }).NetworksDeleted
  }

  it('removes what is unused and answers with the names, or null', async () => {
    expect(await prune({ label: ['prunable'] })).toBeNull()
    await create({ Name: 'p1', Labels: { prunable: '', kind: 'a' } })
    await create({ Name: 'p2', Labels: { prunable: '', kind: 'b' } })
    await create({ Name: 'p3', Labels: { prunable: '', keep: '1' } })
    await create({ Name: 'p4', ConfigOnly: true, Labels: { prunable: '' } })
    expect(await prune({ label: ['prunable'], until: ['1h'] })).toBeNull()
    expect(await prune({ label: ['prunable'], until: ['2020-01-01'] })).toBeNull()
    expect(await prune({ label: ['prunable', 'kind=a'] })).toEqual(['p1'])
    expect(await prune({ label: { prunable: true }, 'label!': ['keep=1'] })).toEqual(['p2'])
    expect(await prune({ label: ['prunable'], until: [String(Math.floor(Date.now() / 1000) + 60)] })).toEqual(
      ['p3'],
    )
    expect((await del('/networks/p4')).status).toBe(204)
  })

  it.each<readonly [filters: unknown, message: RegExp]>([
    [{ until: ['1h', '2h'] }, /more than one until filter specified/],
    [{ until: ['soon'] }, /soon/],
    [{ nosuch: ['x'] }, /^invalid filter 'nosuch'$/],
    [{ dangling: ['true'] }, /^invalid filter 'dangling'$/],
  ])('refuses %j', async (filters, message) => {
    const answer = await post(filtered('/networks/prune', filters))
    expect([answer.status, answer.message]).toEqual([400, expect.stringMatching(message)])
  })
})

interface EventView {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly scope: string
  readonly time: number
  readonly timeNano: number
  readonly status?: string
}

describe('events', () => {
  const past = async (
    filters: unknown,
    since: string,
    until = String(Math.ceil(Date.now() / 1000) + 1),
  ): Promise<EventView[]> => {
    const query = new URLSearchParams({ since, until, filters: JSON.stringify(filters) })
    const { text } = await get(`/events?${query.toString()}`)
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as EventView)
  }
  /** The engine's clock may be some milliseconds ahead of ours. */
  const stamp = (later = 0): string => (Date.now() / 1000 + later).toFixed(9)

  it('tell of networks with all their attributes', async () => {
    const since = stamp()
    const { Id } = await create({ Name: 'told', Labels: { a: 'b' } })
    const db = ids.get('db') ?? ''
    await post('/networks/told/connect', { Container: 'db' })
    await post('/networks/told/disconnect', { Container: 'db' })
    await post('/networks/told/connect', { Container: 'idle' })
    await post('/networks/told/disconnect', { Container: 'idle' })
    await del('/networks/told')
    await post(filtered('/networks/prune', { label: ['nosuch'] }))
    const until = stamp(0.05)
    const events = await past({ type: ['network'] }, since, until)
    expect(events.map(({ Action, Actor }) => [Action, Actor.ID, Actor.Attributes])).toEqual([
      ['create', Id, { name: 'told', type: 'bridge' }],
      ['connect', Id, { container: db, name: 'told', type: 'bridge' }],
      ['disconnect', Id, { container: db, name: 'told', type: 'bridge' }],
      ['destroy', Id, { name: 'told', type: 'bridge' }],
      ['prune', '', { reclaimed: '0' }],
    ])
    for (const event of events) {
      expect(event).toMatchObject({ Type: 'network', scope: 'local' })
      expect(Math.floor(event.timeNano / 1e9)).toBe(event.time)
      expect(event.status).toBeUndefined()
    }
    const actions = async (filters: unknown): Promise<string[]> =>
      (await past(filters, since, until)).map(({ Action }) => Action)
    expect(await actions({ network: ['told'] })).toEqual(['create', 'connect', 'disconnect', 'destroy'])
    expect(await actions({ network: ['tol'] })).toEqual(['create', 'connect', 'disconnect', 'destroy'])
    expect(await actions({ network: [Id.slice(0, 9)], event: ['create', 'destroy'] })).toEqual([
      'create',
      'destroy',
    ])
    // All object filters ask the same of the actor, whatever its type.
    expect(await actions({ container: ['told'] })).toEqual(['create', 'connect', 'disconnect', 'destroy'])
    expect(await actions({ container: ['db'] })).toEqual([])
    expect(await actions({ type: ['container'] })).toEqual([])
    expect(await actions({ scope: ['local'], event: { prune: true } })).toEqual(['prune'])
    expect(await actions({ scope: ['swarm'] })).toEqual([])
    expect(await actions({ label: ['a=b'] })).toEqual([])
    expect(await actions({ label: ['type=bridge'], event: ['create'] })).toEqual(['create'])
  })

  it('of a container begin and end with its networks', async () => {
    const since = stamp()
    await container('brief', { HostConfig: { NetworkMode: 'shop' }, Labels: { role: 'x' } })
    await post('/containers/brief/stop?t=0')
    await del('/containers/brief?force=1')
    const actions = (await past({}, since)).map(({ Type, Action }) => `${Type} ${Action}`)
    expect(actions.slice(0, 3)).toEqual(['container create', 'network connect', 'container start'])
    for (const wanted of [
      'container kill',
      'container die',
      'network disconnect',
      'container stop',
      'container destroy',
    ]) {
      expect(actions).toContain(wanted)
    }
    const [first] = await past({ type: ['container'], label: ['role=x'], event: ['start'] }, since)
    expect(first).toMatchObject({ status: 'start', id: ids.get('brief'), from: 'busybox' })
    ids.delete('brief')
  })

  it.each<readonly [query: string, status: number]>([
    ['until=1', 200],
    ['since=1&until=2', 200],
    ['since=2020-01-01T00:00:00Z&until=2020-01-02', 200],
    ['since=10m&until=0.1s', 200],
    ['since=2&until=1', 400],
    ['since=x', 400],
    ['until=x', 400],
    ['filters={"nosuch":["x"]}', 400],
    ['filters=x', 400],
  ])('?%s answers %i', async (query, status) => {
    expect((await get(`/events?${query}`)).status).toBe(status)
  })
})

describe('the server about itself', () => {
  it('info is as of the version asked for', async () => {
    const info = (prefix: string) => json<Body>(`${prefix}/info`)
    const newest = await info('/v1.51')
    expect(newest).toMatchObject({
      IPv4Forwarding: true,
      Plugins: { Network: expect.arrayContaining(['bridge', 'host', 'null']) as unknown },
      FirewallBackend: { Driver: expect.stringMatching(/^(nftables|iptables)$/) as unknown },
      Swarm: { LocalNodeState: 'inactive' },
    })
    const plugins = (newest['Plugins'] as { Network: string[] }).Network
    expect(plugins).toEqual([...plugins].sort())
    expect('BridgeNfIptables' in newest).toBe(false)
    expect('DefaultAddressPools' in newest).toBe(false)
    expect(await info('/v1.49')).toMatchObject({ BridgeNfIptables: false, BridgeNfIp6tables: false })
    expect('FirewallBackend' in (await info('/v1.48'))).toBe(false)
    const created = (await json<Body[]>('/containers/json?all=1')).length
    expect(newest['Containers']).toBe(created)
  })

  it('warns of what is so, and only then', async () => {
    const warnings = async (): Promise<readonly string[]> =>
      ((await json<{ Warnings: string[] | null }>('/info')).Warnings ?? []).filter(text =>
        /forward/.test(text),
      )
    expect(await warnings()).toEqual([])
    await sh('sysctl -qw net.ipv4.ip_forward=0')
    try {
      expect(await warnings()).toEqual([expect.stringMatching(/IPv4 forwarding is disabled/)])
      expect(await json('/info')).toMatchObject({ IPv4Forwarding: false })
    } finally {
      await sh('sysctl -qw net.ipv4.ip_forward=1')
    }
    expect(await warnings()).toEqual([])
  })

  it('version names both ends of what it speaks', async () => {
    const version = await json<Body>('/version')
    expect(version).toMatchObject({ ApiVersion: '1.51', MinAPIVersion: '1.24', Os: 'linux' })
    expect(Object.keys(version)).toEqual([
      'Platform',
      'Components',
      'Version',
      'ApiVersion',
      'MinAPIVersion',
      'GitCommit',
      'GoVersion',
      'Os',
      'Arch',
      'KernelVersion',
      'BuildTime',
    ])
    expect((version['Components'] as { Name: string }[])[0]?.Name).toBe('Engine')
  })

  it('df has all of it, or what was asked for', async () => {
    const all = await json<Body>('/system/df')
    expect(Object.keys(all)).toEqual(
      expect.arrayContaining(['LayersSize', 'Images', 'Containers', 'Volumes', 'BuildCache']),
    )
    expect((all['Containers'] as unknown[]).length).toBe(
      (await json<unknown[]>('/containers/json?all=1')).length,
    )
    expect((all['Images'] as unknown[]).length).toBe(1)
    const some = await json<Body>('/system/df?type=container')
    expect((some['Containers'] as unknown[]).length).toBeGreaterThan(0)
    expect(some['Images']).toBeNull()
    const answer = await get('/system/df?type=nosuch')
    expect([answer.status, answer.message]).toEqual([400, 'unknown object type: nosuch'])
  })
})

describe('the network side of a container', () => {
  interface ContainerView {
    readonly HostConfig: Body & { readonly NetworkMode: string }
    readonly NetworkSettings: Body & { readonly Networks: Record<string, Body>; readonly Ports: Body }
  }
  const view = (name: string, prefix = ''): Promise<ContainerView> =>
    json(`${prefix}/containers/${name}/json`)
  const made: string[] = []
  afterEach(async () => {
    for (const name of made.splice(0)) await del(`/containers/${name}?force=1`)
  })
  const make = async (body: Body, prefix = ''): Promise<Answer> => {
    made.push('made')
    return await post(`${prefix}/containers/create?name=made`, {
      Image: 'busybox',
      Cmd: ['sleep', '3600'],
      ...body,
    })
  }

  it('has the keys of NetworkSettings in order', async () => {
    const { NetworkSettings } = await view('web')
    expect(Object.keys(NetworkSettings)).toEqual([
      'Bridge',
      'SandboxID',
      'SandboxKey',
      'Ports',
      'HairpinMode',
      'LinkLocalIPv6Address',
      'LinkLocalIPv6PrefixLen',
      'SecondaryIPAddresses',
      'SecondaryIPv6Addresses',
      'EndpointID',
      'Gateway',
      'GlobalIPv6Address',
      'GlobalIPv6PrefixLen',
      'IPAddress',
      'IPPrefixLen',
      'IPv6Gateway',
      'MacAddress',
      'Networks',
    ])
    expect(NetworkSettings).toMatchObject({
      // The single fields mirror the network called bridge.
      IPAddress: '',
      EndpointID: '',
      Ports: {
        '443/tcp': null,
        '80/tcp': [
          { HostIp: '0.0.0.0', HostPort: '8080' },
          { HostIp: '::', HostPort: '8080' },
        ],
      },
      Networks: {
        shop: {
          IPAMConfig: { IPv4Address: '10.60.0.10' },
          Links: null,
          Aliases: ['www'],
          IPAddress: '10.60.0.10',
          Gateway: '10.60.0.1',
          DNSNames: ['web', 'www', ids.get('web')?.slice(0, 12)],
        },
      },
    })
    const db = await view('db')
    expect(db.NetworkSettings.Networks['bridge']).toMatchObject({ DNSNames: null, Aliases: null })
    expect(db.NetworkSettings['IPAddress']).toBe(db.NetworkSettings.Networks['bridge']?.['IPAddress'])
    expect((await view('idle')).NetworkSettings).toMatchObject({ Ports: {}, SandboxID: '', SandboxKey: '' })
    expect((await view('hosted')).NetworkSettings).toMatchObject({ Ports: {}, Networks: { host: {} } })
    expect((await view('guest')).NetworkSettings).toMatchObject({ Ports: {}, Networks: {} })
  })

  it('keeps the network and drops the addresses when it stops', async () => {
    expect((await make({ HostConfig: { NetworkMode: 'shop' } })).status).toBe(201)
    const idOf = (await json<NetworkView>('/networks/shop')).Id
    await post('/containers/made/start')
    expect((await view('made')).NetworkSettings.Networks['shop']).toMatchObject({
      NetworkID: idOf,
      IPAddress: '10.60.0.2',
    })
    await post('/containers/made/kill')
    await post('/containers/made/wait')
    expect((await view('made')).NetworkSettings.Networks['shop']).toMatchObject({
      NetworkID: idOf,
      EndpointID: '',
      IPAddress: '',
      IPPrefixLen: 0,
      MacAddress: '',
      Gateway: '',
    })
  })

  it('is listed with its ports and networks', async () => {
    const [web] = await json<Body[]>(filtered('/containers/json', { name: ['^web$'] }))
    expect(web).toMatchObject({
      HostConfig: { NetworkMode: 'shop' },
      NetworkSettings: { Networks: { shop: { IPAddress: '10.60.0.10' } } },
      Ports: expect.arrayContaining([
        { PrivatePort: 443, Type: 'tcp' },
        { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
        { IP: '::', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
      ]) as unknown,
    })
    const names = async (filters: unknown): Promise<string[]> =>
      (await json<{ Names: string[] }[]>(filtered('/containers/json', filters))).flatMap(({ Names }) => Names)
    const { Id } = await json<NetworkView>('/networks/shop')
    expect(await names({ network: ['shop'] })).toEqual(['/web'])
    expect(await names({ network: [Id.slice(0, 10)] })).toEqual(['/web'])
    expect(await names({ publish: ['8080'] })).toEqual(['/web'])
    expect(await names({ publish: ['8000-9000/tcp'] })).toEqual(['/web'])
    expect(await names({ publish: ['8080/udp'] })).toEqual([])
    expect(await names({ expose: ['400-500'] })).toEqual(['/web'])
  })

  it.each<readonly [body: Body, status: number, message: string | RegExp]>([
    [
      { HostConfig: { NetworkMode: 'container:' } },
      400,
      'invalid network mode: invalid container format container:<name|id>',
    ],
    [{ NetworkingConfig: { EndpointsConfig: { shop: null } } }, 400, 'no EndpointSettings for shop'],
    [
      { HostConfig: { NetworkMode: 'container:db' }, Hostname: 'x' },
      400,
      /^conflicting options: hostname and the network mode/,
    ],
    [
      { HostConfig: { NetworkMode: 'container:db', Dns: ['9.9.9.9'] } },
      400,
      /^conflicting options: dns and the network mode/,
    ],
    [
      { HostConfig: { NetworkMode: 'container:db', ExtraHosts: ['a:1.2.3.4'] } },
      400,
      /^conflicting options: custom host-to-IP/,
    ],
    [
      { HostConfig: { NetworkMode: 'container:db', Links: ['web'] } },
      400,
      /^conflicting options: container type network/,
    ],
    [
      { HostConfig: { NetworkMode: 'container:db', PortBindings: { '80/tcp': [{}] } } },
      400,
      /^conflicting options: port publishing/,
    ],
    [
      { HostConfig: { NetworkMode: 'container:db' }, ExposedPorts: { '80/tcp': {} } },
      400,
      /^conflicting options: port exposing/,
    ],
    [
      { HostConfig: { NetworkMode: 'host', Links: ['web'] } },
      400,
      /^conflicting options: host type networking/,
    ],
    [{ HostConfig: { ExtraHosts: ['a'] } }, 400, /^bad format for add-host: /],
    [{ HostConfig: { ExtraHosts: ['a:b'] } }, 400, /^invalid IP address in add-host: /],
    [
      { HostConfig: { Links: ['nosuch:x'] } },
      400,
      /^could not get container for nosuch: No such container: nosuch/,
    ],
    [{ ExposedPorts: { '0/tcp': {} } }, 400, /^invalid port/],
    [{ ExposedPorts: { '80/icmp': {} } }, 400, /^invalid port/],
    [{ HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '-1' }] } } }, 400, /^invalid port/],
    [
      { HostConfig: { Sysctls: { 'net.ipv4.conf.eth0.log_martians': '1' } } },
      400,
      /^interface specific sysctl setting/,
    ],
    [{ MacAddress: 'x' }, 400, /invalid MAC address/],
    [
      {
        MacAddress: '02:00:00:00:00:01',
        HostConfig: { NetworkMode: 'shop' },
        NetworkingConfig: { EndpointsConfig: { shop: { MacAddress: '02:00:00:00:00:02' } } },
      },
      400,
      /^the container-wide MAC address must match the endpoint-specific MAC address/,
    ],
  ])('create refuses %j with %i', async (body, status, message) => {
    const answer = await make(body)
    expect([answer.status, answer.message]).toEqual([
      status,
      typeof message === 'string' ? message : expect.stringMatching(message),
    ])
  })

  it('takes several endpoints since 1.44', async () => {
    const body = {
      HostConfig: { NetworkMode: 'shop' },
      NetworkingConfig: { EndpointsConfig: { shop: {}, second: {} } },
    }
    const old = await make(body, '/v1.43')
    expect([old.status, old.message]).toEqual([
      400,
      expect.stringMatching(
        /Container cannot be created with multiple network endpoints: .*(shop, second|second, shop)/,
      ),
    ])
    expect((await make(body, '/v1.44')).status).toBe(201)
    expect(Object.keys((await view('made')).NetworkSettings.Networks)).toEqual(['second', 'shop'])
  })

  it('moves sysctls of an interface to the endpoint for clients below 1.48', async () => {
    const body = { HostConfig: { NetworkMode: 'shop', Sysctls: { 'net.ipv4.conf.eth0.log_martians': '1' } } }
    const answer = await make(body, '/v1.47')
    expect(answer.status).toBe(201)
    expect((JSON.parse(answer.text) as { Warnings: string[] }).Warnings).toEqual([
      expect.stringMatching(/^Migrated sysctl "net\.ipv4\.conf\.eth0\.log_martians" to DriverOpts/),
    ])
    expect((await view('made')).NetworkSettings.Networks['shop']?.['DriverOpts']).toEqual({
      'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1',
    })
    await post('/containers/made/start')
    expect(await host.ok('exec', 'made', 'cat', '/proc/sys/net/ipv4/conf/eth0/log_martians')).toBe('1')
  })

  it('looks at gateway priorities since 1.48', async () => {
    const body = {
      HostConfig: { NetworkMode: 'shop' },
      NetworkingConfig: { EndpointsConfig: { shop: { GwPriority: 3 } } },
    }
    await make(body, '/v1.47')
    expect((await view('made')).NetworkSettings.Networks['shop']?.['GwPriority']).toBe(0)
    await del('/containers/made?force=1')
    await make(body, '/v1.48')
    expect((await view('made')).NetworkSettings.Networks['shop']?.['GwPriority']).toBe(3)
  })

  it.each<readonly [prefix: string, warnings: readonly unknown[]]>([
    ['/v1.43', []],
    ['/v1.51', [expect.stringMatching(/MacAddress field is now deprecated/)]],
  ])('%s takes the MAC address of a container', async (prefix, warnings) => {
    const answer = await make(
      { MacAddress: '02:00:00:00:00:07', HostConfig: { NetworkMode: 'shop' } },
      prefix,
    )
    expect((JSON.parse(answer.text) as { Warnings: unknown[] }).Warnings).toEqual(warnings)
    await post('/containers/made/start')
    expect((await view('made')).NetworkSettings.Networks['shop']?.['MacAddress']).toBe('02:00:00:00:00:07')
  })

  it.each<readonly [what: string, body: Body, mode: string, networks: readonly string[]]>([
    ['nothing', {}, 'bridge', ['bridge']],
    [
      'default',
      { HostConfig: { NetworkMode: 'default' }, NetworkingConfig: { EndpointsConfig: { default: {} } } },
      'bridge',
      ['bridge'],
    ],
    ['null', { HostConfig: { NetworkMode: 'shop' }, NetworkingConfig: null }, 'shop', ['shop']],
    [
      'an empty map',
      { HostConfig: { NetworkMode: 'shop' }, NetworkingConfig: { EndpointsConfig: {} } },
      'shop',
      ['shop'],
    ],
    [
      'a null map',
      { HostConfig: { NetworkMode: 'shop' }, NetworkingConfig: { EndpointsConfig: null } },
      'shop',
      ['shop'],
    ],
  ])('create takes %s for the networks', async (_, body, mode, networks) => {
    expect((await make(body)).status).toBe(201)
    const { HostConfig, NetworkSettings } = await view('made')
    expect([HostConfig.NetworkMode, Object.keys(NetworkSettings.Networks)]).toEqual([mode, networks])
  })

  it('create takes an id for the network', async () => {
    const { Id } = await json<NetworkView>('/networks/shop')
    for (const [mode, key] of [
      ['shop', Id],
      [Id, 'shop'],
      [Id.slice(0, 12), Id],
    ] as const) {
      const body = {
        HostConfig: { NetworkMode: mode },
        NetworkingConfig: { EndpointsConfig: { [key]: { Aliases: ['x'] } } },
      }
      expect((await make(body)).status).toBe(201)
      await post('/containers/made/start')
      expect((await view('made')).NetworkSettings.Networks).toMatchObject({
        shop: { NetworkID: Id, Aliases: ['x'] },
      })
      await del('/containers/made?force=1')
    }
  })

  it('warns of ports in host mode', async () => {
    const answer = await make({
      HostConfig: { NetworkMode: 'host', PortBindings: { '80/tcp': [{ HostPort: '80' }] } },
    })
    expect(JSON.parse(answer.text)).toMatchObject({
      Warnings: ['Published ports are discarded when using host network mode'],
    })
  })

  it('start says what is the matter with the network, and nothing is left', async () => {
    await make({
      HostConfig: { NetworkMode: 'shop' },
      NetworkingConfig: { EndpointsConfig: { shop: { IPAMConfig: { IPv4Address: '10.60.0.10' } } } },
    })
    const taken = await post('/containers/made/start')
    expect([taken.status, taken.message]).toEqual([403, expect.stringMatching(/Address already in use$/)])
    await del('/containers/made')
    await make({ HostConfig: { NetworkMode: 'shop', PortBindings: { '80/tcp': [{ HostPort: '8080' }] } } })
    const port = await post('/containers/made/start')
    expect([port.status, port.message]).toEqual([
      500,
      expect.stringMatching(/Bind for 0\.0\.0\.0:8080 failed: port is already allocated/),
    ])
    expect(await json('/containers/made/json')).toMatchObject({
      State: { Status: 'created', Error: expect.stringMatching(/already allocated/) as unknown },
    })
    expect(Object.keys((await json<NetworkView>('/networks/shop')).Containers)).toEqual([ids.get('web')])
  })
})

describe('addresses', () => {
  afterEach(removeOthers)

  it('never run into those of a host that has routes', async () => {
    await sh(
      `ip link add lan1 type bridge; ip link set lan1 up; ip addr add 172.18.9.1/24 dev lan1
       ip route add 172.20.0.0/14 via 172.18.9.7`,
    )
    const before = (await json<NetworkView[]>('/networks')).flatMap(({ IPAM }) => IPAM.Config ?? [])
    for (let number = 0; number < 4; number++) await create({ Name: `clear${number}` })
    const after = (await json<NetworkView[]>('/networks')).flatMap(({ IPAM }) => IPAM.Config ?? [])
    const fresh = after
      .map(({ Subnet }) => Subnet)
      .filter(each => !before.some(({ Subnet }) => Subnet === each))
    expect(fresh).toHaveLength(4)
    for (const subnet of fresh) expect(subnet).not.toMatch(/^172\.(18|2[0-3])\./)
    await sh('ip link del lan1')
  })

  it('are told of when a VPN takes them later', async () => {
    const since = (Date.now() / 1000).toFixed(9)
    const warnings = async (): Promise<readonly string[]> =>
      ((await json<{ Warnings: string[] | null }>('/info')).Warnings ?? []).filter(text =>
        /overlap/.test(text),
      )
    expect(await warnings()).toEqual([])
    await sh('ip link add tun7 type bridge; ip link set tun7 up; ip route add 10.60.0.0/16 dev tun7')
    await expect
      .poll(warnings, { timeout: 20_000 })
      .toEqual([
        "WARNING: network shop (10.60.0.0/24) and the host's route to 10.60.0.0/16 by tun7 overlap: addresses of one of them cannot be reached",
      ])
    const query = `since=${since}&until=${Math.ceil(Date.now() / 1000) + 1}`
    const { text } = await get(`${filtered('/events', { event: ['overlap'] })}&${query}`)
    expect(JSON.parse(text)).toMatchObject({
      Type: 'network',
      Action: 'overlap',
      Actor: {
        Attributes: { name: 'shop', subnet: '10.60.0.0/24', route: '10.60.0.0/16', interface: 'tun7' },
      },
    })
    expect(host.log()).toContain("the host's route to 10.60.0.0/16 by tun7 overlap")
    await sh('ip link del tun7')
    await expect.poll(warnings, { timeout: 20_000 }).toEqual([])
  })

  it("go on when Docker's pools are used up", async () => {
    const subnets: string[] = []
    for (let number = 0; number < 34; number++) {
      const { IPAM } = await create({ Name: `many${number}`, Internal: true })
      subnets.push(IPAM.Config?.[0]?.['Subnet'] ?? '')
    }
    expect(new Set(subnets).size).toBe(34)
    expect(subnets).toContain('192.168.240.0/20')
    expect(subnets.at(-1)).toMatch(/^10\.\d+\.\d+\.0\/24$/)
  })

  it('are counted', async () => {
    await create({
      Name: 'counted',
      EnableIPv6: true,
      IPAM: pool({ Subnet: '10.64.0.0/24', IPRange: '10.64.0.128/28' }),
    })
    const { stdout } = await host.linkspan('network', 'ls', '--usage')
    expect(stdout).toMatch(/^NETWORK ID +NAME +DRIVER +SUBNET +ADDRESSES USED$/m)
    expect(stdout).toMatch(/ shop +bridge +10\.60\.0\.0\/24 +4 of 256 \(1%\)$/m)
    // 15 of the range are free, three addresses of the subnet are nobody's.
    expect(stdout).toMatch(/ counted +bridge +10\.64\.0\.0\/24, fd\S+\/64 +3 of 18 \(16%\), 2$/m)
    expect(stdout).toMatch(/ none +null *$/m)
  })

  it('end with words, and a freed one is as good as new', async () => {
    await create({ Name: 'tight', IPAM: pool({ Subnet: '10.64.0.0/30' }) })
    await post('/networks/tight/connect', { Container: 'web' })
    const { Id } = await json<NetworkView>('/networks/tight')
    const answer = await post('/networks/tight/connect', { Container: 'db' })
    expect([answer.status, answer.message]).toEqual([
      500,
      `no available IPv4 addresses on this network's address pools: tight (${Id})`,
    ])
    await post('/networks/tight/disconnect', { Container: 'web' })
    expect((await post('/networks/tight/connect', { Container: 'db' })).status).toBe(200)
    await post('/networks/tight/disconnect', { Container: 'db' })
  })

  it('are of no use on a bridge that has no port left', async () => {
    await sh(
      `ip link add full0 type bridge
       { for i in $(seq 1023); do echo link add full0.$i group 77 master full0 type veth peer p$i; done; } > ${host.directory}/ports
       ip -batch ${host.directory}/ports`,
    )
    await create({ Name: 'full', Options: bridge('name', 'full0'), IPAM: pool({ Subnet: '10.64.0.0/22' }) })
    const answer = await post('/networks/full/connect', { Container: 'db' })
    expect([answer.status, answer.message]).toEqual([
      409,
      'bridge full0 is full: Linux lets it carry 1023 interfaces at most; put further containers on another network',
    ])
    await sh('ip link del full0.1')
    const again = await post('/networks/full/connect', { Container: 'db' })
    expect([again.status, again.message]).toEqual([200, ''])
    await post('/networks/full/disconnect', { Container: 'db' })
    await sh(`ip link del group 77; ip link del full0; rm ${host.directory}/ports`)
  })
})

describe('a daemon with pools and options of its own', () => {
  afterEach(removeOthers)

  it('takes subnets and options from there, and says when there are no more', async () => {
    await host.stop()
    await host.start([
      '--default-address-pool',
      'base=10.99.0.0/23,size=24',
      '--default-network-opt',
      'bridge=com.docker.network.driver.mtu=1400',
      '--default-network-opt',
      'bridge=com.docker.network.enable_ipv6=false',
    ])
    expect(await json('/info')).toMatchObject({ DefaultAddressPools: [{ Base: '10.99.0.0/23', Size: 24 }] })
    for (const subnet of ['10.99.0.0/24', '10.99.1.0/24']) {
      expect(await create({ Name: subnet })).toMatchObject({
        IPAM: { Config: [{ Subnet: subnet }] },
        Options: { 'com.docker.network.driver.mtu': '1400', 'com.docker.network.enable_ipv6': 'false' },
      })
    }
    const answer = await post('/networks/create', { Name: 'more' })
    expect([answer.status, answer.message]).toEqual([
      400,
      'all predefined address pools have been fully subnetted: remove networks that nobody uses (network prune), name a subnet (--subnet), or give the daemon more (--default-address-pool)',
    ])
    const own = await create({
      Name: 'own',
      EnableIPv6: true,
      Options: { 'com.docker.network.driver.mtu': '1300' },
      IPAM: pool({ Subnet: '10.1.0.0/24' }),
    })
    // A switch that came from the defaults is not shown beside the field that overrides it.
    expect(own).toMatchObject({ EnableIPv6: true, Options: { 'com.docker.network.driver.mtu': '1300' } })
    expect(Object.keys((own as unknown as { Options: object }).Options)).toEqual([
      'com.docker.network.driver.mtu',
    ])
    // What was there before is as it was, containers included.
    expect(Object.keys((await json<NetworkView>('/networks/shop')).Containers)).toEqual([ids.get('web')])
  })

  it('gives the default bridge what its flags say', async () => {
    // It keeps its settings while containers use it.
    for (const { Id } of await json<{ Id: string }[]>('/containers/json?all=1')) {
      await del(`/containers/${Id}?force=1`)
    }
    await host.stop()
    await host.start(
      [
        '--bip 10.98.0.1/24 --fixed-cidr 10.98.0.128/25 --default-gateway 10.98.0.254',
        '--ipv6 --bip6 fd98::1/64 --mtu 1450 --icc=false --ip 127.0.0.1',
        '--host tcp://127.0.0.1:2375',
      ]
        .join(' ')
        .split(' '),
    )
    expect(await json('/networks/bridge')).toMatchObject({
      EnableIPv6: true,
      IPAM: {
        Config: [
          {
            Subnet: '10.98.0.0/24',
            IPRange: '10.98.0.128/25',
            Gateway: '10.98.0.1',
            AuxiliaryAddresses: { DefaultGatewayIPv4: '10.98.0.254' },
          },
          { Subnet: 'fd98::/64', Gateway: 'fd98::1' },
        ],
      },
      Options: {
        'com.docker.network.bridge.enable_icc': 'false',
        'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
        'com.docker.network.driver.mtu': '1450',
      },
    })
    await container('flagged')
    const inside = await host.ok('exec', 'flagged', 'sh', '-c', 'ip addr show eth0; ip route')
    for (const text of ['mtu 1450', '10.98.0.128/24', 'fd98::2/64', 'default via 10.98.0.254']) {
      expect(inside).toContain(text)
    }
    expect((await json<{ Warnings: string[] }>('/info')).Warnings).toEqual([
      expect.stringMatching(/^WARNING: API is accessible on http:\/\/127\.0\.0\.1:2375 without encryption\./),
    ])
    await del('/containers/flagged?force=1')
  })

  it('has no default network with --bridge none', async () => {
    await host.stop()
    await host.start(['--bridge', 'none'])
    expect((await get('/networks/bridge')).status).toBe(404)
    await container('unplugged')
    expect(await host.ok('exec', 'unplugged', 'ls', '/sys/class/net')).not.toContain('eth')
    await del('/containers/unplugged?force=1')
  })
})
