import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KernelError } from '../error.ts'
import { inNamespace } from '../namespace.ts'
import { attributesAfter, MessageWriter, readMessages, type Message } from '../netlink/message.ts'
import { NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts'
import type { BridgeSpec, VethSpec } from '../operation.ts'
import { createNamespace, deleteNamespace, openNamespace } from '../namespace.ts'
import { cannotRun, enterFreshNetwork, scratch, shell } from '../testing.ts'
import { addAddress, listAddresses, parseLinkAddress, removeAddress } from './address.ts'
import { createBridge, setBridge } from './bridge.ts'
import { changeLink, deleteLinks, findLink, linkIndex, listLinks, parseLink } from './link.ts'
import { Monitor, parseEvent, type MonitorEvent } from './monitor.ts'
import { deleteNeighbour, listNeighbours, parseNeighbour, setNeighbour } from './neighbour.ts'
import { LinkReaper } from './reaper.ts'
import { deleteRoute, listRoutes, parseRoute, setRoute } from './route.ts'
import { configurePeer, createVeth, labelVeth, setHairpin } from './veth.ts'
import { closeSync } from 'node:fs'
import { join } from 'node:path'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

describe('messages', () => {
  test('an IPv4 address carries its broadcast address', () => {
    const writer = new MessageWriter()
    addAddress(writer, 5, '172.17.0.2/16')
    expect(writer.finish(1).toString('hex')).toBe(
      hex(`
        30000000 1400 0106 01000000 00000000
        02 10 00 00 05000000
        0800 0200 ac110002
        0800 0100 ac110002
        0800 0400 ac11ffff
      `).toString('hex'),
    )
  })

  test('an IPv6 address skips duplicate address detection, a link-local one has the link’s scope', () => {
    const writer = new MessageWriter()
    addAddress(writer, 5, 'fe80::2/64')
    expect(writer.finish(1).toString('hex')).toBe(
      hex(`
        40000000 1400 0106 01000000 00000000
        0a 40 02 fd 05000000
        1400 0200 fe800000000000000000000000000002
        1400 0100 fe800000000000000000000000000002
      `).toString('hex'),
    )
  })

  test('a change of a link names only what changes', () => {
    const writer = new MessageWriter()
    changeLink(writer, 3, { up: true, mtu: 1400 })
    changeLink(writer, 3, { alias: 'x' })
    expect(writer.finish(1).toString('hex')).toBe(
      hex(`
        28000000 1000 0100 01000000 00000000 00 00 0000 03000000 01000000 01000000 0800 0400 78050000
        28000000 1000 0100 02000000 00000000 00 00 0000 03000000 00000000 00000000 0600 1400 7800 0000
      `).toString('hex'),
    )
  })

  const anyMessage = fc
    .record({ type: fc.integer({ min: 16, max: 30 }), payload: fc.uint8Array({ maxLength: 100 }) })
    .map(({ type, payload }): Message => ({ type, flags: 0, sequence: 0, payload: Buffer.from(payload) }))

  test('parsing any payload gives a value or a KernelError', () => {
    const parsers = [parseLink, parseLinkAddress, parseRoute, parseNeighbour, parseEvent]
    fc.assert(
      fc.property(anyMessage, message => {
        for (const parse of parsers) {
          try {
            parse(message)
          } catch (error) {
            expect(error).toBeInstanceOf(KernelError)
          }
        }
      }),
    )
  })
})

describe.skipIf(cannotRun !== '')('in a kernel', () => {
  const place = scratch()
  const inner = join(place.directory, 'inner')
  let host: NetlinkSocket
  let inside: NetlinkSocket

  const bridge: BridgeSpec = {
    name: 'br0',
    mac: '02:42:00:00:00:01',
    mtu: 1400,
    alias: 'a bridge',
    addresses: ['10.1.0.1/24', 'fd01::1/64'],
    ipv6: true,
  }
  const veth: VethSpec = {
    name: 'veth0',
    alias: 'an endpoint',
    bridge: 'br0',
    hairpin: true,
    mtu: 1400,
    peer: {
      netns: 'inner',
      name: 'eth0',
      mac: '02:42:0a:01:00:02',
      addresses: ['10.1.0.2/24', 'fd01::2/64'],
      ipv6: true,
    },
  }

  const addVeth = (spec = veth) => {
    const namespace = openNamespace(inner)
    try {
      const indexes = createVeth(host, spec, namespace)
      labelVeth(host, spec, indexes.hostIndex)
      configurePeer(inside, spec, indexes.peerIndex)
      return indexes
    } finally {
      closeSync(namespace)
    }
  }

  beforeAll(() => {
    enterFreshNetwork()
    createNamespace(inner, () => undefined)
    host = new NetlinkSocket(NETLINK_ROUTE)
    inside = inNamespace(inner, () => new NetlinkSocket(NETLINK_ROUTE))
  })
  afterAll(() => {
    host.close()
    inside.close()
    deleteNamespace(inner)
    place.remove()
  })
  beforeEach(() => void createBridge(host, bridge))
  afterEach(() => deleteLinks(host, ['veth0', 'veth1', 'br0']))

  test('a bridge is made as its spec says', () => {
    const link = findLink(host, 'br0')
    expect(link).toMatchObject({
      kind: 'bridge',
      mac: bridge.mac,
      mtu: 1400,
      alias: 'a bridge',
      up: true,
      master: 0,
    })
    expect(linkIndex(host, 'test', 'br0')).toBe(link?.index)
    const addresses = listAddresses(host).filter(address => address.index === link?.index)
    expect(addresses.filter(address => !address.linkLocal).map(address => address.cidr)).toEqual(
      bridge.addresses,
    )
    expect(shell('ip -6 address show dev br0 tentative')).toBe('')
    expect(shell('cat /proc/sys/net/ipv6/conf/br0/accept_ra')).toBe('0\n')
    expect(shell('ip -4 address show dev br0')).toContain('brd 10.1.0.255')
  })

  test('a bridge that cannot be made as its spec says leaves nothing', () => {
    const before = listLinks(host)
    const fails = (change: Partial<BridgeSpec>) => () =>
      createBridge(host, { ...bridge, name: 'br1', ...change })
    expect(fails({ name: 'br0' })).toThrow(
      expect.objectContaining({ code: 'EEXIST', doing: 'create bridge br0' }),
    )
    expect(fails({ addresses: ['10.2.0.1/24', '10.2.0.1/24'] })).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    )
    expect(fails({ addresses: ['nonsense'] })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(fails({ mtu: 10 })).toThrow(
      expect.objectContaining({ code: 'EINVAL', detail: 'mtu less than device minimum' }),
    )
    expect(listLinks(host)).toEqual(before)
  })

  test('a bridge without IPv6 has no IPv6 address', () => {
    deleteLinks(host, ['br0'])
    createBridge(host, { ...bridge, addresses: ['10.1.0.1/24'], ipv6: false })
    expect(shell('ip -6 address show dev br0')).toBe('')
  })

  test('a bridge is brought to its spec and back', () => {
    shell('ip address add 10.9.0.1/24 dev br0; ip address add 169.254.7.7/16 dev br0; ip link set br0 down')
    const before = shell('ip address show dev br0')
    const { undo } = setBridge(host, {
      ...bridge,
      mac: '02:42:00:00:00:02',
      mtu: 1300,
      alias: 'another',
      addresses: ['10.1.0.1/24', 'fd02::1/64'],
    })
    const after = shell('ip address show dev br0')
    expect(after).toContain('02:42:00:00:00:02')
    expect(after).toMatch(/mtu 1300/)
    expect(after).toMatch(/<.*UP.*>/)
    for (const address of ['10.1.0.1/24', 'fd02::1/64', '169.254.7.7/16']) expect(after).toContain(address)
    for (const address of ['10.9.0.1', 'fd01::1']) expect(after).not.toContain(address)
    undo()
    for (const text of ['10.9.0.1/24', 'mtu 1400', '02:42:00:00:00:01', 'state DOWN']) {
      expect(shell('ip address show dev br0')).toContain(text)
    }
    expect(before).toContain('10.9.0.1/24')
    expect(findLink(host, 'br0')).toMatchObject({ alias: 'a bridge', up: false })
    expect(() => setBridge(host, { ...bridge, name: 'lo' })).toThrow(
      expect.objectContaining({ code: 'EOPNOTSUPP', detail: 'lo is a device, not a bridge' }),
    )
    expect(() => setBridge(host, { ...bridge, name: 'br9' })).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    )
  })

  test('an adopted bridge keeps its alias', () => {
    setBridge(host, { ...bridge, alias: '' })
    expect(findLink(host, 'br0')?.alias).toBe('a bridge')
  })

  test('a veth pair is made as its spec says, and the ends know each other', () => {
    const { hostIndex, peerIndex } = addVeth()
    const master = findLink(host, 'br0')?.index
    expect(findLink(host, 'veth0')).toMatchObject({
      index: hostIndex,
      peer: peerIndex,
      kind: 'veth',
      alias: 'an endpoint',
      mtu: 1400,
      up: true,
      master,
    })
    expect(findLink(inside, 'eth0')).toMatchObject({
      index: peerIndex,
      peer: hostIndex,
      mac: veth.peer.mac,
      mtu: 1400,
      up: true,
    })
    expect(shell('ip -details link show dev veth0')).toContain('hairpin on')
    expect(findLink(host, 'veth0')?.hairpin).toBe(true)
    expect([false, false, true].map(on => setHairpin(host, 'veth0', on))).toEqual([true, false, false])
    expect(shell('ip -details link show dev veth0')).toContain('hairpin on')
    const cidrs = listAddresses(inside)
      .filter(({ index }) => index === peerIndex)
      .map(({ cidr }) => cidr)
    expect(cidrs).toEqual(expect.arrayContaining([...veth.peer.addresses]))
  })

  test.each([
    ['the host end’s name is taken', { name: 'br0' }, 'EEXIST'],
    ['there is no such bridge', { bridge: 'br9' }, 'ENODEV'],
    ['the master is no bridge', { bridge: 'lo' }, 'EOPNOTSUPP'],
    ['a name is too long', { name: 'veth-and-much-more' }, 'EINVAL'],
    ['the MAC is for groups', { peer: { ...veth.peer, mac: '01:00:5e:00:00:01' } }, 'EADDRNOTAVAIL'],
  ])('no veth pair is left when %s', (_, change: Partial<VethSpec>, code) => {
    const before = [listLinks(host), listLinks(inside)]
    expect(() => addVeth({ ...veth, name: 'veth1', ...change })).toThrow(expect.objectContaining({ code }))
    expect([listLinks(host), listLinks(inside)]).toEqual(before)
  })

  test('the far end’s name is taken', () => {
    addVeth()
    expect(() => addVeth({ ...veth, name: 'veth1' })).toThrow(
      expect.objectContaining({ code: 'EEXIST', doing: 'create veth veth1 (eth0 in inner) on br0' }),
    )
    expect(findLink(host, 'veth1')).toBeUndefined()
  })

  test('addresses come and go', () => {
    const index = linkIndex(host, 'test', 'br0')
    const change = (edit: (writer: MessageWriter) => void) => {
      const writer = new MessageWriter()
      edit(writer)
      host.transact('test', writer)
    }
    change(writer => addAddress(writer, index, '169.254.9.9/16'))
    expect(shell('ip address show dev br0')).toContain('169.254.9.9/16 brd 169.254.255.255 scope link')
    expect(listAddresses(host)).toContainEqual({ index, family: 4, cidr: '169.254.9.9/16', linkLocal: true })
    change(writer => removeAddress(writer, index, '169.254.9.9/16'))
    expect(shell('ip address show dev br0')).not.toContain('169.254.9.9')
    expect(() => change(writer => removeAddress(writer, index, '169.254.9.9/16'))).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
  })

  test.each([
    [4, 'default', '10.1.0.1', '10.1.0.254'],
    [4, '192.168.7.9/24', '10.1.0.1', '10.1.0.254'],
    [6, 'default', 'fd01::1', 'fd01::fe'],
    [6, '2001:db8::1/32', 'fd01::1', 'fd01::fe'],
  ] as const)(
    'IPv%i route to %s: made, replaced, deleted, and each undone',
    (family, destination, first, second) => {
      addVeth()
      const dump = () => shell('ip route; ip -6 route', inner)
      const route = (gateway: string) => ({ netns: 'inner', destination, family, gateway, link: 'eth0' })
      const prefix =
        destination === 'default' ? 'default' : destination.replace('.9/', '.0/').replace('::1/', '::/')
      const without = dump()

      const undoFirst = setRoute(inside, route(first))
      const withFirst = dump()
      expect(withFirst).toContain(`${prefix} via ${first} dev eth0`)
      expect(listRoutes(inside)).toContainEqual({
        family,
        destination: prefix,
        gateway: first,
        index: linkIndex(inside, 'test', 'eth0'),
      })
      setRoute(inside, route(first))
      expect(dump()).toBe(withFirst)

      const undoSecond = setRoute(inside, route(second))
      expect(dump()).toContain(`${prefix} via ${second} dev eth0`)
      expect(dump()).not.toContain(`${prefix} via ${first} dev`)
      undoSecond(inside)
      expect(dump()).toBe(withFirst)

      const undoDelete = deleteRoute(inside, { netns: 'inner', destination, family, link: 'eth0' })
      expect(dump()).toBe(without)
      deleteRoute(inside, route(first))(inside)
      expect(dump()).toBe(without)
      undoDelete(inside)
      expect(dump()).toBe(withFirst)
      undoFirst(inside)
      expect(dump()).toBe(without)
    },
  )

  test('a route of somebody else is restored with all it had', () => {
    addVeth()
    shell('ip route add default via 10.1.0.7 dev eth0 proto static mtu 1300 src 10.1.0.2', inner)
    const before = shell('ip -details route', inner)
    const route = {
      netns: 'inner',
      destination: 'default',
      family: 4,
      gateway: '10.1.0.1',
      link: 'eth0',
    } as const
    const undo = setRoute(inside, route)
    expect(shell('ip route', inner)).toContain('default via 10.1.0.1 dev eth0')
    undo(inside)
    expect(shell('ip -details route', inner)).toBe(before)
    deleteRoute(inside, { netns: 'inner', destination: 'default', family: 4, link: 'eth0' })(inside)
    expect(shell('ip -details route', inner)).toBe(before)
  })

  test('a route through a gateway that is nowhere says so', () => {
    addVeth()
    const route = {
      netns: 'inner',
      destination: 'default',
      family: 4,
      gateway: '1.2.3.4',
      link: 'eth0',
    } as const
    expect(() => setRoute(inside, route)).toThrow(
      expect.objectContaining({ code: 'ENETUNREACH', detail: 'Nexthop has invalid gateway' }),
    )
    expect(() => setRoute(inside, { ...route, link: 'eth7' })).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    )
    deleteRoute(inside, { ...route, link: 'eth7' })(inside)
  })

  test('neighbours: set, replaced, listed, deleted', () => {
    const index = linkIndex(host, 'test', 'br0')
    setNeighbour(host, index, '10.1.0.9', '02:00:00:00:00:08')
    setNeighbour(host, index, '10.1.0.9', '02:00:00:00:00:09')
    setNeighbour(host, index, 'fd01::9', '02:00:00:00:00:0a')
    expect(
      listNeighbours(host).filter(neighbour => neighbour.permanent && neighbour.index === index),
    ).toEqual([
      { index, address: '10.1.0.9', mac: '02:00:00:00:00:09', permanent: true },
      { index, address: 'fd01::9', mac: '02:00:00:00:00:0a', permanent: true },
    ])
    for (const address of ['10.1.0.9', 'fd01::9', 'fd01::9']) deleteNeighbour(host, index, address)
    expect(shell('ip neighbour show nud permanent')).toBe('')
  })

  test('many links are deleted as one group, absent ones do not matter', () => {
    addVeth()
    shell('ip link add br7 type bridge; ip link add br8 type bridge; ip link add keep type bridge')
    deleteLinks(host, ['br7', 'absent', 'br8', 'veth0'])
    expect(listLinks(host).map(link => link.name)).toEqual(['lo', 'br0', 'keep'])
    deleteLinks(host, ['absent'])
    deleteLinks(host, ['absent', 'absent-as-well'])
    deleteLinks(host, [])
    deleteLinks(host, ['keep'])
  })

  test('the reaper gathers what comes while it works, and says when names are free', async () => {
    const reaper = new LinkReaper()
    for (const name of ['gone1', 'gone2', 'gone3']) shell(`ip link add ${name} type bridge`)
    const first = reaper.delete(['gone1'])
    await Promise.resolve()
    const others = [reaper.delete(['gone2']), reaper.delete(['gone3', 'absent'])]
    expect(reaper.busy).toBe(true)
    await reaper.settled(['gone2'])
    expect(findLink(host, 'gone2')).toBeUndefined()
    await Promise.all([first, ...others])
    expect(listLinks(host).map(link => link.name)).toEqual(['lo', 'br0'])
    await expect(reaper.delete(['/'])).rejects.toMatchObject({ code: 'EINVAL' })
    await reaper.close()
    expect(reaper.busy).toBe(false)
  })

  test('a monitor tells what happens, in order', async () => {
    const events: MonitorEvent[] = []
    let arrived: () => void = () => undefined
    const monitor = inNamespace(inner, () => {
      return new Monitor(['link', 'address', 'route', 'neighbour'], event => {
        events.push(event)
        arrived()
      })
    })
    addVeth()
    deleteLinks(host, ['veth0'])
    while (!events.some(event => event.topic === 'link' && event.gone)) {
      await new Promise<void>(resolve => {
        arrived = resolve
      })
    }
    monitor.close()
    const links = events.filter(event => event.topic === 'link')
    expect(links[0]).toMatchObject({ gone: false, link: { name: 'eth0', up: false } })
    expect(links.at(-1)).toMatchObject({ gone: true, link: { name: 'eth0' } })
    const told = events.flatMap(event =>
      event.topic === 'address' ? [[event.address.cidr, event.gone]] : [],
    )
    expect(told).toEqual(
      expect.arrayContaining([
        ['10.1.0.2/24', false],
        ['10.1.0.2/24', true],
      ]),
    )
    expect(events).toContainEqual(
      expect.objectContaining({
        topic: 'route',
        gone: false,
        route: expect.objectContaining({ destination: '10.1.0.0/24' }),
      }),
    )
  })

  test('a dump is complete however large it is', () => {
    const pairs = Array.from({ length: 100 }, (_, position) => [`left${position}`, `right${position}`])
    const lines = pairs.map(([left, right]) => `link add ${left} group 77 type veth peer name ${right}`)
    shell(`ip -batch - <<END\n${lines.join('\n')}\nEND`)
    expect(listLinks(host).map(link => link.name)).toEqual(expect.arrayContaining(pairs.flat()))
    shell('ip link delete group 77')
  })

  test('the kernel’s own words are in the error', () => {
    const writer = new MessageWriter()
    changeLink(writer, 1, { mac: '02:00:00:00:00:01', mtu: 1 })
    changeLink(writer, 4242, { up: true })
    const { errors, replies } = host.exchange('test', writer)
    expect(errors.map(({ position, error }) => [position, error.code])).toContainEqual([1, 'ENODEV'])
    expect(replies).toEqual([])
    expect(readMessages(Buffer.alloc(0))).toEqual([])
    expect(() => attributesAfter(Buffer.alloc(3), 16)).toThrow(KernelError)
  })
})
