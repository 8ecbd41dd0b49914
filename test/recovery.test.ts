/** The engine may go at any time: containers stay, and everything is right again when it is back. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
  await host.ok('network', 'create', 'shop')
  await host.ok('run', '-d', '--name', 'api', '--network', 'shop', 'busybox', 'sleep', '3600')
  await host.ok(
    'run',
    '-d',
    '--name',
    'db',
    '--network',
    'shop',
    '--network-alias',
    'store',
    'busybox',
    'sleep',
    '3600',
  )
  const serve = 'mkdir -p /www && echo alive > /www/index.html && exec httpd -f -p 80 -h /www'
  await host.ok('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sh', '-c', serve)
})
afterAll(async () => {
  await host?.close()
})

/** What a client sees of the running containers. */
async function picture(): Promise<string> {
  const containers = await host.ok(
    'inspect',
    '-f',
    '{{.Name}} {{.State.Pid}} {{json .NetworkSettings}}',
    'api',
    'db',
    'web',
  )
  const networks = await host.ok('network', 'inspect', 'bridge', 'shop')
  return `${containers}\n${networks}`
}

async function everythingWorks(): Promise<void> {
  expect(await host.ok('exec', 'api', 'ping', '-c', '1', '-W', '2', 'store')).toContain(
    'PING store (172.18.0.3)',
  )
  expect((await host.internet('curl -s -m 3 http://10.10.101.105:8080/')).stdout).toBe('alive\n')
  expect((await host.shell('curl -s -m 3 http://127.0.0.1:8080/')).stdout).toBe('alive\n')
  expect((await host.docker('run', '--rm', '-p', '8080:80', 'busybox', 'true')).stderr).toContain(
    'port is already allocated',
  )
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('after %s', signal => {
  let seen = ''
  let dumped = ''
  beforeEach(async () => {
    seen = await picture()
    dumped = await host.dump()
  })

  it('containers run on, and all is as it was once the engine is back', async () => {
    expect(await host.stop(signal)).toBe(signal === 'SIGTERM' ? 0 : null)
    expect((await host.internet('curl -s -m 3 http://10.10.101.105:8080/')).stdout).toBe('alive\n')
    await host.start()
    expect(await picture()).toBe(seen)
    expect(await host.settlesTo(dumped)).toBe(dumped)
    await everythingWorks()
  })

  it('a connection through a published port does not break', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'echo',
      '-p',
      '9000:9000',
      'busybox',
      'nc',
      '-ll',
      '-p',
      '9000',
      '-e',
      'cat',
    )
    await host.ok('exec', 'echo', 'sh', '-c', 'until netstat -ltn | grep -q :9000; do sleep 0.05; done')
    const talk = host.internet(
      '(for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 0.3; done) | timeout 8 busybox nc 10.10.101.105 9000 || true',
    )
    await host.stop(signal)
    await host.start()
    expect((await talk).stdout.trim().split('\n')).toHaveLength(10)
    await host.ok('rm', '-f', 'echo')
  })

  it('a container that ended meanwhile is found ended, with its exit code', async () => {
    await host.ok('run', '-d', '--name', 'short', 'busybox', 'sh', '-c', 'sleep 1; exit 5')
    await host.stop(signal)
    await host.shell('sleep 1.5')
    await host.start()
    expect(await host.ok('wait', 'short')).toBe('5')
    expect(await host.ok('inspect', '-f', '{{.State.Status}} {{.NetworkSettings.IPAddress}}', 'short')).toBe(
      'exited',
    )
    await host.ok('rm', 'short')
    expect(await host.settlesTo(dumped)).toBe(dumped)
  })

  it('what a foreign hand destroyed meanwhile is mended', async () => {
    await host.stop(signal)
    await host.shell(
      'nft flush ruleset; ip addr del 172.18.0.1/16 dev $(ip -o link | grep -o "br-[0-9a-f]*" | head -1)',
    )
    await host.start()
    expect(await host.settlesTo(dumped)).toBe(dumped)
    await everythingWorks()
  })

  it('what nobody wants any more goes', async () => {
    await host.stop(signal)
    await host.shell(
      'ip link add veth999 type veth peer name veth998; ip link set veth999 alias linkspan:gone; ip link add dummyveth type veth peer name dummypeer',
    )
    await host.start()
    const gone = await host.shell(
      'for i in $(seq 50); do ip link show veth999 >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1',
    )
    expect(gone.code).toBe(0)
    const { stdout } = await host.shell('ip -o link')
    // Not ours: never touched.
    expect(stdout).toContain('dummyveth')
    await host.shell('ip link del dummyveth')
  })
})

it('the engine that is killed in the middle of starts leaves nothing half-made', async () => {
  const before = await host.dump()
  for (let round = 0; round < 5; round++) {
    const starts = Array.from({ length: 6 }, (_, n) =>
      host.docker('run', '-d', '--name', `burst${n}`, '--network', 'shop', 'busybox', 'sleep', '600'),
    )
    await host.shell(`sleep 0.${round + 1}`)
    await host.stop('SIGKILL')
    await Promise.all(starts)
    await host.start()
    const running = await host.ok('ps', '--filter', 'name=burst', '--format', '{{.Names}}')
    for (const name of running.split('\n').filter(Boolean)) {
      expect((await host.docker('exec', name, 'ping', '-c', '1', '-W', '2', 'db')).code).toBe(0)
    }
    const all = (await host.ok('ps', '-aq', '--filter', 'name=burst')).split('\n').filter(Boolean)
    if (all.length > 0) await host.ok('rm', '-f', ...all)
  }
  expect(await host.settlesTo(before)).toBe(before)
  expect(
    readdirSync(join(host.directory, 'run/netns')).filter(name => !name.endsWith('.free')).length,
  ).toBeGreaterThan(0)
})

it('what stands in the way of one network does not keep the others from coming up', async () => {
  const id = await host.ok('network', 'create', 'blocked')
  const name = `br-${id.slice(0, 12)}`
  await host.stop()
  await host.shell(`ip link del ${name}; ip link add ${name} type veth peer name inway`)
  await host.start()
  expect(host.log()).toContain('bringing an object to the recorded state failed')
  await everythingWorks()
  await host.shell('ip link del inway')
  await host.stop()
  await host.start()
  expect((await host.shell(`ip -d link show ${name}`)).stdout).toContain('bridge')
  await host.ok('network', 'rm', 'blocked')
})

it('two daemons on one data root: the second is refused', async () => {
  const second = await host.shell(
    `timeout 10 ${process.execPath} bin/linkspan daemon --host unix://${host.directory}/second.sock --data-root ${host.directory}/data --exec-root ${host.directory}/run --pidfile ${host.directory}/daemon.pid --config-file /dev/null`,
  )
  expect(second.code).not.toBe(0)
  expect(second.stderr).toMatch(/a daemon runs already: process \d+/)
})
