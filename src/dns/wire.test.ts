import { decode } from 'dns-packet'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { questionBytes } from './testing.ts'
import {
  answers,
  eachAddress,
  emitAddresses,
  emitBadVersion,
  emitEmpty,
  emitPointer,
  emitRejection,
  emitTruncated,
  encodeName,
  maxMessageSize,
  nameKey,
  parseQuery,
  putId,
  type Query,
  rcode,
  replyCode,
  udpLimit,
} from './wire.ts'

/** Many more in `npm run test:long`. */
const runs = (few: number): number => (process.env['LINKSPAN_LONG'] === '1' ? 100_000 : few)

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const out = Buffer.alloc(maxMessageSize)

function parsed(bytes: Uint8Array): Query {
  const query = parseQuery(bytes)
  if (typeof query === 'string') throw new Error(`rejected: ${query}`)
  return query
}

/** id 1234, RD, "WeB.shop" A IN. */
const webShop = hex('1234 0100 0001 0000 0000 0000 03576542 0473686f70 00 0001 0001')
/** OPT: root, type 41, size 4096, version 0, DO. */
const opt = '00 0029 1000 00 00 8000 0000'

describe('parseQuery', () => {
  test('reads header and question, and folds the letters', () => {
    expect(parseQuery(webShop)).toEqual({
      id: 0x1234,
      name: 'web.shop',
      labels: 2,
      type: 1,
      internet: true,
      end: 26,
      offered: 0,
      ednsVersion: 0,
      dnssecOk: false,
    })
  })

  test('reads the offered size from EDNS, behind other records too', () => {
    const cookie = '000a 0004 01020304'
    const withOption = hex(
      `0001 0100 0001 0000 0000 0001 0161 00 001c 0001 00 0029 0200 00 01 0000 0008 ${cookie}`,
    )
    expect(parsed(withOption)).toMatchObject({ type: 28, offered: 512, ednsVersion: 1, dnssecOk: false })
    const behindOther = hex(
      `0001 0100 0001 0001 0000 0002 0161 00 001c 0001 c00c 0001 0001 00000000 0004 01020304 0162 00 0010 0001 00000000 0000 ${opt}`,
    )
    expect(parsed(behindOther)).toMatchObject({ name: 'a', offered: 4096, dnssecOk: true })
  })

  test('an offered size below 512 counts as 512', () => {
    expect(parsed(questionBytes('a', 'A', { edns: 100 })).offered).toBe(512)
  })

  test.each([
    ['shorter than a header', '1234 0100 0001', 'ignore'],
    ['an answer', '1234 8100 0001 0000 0000 0000 0161 00 0001 0001', 'ignore'],
    ['no question', '1234 0100 0000 0000 0000 0000', 'ignore'],
    ['a notification', '1234 2000 0001 0000 0000 0000 0161 00 0006 0001', 'notImplemented'],
    ['an update', '1234 2800 0001 0000 0000 0000 0161 00 0006 0001', 'notImplemented'],
    ['question missing', '1234 0100 0001 0000 0000 0000', 'malformed'],
    ['label longer than the message', '1234 0100 0001 0000 0000 0000 0561', 'malformed'],
    ['name without end', '1234 0100 0001 0000 0000 0000 0161', 'malformed'],
    ['type cut off', '1234 0100 0001 0000 0000 0000 0161 00 0001 00', 'malformed'],
    ['pointer to itself', '1234 0100 0001 0000 0000 0000 c00c 0001 0001', 'malformed'],
    ['pointer into the header', '1234 0100 0001 0000 0000 0000 0161 c000 0001 0001', 'malformed'],
    ['label type of RFC 6891 §5', '1234 0100 0001 0000 0000 0000 4161 00 0001 0001', 'malformed'],
    ['OPT announced but missing', '1234 0100 0001 0000 0000 0001 0161 00 0001 0001', 'malformed'],
    [
      'OPT cut off',
      '1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00 00 8000 0004 00',
      'malformed',
    ],
    ['two OPT', `1234 0100 0001 0000 0000 0002 0161 00 0001 0001 ${opt} ${opt}`, 'malformed'],
    ['records announced but missing', `1234 0100 0001 ffff 0000 0001 0161 00 0001 0001 ${opt}`, 'malformed'],
    [
      'questions announced but missing',
      `1234 0100 ffff 0000 0000 0001 0161 00 0001 0001 ${opt}`,
      'malformed',
    ],
  ])('%s', (_, bytes, rejection) => {
    expect(parseQuery(hex(bytes))).toBe(rejection)
  })

  test('names may have 255 bytes and no more', () => {
    const label = `3f${'61'.repeat(63)}`
    const question = (last: number): Buffer =>
      hex(
        `0001 0100 0001 0000 0000 0000 ${label.repeat(3)} ${last.toString(16)} ${'61'.repeat(last)} 00 0001 0001`,
      )
    expect(parsed(question(61)).name).toHaveLength(253)
    expect(parseQuery(question(62))).toBe('malformed')
  })

  test('a dot inside a label makes no other name', () => {
    expect(parsed(hex('0001 0100 0001 0000 0000 0000 03612e62 00 0001 0001')).name).toBeUndefined()
  })

  test('the root and other classes are read', () => {
    expect(parsed(hex('0001 0100 0001 0000 0000 0000 00 0002 0003'))).toMatchObject({
      name: '',
      labels: 0,
      internet: false,
    })
  })

  test('gives what nameKey makes of the same name', () => {
    const label = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .filter(bytes => !bytes.includes(0x2e) && Buffer.from(Buffer.from(bytes).toString()).equals(bytes))
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), labels => {
        const wire = Buffer.concat(labels.flatMap(bytes => [Uint8Array.of(bytes.length), bytes]))
        const bytes = Buffer.concat([hex('0001 0100 0001 0000 0000 0000'), wire, hex('00 0001 0001')])
        expect(parsed(bytes).name).toBe(nameKey(labels.map(part => Buffer.from(part).toString()).join('.')))
      }),
    )
  })
})

describe('answers that are emitted', () => {
  const ask = (bytes: Uint8Array): { bytes: Uint8Array; query: Query } => ({ bytes, query: parsed(bytes) })
  const emitted = (length: number): Buffer => Buffer.from(out.subarray(0, length))

  test('an address, to the byte', () => {
    const length = emitAddresses(out, ask(webShop), [Uint8Array.of(172, 18, 0, 2)], 600, 512)
    expect(emitted(length)).toEqual(
      hex(`1234 8180 0001 0001 0000 0000 03576542 0473686f70 00 0001 0001
        c00c 0001 0001 00000258 0004 ac120002`),
    )
  })

  test('an IPv6 address with EDNS, to the byte', () => {
    const bytes = hex(`0007 0110 0001 0000 0000 0001 0161 00 001c 0001 ${opt}`)
    const length = emitAddresses(out, ask(bytes), [hex('fd000000000000000000000000000002')], 0xffffffff, 512)
    expect(emitted(length)).toEqual(
      hex(`0007 8190 0001 0001 0000 0001 0161 00 001c 0001
        c00c 001c 0001 ffffffff 0010 fd000000000000000000000000000002
        00 0029 1000 00 00 8000 0000`),
    )
  })

  test('a pointer, to the byte', () => {
    const bytes = questionBytes('2.0.18.172.in-addr.arpa', 'PTR', { id: 1 })
    const name = encodeName('Web.shop') ?? new Uint8Array()
    const length = emitPointer(out, ask(bytes), name, 1)
    expect(emitted(length).subarray(bytes.length)).toEqual(
      hex('c00c 000c 0001 00000001 000a 03576562 0473686f70 00'),
    )
    expect(decode(emitted(length)).answers).toMatchObject([{ type: 'PTR', data: 'Web.shop', ttl: 1 }])
  })

  test('nothing, with an RCODE', () => {
    expect(emitted(emitEmpty(out, ask(webShop), rcode.serverFailure))).toEqual(
      hex('1234 8182 0001 0000 0000 0000 03576542 0473686f70 00 0001 0001'),
    )
  })

  test('more questions than one: only the first is repeated', () => {
    const two = hex('0001 0100 0002 0000 0000 0000 0161 00 0001 0001 0162 00 0001 0001')
    expect(emitted(emitEmpty(out, ask(two), 0))).toEqual(
      hex('0001 8180 0001 0000 0000 0000 0161 00 0001 0001'),
    )
  })

  test('a refusal of what could not be read', () => {
    const bytes = hex('1234 2900 0001 0000 0000 0000 c00c')
    expect(emitted(emitRejection(out, bytes, rcode.formatError))).toEqual(
      hex('1234 a981 0000 0000 0000 0000'),
    )
  })

  test('an EDNS version from the future', () => {
    const bytes = hex('0001 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00 05 0000 0000')
    expect(emitted(emitBadVersion(out, ask(bytes)))).toEqual(
      hex('0001 8180 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 01 00 0000 0000'),
    )
  })

  test('truncated', () => {
    expect(emitted(emitTruncated(out, ask(webShop))).subarray(2, 4)).toEqual(hex('8380'))
  })

  test('as many addresses as fit, and TC if that is not all', () => {
    const many = Array.from({ length: 5000 }, (_, index) => Uint8Array.of(10, 0, index >> 8, index & 255))
    fc.assert(
      fc.property(fc.integer({ min: 512, max: 65_507 }), fc.nat(5000), fc.boolean(), (limit, count, edns) => {
        const asked = ask(questionBytes('web.shop', 'A', edns ? { edns: limit } : {}))
        const length = emitAddresses(out, asked, many.slice(0, count), 1, limit)
        expect(length).toBeLessThanOrEqual(limit)
        const packet = decode(emitted(length))
        const fit = Math.floor((limit - asked.query.end - (edns ? 11 : 0)) / 16)
        expect(packet.answers).toHaveLength(Math.min(count, fit))
        expect(packet.flag_tc).toBe(count > fit)
        const data = packet.answers?.map(answer => (answer.type === 'A' ? answer.data : ''))
        expect(new Set(data).size).toBe(Math.min(count, fit))
      }),
      { numRuns: 50 },
    )
  })

  test('addresses come in every order', () => {
    const three = [1, 2, 3].map(last => Uint8Array.of(10, 0, 0, last))
    const seen = new Set<string>()
    for (let turn = 0; turn < 500; turn++) {
      const length = emitAddresses(out, ask(webShop), three, 1, 512)
      seen.add([0, 1, 2].map(index => out[length - 1 - 16 * index]).join())
    }
    expect(seen.size).toBe(6)
  })
})

test.each([
  ['plain', {}, 512],
  ['with EDNS', { edns: 4096 }, 4096],
  ['more than UDP can carry', { edns: 65_535 }, 65_507],
])('size of UDP answers: %s', (_, options, limit) => {
  expect(udpLimit(parsed(questionBytes('a', 'A', options)))).toBe(limit)
})

test.each([
  ['web', '0377656200'],
  ['a.b', '0161016200'],
  ['Ä', '02c38400'],
  ['', undefined],
  ['a..b', undefined],
  ['a'.repeat(64), undefined],
  [`${'a'.repeat(63)}.`.repeat(3) + 'a'.repeat(62), undefined],
])('encodeName %s', (name, bytes) => {
  expect(encodeName(name)).toEqual(bytes === undefined ? undefined : Uint8Array.from(hex(bytes)))
})

describe('answers', () => {
  const asked = { bytes: webShop, query: parsed(webShop) }
  test.each([
    ['the same question', '1234 8180 0001 0000 0000 0000 03576542 0473686f70 00 0001 0001', true],
    ['other letter case', '1234 8180 0001 0000 0000 0000 03776562 0473686f70 00 0001 0001', true],
    ['other id', '1235 8180 0001 0000 0000 0000 03576542 0473686f70 00 0001 0001', false],
    ['a question', '1234 0100 0001 0000 0000 0000 03576542 0473686f70 00 0001 0001', false],
    ['other name', '1234 8180 0001 0000 0000 0000 03576543 0473686f70 00 0001 0001', false],
    ['other type', '1234 8180 0001 0000 0000 0000 03576542 0473686f70 00 001c 0001', false],
    ['cut off', '1234 8180 0001 0000 0000 0000 03576542 0473', false],
    ['no question, and a failure', '1234 8182 0000 0000 0000 0000', true],
    ['no question, and no failure', '1234 8180 0000 0000 0000 0000', false],
    ['half a header', '1234 8180 00', false],
  ])('%s: %s', (_, reply, expected) => {
    expect(answers(hex(reply), asked, 0x1234)).toBe(expected)
  })
})

describe('eachAddress', () => {
  const addressesOf = (reply: Uint8Array): string[] => {
    const found: string[] = []
    eachAddress(reply, address => found.push(Buffer.from(address).toString('hex')))
    return found
  }

  test('finds A and AAAA behind a CNAME', () => {
    expect(
      addressesOf(
        hex(`0001 8180 0001 0003 0000 0000 0161 00 0001 0001
          c00c 0005 0001 00000001 0003 0162 00
          0162 00 0001 0001 00000001 0004 0a000001
          c00c 001c 0001 00000001 0010 fd000000000000000000000000000001`),
      ),
    ).toEqual(['0a000001', 'fd000000000000000000000000000001'])
  })

  test('stops where the reply is broken, and ignores addresses of the wrong length', () => {
    expect(
      addressesOf(
        hex(`0001 8180 0001 0003 0000 0000 0161 00 0001 0001
          c00c 0001 0001 00000001 0003 0a0000
          c00c 0001 0001 00000001 0004 0a000002
          c00c 0001 0001 00000001 0004 0a00`),
      ),
    ).toEqual(['0a000002'])
  })
})

describe('whatever the bytes are', () => {
  /** Random bytes, and real messages with a few bytes changed: the second gets further. */
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc
      .tuple(
        fc.constantFrom(
          webShop,
          hex(`0007 0110 0001 0000 0000 0001 0161 00 001c 0001 ${opt}`),
          hex(`0001 8180 0001 0002 0000 0001 0161 00 0001 0001 c00c 0005 0001 00000001 0003 0162 00
            0162 00 0001 0001 00000001 0004 0a000001 ${opt}`),
        ),
        fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
        fc.nat(80),
      )
      .map(([message, changes, length]) => {
        const changed = Uint8Array.from(message.subarray(0, Math.max(length, 12)))
        for (const [index, byte] of changes) if (index < changed.length) changed[index] = byte
        return changed
      }),
  )

  test('a question is read or rejected, and its answer keeps the limit', () => {
    fc.assert(
      fc.property(bytes, message => {
        const query = parseQuery(message)
        if (typeof query === 'string') {
          if (query !== 'ignore') expect(emitRejection(out, message, 1)).toBe(12)
          return
        }
        expect(query.end).toBeLessThanOrEqual(message.length)
        const asked = { bytes: message, query }
        const limit = udpLimit(query)
        const address = [Uint8Array.of(1, 2, 3, 4), new Uint8Array(16)]
        for (const length of [
          emitAddresses(out, asked, address, 1, limit),
          emitEmpty(out, asked, 2),
          emitTruncated(out, asked),
          emitBadVersion(out, asked),
        ]) {
          expect(length).toBeLessThanOrEqual(limit)
          expect(out.subarray(12, query.end)).toEqual(Buffer.from(message.subarray(12, query.end)))
          expect(answers(out.subarray(0, length), asked, query.id)).toBe(true)
        }
      }),
      { numRuns: runs(5000) },
    )
  })

  test('a reply is looked at without a throw', () => {
    const asked = { bytes: webShop, query: parsed(webShop) }
    fc.assert(
      fc.property(bytes, reply => {
        answers(reply, asked, 0x1234)
        if (reply.length < 12) return
        replyCode(reply)
        putId(reply, 1)
        eachAddress(reply, address => expect([4, 16]).toContain(address.length))
      }),
      { numRuns: runs(5000) },
    )
  })
})
