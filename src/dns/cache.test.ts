import { decode, encode, type OptAnswer, type Packet, RECURSION_DESIRED } from 'dns-packet'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache } from './cache.ts'
import { age, lifetime } from './wire.ts'

const truncated = 0x0200

function reply(packet: Partial<Packet>, flags = RECURSION_DESIRED): Buffer {
  return encode({
    type: 'response',
    id: 7,
    flags,
    questions: [{ type: 'A', name: 'example.test', class: 'IN' }],
    ...packet,
  })
}

const address = (ttl: number) => ({ type: 'A', name: 'example.test', ttl, data: '192.0.2.1' }) as const
const soa = (ttl: number, minimum: number) =>
  ({
    type: 'SOA',
    name: 'test',
    ttl,
    data: { mname: 'a.test', rname: 'b.test', serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
  }) as const

describe('how long a reply may be kept', () => {
  it.each([
    ['the smallest TTL', reply({ answers: [address(300), address(60)] }), 60],
    ['no such name: the SOA’s minimum', reply({ authorities: [soa(900, 30)] }, 3), 30],
    ['no such type: the SOA’s TTL, if that is less', reply({ authorities: [soa(20, 300)] }), 20],
    ['no such name without an SOA', reply({}, 3), 0],
    ['a failure', reply({ authorities: [soa(900, 30)] }, 2), 0],
    ['a truncated reply', reply({ answers: [address(300)] }, truncated), 0],
    ['a TTL of zero', reply({ answers: [address(0)] }), 0],
    ['a TTL with its highest bit set', reply({ answers: [address(0x8000_0000)] }), 0],
    ['a reply that ends too early', reply({ answers: [address(300)] }).subarray(0, -3), 0],
  ])('%s', (_, bytes, seconds) => {
    expect(lifetime(bytes)).toBe(seconds)
  })

  it('leaves an OPT record out of it', () => {
    const opt: OptAnswer = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1232,
      flags: 0,
      options: [],
      extendedRcode: 0,
      ednsVersion: 0,
      flag_do: false,
    }
    const bytes = reply({ answers: [address(60)], additionals: [opt] })
    expect(lifetime(bytes)).toBe(60)
    age(bytes, 10)
    expect(decode(bytes).additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }])
  })

  it('reads nothing outside a message and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), bytes => {
        const seconds = lifetime(bytes)
        expect(seconds).toBeGreaterThanOrEqual(0)
        age(bytes, 5)
      }),
      { numRuns: process.env['LINKSPAN_LONG'] === '1' ? 100_000 : 2000 },
    )
  })
})

describe('the cache', () => {
  it('counts a reply’s TTLs down, and lets go of it in the end', () => {
    let now = 0
    const cache = new Cache(4, () => now)
    cache.put('k', reply({ answers: [address(60)] }))
    now = 20_900
    expect(decode(Buffer.from(cache.get('k') ?? [])).answers).toMatchObject([{ ttl: 40 }])
    now = 59_999
    expect(decode(Buffer.from(cache.get('k') ?? [])).answers).toMatchObject([{ ttl: 1 }])
    now = 60_000
    expect(cache.get('k')).toBeUndefined()
    expect(cache.size).toBe(0)
  })

  it('is not changed by what is done with a reply', () => {
    const cache = new Cache(4)
    const put = reply({ answers: [address(60)] })
    cache.put('k', put)
    put.fill(0)
    cache.get('k')?.fill(0)
    expect(decode(Buffer.from(cache.get('k') ?? [])).answers).toHaveLength(1)
  })

  it('holds so many, the least recently used goes', () => {
    const cache = new Cache(2)
    for (const key of ['a', 'b']) cache.put(key, reply({ answers: [address(60)] }))
    cache.get('a')
    cache.put('c', reply({ answers: [address(60)] }))
    expect(['a', 'b', 'c'].map(key => cache.get(key) !== undefined)).toEqual([true, false, true])
  })

  it('keeps nothing that is very large', () => {
    const cache = new Cache(4)
    cache.put('k', reply({ answers: Array.from({ length: 300 }, () => address(60)) }))
    expect(cache.size).toBe(0)
  })
})
