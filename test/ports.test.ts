/** Published ports by every way in that IPv4 tests elsewhere do not show: IPv6, ::1, datagrams, runs of ports. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
  const serve = 'mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 80 -h /www'
  await host.ok('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sh', '-c', serve)
})
afterAll(async () => {
  await host?.close()
})

const curl = (url: string) => `curl -g -s -m 5 '${url}'`

/** Sends one datagram to a port of an address and prints the answer. */
function askByDatagram(address: string, port: number, text: string): string {
  const script = [
    `const s = require('node:dgram').createSocket('udp${address.includes(':') ? 6 : 4}')`,
    `s.on('message', m => { console.log(String(m)); process.exit() })`,
    `s.send('${text}', ${port}, '${address}')`,
    `setTimeout(() => process.exit(1), 5000)`,
  ]
  return `${process.execPath} -e "${script.join('; ')}"`
}

describe('a container with IPv4 only', () => {
  it('is reached by ::1 and by the host’s IPv6 address', async () => {
    expect((await host.shell(curl('http://[::1]:8080/'))).stdout).toBe('page\n')
    expect((await host.internet(curl('http://[fd00:10::105]:8080/'))).stdout).toBe('page\n')
  })

  it('a relayed connection keeps its halves: what is sent is answered after the end of sending', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'sum',
      '-p',
      '8090:90',
      'busybox',
      'nc',
      '-ll',
      '-p',
      '90',
      '-e',
      'md5sum',
    )
    const script = `const s = require('node:net').connect({ port: 8090, host: '::1', allowHalfOpen: true }); s.end('hello');
      s.on('data', d => process.stdout.write(d)); s.on('end', () => process.exit(0)); setTimeout(() => process.exit(1), 5000)`
    const { stdout } = await host.shell(`${process.execPath} -e "${script.replaceAll('\n', ' ')}"`)
    expect(stdout).toBe('5d41402abc4b2a76b9719d911017c592  -\n')
    await host.ok('rm', '-f', 'sum')
  })

  it('answers datagrams on every address', async () => {
    await host.ok('run', '-d', '--name', 'udp', '-p', '5353:53/udp', 'busybox', 'sleep', '3600')
    const key = await host.ok('inspect', '-f', '{{.NetworkSettings.SandboxKey}}', 'udp')
    const echo = `const s = require('node:dgram').createSocket('udp4'); s.on('message', (m, r) => s.send(m, r.port, r.address));
      s.bind(53, () => console.log('listening')); setTimeout(() => process.exit(), 10000)`
    // The daemon of a lab mounts in a mount namespace of its own: its files of namespaces are there only.
    const inside = ['nsenter', `--net=${key}`, process.execPath, '-e', echo]
    const [command = '', ...args] = host.lab.argv('host', inside)
    const server = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(server.stdout, 'data')
    expect((await host.internet(askByDatagram('10.10.101.105', 5353, 'four'))).stdout).toBe('four\n')
    expect((await host.shell(askByDatagram('127.0.0.1', 5353, 'loop'))).stdout).toBe('loop\n')
    expect((await host.shell(askByDatagram('::1', 5353, 'six'))).stdout).toBe('six\n')
    expect((await host.internet(askByDatagram('fd00:10::105', 5353, 'far'))).stdout).toBe('far\n')
    server.kill()
    await host.ok('rm', '-f', 'udp')
  })

  it('frees the port at once', async () => {
    await host.ok('run', '-d', '--name', 'brief', '-p', '8091:80', 'busybox', 'sleep', '100')
    await host.ok('rm', '-f', 'brief')
    const { code } = await host.shell(
      `timeout 2 ${process.execPath} -e "require('node:net').createServer().listen(8091, '::', function () { this.close() })"`,
    )
    expect(code).toBe(0)
  })
})

describe('a container with both families', () => {
  beforeAll(async () => {
    await host.ok('network', 'create', '--ipv6', 'dual')
    const serve = 'mkdir -p /www && echo both > /www/index.html && exec httpd -f -v -p 80 -h /www'
    await host.ok(
      'run',
      '-d',
      '--name',
      'both',
      '--network',
      'dual',
      '-p',
      '8082:80',
      'busybox',
      'sh',
      '-c',
      serve,
    )
  })

  it('is reached by IPv6 with the client’s own address, and by ::1', async () => {
    expect((await host.internet(curl('http://[fd00:10::105]:8082/'))).stdout).toBe('both\n')
    expect((await host.docker('logs', 'both')).stderr).toContain('[fd00:10::')
    expect((await host.shell(curl('http://[::1]:8082/'))).stdout).toBe('both\n')
    expect((await host.internet(curl('http://10.10.101.105:8082/'))).stdout).toBe('both\n')
  })

  it('reaches its neighbour by name and by IPv6', async () => {
    const { stdout } = await host.docker(
      'run',
      '--rm',
      '--network',
      'dual',
      'busybox',
      'ping',
      '-6',
      '-c',
      '1',
      '-W',
      '2',
      'both',
    )
    expect(stdout).toContain('1 packets received')
  })
})

describe('ports given in other forms', () => {
  it('on the loopback address only: not reached from outside', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'local',
      '-p',
      '127.0.0.1:8083:80',
      'busybox',
      'httpd',
      '-f',
      '-p',
      '80',
    )
    expect(
      (await host.shell(`${curl('http://127.0.0.1:8083/')} -o /dev/null -w '%{http_code}'`)).stdout,
    ).toBe('404')
    expect((await host.internet(curl('http://10.10.101.105:8083/'))).code).not.toBe(0)
    await host.internet('ip route add 127.0.0.1/32 via 10.10.101.105 table local 2>/dev/null; true')
    expect(await host.ok('port', 'local')).toBe('80/tcp -> 127.0.0.1:8083')
  })

  it('-P takes free ports of the kernel’s range, ascending', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'any',
      '--expose',
      '80',
      '--expose',
      '81',
      '-P',
      'busybox',
      'httpd',
      '-f',
      '-p',
      '80',
    )
    const ports = [...(await host.ok('port', 'any')).matchAll(/0\.0\.0\.0:(\d+)/g)].map(match =>
      Number(match[1]),
    )
    expect(ports).toHaveLength(2)
    for (const port of ports) expect(port).toBeGreaterThanOrEqual(32768)
    expect(
      (await host.internet(`${curl(`http://10.10.101.105:${ports[0]}/`)} -o /dev/null -w '%{http_code}'`))
        .stdout,
    ).toBe('404')
  })

  it('a run of a thousand is one interval, with every port reached', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'run',
      '-p',
      '20000-20999:20000-20999',
      'busybox',
      'nc',
      '-ll',
      '-p',
      '20777',
      '-e',
      'echo',
      'here',
    )
    const { stdout } = await host.shell('nft -s list map inet linkspan publish4_any_range')
    expect(stdout).toContain('tcp . 20000-20999 counter : 172.17.0.')
    const answer = `${process.execPath} -e "require('node:net').connect(20777, '10.10.101.105').on('data', d => process.stdout.write(d)).on('error', () => process.exit(1))"`
    expect((await host.internet(answer)).stdout).toBe('here\n')
    await host.ok('rm', '-f', 'run')
  })

  it('a shifted run leads each port to its own', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'shifted',
      '-p',
      '9001-9003:80-82',
      'busybox',
      'nc',
      '-ll',
      '-p',
      '82',
      '-e',
      'echo',
      'third',
    )
    const answer = `${process.execPath} -e "require('node:net').connect(9003, '10.10.101.105').on('data', d => process.stdout.write(d)).on('error', () => process.exit(1))"`
    expect((await host.internet(answer)).stdout).toBe('third\n')
    await host.ok('rm', '-f', 'shifted')
  })
})
