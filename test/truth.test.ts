/** The model against reality: for random topologies, explain says of every pair what a real connection then does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Explanation } from '../src/insight/index.ts'
import { run, TestHost } from './support/host.ts'
import { buildTopology, elsewhere, pairsOf, randomTopology, type Pair } from './support/topology.ts'

describe.each(['nftables', 'iptables'] as const)('explain and real connections with %s', backend => {
  let host: TestHost

  beforeAll(async () => {
    host = await TestHost.open(['--firewall-backend', backend])
    await host.internet(
      'for net in 17 18 19 20 21 22; do ip route add 172.$net.0.0/16 via 10.10.101.105; done',
    )
  })
  afterAll(async () => {
    await host?.close()
  })

  /** Name and source address that the page tells; '' = no connection within so many seconds. */
  const real = async ({ from, url }: Pair, seconds: number): Promise<string> => {
    const curl = `curl -gs --noproxy '*' -m ${seconds} http://${url}/`
    const { stdout } =
      from === 'internet'
        ? await host.internet(curl)
        : from === 'host'
          ? await host.shell(curl)
          : await host.docker('exec', from, 'timeout', String(seconds), 'wget', '-qO-', `http://${url}/`)
    return stdout.trim().replace('::ffff:', '').replaceAll(/[[\]]/g, '')
  }

  const model = async ({ from, url }: Pair): Promise<Explanation> => {
    const sender = from === 'internet' ? '10.10.101.254' : from
    const to = url.includes(':') ? url : `${url}:80`
    const query = `from=${encodeURIComponent(sender)}&to=${encodeURIComponent(to)}`
    const { stdout } = await run(
      'curl',
      ['-s', '--unix-socket', host.socket, `http://d/linkspan/v1/explain?${query}`],
      process.env,
    )
    return JSON.parse(stdout) as Explanation
  }

  it.each(
    Array.from({ length: process.env['LINKSPAN_LONG'] === undefined ? 1 : 20 }, (_, index) => index + 1),
  )('topology %i', async seed => {
    const topology = randomTopology(seed * 7919)
    const { filtered } = topology
    await host.shell(`sysctl -qw net.bridge.bridge-nf-call-iptables=${filtered ? 1 : 0}`)
    await buildTopology(host, topology)
    const pairs = await pairsOf(host, topology)
    const wrong: object[] = []
    const agree = async (pair: Pair): Promise<void> => {
      const said = await model(pair)
      const fits = (answer: string): boolean => {
        const [, seen = ''] = answer.split(' ')
        if (answer === '') return said.Verdict === 'BLOCKED'
        // The internet says who asked in words of its own.
        return said.Verdict === 'REACHABLE' && (pair.url === elsewhere || said.Seen.Source === seen)
      }
      // What does not arrive at once may be slow: it gets more time before it counts as a contradiction.
      let answer = await real(pair, 1)
      if (!fits(answer)) answer = await real(pair, 10)
      if (fits(answer)) return
      const { Verdict, Code, Why, Seen, Hops } = said
      const hops = Hops.map(({ Label, Text, Note }) => `${Label} ${Text} ${Note}`)
      wrong.push({ pair, answer, Verdict, Code, Why, Seen, hops })
    }
    for (let at = 0; at < pairs.length; at += 12) await Promise.all(pairs.slice(at, at + 12).map(agree))
    expect(wrong).toEqual([])
    expect(pairs.length).toBeGreaterThan(12)
    await host.ok('rm', '-f', ...topology.containers.map(({ name }) => name))
    if (topology.networks.length > 0)
      await host.ok('network', 'rm', ...topology.networks.map(({ name }) => name))
  })
})
