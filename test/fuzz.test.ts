/**
 * Requests that make sense in shape and none in content, and such that make none at all, over every route of a real
 * daemon: each is answered, none with a server error but what is documented, and the daemon serves on as before.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { routes } from '../src/api/routes/index.ts'
import { TestHost } from './support/host.ts'
import { ask } from './support/http.ts'

const long = process.env['LINKSPAN_LONG'] !== undefined
const runs = long ? 50_000 : 600

let host: TestHost
beforeAll(async () => {
  host = await TestHost.open()
  await host.ok('network', 'create', '--subnet', '10.60.0.0/24', '--ipv6', '--subnet', 'fd60::/64', 'shop')
  for (const name of ['web', 'db']) {
    await host.ok('run', '-d', '--name', name, '--stop-signal', 'KILL', 'busybox', 'sleep', '3600')
  }
  await host.ok('create', '--name', 'idle', '--stop-signal', 'KILL', 'busybox', 'sleep', '3600')
})
afterAll(async () => {
  await host?.close()
})

/** Streams that stay open by design, what would ask a registry, and what would take away that which the others ask for. */
const parked = [
  '/linkspan/v1/containers/:id/dns/questions',
  '/events',
  '/containers/:id/stats',
  '/containers/:id/wait',
  '/containers/:id/attach',
  '/exec/:id/start',
  '/images/create',
  '/containers/prune',
  '/containers/:id/rename',
]
/** Documented as server errors: what is missing is told, and that addresses or ports are used up is not the asker's fault. */
const documented =
  /no available IPv[46] addresses on this network's address pools|port is already allocated|failed to bind host port|all ports are allocated/

const oneOf = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
/** Absent, null, or something. */
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 1 })

const odd = fc.oneof(
  oneOf<unknown>(
    '',
    ' ',
    '\u0000',
    '\n',
    '../..',
    '-1',
    '99999999999999999999',
    'ü',
    '%',
    '$(x)',
    '\'"',
    'x'.repeat(5000),
  ),
  oneOf<unknown>(null, true, 0, -1, 1.5, 1e300, [], {}, [null], { a: null }),
  fc.string({ maxLength: 12 }),
)
/** Mostly what belongs there. */
const mostly = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary: value, weight: 25 }, { arbitrary: odd, weight: 1 })

const network = oneOf('shop', 'shop', 'bridge', 'fuzz0', 'fuzz0', 'fuzz1', 'host', 'none', 'nosuch', 'a/b')
const container = oneOf('web', 'web', 'db', 'idle', 'fuzzed', 'nosuch')
const term = fc.oneof(network, container, fc.constant(''))
const address = oneOf(
  '10.60.0.9',
  '10.60.0.1',
  '10.60.0.255',
  '0.0.0.0',
  '255.255.255.255',
  '127.0.0.1',
  '224.0.0.1',
  '169.254.1.1',
  'fd60::9',
  '::',
  '::1',
  'ff02::1',
  'fe80::1',
  '::ffff:10.60.0.9',
  '10.60.0.9/24',
  '10.60.0',
  '1',
  'fd60::9%eth0',
)
const subnet = oneOf(
  '10.61.0.0/24',
  '10.61.0.0/30',
  '10.61.0.0/31',
  '10.61.0.0/32',
  '10.61.0.1/24',
  '0.0.0.0/0',
  '0.0.0.0/24',
  '0.0.0.0/32',
  '127.0.0.0/8',
  '127.5.0.0/24',
  '224.0.0.0/24',
  '240.0.0.0/24',
  '255.255.255.0/24',
  '169.254.0.0/16',
  '0.1.0.0/16',
  '10.10.101.0/24',
  '172.17.0.0/16',
  '10.0.0.0/8',
  '128.0.0.0/1',
  '::/0',
  '::/64',
  '::/128',
  'fd61::/64',
  'fd61::/127',
  'fd61::/128',
  'fe80::/64',
  'fe80::/10',
  'ff00::/8',
  '::1/128',
  '2000::/3',
  '::ffff:0:0/96',
  '2001:db8::/32',
  'x/y',
)
const bool = fc.boolean()
const optionKey = oneOf(
  'bridge.name',
  'bridge.enable_icc',
  'bridge.enable_ip_masquerade',
  'bridge.host_binding_ipv4',
  'bridge.gateway_mode_ipv4',
  'bridge.gateway_mode_ipv6',
  'bridge.inhibit_ipv4',
  'bridge.trusted_host_interfaces',
  'driver.mtu',
  'host_ipv4',
  'host_ipv6',
  'container_iface_prefix',
  'enable_ipv4',
  'enable_ipv6',
  'advertise_addr_nmsgs',
  'advertise_addr_ms',
  'endpoint.ifname',
  'endpoint.sysctls',
  'bridge.default_bridge',
).map(key => `com.docker.network.${key}`)
const optionValue = oneOf(
  'true',
  'false',
  '0',
  '1',
  '68',
  '1500',
  '65535',
  '65536',
  '2147483648',
  '-1',
  'nat',
  'routed',
  'isolated',
  'nat-unprotected',
  '0.0.0.0',
  '::',
  '127.0.0.1',
  'eth0',
  'lo',
  'eth0:lo',
  'all',
  'default',
  'fuzzbr',
  'a%d',
  '%s',
  'x'.repeat(16),
  'net.ipv4.conf.IFNAME.log_martians=1',
  'net.ipv4.conf.IFNAME.nosuch=1',
  'net.ipv6.conf.IFNAME.mtu=1',
  '',
)
const options = fc.dictionary(optionKey, mostly(optionValue), { maxKeys: 3 })
const text = oneOf('', 'a', 'b=c', 'ü')

const networkCreate = fc.record(
  {
    Name: mostly(oneOf('fuzz0', 'fuzz1', 'shop', 'bridge', '', 'a/b')),
    Driver: maybe(
      mostly(oneOf('bridge', 'bridge', 'bridge', 'host', 'null', 'overlay', 'macvlan', 'ipvlan', 'nosuch')),
    ),
    Internal: maybe(mostly(bool)),
    Attachable: maybe(mostly(bool)),
    Ingress: maybe(oneOf(false, false, true)),
    Scope: maybe(oneOf('', 'local', 'swarm', 'moon')),
    ConfigOnly: maybe(oneOf(false, false, true)),
    ConfigFrom: maybe(mostly(fc.record({ Network: mostly(term) }))),
    EnableIPv4: maybe(mostly(bool)),
    EnableIPv6: maybe(mostly(bool)),
    IPAM: maybe(
      mostly(
        fc.record(
          {
            Driver: maybe(mostly(oneOf('default', 'default', 'null', 'nosuch', ''))),
            Options: maybe(mostly(fc.dictionary(text, text))),
            Config: mostly(
              fc.array(
                mostly(
                  fc.record(
                    {
                      Subnet: mostly(subnet),
                      IPRange: mostly(subnet),
                      Gateway: mostly(address),
                      AuxiliaryAddresses: mostly(
                        fc.dictionary(oneOf('a', 'DefaultGatewayIPv4', '__proto__'), mostly(address)),
                      ),
                    },
                    { requiredKeys: [] },
                  ),
                ),
                { maxLength: 3 },
              ),
            ),
          },
          { requiredKeys: [] },
        ),
      ),
    ),
    Options: maybe(mostly(options)),
    Labels: maybe(mostly(fc.dictionary(text, mostly(text)))),
  },
  { requiredKeys: ['Name'] },
)

const endpointConfig = fc.record(
  {
    IPAMConfig: mostly(
      fc.record(
        {
          IPv4Address: mostly(address),
          IPv6Address: mostly(address),
          LinkLocalIPs: mostly(fc.array(mostly(address), { maxLength: 2 })),
        },
        { requiredKeys: [] },
      ),
    ),
    Links: mostly(fc.array(mostly(oneOf('web:x', 'nosuch:y', ':', 'db', 'web:')), { maxLength: 2 })),
    Aliases: mostly(fc.array(mostly(text), { maxLength: 2 })),
    MacAddress: mostly(
      oneOf(
        '02:42:00:00:00:01',
        '01:00:5e:00:00:01',
        'ff:ff:ff:ff:ff:ff',
        '00:00:00:00:00:00',
        '02-42-00-00-00-01',
        '02:42',
      ),
    ),
    DriverOpts: mostly(options),
    GwPriority: mostly(oneOf(0, 1, -1, 2_147_483_648)),
  },
  { requiredKeys: [] },
)

const port = mostly(
  oneOf('80/tcp', '80', '53/udp', '0/tcp', '65536/tcp', '8000-8010/tcp', '80/icmp', '80/tcp/x', '7/sctp'),
)
const containerCreate = fc.record(
  {
    Image: mostly(oneOf('busybox', 'busybox', 'busybox', 'nosuch')),
    Cmd: mostly(oneOf<unknown>(['sleep', '3600'], ['true'], 'true', [])),
    Hostname: maybe(mostly(oneOf('h', 'h.x', '-', 'x'.repeat(70)))),
    MacAddress: maybe(mostly(oneOf('02:42:00:00:00:01', '01:00:5e:00:00:01', 'x'))),
    ExposedPorts: maybe(mostly(port.map(key => ({ [String(key)]: {} })))),
    NetworkDisabled: maybe(mostly(bool)),
    HostConfig: maybe(
      mostly(
        fc.record(
          {
            NetworkMode: mostly(
              oneOf(
                'bridge',
                'host',
                'none',
                'default',
                'shop',
                'fuzz0',
                'container:web',
                'container:',
                'nosuch',
              ),
            ),
            PortBindings: mostly(
              fc
                .tuple(
                  port,
                  mostly(
                    fc.array(
                      mostly(
                        fc.record(
                          {
                            HostIp: mostly(address),
                            HostPort: mostly(oneOf('', '0', '8080', '8000-8010', '9-8', 'x', '70000')),
                          },
                          { requiredKeys: [] },
                        ),
                      ),
                      { maxLength: 2 },
                    ),
                  ),
                )
                .map(([key, list]) => ({ [String(key)]: list })),
            ),
            PublishAllPorts: mostly(bool),
            Links: mostly(fc.array(mostly(oneOf('web:x', 'nosuch')), { maxLength: 2 })),
            Dns: mostly(fc.array(mostly(address), { maxLength: 2 })),
            DnsSearch: mostly(fc.array(mostly(oneOf('x.y', '.', ' ')), { maxLength: 2 })),
            DnsOptions: mostly(fc.array(mostly(oneOf('ndots:2', 'x')), { maxLength: 2 })),
            ExtraHosts: mostly(
              fc.array(mostly(oneOf('a:1.2.3.4', 'a:host-gateway', 'a', ':', 'a:b')), { maxLength: 2 }),
            ),
            Sysctls: mostly(
              fc.dictionary(
                oneOf('net.ipv4.conf.eth0.log_martians', 'net.ipv4.ip_forward', 'kernel.x', 'a/../b'),
                mostly(oneOf('1', '', 'x')),
              ),
            ),
          },
          { requiredKeys: [] },
        ),
      ),
    ),
    NetworkingConfig: maybe(
      mostly(
        fc.record({
          EndpointsConfig: mostly(fc.dictionary(network, mostly(endpointConfig), { maxKeys: 2 })),
        }),
      ),
    ),
  },
  { requiredKeys: [] },
)

interface Asked {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

const seg = (name: string): string => encodeURIComponent(name)
const filters = fc
  .dictionary(
    oneOf(
      'name',
      'id',
      'label',
      'label!',
      'type',
      'driver',
      'scope',
      'dangling',
      'until',
      'network',
      'status',
      'x',
    ),
    mostly(
      fc.array(mostly(oneOf('a', '(', '^', 'true', '10m', '2020-01-01', 'custom', '[', '\\')), {
        maxLength: 2,
      }),
    ),
    { maxKeys: 2 },
  )
  .map(value => encodeURIComponent(JSON.stringify(value)))
const query = fc.oneof(
  fc.constant(''),
  filters.map(value => `?filters=${value}`),
  oneOf(
    '?verbose=x',
    '?scope=moon',
    '?usage=1',
    '?all=1&size=1',
    '?t=x',
    '?t=0&signal=x',
    '?h=1&w=99999999',
    '?tail=-1&stdout=1',
    '?name=%00',
    '?force=1&v=1',
    '?limit=-1',
    '?stream=0',
    '?repo=A&tag=:',
    '?type=x',
    '?%zz',
  ),
)
const version = oneOf('', '', '/v1.24', '/v1.40', '/v1.44', '/v1.47', '/v1.51')

const meant: fc.Arbitrary<Asked> = fc.oneof(
  { arbitrary: networkCreate.map(body => ({ method: 'POST', path: '/networks/create', body })), weight: 4 },
  {
    arbitrary: fc
      .tuple(network, mostly(container), maybe(mostly(endpointConfig)))
      .map(([name, Container, EndpointConfig]) => ({
        method: 'POST',
        path: `/networks/${seg(name)}/connect`,
        body: { Container, EndpointConfig },
      })),
    weight: 4,
  },
  {
    arbitrary: fc.tuple(network, mostly(container), maybe(mostly(bool))).map(([name, Container, Force]) => ({
      method: 'POST',
      path: `/networks/${seg(name)}/disconnect`,
      body: { Container, Force },
    })),
    weight: 3,
  },
  {
    arbitrary: oneOf('fuzz0', 'fuzz1', 'a/b').map(name => ({
      method: 'DELETE',
      path: `/networks/${seg(name)}`,
    })),
    weight: 2,
  },
  {
    arbitrary: containerCreate.map(body => ({
      method: 'POST',
      path: '/containers/create?name=fuzzed',
      body,
    })),
    weight: 3,
  },
  {
    arbitrary: oneOf('start', 'kill').map(verb => ({ method: 'POST', path: `/containers/fuzzed/${verb}` })),
    weight: 1,
  },
  { arbitrary: fc.constant({ method: 'DELETE', path: '/containers/fuzzed?force=1' }), weight: 2 },
)

const anyRoute: fc.Arbitrary<Asked> = fc
  .tuple(
    oneOf(...routes.filter(route => !parked.includes(route.pattern) && route.method !== 'DELETE')),
    term,
    query,
    fc.oneof(networkCreate, endpointConfig, containerCreate, odd, fc.constant(undefined)),
  )
  .map(([route, name, search, body]) => ({
    method: route.method,
    path: `${route.pattern.replaceAll(/[:*]\w+/g, seg(name))}${search}`,
    ...(route.method === 'GET' || route.method === 'HEAD' ? {} : { body }),
  }))

it('answers whatever is asked', { timeout: long ? 3_600_000 : 300_000 }, async () => {
  const asked = fc.tuple(
    version,
    fc.oneof({ arbitrary: meant, weight: 3 }, { arbitrary: anyRoute, weight: 2 }),
  )
  await fc.assert(
    fc.asyncProperty(asked, async ([prefix, { method, path, body }]) => {
      const answer = await ask(host, method, `${prefix}${path}`, { body })
      const told = `${method} ${prefix}${path} ${JSON.stringify(body)} → ${answer.status} ${answer.text}`
      expect(
        answer.status < 500 || [501, 503].includes(answer.status) || documented.test(answer.message),
        told,
      ).toBe(true)
      expect(answer.text, told).not.toMatch(/\n\s+at |\.[jt]s:\d+/)
    }),
    { numRuns: runs, endOnFailure: true },
  )
  expect((await ask(host, 'GET', '/_ping')).text).toBe('OK')
  await host.docker('rm', '-f', 'fuzzed')
  for (const name of ['fuzz0', 'fuzz1', 'a/b']) await ask(host, 'DELETE', `/networks/${seg(name)}`)
})
