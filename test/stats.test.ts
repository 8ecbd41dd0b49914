/** docker stats: what a container uses, its interfaces' counters included. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

let host: TestHost
beforeAll(async () => {
  host = await TestHost.open()
  await host.ok('network', 'create', 'shop')
  await host.ok('run', '-d', '--name', 'web', '-m', '64m', '--pids-limit', '50', 'busybox', 'sleep', '600')
  await host.ok('network', 'connect', 'shop', 'web')
})
afterAll(async () => {
  await host.close()
})

interface Stats {
  readonly name: string
  readonly read: string
  readonly preread: string
  readonly cpu_stats: {
    readonly cpu_usage: { readonly total_usage: number }
    readonly system_cpu_usage: number
  }
  readonly memory_stats: { readonly usage: number; readonly limit: number }
  readonly pids_stats: { readonly current: number; readonly limit: number }
  readonly networks: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_packets: number }>>
}

const stats = async (query: string, container = 'web'): Promise<Stats> =>
  JSON.parse(
    (
      await host.shell(
        `curl -s --unix-socket ${host.socket} 'http://x/containers/${container}/stats?${query}'`,
      )
    ).stdout,
  ) as Stats

it('tells processor, memory, processes and every interface', async () => {
  await host.ok('exec', 'web', 'ping', '-c', '3', '-i', '0.1', '172.17.0.1')
  const now = await stats('stream=false')
  expect(now.name).toBe('/web')
  expect(now.memory_stats.limit).toBe(64 * 1024 * 1024)
  expect(now.memory_stats.usage).toBeGreaterThan(0)
  expect(now.pids_stats).toMatchObject({ current: 1, limit: 50 })
  expect(now.cpu_stats.cpu_usage.total_usage).toBeGreaterThan(0)
  expect(now.cpu_stats.system_cpu_usage).toBeGreaterThan(now.cpu_stats.cpu_usage.total_usage)
  expect(Object.keys(now.networks).sort()).toEqual(['eth0', 'eth1'])
  expect(now.networks['eth0']?.tx_packets).toBeGreaterThanOrEqual(3)
  expect(Date.parse(now.read)).toBeGreaterThan(Date.parse(now.preread))
})

it('looks once if it is asked to, and not at all at who does not run', async () => {
  expect((await stats('stream=false&one-shot=true')).preread).toBe('0001-01-01T00:00:00Z')
  await host.ok('create', '--name', 'still', 'busybox')
  const still = await stats('stream=false', 'still')
  expect(still.read).toBe('0001-01-01T00:00:00Z')
  expect(still.networks).toBeUndefined()
  await host.ok('rm', 'still')
})

it('is what docker stats shows', async () => {
  const line = await host.ok(
    'stats',
    '--no-stream',
    '--format',
    '{{.Name}} {{.PIDs}} {{.MemUsage}} {{.NetIO}}',
  )
  expect(line).toMatch(/^web 1 \S+ \/ 64MiB \S+B \/ \S+B$/)
})

it('refuses what makes no sense, in docker’s words', async () => {
  const both = await host.shell(
    `curl -s -w ' %{http_code}' --unix-socket ${host.socket} 'http://x/containers/web/stats?stream=true&one-shot=true'`,
  )
  expect(both.stdout).toContain('cannot have stream=true and one-shot=true')
  expect(both.stdout).toMatch(/ 400$/)
})
