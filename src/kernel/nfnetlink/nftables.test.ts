import { spawnSync } from 'node:child_process'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KernelError } from '../error.ts'
import { MessageWriter, readMessages } from '../netlink/message.ts'
import type { NftElement } from '../operation.ts'
import { cannotRun, enterFreshNetwork, shell } from '../testing.ts'
import { dataText, keyText, readElements, writeElement } from './element.ts'
import { field, fieldSizes, joinFields, splitFields } from './field.ts'
import { Batch, Nftables } from './nftables.ts'
import { portRewrite } from './rewrite.ts'
import { NFPROTO_INET, NFT_MSG_NEWSETELEM } from './uapi.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const table = 'linkspan'

describe('fields', () => {
  test.each([
    ['ipv4', field.ipv4('1.2.3.4'), '01020304'],
    ['ipv6', field.ipv6('::1'), `${'00'.repeat(15)}01`],
    ['ifname', field.ifname('br0'), `627230${'00'.repeat(13)}`],
    ['protocol by name', field.protocol('udp'), '11'],
    ['protocol by number', field.protocol(255), 'ff'],
    ['port', field.port(8080), '1f90'],
  ])('%s', (_, bytes, text) => expect(Buffer.from(bytes).toString('hex')).toBe(text))

  test.each([
    () => field.ipv4('::1'),
    () => field.ipv6('1.2.3.4'),
    () => field.ifname('a name that is too long'),
    () => field.protocol('tcpp'),
    () => field.protocol('constructor'),
    () => field.protocol(256),
    () => field.port(65_536),
    () => field.port(-1),
    () => field.port(1.5),
  ])('what is none is refused: %s', encode =>
    expect(encode).toThrow(expect.objectContaining({ code: 'EINVAL' })),
  )

  test('a field alone is not padded, several are padded each', () => {
    expect(joinFields([field.port(80)]).toString('hex')).toBe('0050')
    expect(joinFields([field.protocol('tcp'), field.port(80)]).toString('hex')).toBe('0600000000500000')
  })

  test('nft’s data types give the fields’ sizes', () => {
    expect(fieldSizes(7, 4)).toEqual([4])
    expect(fieldSizes(13, 2)).toEqual([2])
    expect(fieldSizes((12 << 6) | 13, 8)).toEqual([1, 2])
    expect(fieldSizes((7 << 12) | (12 << 6) | 13, 12)).toEqual([4, 1, 2])
    // Unknown types, or lengths that do not fit: one field.
    expect(fieldSizes(63, 5)).toEqual([5])
    expect(fieldSizes((12 << 6) | 13, 12)).toEqual([12])
    expect(fieldSizes(0, 3)).toEqual([3])
  })

  test('fields are cut out again as they were joined', () => {
    const fields = fc.array(fc.uint8Array({ minLength: 1, maxLength: 16 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fields, list => {
        const cut = splitFields(
          joinFields(list),
          list.map(bytes => bytes.length),
        )
        expect(cut.map(bytes => new Uint8Array(bytes))).toEqual(list)
      }),
    )
  })
})

/** The element list of one message, as the kernel would send it back. */
function listOf(elements: readonly NftElement[]): readonly Buffer[] {
  const writer = new MessageWriter().message(1, 0, message =>
    message.nested(1, list => {
      for (const element of elements) writeElement(list, element)
    }),
  )
  const [message] = readMessages(writer.finish(1))
  const payload = message?.payload ?? Buffer.alloc(0)
  const entries: Buffer[] = []
  for (let offset = 4; offset < payload.length;) {
    const length = payload.readUInt16LE(offset)
    entries.push(payload.subarray(offset + 4, offset + length))
    offset += (length + 3) & ~3
  }
  return entries
}

describe('elements as bytes', () => {
  test.each([
    [
      'a map of concatenations',
      {
        table,
        set: 'm',
        key: [field.protocol('tcp'), field.port(8080)],
        data: [field.ipv4('172.17.0.2'), field.port(80)],
      },
      '1000 0180 0c00 0100 06000000 1f900000  1000 0280 0c00 0100 ac110002 00500000',
    ],
    [
      'a verdict',
      { table, set: 'm', key: [field.ipv4('1.2.3.4')], data: { verdict: 'goto', chain: 'nat' } },
      '0c00 0180 0800 0100 01020304  1800 0280 1400 0280 0800 0100 fffffffc 0800 0200 6e617400',
    ],
    [
      'an interval of concatenations',
      {
        table,
        set: 's',
        key: [field.protocol('tcp'), field.port(20_000)],
        keyEnd: [field.protocol('tcp'), field.port(20_999)],
      },
      '1000 0180 0c00 0100 06000000 4e200000  1000 0a80 0c00 0100 06000000 52070000',
    ],
  ] satisfies readonly (readonly [string, NftElement, string])[])('%s', (_, element, text) => {
    const [entry, ...others] = listOf([element])
    expect(entry?.toString('hex')).toBe(hex(text).toString('hex'))
    expect(others).toEqual([])
  })

  test('an interval of one field has its end as an element of its own, unless it reaches the last key', () => {
    const interval = (from: string, to: string) => ({
      table,
      set: 's',
      key: [field.ipv4(from)],
      keyEnd: [field.ipv4(to)],
    })
    expect(listOf([interval('10.0.0.0', '10.0.255.255')]).map(entry => entry.toString('hex'))).toEqual([
      hex('0c00 0180 0800 0100 0a000000').toString('hex'),
      hex('0800 0300 00000001 0c00 0180 0800 0100 0a010000').toString('hex'),
    ])
    expect(listOf([interval('240.0.0.0', '255.255.255.255')])).toHaveLength(1)
    expect(() => listOf([interval('2.0.0.0', '1.0.0.0')])).toThrow(KernelError)
  })

  test('intervals are read in any order, with an end that has no beginning', () => {
    const shape = { table, set: 's', interval: true, key: [4] }
    const starts = fc
      .uniqueArray(fc.nat(0xffff), { minLength: 2, maxLength: 40 })
      .map(list => list.sort((a, b) => a - b))
    const address = (number: number) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(number)
      return bytes
    }
    fc.assert(
      fc.property(starts, fc.integer(), (bounds, seed) => {
        const elements: NftElement[] = []
        // Pairs of bounds; every other interval touches the one before it.
        for (let position = 0; position + 1 < bounds.length; position += 2) {
          const from = bounds[position] ?? 0
          const to = bounds[position + 1] ?? 0
          elements.push({ table, set: 's', key: [address(from)], keyEnd: [address(to - 1)] })
          if (position % 4 === 0)
            elements.push({ table, set: 's', key: [address(to)], keyEnd: [address(to)] })
        }
        const distinct = [
          ...new Map(elements.map(element => [keyText(element).split('-')[0], element])).values(),
        ]
        const sorted = distinct.filter((element, position) => {
          const next = distinct[position + 1]
          return (
            next === undefined ||
            Buffer.compare(Buffer.from(element.keyEnd?.[0] ?? []), Buffer.from(next.key[0] ?? [])) < 0
          )
        })
        const nftsOwn = hex('0800 0300 00000001 0c00 0180 0800 0100 00000000')
        const entries = [...listOf(sorted), nftsOwn]
        const shuffled = entries.map((entry, position) => ({ entry, at: Math.sin(seed + position) }))
        shuffled.sort((one, other) => one.at - other.at)
        const read = readElements(
          shape,
          shuffled.map(({ entry }) => entry),
        )
        expect(read.map(keyText)).toEqual(sorted.map(keyText))
      }),
    )
  })

  test('reading any bytes gives elements or a KernelError', () => {
    const shape = { table, set: 's', interval: true, key: [1, 2], data: [4, 2] }
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), fc.boolean(), (entries, concatenated) => {
        try {
          readElements(
            concatenated ? shape : { ...shape, key: [4] },
            entries.map(entry => Buffer.from(entry)),
          )
        } catch (error) {
          expect(error).toBeInstanceOf(KernelError)
        }
      }),
    )
  })

  test('a transaction has its begin and end, and the last message in it is acknowledged', () => {
    const batch = new Batch(NFPROTO_INET).elements(NFT_MSG_NEWSETELEM, 0, [
      { table, set: 's', key: [field.port(1)] },
    ])
    const messages = readMessages(batch.end().finish(1))
    expect(messages.map(({ type, flags }) => [type, flags])).toEqual([
      [16, 1],
      [0x0a0c, 5],
      [17, 1],
    ])
    expect(messages[1]?.payload.toString('hex')).toBe(
      hex(`
        01 00 0000
        0d00 0100 6c696e6b7370616e00 000000
        0600 0200 7300 0000
        1400 0380 1000 0180 0c00 0180 0600 0100 0001 0000
      `).toString('hex'),
    )
  })
})

/** One set of every shape that the engine's ruleset has. */
const ruleset = `
flush ruleset
table inet linkspan {
  set plain { type ipv4_addr; }
  set subnet4 { type ipv4_addr; flags interval; }
  set subnet6 { type ipv6_addr; flags interval; }
  set subnet4_if { type ipv4_addr . ifname; flags interval; }
  map pub4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map pub6_any { type inet_proto . inet_service : ipv6_addr . inet_service; }
  map pub_range { type inet_proto . inet_service : ipv4_addr; flags interval; }
  map to_br { type ifname : verdict; }
  map port_of { type inet_service : inet_service; }
  chain to_nat { drop; }
  chain to_internal { drop; }
}
`

const tcp = field.protocol('tcp')
const elementsOf: Readonly<Record<string, readonly NftElement[]>> = {
  plain: ['10.0.0.1', '10.0.0.2'].map(address => ({ table, set: 'plain', key: [field.ipv4(address)] })),
  subnet4: [
    { table, set: 'subnet4', key: [field.ipv4('172.17.0.0')], keyEnd: [field.ipv4('172.17.255.255')] },
    { table, set: 'subnet4', key: [field.ipv4('172.18.0.0')], keyEnd: [field.ipv4('172.18.255.255')] },
    { table, set: 'subnet4', key: [field.ipv4('192.168.3.7')], keyEnd: [field.ipv4('192.168.3.7')] },
    { table, set: 'subnet4', key: [field.ipv4('255.0.0.0')], keyEnd: [field.ipv4('255.255.255.255')] },
  ],
  subnet6: [
    { table, set: 'subnet6', key: [field.ipv6('fd00::')], keyEnd: [field.ipv6('fd00::ffff:ffff:ffff:ffff')] },
  ],
  subnet4_if: [
    {
      table,
      set: 'subnet4_if',
      key: [field.ipv4('172.17.0.0'), field.ifname('docker0')],
      keyEnd: [field.ipv4('172.17.255.255'), field.ifname('docker0')],
    },
  ],
  pub4: [
    {
      table,
      set: 'pub4',
      key: [field.ipv4('127.0.0.1'), tcp, field.port(8080)],
      data: [field.ipv4('172.17.0.2'), field.port(80)],
    },
  ],
  pub6_any: [
    { table, set: 'pub6_any', key: [tcp, field.port(8080)], data: [field.ipv6('fd00::2'), field.port(80)] },
  ],
  pub_range: [
    {
      table,
      set: 'pub_range',
      key: [tcp, field.port(20_000)],
      keyEnd: [tcp, field.port(20_999)],
      data: [field.ipv4('172.17.0.2')],
    },
  ],
  to_br: [
    { table, set: 'to_br', key: [field.ifname('br0')], data: { verdict: 'goto', chain: 'to_nat' } },
    { table, set: 'to_br', key: [field.ifname('br1')], data: { verdict: 'jump', chain: 'to_internal' } },
    { table, set: 'to_br', key: [field.ifname('br2')], data: { verdict: 'accept' } },
    { table, set: 'to_br', key: [field.ifname('br3')], data: { verdict: 'drop' } },
    { table, set: 'to_br', key: [field.ifname('br4')], data: { verdict: 'return' } },
  ],
  port_of: [{ table, set: 'port_of', key: [field.port(53)], data: [field.port(10_053)] }],
}
const all = Object.values(elementsOf).flat()
const withoutData = ({ table: name, set, key, keyEnd }: NftElement): NftElement => {
  return { table: name, set, key, ...(keyEnd === undefined ? {} : { keyEnd }) }
}

describe.skipIf(cannotRun !== '')('in a kernel', () => {
  let nftables: Nftables

  const sorted = (elements: readonly NftElement[] | undefined) =>
    elements?.map(element => `${keyText(element)} = ${dataText(element)}`).sort()
  const listed = () => shell('nft list ruleset')

  beforeAll(() => {
    enterFreshNetwork()
    nftables = new Nftables()
  })
  afterAll(() => nftables.close())
  beforeEach(() => {
    spawnSync('nft', ['-f', '-'], { input: ruleset })
  })

  test('nft reads what we wrote', () => {
    nftables.change(all, [])
    const text = listed().replaceAll(/\s+/g, ' ')
    for (const elements of [
      '{ 10.0.0.1, 10.0.0.2 }',
      '{ 172.17.0.0/16, 172.18.0.0/16, 192.168.3.7, 255.0.0.0/8 }',
      '{ fd00::/64 }',
      '{ 172.17.0.0/16 . "docker0" }',
      '{ 127.0.0.1 . tcp . 8080 : 172.17.0.2 . 80 }',
      '{ tcp . 8080 : fd00::2 . 80 }',
      '{ tcp . 20000-20999 : 172.17.0.2 }',
      '{ 53 : 10053 }',
    ]) {
      expect(text).toContain(`elements = ${elements}`)
    }
    for (const verdict of [
      '"br0" : goto to_nat',
      '"br1" : jump to_internal',
      '"br2" : accept',
      '"br3" : drop',
      '"br4" : return',
    ]) {
      expect(text).toContain(verdict)
    }
  })

  test.each(Object.entries(elementsOf))('%s: added, read back, deleted', (set, elements) => {
    const before = listed()
    expect(nftables.elements(table, set)).toEqual([])
    nftables.change(elements, [])
    expect(sorted(nftables.elements(table, set))).toEqual(sorted(elements))
    nftables.change([], elements)
    expect(nftables.elements(table, set)).toEqual([])
    expect(listed()).toBe(before)
  })

  test('we read what nft wrote', () => {
    shell(
      `nft add element inet linkspan subnet4 '{ 172.17.0.0/16, 172.18.0.0/16, 192.168.3.7, 255.0.0.0/8 }'`,
    )
    shell(`nft add element inet linkspan subnet4_if '{ 172.17.0.0/16 . docker0 }'`)
    shell(`nft add element inet linkspan pub_range '{ tcp . 20000-20999 : 172.17.0.2 }'`)
    shell(`nft add element inet linkspan to_br '{ br0 : goto to_nat, br2 : accept }'`)
    for (const set of ['subnet4', 'subnet4_if', 'pub_range']) {
      expect(sorted(nftables.elements(table, set))).toEqual(sorted(elementsOf[set]))
      // …and can delete it.
      nftables.change([], elementsOf[set] ?? [])
      expect(nftables.elements(table, set)).toEqual([])
    }
    expect(nftables.elements(table, 'to_br')).toHaveLength(2)
  })

  test('adding what is there and deleting what is not there change nothing, and are said to', () => {
    const half = all.filter((_, position) => position % 2 === 0)
    const other = all.filter((_, position) => position % 2 === 1)
    nftables.change(half, [])
    const withHalf = listed()
    expect(nftables.change(half, other)).toEqual({ added: [], deleted: [] })
    expect(listed()).toBe(withHalf)
    const { added } = nftables.change(all, [])
    expect(sorted(added)).toEqual(sorted(other))
    const { deleted } = nftables.change([], [...half, { table, set: 'plain', key: [field.ipv4('9.9.9.9')] }])
    expect(sorted(deleted)).toEqual(sorted(half))
    nftables.change(half, other)
    expect(listed()).toBe(withHalf)
  })

  test('a set that is not there: deleting is no error, adding is', () => {
    const absent = { table, set: 'absent', key: [field.port(1)] }
    const elsewhere = { ...absent, table: 'elsewhere' }
    const first = elementsOf['plain']?.[0] ?? absent
    expect(nftables.change([first], [absent, elsewhere])).toEqual({ added: [first], deleted: [] })
    expect(() => nftables.change([absent], [])).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(nftables.elements(table, 'absent')).toBeUndefined()
    expect(nftables.elements('elsewhere', 'plain')).toBeUndefined()
  })

  test.each(['pub4', 'pub_range', 'to_br', 'port_of'])('a key of %s gets a new value in one step', set => {
    const [element] = elementsOf[set] ?? []
    if (element?.data === undefined) throw new Error('a map has values')
    const value = set === 'to_br' ? { verdict: 'drop' as const } : undefined
    const bytes = Buffer.from(
      value === undefined && Array.isArray(element.data) ? joinFields(element.data) : [],
    )
    bytes[0] = (bytes[0] ?? 0) ^ 1
    const changed: NftElement = { ...element, data: value ?? [bytes] }
    nftables.change([element], [])
    const before = listed()
    expect(() => nftables.change([changed], [])).toThrow(expect.objectContaining({ code: 'EBUSY' }))
    expect(listed()).toBe(before)
    const { added, deleted } = nftables.change([changed], [element])
    expect(sorted(nftables.elements(table, set))).toEqual(sorted([changed]))
    // The old value came back from the kernel: undone, everything is as it was.
    expect(sorted(deleted)).toEqual(sorted([element]))
    nftables.change(deleted, added)
    expect(listed()).toBe(before)
  })

  test('the values of deleted elements are learned although only keys were given', () => {
    nftables.change(all, [])
    const before = listed()
    const keys = all.map(withoutData)
    const { deleted } = nftables.change([], keys)
    expect(sorted(deleted)).toEqual(sorted(all))
    nftables.change(deleted, [])
    expect(listed()).toBe(before)
  })

  test('an interval that overlaps another is refused, and nothing of the transaction remains', () => {
    nftables.change(elementsOf['subnet4'] ?? [], [])
    const before = listed()
    const overlap = {
      table,
      set: 'subnet4',
      key: [field.ipv4('172.17.5.0')],
      keyEnd: [field.ipv4('172.19.0.0')],
    }
    expect(() => nftables.change([...(elementsOf['plain'] ?? []), overlap], [])).toThrow(KernelError)
    expect(listed()).toBe(before)
  })

  test('thousands at once', () => {
    const many = Array.from({ length: 3000 }, (_, position): NftElement => {
      return { table, set: 'port_of', key: [field.port(position + 1)], data: [field.port(position)] }
    })
    nftables.change(many, [])
    expect(sorted(nftables.elements(table, 'port_of'))).toEqual(sorted(many))
    const { deleted } = nftables.change(many.slice(0, 10), many.slice(5))
    expect(sorted(deleted)).toEqual(sorted(many.slice(5)))
    expect(nftables.elements(table, 'port_of')).toHaveLength(10)
  })

  test('what is there can be asked for by key', () => {
    nftables.change(elementsOf['to_br']?.slice(0, 2) ?? [], [])
    const found = nftables.get((elementsOf['to_br'] ?? []).map(withoutData))
    expect(sorted(found)).toEqual(sorted(elementsOf['to_br']?.slice(0, 2)))
    expect(nftables.get([])).toEqual([])
  })

  test('the port rewrite is what nft says of it', () => {
    nftables.commit('test', portRewrite('127.0.0.11', 10_053))
    nftables.commit('test', portRewrite('fd00::11', 10_053))
    const text = listed()
    for (const rule of [
      'ip daddr 127.0.0.11 udp dport 53 udp dport set 10053',
      'ip saddr 127.0.0.11 udp sport 10053 udp sport set 53',
      'ip daddr 127.0.0.11 tcp dport 53 tcp dport set 10053',
      'ip saddr 127.0.0.11 tcp sport 10053 tcp sport set 53',
      'ip6 daddr fd00::11 udp dport 53 udp dport set 10053',
      'type filter hook output priority raw; policy accept;',
    ]) {
      expect(text).toContain(rule)
    }
  })
})
