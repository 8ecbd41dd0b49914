/** The tutorial, step by step, with the plain docker command line and with our own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { oldDocker, TestHost } from './support/host.ts'

interface NetworkInspect {
  readonly Name: string
  readonly Id: string
  readonly Driver: string
  readonly IPAM: { readonly Config: { readonly Subnet: string; readonly Gateway: string }[] }
  readonly Containers: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string }
  >
  readonly Options: Record<string, string>
}

/** `5: veth1@if4: …` → { veth1: { index: 5, peer: 4 } } */
function interfaces(text: string): Record<string, { index: number; peer: number }> {
  return Object.fromEntries(
    [...text.matchAll(/^(\d+): ([^@:]+)(?:@if(\d+))?:/gm)].map(([, index, name, peer]) => [
      name ?? '',
      { index: Number(index), peer: Number(peer ?? 0) },
    ]),
  )
}

const web = [
  'sh',
  '-c',
  'mkdir -p /www && echo "<h1>web container</h1>" > /www/index.html && exec httpd -f -v -p 80 -h /www',
]

describe.each(['docker', 'linkspan'] as const)('the tutorial with %s', client => {
  let host: TestHost

  beforeAll(async () => {
    host = await TestHost.open([], client)
  })
  afterAll(async () => {
    await host?.close()
  })

  describe('the default networks', () => {
    it('lists bridge, host and none', async () => {
      const lines = (await host.ok('network', 'ls')).split('\n')
      expect(lines[0]).toMatch(/^NETWORK ID\s+NAME\s+DRIVER\s+SCOPE$/)
      expect(lines.slice(1).map(line => line.split(/\s+/).slice(1).join(' '))).toEqual([
        'bridge bridge local',
        'host host local',
        'none null local',
      ])
    })

    it('shows subnet, gateway and options of the bridge, keys in docker’s order', async () => {
      const text = await host.ok('network', 'inspect', 'bridge')
      const keys = [...text.matchAll(/^ {8}"(\w+)":/gm)].map(match => match[1])
      expect(keys).toEqual(
        'Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom ConfigOnly Containers Options Labels'.split(
          ' ',
        ),
      )
      const [bridge] = JSON.parse(text) as NetworkInspect[]
      expect(bridge?.IPAM.Config).toEqual([{ Subnet: '172.17.0.0/16', Gateway: '172.17.0.1' }])
      expect(bridge?.Options).toEqual({
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': 'docker0',
        'com.docker.network.driver.mtu': '1500',
      })
    })

    it('has docker0 with 172.17.0.1/16 on the host', async () => {
      const { stdout } = await host.shell('ip a show docker0')
      expect(stdout).toContain('inet 172.17.0.1/16')
    })
  })

  describe('containers on the default bridge', () => {
    beforeAll(async () => {
      await host.ok('run', '-d', '--name', 'test1', 'busybox', 'sleep', '3600')
      await host.ok('run', '-d', '--name', 'test2', 'busybox', 'sleep', '3600')
      await host.ok('run', '-d', '--name', 'web', '-p', '80:80', 'busybox', ...web)
    })

    it('network inspect shows the running containers with their addresses', async () => {
      const bridge = await host.inspect<NetworkInspect>('network', 'inspect', 'bridge')
      const rows = Object.values(bridge.Containers).map(c => `${c.Name} ${c.IPv4Address} ${c.MacAddress}`)
      expect(rows.sort()).toEqual([
        'test1 172.17.0.2/16 02:42:ac:11:00:02',
        'test2 172.17.0.3/16 02:42:ac:11:00:03',
        'web 172.17.0.4/16 02:42:ac:11:00:04',
      ])
      for (const { EndpointID } of Object.values(bridge.Containers))
        expect(EndpointID).toMatch(/^[0-9a-f]{64}$/)
    })

    it('has one veth per container, whose other end is eth0 in it, index for index', async () => {
      const onHost = interfaces((await host.shell('ip a')).stdout)
      const veths = Object.entries(onHost).filter(([name]) => name.startsWith('veth'))
      expect(veths).toHaveLength(3)
      for (const name of ['test1', 'test2', 'web']) {
        const { eth0 } = interfaces(await host.ok('exec', name, 'ip', 'a'))
        const pair = veths.find(([, veth]) => veth.index === eth0?.peer)
        expect(pair?.[1].peer).toBe(eth0?.index)
      }
    })

    it('brctl lists the veths under docker0', async () => {
      const { stdout } = await host.shell('brctl show')
      expect(stdout).toMatch(/^docker0\s+8000\.[0-9a-f]{12}\s+no\s+veth/m)
      expect(stdout.match(/veth/g)).toHaveLength(3)
    })

    it('they reach each other by address and not by name', async () => {
      expect((await host.client('exec', 'test1', 'ping', '-c', '1', '-W', '2', '172.17.0.3')).code).toBe(0)
      const named = await host.client('exec', 'test1', 'ping', '-c', '1', '-W', '2', 'test2')
      expect(named.code).toBe(1)
      expect(named.stderr).toContain("bad address 'test2'")
    })

    it('has the routes and files that docker gives', async () => {
      expect((await host.ok('exec', 'test1', 'ip', 'route')).split('\n').map(line => line.trim())).toEqual([
        'default via 172.17.0.1 dev eth0',
        '172.17.0.0/16 dev eth0 scope link  src 172.17.0.2',
      ])
      const id = (await host.ok('ps', '-q', '--filter', 'name=test1')).slice(0, 12)
      const hosts = await host.ok('exec', 'test1', 'cat', '/etc/hosts')
      expect(hosts.split('\n')).toContain(`172.17.0.2\t${id}`)
      expect(await host.ok('exec', 'test1', 'cat', '/etc/resolv.conf')).toContain('nameserver 10.10.101.254')
      expect(await host.ok('exec', 'test1', 'hostname')).toBe(id)
    })

    it('reaches the internet, which sees the host and not the container', async () => {
      expect(await host.ok('exec', 'test1', 'timeout', '5', 'wget', '-qO-', 'http://180.76.3.151/')).toBe(
        'hello from 180.76.3.151, you are 10.10.101.105',
      )
      expect(await host.ok('exec', 'test1', 'nslookup', '-type=a', 'www.example.test')).toContain(
        '180.76.3.151',
      )
      const inward = await host.internet(
        'ip route add 172.17.0.0/16 via 10.10.101.105; ping -c 1 -W 1 172.17.0.2',
      )
      expect(inward.code).not.toBe(0)
      await host.internet('ip route del 172.17.0.0/16')
    })

    it.skipIf(oldDocker && client === 'docker')(
      'serves the published port to the internet, to the host and to containers',
      async () => {
        expect(await host.ok('port', 'web')).toBe('80/tcp -> 0.0.0.0:80\n80/tcp -> [::]:80')
        for (const [from, url] of [
          ['internet', 'http://10.10.101.105/'],
          ['host', 'http://127.0.0.1/'],
          ['host', 'http://10.10.101.105/'],
        ] as const) {
          const line = `curl -s -m 3 ${url}`
          const { stdout } = from === 'internet' ? await host.internet(line) : await host.shell(line)
          expect([from, url, stdout.trim()]).toEqual([from, url, '<h1>web container</h1>'])
        }
        for (const container of ['test1', 'web']) {
          const reply = await host.ok(
            'exec',
            container,
            'timeout',
            '5',
            'wget',
            '-qO-',
            'http://10.10.101.105/',
          )
          expect(reply).toBe('<h1>web container</h1>')
        }
      },
    )

    it('the container sees the client’s own address', async () => {
      await host.internet('curl -s -m 3 http://10.10.101.105/')
      expect((await host.client('logs', 'web')).stderr).toContain('[::ffff:10.10.101.254]')
    })

    it.skipIf(oldDocker && client === 'docker')('ps shows ports and names', async () => {
      const lines = (await host.ok('ps', '--format', '{{.Names}} {{.Ports}}')).split('\n')
      expect(lines.map(line => line.trim())).toEqual([
        'web 0.0.0.0:80->80/tcp, [::]:80->80/tcp',
        'test2',
        'test1',
      ])
    })

    it('refuses a port that is taken, and says who has it', async () => {
      const before = await host.settled()
      const { stderr, code } = await host.client(
        'run',
        '-d',
        '--name',
        'p4',
        '-p',
        '80:80',
        'busybox',
        'sleep',
        '9',
      )
      expect(code).toBe(125)
      expect(stderr).toContain('driver failed programming external connectivity on endpoint p4 (')
      expect(stderr).toContain(
        'Bind for 0.0.0.0:80 failed: port is already allocated (held by container web (',
      )
      expect(await host.ok('ps', '-a', '--filter', 'name=p4', '--format', '{{.Status}}')).toBe('Created')
      await host.ok('rm', 'p4')
      expect(await host.settlesTo(before)).toBe(before)
    })
  })

  describe('a user-defined bridge', () => {
    let id = ''
    beforeAll(async () => {
      id = await host.ok('network', 'create', '-d', 'bridge', 'my-bridge')
      await host.ok('run', '-d', '--name', 'test3', '--network', 'my-bridge', 'busybox', 'sleep', '3600')
    })

    it('gets br-<12 hex> and the next free pool', async () => {
      expect(id).toMatch(/^[0-9a-f]{64}$/)
      const network = await host.inspect<NetworkInspect>('network', 'inspect', 'my-bridge')
      expect(network.IPAM.Config).toEqual([{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }])
      expect((await host.shell(`ip a show br-${id.slice(0, 12)}`)).stdout).toContain('inet 172.18.0.1/16')
    })

    it('is isolated from the default bridge', async () => {
      expect((await host.client('exec', 'test3', 'ping', '-c', '1', '-W', '1', '172.17.0.2')).code).toBe(1)
      expect((await host.client('exec', 'test1', 'ping', '-c', '1', '-W', '1', '172.18.0.2')).code).toBe(1)
    })

    it('network connect adds eth1 to a running container and keeps eth0', async () => {
      await host.ok('network', 'connect', 'my-bridge', 'test1')
      const inside = await host.ok('exec', 'test1', 'ip', 'a')
      expect(inside).toMatch(/eth0@if\d+/)
      expect(inside).toMatch(/eth1@if\d+/)
      expect(inside).toContain('inet 172.18.0.3/16')
      expect(await host.ok('exec', 'test1', 'ip', 'route')).toContain('default via 172.17.0.1 dev eth0')
      expect(await host.ok('exec', 'test1', 'cat', '/etc/resolv.conf')).toContain('nameserver 127.0.0.11')
    })

    it('containers ping each other by name', async () => {
      expect(await host.ok('exec', 'test3', 'ping', '-c', '1', '-W', '2', 'test1')).toContain(
        'PING test1 (172.18.0.3)',
      )
      expect(await host.ok('exec', 'test1', 'ping', '-c', '1', '-W', '2', 'test3')).toContain(
        'PING test3 (172.18.0.2)',
      )
    })

    it('answers for short ids, reverse names and the world outside', async () => {
      const short = (await host.ok('inspect', '-f', '{{.Id}}', 'test1')).slice(0, 12)
      expect(await host.ok('exec', 'test3', 'nslookup', '-type=a', short)).toContain('172.18.0.3')
      expect(await host.ok('exec', 'test3', 'nslookup', '172.18.0.3')).toContain('test1.my-bridge')
      expect(await host.ok('exec', 'test3', 'nslookup', '-type=a', 'www.example.test')).toContain(
        '180.76.3.151',
      )
      expect((await host.client('exec', 'test3', 'nslookup', 'nosuch')).stdout).toContain(
        "can't find nosuch: NXDOMAIN",
      )
    })

    it('takes subnet, gateway, ip-range, bridge name and static addresses', async () => {
      await host.ok(
        ...'network create --subnet 172.30.0.0/24 --gateway 172.30.0.254 --ip-range 172.30.0.64/26 --label k=v'.split(
          ' ',
        ),
        ...'-o com.docker.network.bridge.name=br-fixed fixed'.split(' '),
      )
      await host.ok('network', 'connect', '--alias', 'db', '--ip', '172.30.0.77', 'fixed', 'test2')
      expect(await host.ok('exec', 'test2', 'ip', 'a')).toContain('inet 172.30.0.77/24')
      expect(
        await host.ok('run', '--rm', '--network', 'fixed', 'busybox', 'ping', '-c', '1', '-W', '2', 'db'),
      ).toContain('PING db (172.30.0.77)')
      const address = await host.ok(
        ...'run --rm --network fixed --ip 172.30.0.99 --network-alias z busybox ip -4 a show eth0'.split(' '),
      )
      expect(address).toContain('inet 172.30.0.99/24')
      await host.ok('network', 'connect', 'fixed', 'test3')
      expect(await host.ok('exec', 'test3', 'ip', 'route')).toContain('default via 172.30.0.254 dev eth1')
    })

    it('disconnect takes interface and name away at once', async () => {
      await host.ok('network', 'disconnect', 'my-bridge', 'test1')
      expect(await host.ok('exec', 'test1', 'ip', 'a')).not.toContain('eth1')
      expect((await host.client('exec', 'test3', 'ping', '-c', '1', '-W', '2', 'test1')).stderr).toContain(
        'bad address',
      )
    })

    it.each([
      ['network rm my-bridge', /has active endpoints \(name:"test3" id:"[0-9a-f]{12}"\)/],
      ['network rm bridge', /bridge is a pre-defined network and cannot be removed/],
      ['network rm nosuch', /network nosuch not found|No such network: nosuch/],
      ['network disconnect my-bridge test1', /container [0-9a-f]{64} is not connected to network my-bridge/],
      ['network create my-bridge', /network with name my-bridge already exists/],
      ['network create --subnet 172.30.0.0/16 overlap', /Pool overlaps with other one on this address space/],
      ['network create -d nosuch x', /plugin "nosuch" not found/],
      ['network create host', /operation is not permitted on predefined host network/],
      ['network connect nosuch test1', /network nosuch not found/],
      ['network connect my-bridge nosuch', /No such container: nosuch/],
      ['network connect my-bridge test3', /endpoint with name test3 already exists in network my-bridge/],
      ['network connect host test1', /container must be created in host network mode/],
      [
        'network connect --ip 10.9.9.9 fixed test1',
        /no configured subnet or ip-range contain the IP address 10\.9\.9\.9/,
      ],
      ['network connect --ip 172.30.0.77 fixed test1', /Address already in use/],
      ['run --rm --network nosuch busybox true', /network nosuch not found/],
      [
        'run --rm --ip 172.17.0.9 busybox true',
        /user[- ]specified IP address is supported on user[- ]defined networks only/,
      ],
      ['run --rm nosuch:1 true', /Unable to find image 'nosuch:1' locally/],
    ])('%s is refused in docker’s words and leaves nothing', async (line, message) => {
      const before = await host.settled()
      const { stderr, code } = await host.client(...line.split(' '))
      expect(code).not.toBe(0)
      expect(stderr).toMatch(message)
      expect(await host.settlesTo(before)).toBe(before)
    })

    it('keeps clear of a route that the host gets meanwhile', async () => {
      const subnetOf = async (name: string) => {
        await host.ok('network', 'create', name)
        const { IPAM } = await host.inspect<NetworkInspect>('network', 'inspect', name)
        await host.ok('network', 'rm', name)
        return IPAM.Config[0]?.Subnet ?? ''
      }
      const free = await subnetOf('probe')
      await host.shell(`ip route add ${free} dev eth0`)
      expect(await subnetOf('probe')).not.toBe(free)
      await host.shell(`ip route del ${free} dev eth0`)
      expect(await subnetOf('probe')).toBe(free)
    })

    it('networks go once nobody uses them', async () => {
      await host.ok('network', 'disconnect', '-f', 'my-bridge', 'test3')
      expect(await host.ok('network', 'rm', 'my-bridge')).toBe('my-bridge')
      await host.ok('rm', '-f', 'test3', 'test2')
      await host.ok('network', 'create', 'unused')
      expect(await host.ok('network', 'prune', '-f')).toContain('unused')
      const left = await host.ok('network', 'ls', '--format', '{{.Name}}')
      expect(left.split('\n')).toEqual(['bridge', 'host', 'none'])
      expect((await host.shell('sleep 0.5; ip -o link')).stdout).not.toMatch(/br-/)
    })
  })

  describe('legacy links', () => {
    it('puts the name into hosts and the environment', async () => {
      await host.ok(
        'run',
        '-d',
        '--name',
        'link2',
        '--link',
        'test1:db',
        '-e',
        'X=1',
        'busybox',
        'sleep',
        '3600',
      )
      expect(await host.ok('exec', 'link2', 'ping', '-c', '1', '-W', '2', 'db')).toContain(
        'PING db (172.17.0.2)',
      )
      const environment = (await host.ok('exec', 'link2', 'env')).split('\n')
      expect(environment).toEqual(expect.arrayContaining(['DB_NAME=/link2/db', 'X=1', 'HOME=/root']))
      expect((await host.client('exec', 'test1', 'ping', '-c', '1', '-W', '1', 'link2')).code).toBe(1)
      const linked = (
        await host.ok('run', '--rm', '--name', 'asker', '--expose', '7', '--link', 'web:w', 'busybox', 'env')
      ).split('\n')
      expect(linked).toContain('W_NAME=/asker/w')
      expect(await host.ok('inspect', '-f', '{{.HostConfig.Links}}', 'link2')).toBe('[/test1:/link2/db]')
      await host.ok('stop', '-t', '0', 'test1')
      await host.ok('run', '-d', '--name', 'squatter', 'busybox', 'sleep', '3600')
      await host.ok('start', 'test1')
      const moved = await host.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'test1')
      expect(moved).not.toBe('172.17.0.2')
      expect(await host.ok('exec', 'link2', 'ping', '-c', '1', '-W', '2', 'db')).toContain(
        `PING db (${moved})`,
      )
      await host.ok('rm', '-f', 'link2', 'squatter')
      await host.ok('restart', '-t', '0', 'test1')
    })
  })

  describe('none, host and container:X', () => {
    it('none has only the loopback', async () => {
      const text = await host.ok('run', '--rm', '--network', 'none', 'busybox', 'ip', 'a')
      expect(Object.keys(interfaces(text))).toEqual(['lo'])
    })

    it('host is the host’s own', async () => {
      const text = await host.ok('run', '--rm', '--network', 'host', 'busybox', 'ip', '-4', 'a')
      expect(text).toContain('inet 10.10.101.105/24')
      expect(text).toContain('inet 172.17.0.1/16')
    })

    it('container:X shares addresses and files', async () => {
      const text = await host.ok('run', '--rm', '--network', 'container:test1', 'busybox', 'ip', 'a')
      expect(text).toContain('inet 172.17.0.2/16')
      const name = await host.ok(
        'run',
        '--rm',
        '--network',
        'container:test1',
        'busybox',
        'cat',
        '/etc/hosts',
      )
      expect(name).toBe(await host.ok('exec', 'test1', 'cat', '/etc/hosts'))
    })
  })

  describe('restart', () => {
    it('keeps networks and gives ports back', async () => {
      await host.ok('restart', '-t', '0', 'test1')
      expect(await host.ok('exec', 'test1', 'ip', 'a')).toContain('inet 172.17.0.2/16')
      await host.ok('stop', '-t', '0', 'web')
      expect((await host.internet('curl -s -m 1 http://10.10.101.105/')).code).not.toBe(0)
      await host.ok('start', 'web')
      expect((await host.internet('curl -s -m 3 http://10.10.101.105/')).stdout).toContain('web container')
    })

    it('a network that a connect failed on does not keep the container from restarting', async () => {
      await host.ok('network', 'create', '--subnet', '172.31.0.0/24', 'fixed')
      expect((await host.client('network', 'connect', '--ip', '10.9.9.9', 'fixed', 'test1')).code).not.toBe(0)
      await host.ok('network', 'rm', 'fixed')
      await host.ok('restart', '-t', '0', 'test1')
    })
  })

  it('leaves the host as it was', async () => {
    await host.ok('rm', '-f', 'test1', 'web')
    const clean = (await host.shell('sleep 0.5; ip -o link; brctl show')).stdout
    expect(clean).not.toContain('veth')
  })
})
