/** What foreign hands change while the engine runs is brought back, and told. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'
import { until } from './support/until.ts'

let host: TestHost
beforeAll(async () => {
  host = await TestHost.open()
  await host.ok('network', 'create', '--subnet', '10.66.0.0/24', 'shop')
  await host.ok('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'httpd', '-f', '-h', '/var/www')
  await host.ok('run', '-d', '--name', 'db', '--network', 'shop', 'busybox', 'sleep', '600')
})
afterAll(async () => {
  await host.close()
})

const reached = async (): Promise<boolean> =>
  (await host.internet('curl -s -m 2 http://10.10.101.105:8080/')).stdout.includes('It works')

const mendings = (): number => host.log().split('a foreign hand changed what is ours: mended').length - 1

it.each([
  ['the tables are flushed', 'nft flush ruleset'],
  ['our table is deleted', 'nft delete table inet linkspan'],
  ['an element is taken out', 'nft flush map inet linkspan publish4_any'],
  ['the bridge is taken down', 'ip link set docker0 down'],
  ['the bridge loses its address', 'ip addr flush dev docker0 scope global'],
  ['the cable is unplugged', 'ip link set $(bridge link | grep -o "veth[^@]*" | head -1) nomaster'],
])('%s', async (_, line) => {
  await until(reached)
  const before = mendings()
  expect((await host.shell(line)).code).toBe(0)
  await until(() => mendings() > before)
  await until(reached)
})

it('a cable that is gone altogether is made anew', async () => {
  const inside = async () =>
    (await host.client('exec', 'db', 'ping', '-c', '1', '-W', '1', '10.66.0.1')).code === 0
  await until(inside)
  const [name = ''] = (await host.shell('ls /sys/class/net/br-*/brif')).stdout.trim().split('\n')
  const before = mendings()
  await host.shell(`ip link del ${name}`)
  await until(() => mendings() > before)
  await until(inside)
})

it('leaves the work of others alone, and does not answer itself', async () => {
  const before = mendings()
  await host.shell(
    'nft add table inet mine; nft add chain inet mine c; ip link add mine0 type bridge; ip link set mine0 up',
  )
  await host.ok('network', 'connect', 'shop', 'web')
  await host.ok('network', 'disconnect', 'shop', 'web')
  await host.ok('network', 'create', 'more')
  await host.ok('network', 'rm', 'more')
  await host.shell('sleep 2')
  expect(mendings()).toBe(before)
  const { stdout } = await host.shell('nft list tables; ip -o link show mine0')
  expect(stdout).toContain('table inet mine')
  expect(stdout).toContain('mine0')
  await host.shell('nft delete table inet mine; ip link del mine0')
})
