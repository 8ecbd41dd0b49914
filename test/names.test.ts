/** Names as resolvers in containers see them, forwarding, the host's own door, and what a hostile container can do. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linkspanBinary, TestHost } from './support/host.ts'
import { askFrom, askFromHost, type Reply, serveNames } from './support/questions.ts'
import { until } from './support/until.ts'

let host: TestHost
beforeAll(async () => {
  host = await TestHost.open(['--host-dns', '127.0.0.54:53', '--dns-ttl', '3'])
  for (const network of ['shop', 'my.net']) await host.ok('network', 'create', '--ipv6', network)
  await host.ok('network', 'create', '--internal', 'vault')
  await start('Web', '--hostname', 'frontend', '--network', 'shop', '--network-alias', 'site')
  for (const replica of [1, 2, 3]) {
    await start(`db.${replica}`, '--network', 'shop', '--network-alias', 'db')
  }
  await start('asker', '--network', 'shop')
})
afterAll(async () => {
  await host.close()
})

/** A container that only waits. */
async function start(name: string, ...flags: readonly string[]): Promise<void> {
  await host.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '600')
}

const data = (replies: readonly Reply[]): readonly (readonly string[])[] => replies.map(reply => reply.data)

async function addressOf(container: string, network: string, field = 'IPAddress'): Promise<string> {
  return await host.ok(
    'inspect',
    '-f',
    `{{(index .NetworkSettings.Networks ${JSON.stringify(network)}).${field}}}`,
    container,
  )
}

describe('a container’s names', () => {
  it('are its name, aliases, short id and hostname, alone and with the network, in any case', async () => {
    const address = await addressOf('Web', 'shop')
    const short = (await host.ok('inspect', '-f', '{{.Id}}', 'Web')).slice(0, 12)
    const names = ['Web', 'web', 'WEB.shop', 'site', 'site.SHOP', short, `${short}.shop`, 'frontend']
    const replies = await askFrom(
      host,
      'asker',
      names.map(name => ({ name })),
    )
    expect(data(replies)).toEqual(names.map(() => [address]))
    expect(replies.map(reply => reply.name)).toEqual(names)
    expect(new Set(replies.map(reply => reply.ttl))).toEqual(new Set([3]))
  })

  it('have IPv6 where the network has, and nothing, not "no such name", for every other type', async () => {
    const six = await addressOf('Web', 'shop', 'GlobalIPv6Address')
    const types = ['AAAA', 'MX', 'TXT', 'SRV', 'CNAME', 'SOA', 'NS', 'HTTPS', 'CAA']
    const replies = await askFrom(
      host,
      'asker',
      types.map(type => ({ name: 'web', type })),
    )
    expect(replies.map(reply => reply.code)).toEqual(types.map(() => 'NOERROR'))
    expect(data(replies)).toEqual([[six], ...types.slice(1).map(() => [])])
  })

  it('are found by address, in both families', async () => {
    const four = await addressOf('Web', 'shop')
    const six = await addressOf('Web', 'shop', 'GlobalIPv6Address')
    const nibbles = six
      .split('::')
      .map(half =>
        half
          .split(':')
          .map(group => group.padStart(4, '0'))
          .join(''),
      )
      .reduce((head, tail) => head + tail.padStart(32 - head.length, '0'))
    const names = [
      `${four.split('.').reverse().join('.')}.in-addr.arpa`,
      `${nibbles.split('').reverse().join('.')}.ip6.arpa`,
    ]
    const replies = await askFrom(
      host,
      'asker',
      names.map(name => ({ name, type: 'PTR' })),
    )
    expect(data(replies)).toEqual([['Web.shop'], ['Web.shop']])
  })

  it('may be shared: all addresses come, in changing order', async () => {
    const replies = await askFrom(
      host,
      'asker',
      Array.from({ length: 40 }, () => ({ name: 'db' })),
    )
    const expected = await Promise.all([1, 2, 3].map(n => addressOf(`db.${n}`, 'shop')))
    for (const reply of replies) expect(reply.data.toSorted()).toEqual(expected.toSorted())
    expect(new Set(replies.map(reply => reply.data[0])).size).toBe(3)
  })

  it('may have dots, as networks’ names may', async () => {
    await host.ok('network', 'connect', '--alias', 'a.b', 'my.net', 'db.1')
    await host.ok('network', 'connect', 'my.net', 'asker')
    const address = await addressOf('db.1', 'my.net')
    const names = ['a.b', 'a.b.my.net', 'db.1.my.net']
    expect(
      data(
        await askFrom(
          host,
          'asker',
          names.map(name => ({ name })),
        ),
      ),
    ).toEqual(names.map(() => [address]))
    await host.ok('network', 'disconnect', 'my.net', 'asker')
    await host.ok('network', 'disconnect', 'my.net', 'db.1')
    const gone = await askFrom(host, 'asker', [{ name: 'a.b.my.net' }])
    expect(gone[0]?.code).toBe('NXDOMAIN')
  })

  it('change at once with rename, stop, start, connect and disconnect', async () => {
    const codes = async (...names: readonly string[]) =>
      (
        await askFrom(
          host,
          'asker',
          names.map(name => ({ name })),
        )
      ).map(reply => reply.code)
    await start('old', '--network', 'shop')
    expect(await codes('old', 'new')).toEqual(['NOERROR', 'NXDOMAIN'])
    await host.ok('rename', 'old', 'new')
    expect(await codes('old', 'new')).toEqual(['NXDOMAIN', 'NOERROR'])
    await host.ok('network', 'disconnect', 'shop', 'new')
    expect(await codes('new')).toEqual(['NXDOMAIN'])
    await host.ok('network', 'connect', 'shop', 'new')
    expect(await codes('new')).toEqual(['NOERROR'])
    await host.ok('stop', '-t', '0', 'new')
    expect(await codes('new')).toEqual(['NXDOMAIN'])
    await host.ok('start', 'new')
    expect(await codes('new')).toEqual(['NOERROR'])
    await host.ok('rm', '-f', 'new')
  })

  it('are private when they are link aliases, and hide a container of that name', async () => {
    await start('pg', '--network', 'shop')
    await start('linked', '--network', 'shop', '--link', 'pg:Web', '--link', 'pg:store')
    const pg = await addressOf('pg', 'shop')
    expect(data(await askFrom(host, 'linked', [{ name: 'web' }, { name: 'store' }]))).toEqual([[pg], [pg]])
    const others = await askFrom(host, 'asker', [{ name: 'store' }, { name: 'web' }])
    expect(others[0]?.code).toBe('NXDOMAIN')
    expect(others[1]?.data).toEqual([await addressOf('Web', 'shop')])
    await host.ok('rm', '-f', 'linked', 'pg')
  })

  it('come by TCP too, and by TCP whole where UDP had no room', async () => {
    const [udp, edns, tcp] = await askFrom(host, 'asker', [
      { name: 'db', type: 'ANY' },
      { name: 'db', type: 'ANY', edns: 1232 },
      { name: 'db', type: 'ANY', tcp: true },
    ])
    expect(udp?.data).toHaveLength(6)
    expect(edns?.data).toHaveLength(6)
    expect(tcp?.data.toSorted()).toEqual(udp?.data.toSorted())
  })
})

describe('questions for outside', () => {
  it('are answered by the host’s servers, and kept for as long as they allow', async () => {
    const ask = [{ name: 'www.example.test' }, { name: 'www.example.test' }, { name: 'nosuch.test' }]
    const replies = await askFrom(host, 'asker', ask)
    expect(data(replies)).toEqual([['180.76.3.151'], ['180.76.3.151'], []])
    expect(replies[2]?.code).toBe('NXDOMAIN')
  })

  it('go to the next server when the first is dead, and later ones at once', async () => {
    // 10.10.101.7 is nobody: what is sent there gets lost.
    const resolvConf = join(host.directory, 'lab/resolv.conf')
    writeFileSync(resolvConf, 'nameserver 10.10.101.7\nnameserver 10.10.101.254\n')
    try {
      const [first, second] = await askFrom(host, 'asker', [{ name: 'a1.test' }, { name: 'a2.test' }])
      expect([first?.code, second?.code]).toEqual(['NXDOMAIN', 'NXDOMAIN'])
      // The first question found out; the second did not wait for a whole second again.
      expect(second?.took ?? Infinity).toBeLessThan(first?.took ?? 0)
    } finally {
      writeFileSync(resolvConf, 'nameserver 10.10.101.254\n')
    }
  })

  it('are not forwarded from internal networks, and fail at once', async () => {
    await start('safe', '--network', 'vault')
    const [own, outside] = await askFrom(host, 'safe', [{ name: 'safe' }, { name: 'secret.example.test' }])
    expect(own?.code).toBe('NOERROR')
    expect(outside?.code).toBe('SERVFAIL')
    expect((await host.linkspan('dns', 'safe')).stdout).toContain('not asked for')
    // A second network with a way out changes that, and losing it changes it back.
    await host.ok('network', 'connect', 'shop', 'safe')
    expect(data(await askFrom(host, 'safe', [{ name: 'www.example.test' }]))).toEqual([['180.76.3.151']])
    await host.ok('network', 'disconnect', 'shop', 'safe')
    expect((await askFrom(host, 'safe', [{ name: 'www.example.test' }]))[0]?.code).toBe('SERVFAIL')
    await host.ok('rm', '-f', 'safe')
  })

  it('go to --dns servers from inside the container, also on an internal network', async () => {
    await start('server', '--network', 'vault')
    const address = await addressOf('server', 'vault')
    const server = await serveNames(host, 'server', '192.0.2.7')
    await start('client', '--network', 'vault', '--dns', address)
    await until(async () => (await askFrom(host, 'client', [{ name: 'answer' }]))[0]?.data[0] === '192.0.2.7')
    server.kill()
    await host.ok('rm', '-f', 'server', 'client')
  })
})

describe('the resolver in a namespace', () => {
  it('leaves port 53 to the container, for UDP and TCP, on every address', async () => {
    await start('own', '--network', 'shop')
    const server = await serveNames(host, 'own', '192.0.2.9')
    const address = await addressOf('own', 'shop')
    await until(
      async () => (await askFrom(host, 'asker', [{ name: 'mine' }], address))[0]?.data[0] === '192.0.2.9',
    )
    expect(data(await askFrom(host, 'own', [{ name: 'web' }]))).toEqual([[await addressOf('Web', 'shop')]])
    const overTcp = await host.client('exec', 'asker', 'sh', '-c', `sleep 1 | nc ${address} 53`)
    expect(overTcp.stdout).toContain('tcp is mine')
    server.kill()
    await host.ok('rm', '-f', 'own')
  })

  it('survives a container that flushes its firewall', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'root',
      '--privileged',
      '--network',
      'shop',
      'busybox',
      'sleep',
      '600',
    )
    const pid = await host.ok('inspect', '-f', '{{.State.Pid}}', 'root')
    const flushed = await host.shell(
      `for command in iptables iptables-legacy; do nsenter -t ${pid} -n $command -t nat -F && nsenter -t ${pid} -n $command -t nat -X; done`,
    )
    expect(flushed.code, flushed.stderr).toBe(0)
    expect(data(await askFrom(host, 'root', [{ name: 'web' }, { name: 'web', tcp: true }]))).toEqual([
      [await addressOf('Web', 'shop')],
      [await addressOf('Web', 'shop')],
    ])
    await host.ok('rm', '-f', 'root')
  })

  it('makes no connection tracking entries in the container', async () => {
    const pid = await host.ok('inspect', '-f', '{{.State.Pid}}', 'asker')
    await askFrom(host, 'asker', [{ name: 'web' }, { name: 'www.example.test' }])
    const { stdout } = await host.shell(
      `nsenter -t ${pid} -n cat /proc/net/nf_conntrack 2>/dev/null | grep -c 'dport=53 ' || true`,
    )
    expect(Number(stdout)).toBe(0)
  })
})

describe('the host', () => {
  it('finds containers as NAME.NETWORK.linkspan, and addresses back', async () => {
    const address = await addressOf('Web', 'shop')
    await start('plain')
    const replies = await askFromHost(
      host,
      [
        { name: 'web.shop.linkspan' },
        { name: 'web.shop.linkspan', tcp: true },
        { name: `${address.split('.').reverse().join('.')}.in-addr.arpa`, type: 'PTR' },
        { name: 'nobody.shop.linkspan' },
        { name: 'example.test' },
        { name: 'plain.bridge.linkspan' },
      ],
      '127.0.0.54',
    )
    expect(data(replies)).toEqual([
      [address],
      [address],
      ['Web.shop.linkspan'],
      [],
      [],
      [await addressOf('plain', 'bridge')],
    ])
    expect(replies.map(reply => reply.code).slice(3, 5)).toEqual(['NXDOMAIN', 'REFUSED'])
    // The default bridge's containers have no names among themselves all the same.
    expect((await askFrom(host, 'plain', [{ name: 'plain' }]))[0]?.data).toEqual([])
    await host.ok('rm', '-f', 'plain')
  })
})

describe('linkspan dns', () => {
  it('lists what a container can resolve', async () => {
    const { stdout, code } = await host.linkspan('dns', 'asker')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^NAME +NETWORK +ADDRESS +CONTAINER/)
    expect(stdout).toMatch(/^site +shop +172\.\S+ fd\S+ +Web$/m)
    expect(stdout).toMatch(/^db +shop +.* +db\.1 db\.2 db\.3$/m)
    expect(stdout).toContain("asked of the host's servers")
    const seen = JSON.parse((await host.linkspan('dns', '--format', 'json', 'asker')).stdout) as {
      readonly Names: readonly { readonly Name: string; readonly Addresses: readonly string[] }[]
    }
    expect(seen.Names.find(one => one.Name === 'Web')?.Addresses).toContain(await addressOf('Web', 'shop'))
  })

  it('follows questions and says who answered', async () => {
    const following = host.spawn(process.execPath, [
      linkspanBinary,
      'dns',
      '--follow',
      '--format',
      'json',
      'asker',
    ])
    const asked = () =>
      following.output
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line) as { Name: string; Type: string; From: string; Code: string })
    await until(async () => {
      await askFrom(host, 'asker', [{ name: 'web' }])
      return asked().length > 0
    })
    const fresh = `n${process.pid}.test`
    await askFrom(host, 'asker', [{ name: 'Db', type: 'AAAA' }, { name: fresh }, { name: fresh }])
    await until(async () => asked().filter(one => one.Name === fresh).length === 2)
    following.kill()
    expect(asked().find(one => one.Name === 'Db')).toMatchObject({
      Type: 'AAAA',
      From: 'zone',
      Code: 'NOERROR',
    })
    expect(asked().filter(one => one.Name === fresh)).toMatchObject([
      { From: '10.10.101.254', Code: 'NXDOMAIN' },
      { From: 'cache', Code: 'NXDOMAIN' },
    ])
  })

  it('tells in one line what it cannot', async () => {
    expect(await host.linkspan('dns', 'nosuch')).toMatchObject({ code: 1, stdout: '' })
    await host.ok('create', '--name', 'still', 'busybox')
    expect((await host.linkspan('dns', 'still')).stderr).toContain('is not running')
    await host.ok('rm', 'still')
  })
})
