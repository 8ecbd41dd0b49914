/** Real packets, told in names; nothing of the tracing is left behind, whoever ends and how. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TracedPacket, TraceMessage } from '../src/insight/index.ts'
import { linkspanBinary, run, TestHost, type Running } from './support/host.ts'
import { until } from './support/until.ts'

describe('trace', () => {
  let host: TestHost

  beforeAll(async () => {
    host = await TestHost.open()
    await host.shell('sysctl -qw net.bridge.bridge-nf-call-iptables=0')
    await host.ok('network', 'create', 'shop')
    await host.ok(...'run -d --name web --network shop -p 8080:80 busybox httpd -f -p 80 -h /etc'.split(' '))
    await host.ok('run', '-d', '--name', 'cart', '--network', 'shop', 'busybox', 'sleep', '3600')
    await host.ok('run', '-d', '--name', 'other', 'busybox', 'sleep', '3600')
  })
  afterAll(async () => {
    await host?.close()
  })

  const follow = async (...words: readonly string[]): Promise<Running> => {
    const running = host.spawn(process.execPath, [linkspanBinary, 'trace', '--format', 'json', ...words])
    await until(() => running.output.includes('"ready"'))
    return running
  }
  const packets = (running: Running): readonly TracedPacket[] =>
    running.output
      .split('\n')
      .filter(line => line.endsWith('}'))
      .map(line => JSON.parse(line) as TraceMessage)
      .filter(message => message.Type === 'packet')
  const traceTables = async () => (await host.shell('nft list tables | grep -c linkspan-trace')).stdout.trim()

  it('tells a connection to a published port with both addresses, and who dropped another', async () => {
    const running = await follow('web', '--port', '80')
    await host.internet('curl -s -m 5 http://10.10.101.105:8080/passwd >/dev/null')
    await until(() => packets(running).some(({ Flags }) => Flags.includes('FIN')))
    const syn = packets(running).find(({ Flags }) => Flags === 'SYN')
    expect(syn).toMatchObject({
      Verdict: 'PASSED',
      From: { Name: '10.10.101.254' },
      To: { Name: 'web', Address: '10.10.101.105', Port: 8080 },
    })
    expect(syn?.Path).toContain('→ 172.18.0.2:80')
    expect(syn?.Path[0]).toBe('eth0')
    const answer = packets(running).find(({ Flags }) => Flags === 'SYN,ACK')
    expect(answer?.From).toMatchObject({ Name: 'web', Port: 80 })

    await host.docker('exec', 'other', 'timeout', '3', 'wget', '-qO-', 'http://172.18.0.2/')
    await until(() => packets(running).some(({ Verdict }) => Verdict === 'DROPPED'))
    const dropped = packets(running).find(({ Verdict }) => Verdict === 'DROPPED')
    expect(dropped).toMatchObject({ From: { Name: 'other' }, To: { Name: 'web' } })
    expect(dropped?.Steps.at(-1)).toMatchObject({ Table: 'linkspan', Verdict: 'drop' })
    running.kill('SIGINT')
    await until(async () => (await traceTables()) === '0')
  })

  it('sees neighbours on one bridge, and says what a refused connection means', async () => {
    const running = await follow('cart')
    await host.docker('exec', 'cart', 'timeout', '10', 'wget', '-qO-', 'http://web:5433/')
    await until(() => packets(running).some(({ Note }) => Note !== ''))
    expect(packets(running).find(({ Note }) => Note !== '')).toMatchObject({
      From: { Name: 'web' },
      Note: 'nothing listens on 5433',
    })
    running.kill('SIGKILL')
    await until(async () => (await traceTables()) === '0')
  })

  it('captures each link of a way into one file that Wireshark reads', async () => {
    const file = join(host.directory, 'way.pcapng')
    const running = host.spawn(process.execPath, [
      linkspanBinary,
      'capture',
      'cart',
      '--path',
      'internet:80',
      '-w',
      file,
    ])
    await until(() => running.output.includes('capturing into') && existsSync(file))
    const links = async () => {
      const { stdout } = await run(
        'tshark',
        [
          '-r',
          file,
          '-Y',
          'tcp.dstport == 80 && tcp.flags.syn == 1',
          '-T',
          'fields',
          '-e',
          'frame.interface_name',
          '-e',
          'frame.interface_description',
          '-e',
          'ip.src',
        ],
        process.env,
      )
      return stdout
        .trim()
        .split('\n')
        .map(line => line.split('\t'))
    }
    await host.docker('exec', 'cart', 'wget', '-qO-', 'http://180.76.3.151/')
    await until(async () => (await links()).length >= 3)
    const seen = await links()
    expect(seen.map(([, , source]) => source)).toEqual(['172.18.0.3', '172.18.0.3', '10.10.101.105'])
    expect(seen[0]?.[0]).toMatch(/^veth/)
    expect(seen[0]?.[1]).toMatch(/^hop \d+, veth: eth0|^hop \d+, veth: \d+ ⇄ \d+, eth0 of cart/)
    expect(seen[2]?.[0]).toBe('eth0')
    running.kill('SIGINT')
    expect((await host.linkspan('capture', 'cart')).stderr).toContain('-w FILE')
  })

  it('leaves nothing behind when the engine is killed', async () => {
    const running = await follow('web')
    expect(await traceTables()).not.toBe('0')
    await host.stop('SIGKILL')
    await until(async () => (await traceTables()) === '0')
    running.kill()
    await host.start()
    expect((await host.linkspan('trace', 'nobody')).code).not.toBe(0)
    expect((await host.linkspan('trace', 'nobody')).stderr).toContain('No such container: nobody')
  })
})
