/** Random networks and containers for tests that compare what is said with what happens. */
import type { TestHost } from './host.ts'

interface TopologyNetwork {
  readonly name: string
  readonly internal: boolean
  readonly icc: boolean
}

interface TopologyContainer {
  readonly name: string
  readonly networks: readonly string[]
  /** Host address ('' = every) and host port of the published port 80; none = not published. */
  readonly published: readonly { readonly address: string; readonly port: number }[]
  readonly listens: boolean
}

export interface Topology {
  readonly networks: readonly TopologyNetwork[]
  readonly containers: readonly TopologyContainer[]
  /** The host filters bridged frames (br_netfilter). */
  readonly filtered: boolean
  /** Rules that an administrator added. */
  readonly foreign: string
}

export interface Pair {
  readonly from: string
  readonly url: string
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const hostAddress = '10.10.101.105'
/** A server out in the internet. */
export const elsewhere = '180.76.3.151'

/** Tables that a host may have besides ours: each reads what rules commonly read. */
const foreignTables = [
  '',
  '',
  'table inet admin { chain f { type filter hook forward priority 5; policy accept; ip saddr 172.18.0.0/16 tcp dport 80 counter drop; }; }',
  'table ip guard { set bad { type ipv4_addr; elements = { 172.17.0.2, 172.18.0.3 }; }; chain i { type filter hook input priority 0; policy accept; iifname "eth0" tcp dport 8001 drop; }; chain f { type filter hook forward priority -10; policy accept; ip saddr @bad ct state new reject; }; }',
  'table inet strict { chain f { type filter hook forward priority 10; policy drop; ct state established,related accept; iifname "docker0" accept; oifname "eth0" accept; ct status dnat accept; }; }',
] as const

export function randomTopology(seed: number): Topology {
  const random = generator(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const networks = Array.from({ length: 2 + Math.floor(random() * 2) }, (_, index) => ({
    name: `net${index}`,
    internal: random() < 0.25,
    icc: random() > 0.2,
  }))
  const names = networks.map(({ name }) => name)
  let port = 8000
  const containers = Array.from({ length: 3 }, (_, index): TopologyContainer => {
    const first = random() < 0.3 ? 'bridge' : pick(names)
    const second = first !== 'bridge' && random() < 0.4 ? pick(names) : first
    const published =
      random() < 0.5 ? [{ address: pick(['', '', '127.0.0.1', hostAddress]), port: ++port }] : []
    return {
      name: `c${index}`,
      networks: [...new Set([first, second])],
      published,
      listens: random() > 0.15,
    }
  })
  return { networks, containers, filtered: random() < 0.5, foreign: pick(foreignTables) }
}

export async function buildTopology(host: TestHost, topology: Topology): Promise<void> {
  for (const { name, internal, icc } of topology.networks) {
    await host.ok(
      'network',
      'create',
      ...(internal ? ['--internal'] : []),
      ...(icc ? [] : ['-o', 'com.docker.network.bridge.enable_icc=false']),
      name,
    )
  }
  for (const { name, networks, published, listens } of topology.containers) {
    const [first = 'bridge', ...others] = networks
    const ports = published.flatMap(({ address, port }) => [
      '-p',
      `${address === '' ? '' : `${address}:`}${port}:80`,
    ])
    // The page says whose it is and from where it is asked.
    const page = `mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; echo ${name} $REMOTE_ADDR\\n' > /www/cgi-bin/index.cgi; chmod +x /www/cgi-bin/index.cgi; exec httpd -f -p 80 -h /www`
    await host.ok(
      'run',
      '-d',
      '--name',
      name,
      '--network',
      first,
      ...ports,
      'busybox',
      ...(listens ? ['sh', '-c', page] : ['sleep', '3600']),
    )
    for (const network of others) await host.ok('network', 'connect', network, name)
  }
  await host.shell(
    `nft delete table inet admin; nft delete table ip guard; nft delete table inet strict; true`,
  )
  if (topology.foreign !== '') {
    const { code, stderr } = await host.shell(
      `printf '%s\\n' '${topology.foreign.replaceAll('; }', ';\n}').replaceAll('{ ', '{\n')}' | nft -f -`,
    )
    if (code !== 0) throw new Error(stderr)
  }
  for (const { name, listens } of topology.containers) {
    if (!listens) continue
    const { code } = await host.docker(
      'exec',
      name,
      'sh',
      '-c',
      'for i in $(seq 300); do wget -qO- http://127.0.0.1/ >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1',
    )
    if (code !== 0) throw new Error(`${name} does not serve its page`)
  }
}

interface Inspected {
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

/** Everybody to every address of everybody, and to every published port. */
export async function pairsOf(host: TestHost, topology: Topology): Promise<readonly Pair[]> {
  const senders = ['host', 'internet', ...topology.containers.map(({ name }) => name)]
  const urls: string[] = []
  for (const { name, published } of topology.containers) {
    const { NetworkSettings } = await host.inspect<Inspected>('inspect', name)
    urls.push(...Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress))
    urls.push(...published.map(({ port }) => `${hostAddress}:${port}`))
    if (published.length > 0) urls.push(`127.0.0.1:${published[0]?.port}`)
  }
  urls.push(elsewhere, `${hostAddress}:9999`)
  return senders.flatMap(from =>
    urls
      .filter(url => !(from === 'internet' && (url.startsWith('127.') || url === elsewhere)))
      .map(url => ({ from, url })),
  )
}
