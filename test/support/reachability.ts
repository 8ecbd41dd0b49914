/** Who reaches whom: the same networks, containers and connection attempts for every firewall backend. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run, TestHost } from './host.ts'

/** `web`, `shop`, …: what the page served there says. '' = no connection. */
type Row = readonly [from: string, to: string, answer: string]

const page = (text: string, ...ports: readonly number[]) => [
  'sh',
  '-c',
  `mkdir /www && echo ${text} > /www/index.html; ${ports.map(port => `httpd -p ${port} -h /www; `).join('')}exec httpd -f -v -p 80 -h /www`,
]

const hostAddress6 = 'fd00:10::105'

/** Addresses as the set-up below gives them. */
const address = {
  test1: '172.17.0.2',
  web: '172.17.0.3',
  shop: '172.18.0.3',
  quiet: '172.19.0.3',
  inner: '172.20.0.3',
  six: 'fd00:6::3',
} as const

const always: readonly Row[] = [
  // By the container's own address: from the host and from neighbours only.
  ['host', address.web, 'web'],
  ['test1', address.web, 'web'],
  ['host', address.shop, 'shop'],
  ['host', address.inner, 'inner'],
  ['inner1', address.inner, 'inner'],
  ['six1', `[${address.six}]`, 'six'],
  ['host', `[${address.six}]`, 'six'],
  ['internet', address.web, ''],
  ['internet', address.shop, ''],
  ['internet', address.inner, ''],
  ['internet', `[${address.six}]`, ''],
  ['test1', address.shop, ''],
  ['shop1', address.web, ''],
  ['shop1', address.quiet, ''],
  ['shop1', address.inner, ''],
  ['test1', address.inner, ''],
  ['shop1', `[${address.six}]`, ''],

  // A published port, from everywhere by the host's address.
  ['internet', '10.10.101.105:8080', 'web'],
  ['host', '10.10.101.105:8080', 'web'],
  ['host', '127.0.0.1:8080', 'web'],
  ['host', '172.17.0.1:8080', 'web'],
  ['web', '10.10.101.105:8080', 'web'],
  ['web', '172.17.0.1:8080', 'web'],
  ['test1', '10.10.101.105:8080', 'web'],
  ['shop1', '10.10.101.105:8080', 'web'],
  ['shop1', '172.17.0.1:8080', 'web'],
  ['quiet1', '10.10.101.105:8080', 'web'],
  ['six1', '10.10.101.105:8080', 'web'],
  ['internet', '10.10.101.105:8082', 'shop'],
  ['test1', '10.10.101.105:8082', 'shop'],
  ['shop', '10.10.101.105:8082', 'shop'],
  ['inner1', '10.10.101.105:8080', ''],
  ['internet', '10.10.101.105:8099', ''],

  // What no rule can translate is relayed: ::1, and IPv6 clients of a container without IPv6.
  ['host', '[::1]:8080', 'web'],
  ['host', '[::1]:8086', 'six'],
  ['internet', `[${hostAddress6}]:8080`, 'web'],

  // Published on one address.
  ['host', '127.0.0.1:8081', 'web'],
  ['host', '10.10.101.105:8081', ''],
  ['internet', '10.10.101.105:8081', ''],
  ['test1', '10.10.101.105:8081', ''],
  ['internet', '10.10.101.105:8084', 'web'],
  ['host', '127.0.0.1:8084', ''],
  ['test1', '10.10.101.105:8084', 'web'],

  // Runs of ports, equal and shifted.
  ['internet', '10.10.101.105:9001', 'web'],
  ['test1', '10.10.101.105:9001', 'web'],
  ['internet', '10.10.101.105:9000', ''],
  ['internet', '10.10.101.105:9101', 'web'],
  ['web', '10.10.101.105:9101', 'web'],
  ['internet', '10.10.101.105:9100', ''],

  ['internet', `[${hostAddress6}]:8086`, 'six'],
  ['host', `[${hostAddress6}]:8086`, 'six'],
  ['six1', `[${hostAddress6}]:8086`, 'six'],
  ['six', `[${hostAddress6}]:8086`, 'six'],
  ['internet', '10.10.101.105:8086', 'six'],
]

/** Containers on one bridge may not talk: only where the host filters bridged frames. */
const filteredBridge: readonly Row[] = [
  ['quiet1', address.quiet, ''],
  ['quiet1', '10.10.101.105:8083', 'quiet'],
  ['internet', '10.10.101.105:8083', 'quiet'],
]

export function describeReachability(backend: 'nftables' | 'iptables'): void {
  describe(`reachability with ${backend}`, () => {
    let host: TestHost

    beforeAll(async () => {
      host = await TestHost.open(['--firewall-backend', backend])
      await host.shell(`ip addr add ${hostAddress6}/64 dev eth0 nodad`)
      await host.internet('ip addr add fd00:10::254/64 dev eth0 nodad')
      await host.internet(
        'for net in 17 18 19 20; do ip route add 172.$net.0.0/16 via 10.10.101.105; done; ip -6 route add fd00:6::/64 via fd00:10::105',
      )
      await host.ok('network', 'create', 'shop')
      await host.ok('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'quiet')
      await host.ok('network', 'create', '--internal', 'inner')
      await host.ok('network', 'create', '--ipv6', '--subnet', 'fd00:6::/64', 'six')
      for (const network of ['bridge', 'shop', 'quiet', 'inner', 'six']) {
        const name = network === 'bridge' ? 'test1' : `${network}1`
        await host.ok('run', '-d', '--name', name, '--network', network, 'busybox', 'sleep', '3600')
      }
      await host.ok(
        ...'run -d --name web -p 8080:80 -p 127.0.0.1:8081:80 -p 10.10.101.105:8084:80'.split(' '),
        ...'-p 9000-9002:9000-9002 -p 9100-9102:9010-9012 busybox'.split(' '),
        ...page('web', 9001, 9011),
      )
      await host.ok(...'run -d --name shop --network shop -p 8082:80 busybox'.split(' '), ...page('shop'))
      await host.ok(...'run -d --name quiet --network quiet -p 8083:80 busybox'.split(' '), ...page('quiet'))
      await host.ok(...'run -d --name inner --network inner busybox'.split(' '), ...page('inner'))
      await host.ok(...'run -d --name six --network six -p 8086:80 busybox'.split(' '), ...page('six'))
    })
    afterAll(async () => {
      await host?.close()
    })

    const attempt = async ([from, to]: Row): Promise<Row> => {
      const url = `http://${to}/`
      const curl = `curl -gs --noproxy '*' -m 2 ${url}`
      const { stdout } =
        from === 'internet'
          ? await host.internet(curl)
          : from === 'host'
            ? await host.shell(curl)
            : await host.docker('exec', from, 'timeout', '2', 'wget', '-qO-', url)
      return [from, to, stdout.trim()]
    }

    it.each([
      ['filtered', 1],
      ['not filtered', 0],
    ] as const)(
      'bridged frames %s: what is published arrives, what is private does not',
      async (_, filtered) => {
        await host.shell(
          `sysctl -qw net.bridge.bridge-nf-call-iptables=${filtered} net.bridge.bridge-nf-call-ip6tables=${filtered}`,
        )
        const rows = filtered === 1 ? [...always, ...filteredBridge] : always
        const seen: Row[] = []
        for (let at = 0; at < rows.length; at += 8) {
          seen.push(...(await Promise.all(rows.slice(at, at + 8).map(attempt))))
        }
        expect(seen).toEqual(rows)
      },
    )

    it('containers reach the internet as the host', async () => {
      for (const name of ['test1', 'shop1', 'quiet1', 'six1']) {
        const reply = await host.ok('exec', name, 'timeout', '5', 'wget', '-qO-', 'http://180.76.3.151/')
        expect(reply).toBe('hello from 180.76.3.151, you are 10.10.101.105')
      }
      expect(
        (await host.docker('exec', 'inner1', 'timeout', '2', 'wget', '-qO-', 'http://180.76.3.151/')).code,
      ).not.toBe(0)
    })

    it('a remote client keeps its address; containers and the host come as the host', async () => {
      const pages = (await host.docker('logs', 'web')).stderr.split('\n').length
      await host.internet('curl -s -m 2 http://10.10.101.105:8080/')
      await host.docker('exec', 'shop1', 'wget', '-qO-', 'http://10.10.101.105:8080/')
      await host.shell('curl -s -m 2 http://127.0.0.1:8080/')
      await host.docker('exec', 'test1', 'wget', '-qO-', 'http://10.10.101.105:8080/')
      const clients = (await host.docker('logs', 'web')).stderr
        .split('\n')
        .slice(pages - 1)
        .flatMap(line => /^\[::ffff:([\d.]+)\]\S*: response:200/.exec(line)?.[1] ?? [])
      expect(clients).toEqual(['10.10.101.254', '172.17.0.1', '172.17.0.1', '172.17.0.1'])
    })

    it('an internal network is guarded by interface: forged addresses do not get in', async () => {
      await host.shell('for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done')
      /** Runs a command in a container's network with the machine's own programs. */
      const inside = async (container: string, ...argv: readonly string[]) => {
        const pid = await host.ok('inspect', '-f', '{{.State.Pid}}', container)
        return await run('nsenter', [`--net=/proc/${pid}/ns/net`, ...argv], process.env)
      }
      const send = async (from: string, source: string, text: string) => {
        await inside(from, 'ip', 'addr', 'add', `${source}/32`, 'dev', 'lo')
        return await inside(from, process.execPath, '-e', sender, source, text)
      }
      const socket = `const s = require('dgram').createSocket('udp4');`
      const sender = `${socket} const [, source, text] = process.argv;
        s.bind(0, source, () => s.send(text, 7777, '${address.inner}', () => s.close()))`
      // Ends with the first honest message: until then it does listen.
      const listener = `${socket} s.on('message', text => { console.log(String(text)); if (String(text) === 'honest') s.close() });
        s.bind(7777); setTimeout(() => process.exit(1), 20000).unref()`
      const heard = inside('inner', process.execPath, '-e', listener)
      await inside(
        'inner',
        'sh',
        '-c',
        'for i in $(seq 50); do ss -Hlnu | grep -q :7777 && exit; sleep 0.1; done; exit 1',
      )
      for (const from of ['shop1', 'test1', 'quiet1']) {
        expect(await send(from, '172.20.0.77', 'forged')).toMatchObject({ code: 0, stderr: '' })
      }
      expect(await send('inner1', '172.20.0.78', 'honest')).toMatchObject({ code: 0 })
      expect(await heard).toEqual({ code: 0, stdout: 'honest\n', stderr: '' })
    })

    it('what is removed is closed', async () => {
      await host.ok('rm', '-f', 'shop')
      expect(await attempt(['internet', '10.10.101.105:8082', ''])).toEqual([
        'internet',
        '10.10.101.105:8082',
        '',
      ])
      await host.ok(...'run -d --name other --network shop -p 8082:80 busybox'.split(' '), ...page('other'))
      expect(await attempt(['internet', '10.10.101.105:8082', ''])).toEqual([
        'internet',
        '10.10.101.105:8082',
        'other',
      ])
    })
  })
}
