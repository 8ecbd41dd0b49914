import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { constants } from 'node:os'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { attempt } from './ffi.ts'
import { inNamespace } from './namespace.ts'
import type { PreparedNamespace, ResolverSockets } from './operation.ts'
import { NamespacePool } from './pool.ts'
import { openBoundSocket, openInternetSocket, socketAddress } from './socket.ts'
import { cannotRun, enterFreshNetwork, scratch, shell, type Scratch } from './testing.ts'

const resolverAddress = '127.0.0.11'

describe.skipIf(cannotRun !== '')('the pool', () => {
  let place: Scratch
  let pool: NamespacePool
  /** Netfilter sockets are closed behind: the count is right when it does not fall any more. */
  const openDescriptors = async () => {
    let count = Infinity
    for (let calm = 0; calm < 5; calm++) {
      await delay(10)
      const now = readdirSync('/proc/self/fd').length
      if (now < count) calm = 0
      count = now
    }
    return count
  }
  const files = () => readdirSync(place.settings.netnsDirectory).sort()
  const close = ({ udp, tcp }: ResolverSockets) => {
    closeSync(udp)
    closeSync(tcp)
  }

  beforeAll(enterFreshNetwork)
  beforeEach(() => {
    place = scratch({ poolSize: 2 })
    pool = new NamespacePool(place.settings)
  })
  afterEach(() => {
    for (const { name } of pool.list()) pool.delete(name)
    place.remove()
  })

  test('is filled, gives, and makes what it has not got', () => {
    expect(pool.wanting).toBe(true)
    pool.refill()
    pool.refill()
    expect(pool.wanting).toBe(false)
    const ready = pool.list()
    expect(ready.map(({ free }) => free)).toEqual([true, true])
    const taken = [pool.take(), pool.take(), pool.take()]
    expect(
      taken
        .slice(0, 2)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(ready.map(({ name }) => name))
    expect(pool.list().map(({ free }) => free)).toEqual([false, false, false])
    for (const { name, path, resolver } of taken) {
      expect(name).toMatch(/^[0-9a-f]{12}$/)
      expect(path).toBe(join(place.settings.netnsDirectory, name))
      close(resolver)
    }
  })

  test('a prepared namespace has lo, sysctls, and the resolver’s sockets', () => {
    const { path, resolver } = pool.take()
    expect(shell('ip -brief address show lo', path)).toMatch(/lo\s+UNKNOWN\s+127\.0\.0\.1\/8 ::1\/128/)
    expect(shell('cat /proc/sys/net/ipv4/ip_unprivileged_port_start', path)).toBe('0\n')
    expect(shell('ss -Hlun', path)).toContain(`${resolverAddress}:10053`)
    expect(shell('ss -Hltn', path)).toContain(`${resolverAddress}:10053`)
    close(resolver)
  })

  test('deleting closes the sockets of what nobody took, and leaves no file', async () => {
    pool.take()
    const before = await openDescriptors()
    pool.refill()
    pool.refill()
    for (const { name, free } of pool.list()) if (free) pool.delete(name)
    expect(await openDescriptors()).toBe(before)
    for (const { name } of pool.list()) pool.delete(name)
    pool.delete('0123456789ab')
    expect(files()).toEqual([])
  })

  test('what an earlier process prepared and nobody took is cleaned away, the rest stays', () => {
    const kept = pool.take()
    pool.refill()
    // A crash between the mark and the namespace.
    writeFileSync(join(place.settings.netnsDirectory, 'aaaaaaaaaaaa.free'), '')
    const after = new NamespacePool(place.settings)
    expect(after.list()).toEqual([{ name: kept.name, free: false }])
    expect(files()).toEqual([kept.name])
  })

  test('closing deletes what is ready, not what was taken', () => {
    const { name } = pool.take()
    pool.refill()
    pool.close()
    expect(files()).toEqual([name])
  })

  test('nothing is left when preparing fails', async () => {
    const before = await openDescriptors()
    const broken = new NamespacePool({ ...place.settings, namespaceSysctls: { 'net/no/such': '1' } })
    expect(() => broken.take()).toThrow(
      expect.objectContaining({ code: 'ENOENT', doing: 'set sysctl net/no/such to 1' }),
    )
    const taken = new NamespacePool({ ...place.settings, resolver: { address: '192.0.2.1', port: 53 } })
    expect(() => taken.take()).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }))
    expect(files()).toEqual([])
    expect(await openDescriptors()).toBe(before)
  })

  test.each(['', '..', '../x', 'a/b', 'x.free', '/etc/passwd'])('%j is no namespace’s name', name => {
    expect(() => pool.path(name)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })

  describe('the resolver behind port 53', () => {
    let namespace: PreparedNamespace
    beforeEach(() => {
      namespace = pool.take()
    })

    /** Answers every datagram and every connection with its own bytes, turned round. */
    const serve = ({ udp, tcp }: ResolverSockets) => {
      const datagrams = createSocket('udp4').bind({ fd: udp })
      datagrams.on('message', (message, { address, port }) => {
        datagrams.send(Buffer.from(message).reverse(), port, address)
      })
      const server = createServer(connection => {
        connection.on('data', data => connection.end(Buffer.from(data).reverse()))
      }).listen({ fd: tcp })
      return () => {
        datagrams.close()
        server.close()
      }
    }

    const askUdp = async (inside: string) => {
      const client = createSocket('udp4').bind({
        fd: inNamespace(inside, () => openBoundSocket('127.0.0.1', 0, 'udp')),
      })
      client.send('question', 53, resolverAddress)
      const [message, from] = (await once(client, 'message')) as [Buffer, { address: string; port: number }]
      client.close()
      return { text: message.toString(), from: `${from.address}:${from.port}` }
    }

    const askTcp = async (inside: string) => {
      const fd = inNamespace(inside, () => {
        const descriptor = openInternetSocket(4, 'tcp')
        const target = socketAddress(resolverAddress, 53)
        const result = attempt('connect', descriptor, target, target.length)
        expect(result).toBe(-constants.errno.EINPROGRESS)
        return descriptor
      })
      const client = new Socket({ fd, readable: true, writable: true })
      client.write('question')
      const [data] = (await once(client, 'data')) as [Buffer]
      const from = `${client.remoteAddress}:${client.remotePort}`
      client.destroy()
      return { text: data.toString(), from }
    }

    test('a question to 127.0.0.11:53 reaches the sockets, the answer comes from port 53, by UDP and TCP', async () => {
      const stop = serve(namespace.resolver)
      const expected = { text: 'noitseuq', from: '127.0.0.11:53' }
      expect(await askUdp(namespace.path)).toEqual(expected)
      expect(await askTcp(namespace.path)).toEqual(expected)
      stop()
    })

    test('a program can still have port 53 for itself, and the resolver keeps its address', async () => {
      const stop = serve(namespace.resolver)
      const own = inNamespace(namespace.path, () => [
        openBoundSocket('0.0.0.0', 53, 'udp'),
        openBoundSocket('0.0.0.0', 53, 'tcp'),
      ])
      expect(await askUdp(namespace.path)).toMatchObject({ text: 'noitseuq' })
      expect(await askTcp(namespace.path)).toMatchObject({ text: 'noitseuq' })
      for (const descriptor of own) closeSync(descriptor)
      stop()
    })

    test('an engine that comes back opens the sockets anew', async () => {
      close(namespace.resolver)
      const stop = serve(pool.openResolver(namespace.name))
      expect(await askUdp(namespace.path)).toMatchObject({ from: '127.0.0.11:53' })
      expect(() => pool.openResolver(namespace.name)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
      stop()
      expect(() => pool.openResolver('0123456789ab')).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    })

    test('an IPv6 address of a resolver is rewritten as well', () => {
      const six = new NamespacePool({ ...place.settings, resolver: { address: '::1', port: 10_053 } })
      const { path, name, resolver } = six.take()
      expect(shell('nft list ruleset', path)).toContain('ip6 daddr ::1 udp dport 53')
      close(resolver)
      six.delete(name)
      expect(existsSync(path)).toBe(false)
      close(namespace.resolver)
    })
  })
})
