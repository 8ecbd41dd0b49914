import { decode } from 'dns-packet'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerHost } from './host-answer.ts'
import { LocalResolver, usualTuning } from './resolver.ts'
import { decoded, exchangeTcp, exchangeUdp, questionBytes } from './testing.ts'
import type { ZoneChange } from './types.ts'
import { parseQuery } from './wire.ts'
import { Zone } from './zone.ts'

const changes: readonly ZoneChange[] = [
  { put: 'network', network: { id: 'n1', name: 'shop' } },
  { put: 'network', network: { id: 'n2', name: 'my.net' } },
  {
    put: 'endpoint',
    endpoint: { id: 'e1', network: 'n1', names: ['Web', 'w'], ipv4: '172.18.0.2', ipv6: 'fd00::2' },
  },
  { put: 'endpoint', endpoint: { id: 'e2', network: 'n2', names: ['web'], ipv4: '172.19.0.2' } },
]

function host(name: string, type: string) {
  const zone = new Zone()
  zone.apply(changes)
  const bytes = questionBytes(name, type)
  const query = parseQuery(bytes)
  if (typeof query === 'string') throw new Error(query)
  const out = Buffer.alloc(512)
  return decoded(out.subarray(0, answerHost(zone, 5, { bytes, query }, out, 512)))
}

describe('names for the host', () => {
  it.each([
    ['web.shop.linkspan', 'A', ['172.18.0.2']],
    ['W.Shop.Linkspan', 'A', ['172.18.0.2']],
    ['web.shop.linkspan', 'AAAA', ['fd00::2']],
    ['web.my.net.linkspan', 'A', ['172.19.0.2']],
    ['2.0.18.172.in-addr.arpa', 'PTR', ['Web.shop.linkspan']],
  ])('%s %s', (name, type, data) => {
    const answer = host(name, type)
    expect(answer.rcode).toBe('NOERROR')
    expect(answer.answers?.map(record => ('data' in record ? record.data : ''))).toEqual(data)
  })

  it.each([
    ['web.my.net.linkspan', 'AAAA', 'NOERROR'],
    ['web.shop.linkspan', 'TXT', 'NOERROR'],
    ['shop.linkspan', 'A', 'NOERROR'],
    ['linkspan', 'SOA', 'NOERROR'],
    ['db.shop.linkspan', 'A', 'NXDOMAIN'],
    ['web.linkspan', 'A', 'NXDOMAIN'],
    ['example.org', 'A', 'REFUSED'],
    ['9.0.18.172.in-addr.arpa', 'PTR', 'REFUSED'],
    ['notlinkspan', 'A', 'REFUSED'],
  ])('%s %s is %s, without records', (name, type, code) => {
    const answer = host(name, type)
    expect(answer.rcode).toBe(code)
    expect(answer.answers).toEqual([])
  })

  it('forgets a network’s name with the network', () => {
    const zone = new Zone()
    zone.apply(changes)
    zone.apply([{ put: 'network', network: { id: 'n1', name: 'store' } }])
    expect(zone.lookupAnywhere('web.shop')).toBeUndefined()
    expect(zone.lookupAnywhere('web.store')).toMatchObject({ ipv4: [Uint8Array.of(172, 18, 0, 2)] })
    zone.apply([{ drop: 'network', id: 'n1' }])
    expect(zone.lookupAnywhere('web.store')).toBeUndefined()
  })
})

describe('the door for the host', () => {
  const none = () => Promise.reject(new Error('no namespace here'))
  const resolvers: LocalResolver[] = []
  let port = 0
  beforeEach(async () => {
    // Somewhere that is free for both protocols.
    for (let attempt = 0; attempt < 20; attempt++) {
      port = 20_000 + Math.floor(Math.random() * 10_000)
      const settings = { ttl: 5, resolvConf: '/nonexistent', cache: 0, host: { host: '127.0.0.54', port } }
      const resolver = new LocalResolver(settings, none, usualTuning)
      try {
        await resolver.open()
        await resolver.update(changes)
        resolvers.push(resolver)
        return
      } catch {
        await resolver.close()
      }
    }
    throw new Error('no free port')
  })
  afterEach(async () => {
    for (const resolver of resolvers.splice(0)) await resolver.close()
  })

  it('answers over UDP and TCP, and refuses what is not its own', async () => {
    const name = questionBytes('web.shop.linkspan', 'A')
    const at = '127.0.0.54'
    expect(decode(await exchangeUdp(port, name, at)).answers).toMatchObject([{ data: '172.18.0.2', ttl: 5 }])
    const [overTcp = Buffer.alloc(0)] = await exchangeTcp(port, [name], at)
    expect(decode(overTcp).answers).toMatchObject([{ data: '172.18.0.2' }])
    expect(decoded(await exchangeUdp(port, questionBytes('example.org', 'A'), at)).rcode).toBe('REFUSED')
  })

  it('says so if its address is taken', async () => {
    const settings = { ttl: 5, resolvConf: '/nonexistent', cache: 0, host: { host: '127.0.0.54', port } }
    const second = new LocalResolver(settings, none, usualTuning)
    await expect(second.open()).rejects.toThrow('EADDRINUSE')
    await second.close()
  })
})
