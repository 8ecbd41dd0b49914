import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLab, openLab, type Lab } from './index.ts'

const built = existsSync(new URL('../../dist/lab-server.js', import.meta.url))
const why =
  process.getuid?.() !== 0
    ? 'needs root: makes network namespaces'
    : built
      ? ''
      : 'needs the built server: npm run build'
if (why !== '') process.stderr.write(`skipped: lab: ${why}\n`)

describe.skipIf(why !== '')('a lab', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lab-'))
  const here = join(directory, 'one')
  let lab: Lab
  const host = async (line: string): Promise<string> => (await lab.exec('host', ['sh', '-c', line])).stdout
  const internet = async (line: string): Promise<string> =>
    (await lab.exec('internet', ['sh', '-c', line])).stdout
  const mounts = (): string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter(line => line.includes(directory))

  beforeAll(async () => {
    lab = await createLab({ directory: here, ipv6: true })
  })
  afterAll(async () => {
    await lab.down()
    expect(mounts()).toEqual([])
    rmSync(directory, { recursive: true, force: true })
  })

  it('has a host that looks like the tutorial’s', async () => {
    const addresses = await host('ip -brief -4 address')
    expect(addresses).toMatch(/lo\s+UNKNOWN\s+127\.0\.0\.1\/8/)
    expect(addresses).toMatch(/eth0@\S+\s+UP\s+10\.10\.101\.105\/24/)
    expect(await host('ip route')).toBe(
      'default via 10.10.101.254 dev eth0 \n10.10.101.0/24 dev eth0 proto kernel scope link src 10.10.101.105 \n',
    )
    expect(await host('cat /etc/resolv.conf')).toBe(
      'nameserver 10.10.101.254\noptions timeout:2 attempts:1\n',
    )
    expect(await host('ls /sys/class/net')).toBe('eth0\nlo\n')
    expect(await host('cat /proc/sys/net/ipv4/ip_forward')).toBe('0\n')
  })

  it('leaves the machine’s own resolv.conf alone', () => {
    expect(readFileSync('/etc/resolv.conf', 'utf8')).not.toContain('10.10.101.254')
  })

  it('keeps the control groups where they were', async () => {
    expect(await host('ls /sys/fs/cgroup')).not.toBe('')
  })

  it('has an internet that greets by address', async () => {
    expect(await host('curl -s -m 3 http://180.76.3.151/')).toBe(
      'hello from 180.76.3.151, you are 10.10.101.105\n',
    )
    expect(await host('curl -s -m 3 http://[2001:db8:180::151]/')).toBe(
      'hello from 2001:db8:180::151, you are fd00:10::105\n',
    )
  })

  it('has an internet that knows no way to containers', async () => {
    expect(await internet('ip route get 172.17.0.2 2>&1')).toContain('unreachable')
  })

  it('answers names over UDP and TCP', async () => {
    expect(await host('busybox nslookup www.example.test')).toContain('Address: 180.76.3.151')
    expect(await host('busybox nslookup nosuch.example.test 2>&1')).toContain('NXDOMAIN')
  })

  it('shows what is mounted inside to all who enter, and not outside', async () => {
    const place = join(directory, 'mounted')
    mkdirSync(place)
    await host(`mount -t tmpfs tmpfs ${place} && touch ${place}/here`)
    expect(await host(`ls ${place}`)).toBe('here\n')
    expect(existsSync(join(place, 'here'))).toBe(false)
  })

  it('is kept when it is whole, and its servers are started again when they died', async () => {
    await host('ip link add marker type bridge')
    const [pid = ''] = readFileSync(join(here, 'server.pid'), 'utf8').split(' ')
    process.kill(Number(pid), 'SIGKILL')
    await createLab({ directory: here, ipv6: true })
    expect(await host('ip -brief link show marker')).toContain('marker')
    expect(await host('curl -s -m 3 http://180.76.3.151/')).toContain('hello')
  })

  it('is built anew when it is broken', async () => {
    await host('ip link add marker2 type bridge; ip link delete eth0')
    await createLab({ directory: here, ipv6: true })
    expect(await host('ip -brief link show marker2 2>/dev/null')).toBe('')
    expect(await host('curl -s -m 3 http://180.76.3.151/')).toContain('hello')
  })

  it('stands beside other labs', async () => {
    const other = await createLab({ directory: join(directory, 'two') })
    expect((await other.exec('host', ['curl', '-s', '-m', '3', 'http://180.76.3.151/'])).stdout).toContain(
      'hello',
    )
    await other.down()
    expect(openLab(other.directory)).toBeUndefined()
    expect(existsSync(other.directory)).toBe(false)
    expect(openLab(here)?.directory).toBe(here)
  })

  it('ends what runs in it, and is gone', async () => {
    const other = await createLab({ directory: join(directory, 'three') })
    // A process that left its parent and ignores SIGTERM, with a child in a network of its own.
    const [command = '', ...args] = other.argv('host', [
      'sh',
      '-c',
      "trap '' TERM; unshare -n sleep 1000 & wait",
    ])
    const child = spawn(command, args, { detached: true, stdio: 'ignore' })
    const gone = once(child, 'exit')
    await other.exec('host', ['sh', '-c', 'sleep 0.1'])
    await other.down()
    await gone
    expect(mounts().filter(line => line.includes('three'))).toEqual([])
    await other.down()
  })

  it('gives input, output, errors and exit status of what it runs', async () => {
    const result = await lab.exec('internet', ['sh', '-c', 'cat; echo no >&2; exit 3'], { input: 'yes' })
    expect(result).toEqual({ code: 3, stdout: 'yes', stderr: 'no\n' })
  })

  it('runs commands where the caller stands', async () => {
    expect(await host('pwd')).toBe(`${process.cwd()}\n`)
  })
})
