import { closeSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Executor, type ExecutorOptions } from './executor.ts'
import { field } from './nfnetlink/field.ts'
import type { BridgeSpec, NftElement, Operation, PreparedNamespace, VethSpec } from './operation.ts'
import { attempt } from './ffi.ts'
import { socketAddress } from './socket.ts'
import { cannotRun, dumpNetwork, enterFreshNetwork, scratch, shell, type Scratch } from './testing.ts'

const ruleset = `
table inet linkspan {
  map pub4_any { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map pub_range { type inet_proto . inet_service : ipv4_addr; flags interval; }
  set subnet4 { type ipv4_addr; flags interval; }
  set subnet4_if { type ipv4_addr . ifname; flags interval; }
  map to_br { type ifname : verdict; }
  chain to_nat { drop; }
}
`

const bridge: BridgeSpec = {
  name: 'br-test',
  mac: '02:42:11:22:33:44',
  alias: 'linkspan:network',
  addresses: ['172.30.0.1/16'],
  ipv6: false,
}

const vethTo = (netns: string): VethSpec => ({
  name: 'veth0123456',
  alias: 'linkspan:endpoint',
  bridge: bridge.name,
  peer: { netns, name: 'eth0', mac: '02:42:ac:1e:00:02', addresses: ['172.30.0.2/16'], ipv6: false },
})

const published = (port: number): NftElement => ({
  table: 'linkspan',
  set: 'pub4_any',
  key: [field.protocol('tcp'), field.port(port)],
  data: [field.ipv4('172.30.0.2'), field.port(80)],
})

const subnet: NftElement = {
  table: 'linkspan',
  set: 'subnet4',
  key: [field.ipv4('172.30.0.0')],
  keyEnd: [field.ipv4('172.30.255.255')],
}

/** As a dump gives it. */
const asBuffers = (element: NftElement) => ({
  ...element,
  key: element.key.map(bytes => Buffer.from(bytes)),
  ...(element.keyEnd === undefined ? {} : { keyEnd: element.keyEnd.map(bytes => Buffer.from(bytes)) }),
})

/** What connecting a container takes, every kind of operation that can be undone among it. */
const connect = (netns: string): readonly Operation[] => [
  { do: 'sysctl.set', key: 'net/ipv4/ip_forward', value: '1' },
  { do: 'bridge.add', bridge },
  { do: 'veth.add', veth: vethTo(netns) },
  { do: 'hairpin.set', link: 'veth0123456', on: true },
  {
    do: 'route.set',
    route: { netns, destination: 'default', family: 4, gateway: '172.30.0.1', link: 'eth0' },
  },
  { do: 'route.delete', route: { netns, destination: 'default', family: 4, link: 'eth0' } },
  { do: 'sysctl.set', netns, key: 'net/ipv4/conf/eth0/rp_filter', value: '2' },
  { do: 'port.reserve', port: { protocol: 'tcp', address: '0.0.0.0', from: 8080, to: 8081 } },
  { do: 'port.reserve', port: { protocol: 'udp', address: '::', from: 20_000, to: 20_999 } },
  { do: 'nft.elements', add: [published(8080), published(8081), subnet], delete: [published(7000)] },
  { do: 'bridge.set', bridge: { ...bridge, mtu: 1400, addresses: ['172.30.0.254/16'] } },
  { do: 'port.release', port: { protocol: 'tcp', address: '0.0.0.0', from: 8080, to: 8081 } },
  { do: 'nft.elements', add: [], delete: [published(8080)] },
]

describe.skipIf(cannotRun !== '')('executor', () => {
  let place: Scratch
  let executor: Executor
  let options: ExecutorOptions = {}
  const taken: PreparedNamespace[] = []

  const take = () => {
    const namespace = executor.takeNamespace()
    taken.push(namespace)
    return namespace
  }

  beforeAll(enterFreshNetwork)
  beforeEach(() => {
    place = scratch()
    options = {}
    executor = new Executor(place.settings, { failAt: (...args) => options.failAt?.(...args) })
    executor.run([
      { do: 'nft.load', text: `flush ruleset\n${ruleset}` },
      { do: 'sysctl.set', key: 'net/ipv4/ip_forward', value: '0' },
    ])
  })
  afterEach(() => {
    for (const { resolver } of taken) {
      closeSync(resolver.udp)
      closeSync(resolver.tcp)
    }
    executor.run([{ do: 'links.delete', names: ['veth0123456', 'br-test', 'never-was-there'] }])
    executor.deleteNamespaces(taken.splice(0).map(({ name }) => name))
    executor.close()
    place.remove()
  })

  test('connects a container, and everything can be read back', () => {
    const { name, path } = take()
    const results = executor.run(connect(name).slice(0, 5))
    const links = executor.links()
    const host = links.find(link => link.name === 'veth0123456')
    const inside = executor.links(name).find(link => link.name === 'eth0')
    expect(results).toEqual([
      null,
      { index: links.find(link => link.name === 'br-test')?.index },
      { hostIndex: host?.index, peerIndex: inside?.index },
      null,
      null,
    ])
    expect(host).toMatchObject({ kind: 'veth', alias: 'linkspan:endpoint', up: true, peer: inside?.index })
    expect(inside).toMatchObject({
      mac: '02:42:ac:1e:00:02',
      up: true,
      peer: host?.index,
      addresses: ['172.30.0.2/16'],
    })
    expect(executor.routes(name)).toEqual([
      { family: 4, destination: 'default', gateway: '172.30.0.1', link: 'eth0', onLink: false },
      { family: 4, destination: '172.30.0.0/16', gateway: undefined, link: 'eth0', onLink: true },
    ])
    expect(shell('busybox ping -c1 -W2 172.30.0.1', path)).toContain('1 packets received')
  })

  test('a batch that fails leaves no trace, wherever it fails', () => {
    const { name, path } = take()
    executor.run([{ do: 'nft.elements', add: [published(7000)], delete: [] }])
    const operations = connect(name)
    const before = [dumpNetwork(), dumpNetwork(path)]
    for (const [position, operation] of operations.entries()) {
      options = {
        failAt: at => {
          if (at === position) throw new Error('on purpose')
        },
      }
      expect(() => executor.run(operations), operation.do).toThrow(
        expect.objectContaining({ position, rollback: [] }),
      )
      expect([dumpNetwork(), dumpNetwork(path)], `${position}: ${operation.do}`).toEqual(before)
    }
    options = {}
    expect(executor.run(operations)).toHaveLength(operations.length)
    executor.run([{ do: 'port.release', port: { protocol: 'udp', address: '::', from: 20_000, to: 20_999 } }])
  })

  test('a batch that the kernel refuses leaves no trace either, and says where and why', () => {
    const { name, path } = take()
    const before = [dumpNetwork(), dumpNetwork(path)]
    const refused: readonly (readonly [Operation, object])[] = [
      [
        { do: 'bridge.add', bridge },
        { code: 'EEXIST', doing: 'create bridge br-test' },
      ],
      [{ do: 'veth.add', veth: { ...vethTo(name), name: 'veth2' } }, { code: 'EEXIST' }],
      [{ do: 'veth.add', veth: { ...vethTo('0123456789ab'), name: 'veth2' } }, { code: 'ENOENT' }],
      [
        { do: 'port.reserve', port: { protocol: 'tcp', address: '0.0.0.0', from: 8000, to: 8200 } },
        { code: 'EADDRINUSE', port: 8080 },
      ],
      [
        {
          do: 'nft.elements',
          add: [{ ...published(8081), data: [field.ipv4('9.9.9.9'), field.port(1)] }],
          delete: [],
        },
        { code: 'EBUSY' },
      ],
      [
        { do: 'sysctl.set', netns: name, key: 'net/ipv4/conf/eth7/forwarding', value: '1' },
        { code: 'ENOENT' },
      ],
      [
        { do: 'nft.load', text: 'table inet linkspan { chain broken { nonsense } }' },
        { code: 'EINVAL', detail: expect.stringContaining('syntax error') },
      ],
      [{ do: 'hairpin.set', link: 'absent', on: true }, { code: 'ENODEV' }],
    ]
    const done = connect(name).slice(0, 10)
    for (const [operation, error] of refused) {
      expect(() => executor.run([...done, operation]), operation.do).toThrow(
        expect.objectContaining({ ...error, position: done.length, rollback: [] }),
      )
      expect([dumpNetwork(), dumpNetwork(path)], operation.do).toEqual(before)
    }
  })

  test('what goes wrong while undoing is told, and the rest is undone', () => {
    const operations: readonly Operation[] = [
      { do: 'sysctl.set', key: 'net/ipv4/ip_forward', value: '1' },
      { do: 'bridge.add', bridge },
      { do: 'sysctl.set', key: 'net/ipv4/conf/br-test/rp_filter', value: '2' },
      { do: 'links.delete', names: ['br-test'] },
    ]
    options = {
      failAt: position => {
        if (position !== 3) return
        shell('ip link delete br-test')
        throw new Error('on purpose')
      },
    }
    expect(() => executor.run(operations)).toThrow(
      expect.objectContaining({
        position: 3,
        rollback: [expect.stringContaining('set sysctl net/ipv4/conf/br-test/rp_filter')],
      }),
    )
    expect(shell('cat /proc/sys/net/ipv4/ip_forward')).toBe('0\n')
  })

  test('deleting a namespace lets its veths vanish; absent namespaces are no error', async () => {
    const { name, resolver } = executor.takeNamespace()
    closeSync(resolver.udp)
    closeSync(resolver.tcp)
    executor.run(connect(name).slice(1, 3))
    executor.deleteNamespaces([name, '0123456789ab'])
    expect(executor.namespaces()).toEqual([])
    await expect
      .poll(() => executor.links().map(link => link.name), { timeout: 10_000 })
      .toEqual(['lo', 'br-test'])
    expect(() => executor.deleteNamespaces(['../etc', '0123456789ab'])).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    )
  })

  test('sockets are made inside a namespace', () => {
    const { name, path } = take()
    const descriptor = executor.openSocket(name, 6, 'udp')
    const address = socketAddress('::1', 5353)
    expect(attempt('bind', descriptor, address, address.length)).toBe(0)
    expect(shell('ss -Hlun', path)).toContain('[::1]:5353')
    closeSync(descriptor)
    expect(() => executor.openSocket('0123456789ab', 4, 'tcp')).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
  })

  test('elements are read back; a set that is not there is undefined', () => {
    executor.run([{ do: 'nft.elements', add: [published(1), subnet], delete: [] }])
    expect(executor.elements('linkspan', 'pub4_any')).toEqual([published(1)].map(asBuffers))
    expect(executor.elements('linkspan', 'subnet4')).toEqual([subnet].map(asBuffers))
    expect(executor.elements('linkspan', 'absent')).toBeUndefined()
  })
})
