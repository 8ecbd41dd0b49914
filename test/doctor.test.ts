/** doctor finds what was broken on purpose, says so in its status, and mends what it can. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Diagnosis, Finding } from '../src/insight/index.ts'
import { TestHost } from './support/host.ts'

describe('doctor', () => {
  let host: TestHost

  beforeAll(async () => {
    host = await TestHost.open(['--mend=false'])
    await host.ok('network', 'create', 'shop')
    await host.ok(...'run -d --name web --network shop -p 8080:80 busybox httpd -f -p 80 -h /etc'.split(' '))
  })
  afterAll(async () => {
    await host?.close()
  })

  const doctor = async (...words: readonly string[]) => {
    const { stdout, stderr, code } = await host.linkspan('doctor', '--format', 'json', ...words)
    if (stdout === '') throw new Error(stderr)
    const { Findings } = JSON.parse(stdout) as Diagnosis
    return { code, wrong: Findings.filter(({ Status }) => Status !== 'ok'), all: Findings }
  }
  const checks = (findings: readonly Finding[]) => findings.map(({ Check }) => Check)

  it('has nothing to say about a host that is well', async () => {
    const { code, wrong, all } = await doctor()
    expect(wrong).toEqual([])
    expect(code).toBe(0)
    expect(all.find(({ Check }) => Check === 'dns')?.Text).toMatch(
      /answers in [\d.]+ ms for 1 of 1 containers/,
    )
    expect((await host.linkspan('doctor')).stdout).toMatch(/^✓ kernel [^]*\n0 warnings, 0 errors\n$/)
  })

  it('finds and mends forwarding, links and rules', async () => {
    await host.shell('sysctl -qw net.ipv4.ip_forward=0')
    await host.shell('nft flush map inet linkspan publish4_any')
    await host.shell("ip link set $(ip -o link | grep -o 'veth[^@]*' | head -1) down")
    await host.shell(
      'ip link add name left0 type veth peer name left1; ip link set left0 alias linkspan:gone',
    )
    const { code, wrong } = await doctor()
    expect(code).toBe(2)
    expect(checks(wrong)).toEqual(['forwarding', 'links', 'rules'])
    expect(wrong[1]?.Text).toMatch(/changed: veth .*left over: left0/)
    const mended = await doctor('--fix')
    expect(mended.wrong).toEqual([])
    expect(mended.code).toBe(0)
    const { stdout } = await host.internet('curl -s -m 10 http://10.10.101.105:8080/hostname')
    expect(stdout).not.toBe('')
  })

  it('tells of foreign firewalls, routes, MTUs and listeners, and mends a policy only when it is named', async () => {
    await host.shell('iptables -P FORWARD DROP')
    await host.shell('ip route add 172.18.128.0/17 via 10.10.101.254')
    await host.shell('ip link set eth0 mtu 1400')
    const { code, wrong } = await doctor()
    expect(code).toBe(1)
    expect(checks(wrong)).toEqual(['forward', 'routes', 'mtu', 'mtu'])
    expect(checks((await doctor('--fix')).wrong)).toContain('forward')
    const ask = () => host.docker('exec', 'web', 'timeout', '3', 'wget', '-qO-', 'http://180.76.3.151/')
    expect((await ask()).code).not.toBe(0)
    await host.linkspan('doctor', '--fix', 'forward')
    expect((await ask()).stdout).toContain('hello from 180.76.3.151')
    expect((await host.linkspan('doctor', '--fix', 'weather')).stderr).toContain('nothing mends weather')
  })
})
