/** Ports of a running container are published and taken back without a restart. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

describe.each(['nftables', 'iptables'])('with %s', backend => {
  let host: TestHost
  beforeAll(async () => {
    host = await TestHost.open(['--firewall-backend', backend])
    for (const name of ['web', 'other']) {
      await host.ok('run', '-d', '--name', name, 'busybox', 'httpd', '-f', '-h', '/var/www')
    }
  })
  afterAll(async () => {
    await host.close()
  })

  const reached = async (port: number): Promise<boolean> =>
    (await host.internet(`curl -s -m 2 http://10.10.101.105:${port}/`)).stdout.includes('It works')
  const started = () => host.ok('inspect', '-f', '{{.State.StartedAt}}', 'web')

  it('one more is published, reached, shown, and taken back', async () => {
    const before = await started()
    expect(await reached(8081)).toBe(false)
    expect(await host.linkspan('port', 'add', 'web', '8081:80', '8082:80')).toMatchObject({
      code: 0,
      stdout: 'web\n',
    })
    expect([await reached(8081), await reached(8082)]).toEqual([true, true])
    expect(await host.ok('port', 'web', '80')).toContain('0.0.0.0:8081')
    expect(await host.ok('ps', '--filter', 'name=web', '--format', '{{.Ports}}')).toContain(
      '0.0.0.0:8081->80/tcp',
    )
    expect(await host.ok('inspect', '-f', '{{json .HostConfig.PortBindings}}', 'web')).toBe(
      '{"80/tcp":[{"HostIp":"","HostPort":"8081"},{"HostIp":"","HostPort":"8082"}]}',
    )
    expect((await host.linkspan('port', 'rm', 'web', '8081:80')).code).toBe(0)
    expect([await reached(8081), await reached(8082)]).toEqual([false, true])
    expect(await host.ok('port', 'web')).not.toContain('8081')
    // The port is free for others at once.
    await host.ok('run', '-d', '--name', 'third', '-p', '8081:80', 'busybox', 'httpd', '-f', '-h', '/var/www')
    expect(await reached(8081)).toBe(true)
    await host.ok('rm', '-f', 'third')
    expect(await started()).toBe(before)
  })

  it('is remembered across restarts of container and engine', async () => {
    await host.ok('restart', '-t', '0', 'web')
    expect(await reached(8082)).toBe(true)
    await host.stop('SIGKILL')
    await host.start()
    expect(await reached(8082)).toBe(true)
    expect((await host.linkspan('port', 'rm', 'web', '8082:80')).code).toBe(0)
    await host.ok('restart', '-t', '0', 'web')
    expect(await reached(8082)).toBe(false)
  })

  it('changes nothing when it cannot', async () => {
    await host.linkspan('port', 'add', 'other', '9000:80')
    const before = await host.dump()
    const taken = await host.linkspan('port', 'add', 'web', '9001:80', '9000:80')
    expect(taken.code).not.toBe(0)
    expect(taken.stderr).toMatch(/9000.*(already allocated|in use)/)
    const missing = await host.linkspan('port', 'rm', 'other', '9000:80', '9999:80')
    expect(missing.stderr).toContain("No public port '9999:80/tcp' published for other")
    expect((await host.linkspan('port', 'add', 'web', 'nonsense')).code).not.toBe(0)
    expect((await host.linkspan('port', 'add', 'nosuch', '1:1')).stderr).toContain(
      'No such container: nosuch',
    )
    expect(await host.settlesTo(before)).toBe(before)
    expect(await reached(9000)).toBe(true)
    expect(await host.ok('inspect', '-f', '{{json .HostConfig.PortBindings}}', 'web')).toBe('{}')
  })

  it('a port moves from one to the other while it is hammered, and none is refused', async () => {
    for (const name of ['web', 'other']) {
      await host.ok('exec', name, 'sh', '-c', `echo I am ${name} > /var/www/who`)
    }
    await host.linkspan('port', 'add', 'web', '9100:80')
    const hammer = host.internet(
      'for i in $(seq 150); do curl -s -m 5 http://10.10.101.105:9100/who || echo refused $?; done',
    )
    for (let round = 0; round < 4; round++) {
      const [from, to] = round % 2 === 0 ? ['web', 'other'] : ['other', 'web']
      expect(await host.linkspan('port', 'move', '9100', from ?? '', to ?? '')).toMatchObject({
        code: 0,
        stdout: `${to}\n`,
      })
      expect((await host.internet('curl -s -m 5 http://10.10.101.105:9100/who')).stdout).toBe(`I am ${to}\n`)
    }
    const answers = (await hammer).stdout.trim().split('\n')
    expect(new Set(answers)).toEqual(new Set(['I am web', 'I am other']))
    expect(answers).toHaveLength(150)
    expect(await host.ok('port', 'web', '80')).toContain('0.0.0.0:9100')
    expect((await host.linkspan('port', 'move', '9101', 'web', 'other')).stderr).toContain(
      "No public port '9101/tcp' published for web",
    )
    expect((await host.linkspan('port', 'move', '9100', 'web', 'web')).code).not.toBe(0)
    await host.linkspan('port', 'rm', 'web', '9100:80')
  })

  it('waits for the next start where the container does not run', async () => {
    await host.ok('stop', '-t', '0', 'web')
    expect((await host.linkspan('port', 'add', 'web', '8083:80')).code).toBe(0)
    expect(await reached(8083)).toBe(false)
    await host.ok('start', 'web')
    expect(await reached(8083)).toBe(true)
  })
})
