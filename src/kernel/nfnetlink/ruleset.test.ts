import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { createNamespace, deleteNamespace, inNamespace } from '../namespace.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts'
import { lookUpRoute } from '../rtnetlink/lookup.ts'
import { field, joinFields } from './field.ts'
import { findElement, readRuleset } from './ruleset.ts'

const path = `/tmp/ls-ruleset-${process.pid}`

const inside = (line: string): void => {
  const { status, stderr } = spawnSync('nsenter', [`--net=${path}`, 'sh', '-c', line], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

describe.runIf(process.getuid?.() === 0)('reading a ruleset', () => {
  afterEach(() => {
    deleteNamespace(path)
    rmSync(path, { force: true })
  })

  it('gives chains, rules, comments and counters of every family', () => {
    createNamespace(path, () => undefined)
    inside(`nft -f - <<'E'
table ip a {
  chain c {
    type filter hook forward priority -5; policy drop;
    iifname "eth0" ip saddr 10.0.0.0/8 tcp dport 80 counter drop comment "not this one"
    limit rate 5/second jump d
  }
  chain d { }
}
table inet b {
  chain n {
    type nat hook prerouting priority dstnat; policy accept;
    meta l4proto tcp dnat ip to 10.0.0.1:80
  }
}
E`)
    const socket = inNamespace(path, () => new NetlinkSocket(NETLINK_NETFILTER))
    const chains = readRuleset(socket)
    socket.close()
    expect(chains.map(({ family, table, name }) => `${family} ${table} ${name}`).sort()).toEqual([
      '1 b n',
      '2 a c',
      '2 a d',
    ])
    const chain = chains.find(({ name }) => name === 'c')
    expect(chain?.base).toEqual({ type: 'filter', hook: 2, priority: -5, policy: 'drop' })
    expect(chain?.rules[0]?.comment).toBe('not this one')
    expect(chain?.rules[0]?.expressions.map(({ op }) => op).slice(-2)).toEqual(['counter', 'verdict'])
    expect(chain?.rules[1]?.expressions).toEqual([
      { op: 'other', name: 'limit' },
      { op: 'verdict', verdict: { verdict: 'jump', chain: 'd' } },
    ])
    const [nat] = chains.find(({ name }) => name === 'n')?.rules ?? []
    expect(nat?.expressions.at(-1)).toEqual({ op: 'nat', kind: 'destination', address: 0, port: 16 })
  })

  it('finds the element a key falls on, in intervals too, with its counter', () => {
    createNamespace(path, () => undefined)
    inside(`nft -f - <<'E'
table inet t {
  set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.0.2.0-10.0.2.9 } }
  map r { type inet_proto . inet_service : ipv4_addr; flags interval; counter; elements = { tcp . 90-99 : 10.0.0.1 } }
  map v { type ifname : verdict; elements = { "eth0" : drop } }
}
E`)
    const socket = inNamespace(path, () => new NetlinkSocket(NETLINK_NETFILTER))
    const at = (set: string, ...fields: readonly Uint8Array[]) =>
      findElement(socket, 1, 't', set, joinFields(fields))
    expect(at('s', field.ipv4('10.0.0.77'))).toEqual({})
    expect(at('s', field.ipv4('10.0.1.0'))).toBeUndefined()
    expect(at('s', field.ipv4('10.0.2.9'))).toEqual({})
    expect(at('s', field.ipv4('10.0.2.10'))).toBeUndefined()
    expect(at('r', field.protocol('tcp'), field.port(95))).toEqual({
      data: Buffer.from(field.ipv4('10.0.0.1')),
      packets: 0,
    })
    expect(at('r', field.protocol('tcp'), field.port(100))).toBeUndefined()
    expect(at('v', field.ifname('eth0'))).toEqual({ data: { verdict: 'drop' } })
    socket.close()
  })

  it('asks the kernel for a route, and hears why there is none', () => {
    createNamespace(path, () => undefined)
    inside(
      'ip link set dev lo up; ip link add name v1 type veth peer name v2; ip addr add 10.1.0.1/16 dev v1; ip link set dev v1 up; ip link set dev v2 up; ip route add 10.9.0.0/16 via 10.1.0.9',
    )
    const socket = inNamespace(path, () => new NetlinkSocket(NETLINK_ROUTE))
    expect(lookUpRoute(socket, { destination: '10.9.1.1' })).toMatchObject({
      type: 'unicast',
      link: 'v1',
      gateway: '10.1.0.9',
      source: '10.1.0.1',
      prefix: '10.9.0.0/16',
    })
    expect(lookUpRoute(socket, { destination: '10.1.0.1' })).toMatchObject({ type: 'local' })
    expect(lookUpRoute(socket, { destination: '8.8.8.8' })).toEqual({ refused: 'ENETUNREACH' })
    socket.close()
  })
})
