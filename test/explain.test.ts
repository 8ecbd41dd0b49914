/** explain, rules and graph as people and scripts use them: every code is brought about on a real host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codes, type Explanation, type OwnRules, type Verification } from '../src/insight/index.ts'
import { run, TestHost } from './support/host.ts'

describe('explain', () => {
  let host: TestHost
  const met = new Set<string>()

  beforeAll(async () => {
    host = await TestHost.open(['--mend=false'])
    await host.shell('sysctl -qw net.bridge.bridge-nf-call-iptables=1')
    await host.ok('network', 'create', 'shop')
    await host.ok('network', 'create', '--internal', 'inner')
    await host.ok('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'quiet')
    await host.ok('network', 'create', '-o', 'com.docker.network.driver.mtu=9000', 'wide')
    const server = ['busybox', 'httpd', '-f', '-p', '80', '-h', '/etc']
    await host.ok('run', '-d', '--name', 'web', '-p', '8080:80', '-p', '127.0.0.1:8081:81', ...server)
    await host.ok('run', '-d', '--name', 'db', '--network', 'shop', '--network-alias', 'store', ...server)
    await host.ok(
      'run',
      '-d',
      '--name',
      'local',
      '--network',
      'shop',
      'busybox',
      'httpd',
      '-f',
      '-p',
      '127.0.0.1:80',
      '-h',
      '/etc',
    )
    for (const name of ['inner', 'quiet', 'wide', 'shop']) {
      await host.ok('run', '-d', '--name', `${name}1`, '--network', name, 'busybox', 'sleep', '3600')
    }
    await host.ok('run', '-d', '--name', 'quiet2', '--network', 'quiet', ...server)
    await host.ok('create', '--name', 'stopped', '--network', 'shop', 'busybox')
  })
  afterAll(async () => {
    await host?.close()
  })

  const ask = async (from: string, to: string): Promise<Explanation> => {
    const query = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`
    const url = `http://d/linkspan/v1/explain?${query}`
    const { stdout } = await run('curl', ['-s', '--unix-socket', host.socket, url], process.env)
    const answer = JSON.parse(stdout) as Explanation
    for (const each of [answer.Code, ...answer.Also.map(({ Code }) => Code)]) met.add(each)
    return answer
  }

  const blockedBy = async (from: string, to: string): Promise<string> => {
    const { Verdict, Code } = await ask(from, to)
    expect([from, to, Verdict]).toEqual([from, to, 'BLOCKED'])
    return Code
  }

  it('shows the whole way to a published port, with the kernel’s own numbers and counters', async () => {
    await host.internet('for i in 1 2 3; do curl -s -m 5 http://10.10.101.105:8080/ >/dev/null; done')
    const answer = await ask('10.10.101.254', 'web:80')
    expect(answer).toMatchObject({ Verdict: 'REACHABLE', Code: '', Hop: 0 })
    expect(answer.Hops.map(({ Label }) => Label)).toEqual([
      'arrives',
      'DNAT',
      'route',
      'forward',
      'bridge',
      'veth',
      'listens',
    ])
    const [, dnat, , , , cable, listens] = answer.Hops
    expect(dnat).toMatchObject({ Text: '10.10.101.105:8080 → 172.17.0.2:80', Hits: 3, Ours: true })
    expect(dnat?.Note).toContain('docker run -p 8080:80')
    const inside = await host.ok('exec', 'web', 'cat', '/sys/class/net/eth0/ifindex')
    expect(cable?.PeerIndex).toBe(Number(inside))
    expect(listens?.Note).toMatch(/^httpd \(pid \d+\)$/)
    expect(answer.Seen).toEqual({ Source: '10.10.101.254', Destination: '172.17.0.2', Port: 80 })
    const text = await host.linkspan('explain', 'internet', 'web:80')
    expect(text.stdout).toMatch(/^internet → web:80\/tcp +REACHABLE\n 1 {2}arrives /)
    expect(text.stdout.trimEnd()).toMatch(/answers return through conntrack; the source address is kept\.$/)
  })

  it('says of each way that is closed why, at which hop, and what would open it', async () => {
    expect(await blockedBy('shop1', 'web:80')).toBe('NET_ISOLATED')
    const isolated = await ask('web', 'db:80')
    expect(isolated).toMatchObject({ Code: 'NET_ISOLATED', Fix: 'docker network connect shop web' })
    expect(isolated.Hops.at(-1)).toMatchObject({ Passes: false, Number: isolated.Hop, Ours: true })
    expect(isolated.Also.map(({ Code }) => Code)).toContain('NO_DNS_ON_DEFAULT_BRIDGE')
    expect(await blockedBy('quiet1', 'quiet2:80')).toBe('ICC_DISABLED')
    expect(await blockedBy('inner1', 'internet:443')).toBe('INTERNAL_NO_GATE')
    expect(await blockedBy('shop1', 'inner1:80')).toBe('INTERNAL_NO_GATE')
    expect(await blockedBy('10.10.101.254', 'db:80')).toBe('PORT_NOT_PUBLISHED')
    expect(await blockedBy('10.10.101.254', 'web:81')).toBe('PUBLISHED_ON_OTHER_IP')
    expect(await blockedBy('shop1', 'db:5432')).toBe('NOT_LISTENING')
    expect((await ask('shop1', 'db:5432')).Why).toContain('(but on 80)')
    expect(await blockedBy('shop1', 'local:80')).toBe('LISTENS_ON_LOOPBACK')
    expect(await blockedBy('shop1', '172.18.0.250:80')).toBe('NO_ARP')
    expect(await blockedBy('shop1', 'nobody:80')).toBe('NO_SUCH_NAME')
    expect(await blockedBy('web', 'nobody:80')).toBe('NO_DNS_ON_DEFAULT_BRIDGE')
    expect(await blockedBy('shop1', 'stopped:80')).toBe('LINK_DOWN')
    expect((await ask('wide1', 'internet:443')).Also.map(({ Code }) => Code)).toContain('MTU_TOO_SMALL')
  })

  it('knows names as the sender’s resolver does, ends by address, and pings', async () => {
    expect(await ask('shop1', 'store:80')).toMatchObject({ Verdict: 'REACHABLE', To: { Name: 'db' } })
    expect(await ask('shop1', '172.18.0.2:80')).toMatchObject({ Verdict: 'REACHABLE', To: { Name: 'db' } })
    expect(await ask('172.18.0.2', 'host')).toMatchObject({ Verdict: 'REACHABLE', Protocol: 'icmp' })
    expect(await ask('shop1', 'www.example.test:80')).toMatchObject({ Verdict: 'UNKNOWN' })
    for (const [from, to, code] of [
      ['web', 'host', 0],
      ['web', 'db:80', 1],
      ['shop1', 'www.example.test:80', 2],
      ['nobody', 'web:80', 125],
    ] as const) {
      expect([from, to, (await host.linkspan('explain', from, to)).code]).toEqual([from, to, code])
    }
    expect((await host.linkspan('explain', 'web', 'web:80/quic')).code).toBe(125)
  })

  it('takes foreign rules and the host’s own switches into account', async () => {
    const table = (body: string) =>
      host.shell(
        `nft -f - <<'E'\ntable inet admin {\n chain f {\n  type filter hook forward priority 5; ${body}\n }\n}\nE`,
      )
    const without = async (body: string, check: () => Promise<void>) => {
      expect((await table(body)).stderr).toBe('')
      await check()
      await host.shell('nft delete table inet admin')
    }
    await without('policy accept; ip saddr 10.10.101.254 tcp dport 80 drop', async () => {
      expect(await blockedBy('10.10.101.254', 'web:80')).toBe('USER_RULE_DROP')
      expect((await ask('internet', 'web:80')).Verdict).toBe('REACHABLE')
    })
    await without('policy drop; ct state established accept', async () => {
      expect(await blockedBy('web', 'internet:443')).toBe('HOST_FORWARD_DROP')
    })
    await without('policy accept; limit rate over 5/second drop', async () => {
      const unsure = await ask('web', 'internet:443')
      expect(unsure).toMatchObject({ Verdict: 'UNKNOWN' })
      expect(unsure.Unknown.join()).toContain('inet admin f: limit drop (limit)')
      // What is dropped before that rule is known all the same.
      expect(await blockedBy('web', 'db:80')).toBe('NET_ISOLATED')
    })
    await host.shell('sysctl -qw net.ipv4.ip_forward=0')
    expect(await blockedBy('web', 'internet:443')).toBe('HOST_FORWARD_DROP')
    await host.shell('sysctl -qw net.ipv4.ip_forward=1')
    await host.shell(
      'iptables -I DOCKER-USER -s 1.2.3.4 -j DROP 2>/dev/null || iptables -I FORWARD -s 172.17.0.2 -m ttl --ttl-lt 3 -j DROP',
    )
    expect(await ask('web', 'internet:443')).toMatchObject({ Verdict: 'UNKNOWN' })
    await host.shell(
      'iptables -F FORWARD; iptables -I FORWARD -s 172.17.0.2/32 -p tcp -m multiport --dports 443,8443 -j REJECT',
    )
    expect(await blockedBy('web', 'internet:443')).toBe('USER_RULE_DROP')
    expect((await ask('web', 'internet:80')).Verdict).toBe('REACHABLE')
    await host.shell('iptables -F FORWARD')
    await host.shell('sysctl -qw net.ipv4.conf.docker0.rp_filter=1; ip route add 198.51.100.0/24 dev eth0')
    expect((await ask('198.51.100.7', 'web:80')).Verdict).toBe('REACHABLE')
    await host.shell('ip route add 172.17.0.2/32 via 10.10.101.254')
    expect(await blockedBy('web', 'internet:443')).toBe('RP_FILTER')
    await host.shell('ip route del 172.17.0.2/32')
    await host.shell('ip route del default')
    expect(await blockedBy('web', 'internet:443')).toBe('NO_ROUTE')
    await host.shell('ip route add default via 10.10.101.254')
  })

  it('looks at links, and at whether anybody is awake', async () => {
    await host.ok('pause', 'db')
    expect(await blockedBy('shop1', 'db:80')).toBe('PAUSED')
    await host.ok('unpause', 'db')
    const port = (
      await host.shell('bridge link show | grep docker0 | head -1 | cut -d: -f2 | cut -d@ -f1')
    ).stdout.trim()
    await host.shell(`bridge link set dev ${port} hairpin off`)
    expect(await blockedBy('web', '10.10.101.105:8080')).toBe('HAIRPIN_OFF')
    await host.shell(`bridge link set dev ${port} hairpin on`)
    expect(await ask('web', '10.10.101.105:8080')).toMatchObject({ Verdict: 'REACHABLE' })
    await host.shell(`ip link set ${port} down`)
    expect(await blockedBy('web', 'internet:443')).toBe('LINK_DOWN')
    await host.shell(`ip link set ${port} up`)
  })

  it('sends a probe when it is asked to, and says whether it agrees', async () => {
    const verified = async (from: string, to: string) => {
      const { stdout, stderr, code } = await host.linkspan(
        'explain',
        '--verify',
        '--format',
        'json',
        from,
        to,
      )
      if (stdout === '') throw new Error(stderr)
      return { code, ...(JSON.parse(stdout) as Verification) }
    }
    const open = await verified('shop1', 'db:80')
    expect(open).toMatchObject({ code: 0, Probe: { Result: 'connected', Agrees: true } })
    expect(open.Probe.Packets).toContainEqual(
      expect.objectContaining({ Flags: 'SYN', From: expect.objectContaining({ Name: 'shop1' }) as unknown }),
    )
    expect(await verified('shop1', 'db:5432')).toMatchObject({
      code: 1,
      Probe: { Result: 'ECONNREFUSED', Agrees: true },
    })
    const dropped = await verified('shop1', 'web:80')
    expect(dropped).toMatchObject({
      code: 1,
      Code: 'NET_ISOLATED',
      Probe: { Result: 'timeout', Agrees: true },
    })
    expect(dropped.Probe.Packets.map(({ Verdict }) => Verdict)).toContain('DROPPED')
    expect(await verified('host', 'web:80')).toMatchObject({ code: 0, Probe: { Agrees: true } })
    expect((await host.linkspan('explain', '--verify', 'internet', 'web:80')).stderr).toContain('no probe')
  })

  it('met every code there is', () => {
    expect(codes.filter(code => !met.has(code))).toEqual([])
  })

  it('rules shows what concerns one container, foreign rules included', async () => {
    await host.shell(
      'nft -f - <<\'E\'\ntable ip mine {\n chain c {\n  type filter hook forward priority 1; policy accept;\n  ip daddr 172.17.0.2 counter accept comment "of the admin"\n  ip daddr 172.17.0.77 accept\n }\n}\nE',
    )
    const { stdout } = await host.linkspan('rules', '--format', 'json', 'web')
    const found = JSON.parse(stdout) as OwnRules
    expect(found.Rules).toContainEqual(
      expect.objectContaining({
        Place: '@publish4_any',
        Reason: 'docker run -p 8080:80',
        Hits: 3,
        Ours: true,
      }),
    )
    expect(found.Rules.filter(({ Ours }) => !Ours)).toEqual([
      expect.objectContaining({
        Table: 'ip mine',
        Rule: 'ip daddr 172.17.0.2 accept',
        Reason: 'of the admin',
      }),
    ])
    expect(found.Rules.some(({ Rule }) => Rule.includes('172.18.'))).toBe(false)
    await host.shell('nft delete table ip mine')
    expect((await host.linkspan('rules', 'web')).stdout).toMatch(/^TABLE +PLACE +RULE +REASON +HITS\n/)
  })

  it('graph draws every container with its cable', async () => {
    const { stdout: mermaid } = await host.linkspan('graph', '--mermaid')
    expect(mermaid).toMatch(/^graph LR\n/)
    expect(mermaid).toMatch(/---\|"\d+ ⇄ \d+<br\/>172\.17\.0\.2\/16"\| c\d/)
    expect((await host.linkspan('graph', '--dot')).stdout).toMatch(/^graph linkspan \{/)
    const { stdout: svg } = await host.linkspan('graph', '--svg')
    expect(svg).toMatch(/^<svg [^>]+>[^]*<text [^>]+>web<\/text>[^]*<\/svg>\n$/)
  })
})
