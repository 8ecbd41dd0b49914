/** The iptables backend: the rules people know, beside theirs, and gone when the other backend is chosen. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

let host: TestHost

const page = ['sh', '-c', 'mkdir /www && echo alive > /www/index.html && exec httpd -f -p 80 -h /www']

beforeAll(async () => {
  host = await TestHost.open(['--firewall-backend', 'iptables'])
  for (const name of ['test1', 'test2', 'test3']) {
    await host.ok('run', '-d', '--name', name, 'busybox', 'sleep', '3600')
  }
  await host.ok('run', '-d', '--name', 'web', '-p', '80:80', 'busybox', ...page)
  await host.ok('network', 'create', '--internal', 'inner')
})
afterAll(async () => {
  await host?.close()
})

/** The rules without counters and dates. */
async function saved(): Promise<string> {
  const { stdout } = await host.shell('iptables-save; ip6tables-save')
  return stdout.replaceAll(/^#.*\n/gm, '').replaceAll(/\[.*\]$/gm, '')
}

async function answers(): Promise<readonly string[]> {
  const outside = await host.internet('curl -s -m 2 http://10.10.101.105/')
  const loopback = await host.shell('curl -s -m 2 http://127.0.0.1/')
  const neighbour = await host.docker(
    'exec',
    'test1',
    'timeout',
    '2',
    'wget',
    '-qO-',
    'http://10.10.101.105/',
  )
  return [outside, loopback, neighbour].map(({ stdout }) => stdout.trim())
}

const everywhere = ['alive', 'alive', 'alive']

it('shows the tutorial’s lines to the letter', async () => {
  const lines = (await host.shell('iptables -t nat -S')).stdout.split('\n')
  expect(lines).toContain('-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE')
  expect(lines).toContain(
    '-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.5:80',
  )
  const filter = (await host.shell('iptables -S FORWARD')).stdout.trim().split('\n')
  expect(filter.slice(1)).toEqual(['-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-FORWARD'])
  expect(await answers()).toEqual(everywhere)
})

it('says which backend it uses, and why', async () => {
  const { stdout } = await host.linkspan('info', '--format', '{{json .FirewallBackend}}')
  expect(stdout).toMatch(/"iptables/)
  expect(stdout).toMatch(
    /asked for with --firewall-backend; the host uses iptables v[\d.]+ \((nf_tables|legacy)\)/,
  )
})

it('what DOCKER-USER drops does not arrive, on published ports too', async () => {
  await host.shell('iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 80 -j DROP')
  expect(await answers()).toEqual(['', 'alive', 'alive'])
  await host.shell('iptables -F DOCKER-USER')
  expect(await answers()).toEqual(everywhere)
})

it('a start that changes nothing writes nothing', async () => {
  await host.shell('iptables -Z')
  await host.shell('iptables -I DOCKER-USER -m comment --comment "kept  as it is" -j RETURN')
  const before = await saved()
  // Rules that are written again get new numbers and counters.
  const numbered = async () =>
    (await host.shell('nft -a list ruleset; iptables-legacy-save -c -t nat')).stdout
  const rules = await numbered()
  await host.stop()
  await host.start()
  expect(await saved()).toBe(before)
  expect((await numbered()).replaceAll(/counter packets.*|\[.*\]|^#.*/gm, '')).toBe(
    rules.replaceAll(/counter packets.*|\[.*\]|^#.*/gm, ''),
  )
  await host.shell('iptables -F DOCKER-USER')
})

it.each([
  ['iptables -F'],
  [
    'for t in raw filter nat; do iptables -t $t -F; iptables -t $t -X; ip6tables -t $t -F; ip6tables -t $t -X; done',
  ],
  [
    'iptables -t nat -D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE; iptables -I FORWARD -o docker0 -j DROP',
  ],
])('%s while the engine is away is mended when it is back', async line => {
  const before = await saved()
  await host.stop('SIGKILL')
  await host.shell(`iptables -P INPUT ACCEPT; ${line}`)
  await host.shell(
    'iptables -A INPUT -p tcp --dport 4444 -j DROP; iptables -t nat -A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE',
  )
  await host.start()
  expect(await answers()).toEqual(everywhere)
  // Nobody's but the administrator's.
  const cleaned = await host.shell(
    'iptables -D INPUT -p tcp --dport 4444 -j DROP && iptables -t nat -D POSTROUTING -s 10.99.0.0/24 -j MASQUERADE; iptables -D FORWARD -o docker0 -j DROP 2>/dev/null; true',
  )
  expect(cleaned.stderr).toBe('')
  const sorted = (text: string) => text.split('\n').sort()
  expect(sorted(await saved())).toEqual(sorted(before))
})

it('commands go on after a foreign flush', async () => {
  await host.shell('iptables -F; iptables -t nat -F')
  await host.ok('run', '-d', '--name', 'other', '-p', '8080:80', 'busybox', ...page)
  await host.ok('rm', '-f', 'other')
  await host.ok('network', 'create', 'later')
  await host.ok('network', 'rm', 'later')
  await host.stop()
  await host.start()
  expect(await answers()).toEqual(everywhere)
})

it('chosen by the next start, the other backend finds a clean house, and back', async () => {
  const before = await saved()
  const policies = before.split('\n').filter(line => / (ACCEPT|DROP) /.test(line))
  await host.stop()
  await host.start(['--firewall-backend', 'nftables'])
  const left = await saved()
  expect(left).not.toContain('DOCKER')
  expect(left).not.toMatch(/^-A/m)
  expect(left.split('\n').filter(line => line.startsWith(':'))).toEqual(
    policies.map(line => line.replace('DROP', 'ACCEPT')),
  )
  expect((await host.shell('nft list tables')).stdout).toContain('table inet linkspan')
  expect(await answers()).toEqual(everywhere)

  await host.stop()
  await host.start()
  expect((await host.shell('nft list tables')).stdout).not.toContain('linkspan')
  expect(await answers()).toEqual(everywhere)
  const sorted = (text: string) => text.split('\n').sort()
  expect(sorted(await saved())).toEqual(sorted(before))
})

it('what the administrator put into DOCKER-USER stays in force when the backend changes', async () => {
  await host.shell('iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 80 -j DROP')
  await host.stop()
  await host.start(['--firewall-backend', 'nftables'])
  expect(await answers()).toEqual(['', 'alive', 'alive'])
  await host.stop()
  await host.start()
  expect(await answers()).toEqual(['', 'alive', 'alive'])
  await host.shell('iptables -F DOCKER-USER')
})

it('two host ports of one container port close one by one', async () => {
  await host.ok('run', '-d', '--name', 'two', '-p', '8080:80', '-p', '8081:80', 'busybox', ...page)
  await host.ok('rm', '-f', 'two')
  expect((await host.shell('iptables -S DOCKER')).stdout.match(/--dport/g)).toHaveLength(1)
})

it('a bridge whose name iptables would misread is refused and leaves nothing', async () => {
  const before = await saved()
  const { stderr, code } = await host.docker(
    'network',
    'create',
    '-o',
    'com.docker.network.bridge.name=br+',
    'odd',
  )
  expect([code, stderr]).toEqual([1, expect.stringContaining('iptables takes names of letters')])
  expect(await saved()).toBe(before)
  expect(await host.ok('network', 'ls', '-q', '--filter', 'name=odd')).toBe('')
})

it('what is published on 127.0.0.1 is not translated for a neighbour who routes that address here', async () => {
  await host.ok('run', '-d', '--name', 'private', '-p', '127.0.0.1:8081:80', 'busybox', ...page)
  await host.shell('sysctl -qw net.ipv4.conf.eth0.route_localnet=1')
  await host.internet(
    'sysctl -qw net.ipv4.conf.eth0.route_localnet=1; for a in 127.0.0.0/8 127.0.0.1; do ip route del local $a dev lo table local; done; ip route add 127.0.0.1 via 10.10.101.105',
  )
  const translated = async () => {
    await host.internet('curl -s -m 1 http://127.0.0.1:8081/')
    const { stdout } = await host.shell('iptables -t nat -vnL DOCKER | grep dpt:8081')
    return Number(stdout.trim().split(/\s+/)[0])
  }
  expect(await translated()).toBe(0)
  await host.shell('iptables -t raw -F DOCKER')
  // Nothing else would have kept it out.
  expect(await translated()).toBe(1)
  await host.stop()
  await host.start()
  expect(await translated()).toBe(1)
  await host.ok('rm', '-f', 'private')
})

it('without the programs it says what to install', async () => {
  const { stderr, code } = await host.shell(
    `PATH=/nowhere /usr/bin/timeout 20 ${process.execPath} bin/linkspan daemon --firewall-backend iptables --host unix://${host.directory}/second.sock --data-root ${host.directory}/data2 --exec-root ${host.directory}/run2 --pidfile ${host.directory}/second.pid --config-file /dev/null --web off`,
  )
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/--firewall-backend iptables needs iptables, .*: install the package iptables/)
})
