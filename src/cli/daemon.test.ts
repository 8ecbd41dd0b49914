import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { daemonFlags, daemonOptions, mergeConfig, parseConfig, parseListen } from './daemon.ts'
import { parseFlags } from './main.ts'
import { linkspan } from './testing.ts'

type Given = Parameters<typeof mergeConfig>[0]

function flags(line: string): Given {
  const parsed = parseFlags(
    { flags: daemonFlags },
    line.split(' ').filter(word => word !== ''),
  )
  if (parsed.kind !== 'values') throw new Error(parsed.kind === 'wrong' ? parsed.message : 'help')
  return parsed.values
}

const options = (line: string, file = '{}'): ReturnType<typeof daemonOptions> =>
  daemonOptions(mergeConfig(flags(line), parseConfig(file, 'F'), 'F'))

describe('the options of the daemon', () => {
  it('have defaults', () => {
    expect(options('')).toMatchObject({
      listen: [{ kind: 'unix', path: '/run/linkspan/docker.sock' }],
      dataRoot: '/var/lib/linkspan',
      execRoot: '/run/linkspan',
      pidfile: '/run/linkspan/linkspan.pid',
      bridge: {
        name: undefined,
        icc: true,
        masquerade: true,
        hostBinding: '0.0.0.0',
        enableIPv6: false,
        mtu: undefined,
      },
      defaultAddressPools: [],
      ipForward: true,
      iptables: true,
      firewallBackend: undefined,
      logLevel: 'info',
      web: { host: '127.0.0.1', port: 7353, atStart: false },
      warnings: [],
    })
  })

  it('are taken from flags', () => {
    const line =
      '-H unix:///x.sock -H tcp://127.0.0.1:2375 --data-root /d --exec-root=/e --bip 192.168.5.1/24 --fixed-cidr 192.168.5.0/25 ' +
      '--icc=false --ip-masq=false --mtu 1400 --ipv6 --default-address-pool base=10.64.0.0/12,size=24 --default-network-opt bridge=a.b=c ' +
      '--dns 1.1.1.1 --dns 2.2.2.2 --dns-opt ndots:1 --log-level warn -D --firewall-backend nftables --web 127.0.0.1:7353 --runtime crun ' +
      '--label a=b --host-gateway-ip 10.0.0.1,fd00::1 --log-opt max-size=1m'
    expect(options(line)).toMatchObject({
      listen: [
        { kind: 'unix', path: '/x.sock' },
        { kind: 'tcp', host: '127.0.0.1', port: 2375 },
      ],
      dataRoot: '/d',
      pidfile: '/e/linkspan.pid',
      bridge: {
        ipv4: '192.168.5.1/24',
        fixedCidr: '192.168.5.0/25',
        icc: false,
        masquerade: false,
        mtu: 1400,
        enableIPv6: true,
      },
      defaultAddressPools: [{ base: '10.64.0.0/12', size: 24 }],
      defaultNetworkOptions: { bridge: { 'a.b': 'c' } },
      dns: ['1.1.1.1', '2.2.2.2'],
      dnsOptions: ['ndots:1'],
      logLevel: 'warn',
      debug: true,
      firewallBackend: 'nftables',
      web: { host: '127.0.0.1', port: 7353, atStart: true },
      runtime: 'crun',
      labels: ['a=b'],
      hostGatewayIps: ['10.0.0.1', 'fd00::1'],
      logOptions: { 'max-size': '1m' },
    })
  })

  it('are taken from daemon.json under its own names', () => {
    const file = JSON.stringify({
      hosts: ['fd://'],
      'default-address-pools': [{ base: 'fd00::/48', size: 64 }],
      'default-network-opts': { bridge: { x: '1' } },
      'insecure-registries': ['127.0.0.1:5000'],
      'dns-opts': ['ndots:2'],
      'host-gateway-ip': '10.0.0.1',
      'default-runtime': 'runc',
      'storage-driver': 'overlay2',
      features: { buildkit: true },
      icc: false,
    })
    expect(options('', file)).toMatchObject({
      listen: [{ kind: 'systemd' }],
      defaultAddressPools: [{ base: 'fd00::/48', size: 64 }],
      defaultNetworkOptions: { bridge: { x: '1' } },
      insecureRegistries: ['127.0.0.1:5000'],
      dnsOptions: ['ndots:2'],
      hostGatewayIps: ['10.0.0.1'],
      runtime: 'runc',
      bridge: { icc: false },
      warnings: ['--insecure-registry is not acted on yet'],
    })
  })

  it('must not be said in both places, even if they agree', () => {
    expect(() =>
      options(
        '--bip 10.0.0.1/8 -H unix:///a --icc=false',
        '{"bip":"10.0.0.1/8","hosts":["unix:///b"],"mtu":1400}',
      ),
    ).toThrow(
      'unable to configure the daemon with file F: the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [unix:///a], from file: [unix:///b]), bip: (from flag: 10.0.0.1/8, from file: 10.0.0.1/8)',
    )
  })

  it.each([
    ['{"foo":1,"bar":2}', "the following directives don't match any configuration option: foo, bar"],
    ['{"icc":"no"}', 'icc: "no" is no boolean'],
    ['{"dns":"1.1.1.1"}', 'dns: "1.1.1.1" is no list'],
    ['{"default-address-pools":[{"base":"x"}]}', 'a default address pool is'],
    ['[]', 'one JSON object'],
    ['{', 'invalid JSON'],
  ])('refuse the file %s', (file, message) => expect(() => parseConfig(file, 'F')).toThrow(message))

  it.each([
    ['--bip 10.0.0.1', 'not an IPv4 address with prefix length'],
    ['--fixed-cidr fd00::/64', 'not an IPv4 address'],
    ['--dns example', 'example is not an IP address'],
    ['--firewall-backend ipfw', 'there are nftables and iptables'],
    ['--ip6tables=false', 'cannot be switched off yet'],
    ['--iptables=false', 'cannot be switched off yet'],
    ['--log-level loud', 'debug, info'],
    ['--bridge br0 --bip 10.0.0.1/8', '--bip cannot be given as well'],
    ['--host-gateway-ip 1.1.1.1 --host-gateway-ip 2.2.2.2', 'only one IPv4 address'],
    ['--data-root relative', 'not an absolute path'],
    ['--tlsverify', 'TLS is not served'],
    ['--userns-remap default', 'not available'],
    ['--web nowhere', 'ADDRESS:PORT'],
    ['--mtu 99999', 'not an MTU'],
  ])('refuse %s', (line, message) => expect(() => options(line)).toThrow(message))

  it('tell every problem at once', () => {
    expect(() => options('--bip x --dns y')).toThrow(/--bip x[^]*\n--dns[^]*y is not an IP address/)
  })

  it('accept dockerd’s other flags, and warn where ignoring them could surprise', () => {
    const { warnings } = options(
      '--storage-driver overlay2 --containerd /run/c.sock --userland-proxy=false --userland-proxy-path /x --exec-opt native.cgroupdriver=systemd --live-restore=false --metrics-addr 127.0.0.1:9323 -H tcp://0.0.0.0:2375',
    )
    expect(warnings).toEqual([
      '--metrics-addr is ignored: metrics are not served',
      '--live-restore=false is ignored: containers always outlive the engine',
      'tcp://0.0.0.0:2375 gives everybody who can reach it root on this machine: there is no authentication',
    ])
    expect(options('--userland-proxy').warnings).toHaveLength(1)
    expect(options('--web off --log-driver json-file').warnings).toEqual([])
    expect(options('--label a=b').warnings).toEqual(['--label is not acted on yet'])
  })

  it('name sockets as docker does', () => {
    expect(parseListen('tcp://[::1]:1234')).toEqual({ kind: 'tcp', host: '::1', port: 1234 })
    expect(parseListen('fd://')).toEqual({ kind: 'systemd' })
    expect(() => parseListen('ssh://x')).toThrow('unable to parse')
  })

  it('are checked by --validate, with the file named', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daemon-'))
    const file = join(directory, 'daemon.json')
    try {
      writeFileSync(file, '{"bip":"10.0.0.1/8"}')
      expect(await linkspan(['daemon', '--validate', '--config-file', file])).toMatchObject({
        status: 0,
        stdout: 'configuration OK\n',
      })
      expect(
        (await linkspan(['daemon', '--validate', '--config-file', file, '--bip', '10.0.0.1/8'])).stderr,
      ).toContain('both as a flag')
      expect(
        await linkspan(['daemon', '--validate', '--config-file', join(directory, 'none')]),
      ).toMatchObject({ status: 1 })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
