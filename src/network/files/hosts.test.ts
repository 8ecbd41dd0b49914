import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  appendOwnLines,
  checkExtraHosts,
  extraHosts,
  hostsText,
  linkNames,
  moveLinkLine,
  ownNames,
  removeOwnLines,
} from './hosts.ts'

const gateway = { ipv4: '172.17.0.1', ipv6: undefined }

describe('hostsText', () => {
  it('is the tutorial’s file', () => {
    const text = hostsText({
      ipv6: true,
      extraHosts: [],
      links: [{ address: '172.17.0.2', names: linkNames('test1', '91a314fedc6c', 'test1') }],
      addresses: ['172.17.0.3'],
      names: ownNames('d4b951669d85', ''),
    })
    expect(text).toBe(
      [
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::\tip6-localnet',
        'ff00::\tip6-mcastprefix',
        'ff02::1\tip6-allnodes',
        'ff02::2\tip6-allrouters',
        '172.17.0.2\ttest1 91a314fedc6c',
        '172.17.0.3\td4b951669d85',
        '',
      ].join('\n'),
    )
  })

  it('has no IPv6 lines without IPv6, extra hosts in their order, a line per address', () => {
    const text = hostsText({
      ipv6: false,
      extraHosts: extraHosts(['b:10.0.0.2', 'a:fd00::1', 'b:10.0.0.3', 'host:host-gateway'], gateway),
      links: [],
      addresses: ['172.18.0.2', 'fd00::2', '172.19.0.2'],
      names: ownNames('web', 'shop.test'),
    })
    expect(text).toBe(
      [
        '127.0.0.1\tlocalhost',
        '10.0.0.2\tb',
        'fd00::1\ta',
        '10.0.0.3\tb',
        '172.17.0.1\thost',
        '172.18.0.2\tweb.shop.test web',
        'fd00::2\tweb.shop.test web',
        '172.19.0.2\tweb.shop.test web',
        '',
      ].join('\n'),
    )
  })
})

it.each([
  ['web', '', ['web']],
  ['web', 'shop.test', ['web.shop.test', 'web']],
  ['a.b.c', '', ['a.b.c', 'a']],
])('ownNames(%j, %j)', (hostname, domainname, expected) => {
  expect(ownNames(hostname, domainname)).toEqual(expected)
})

it('linkNames drops what repeats', () => {
  expect(linkNames('db', '91a314fedc6c', 'test1')).toEqual(['db', '91a314fedc6c', 'test1'])
})

describe('connect and disconnect', () => {
  const names = ['web']

  it('add whole lines once, also to a file without a last newline', () => {
    expect(appendOwnLines('127.0.0.1\tlocalhost', ['172.18.0.3', 'fd00::3'], names)).toBe(
      '127.0.0.1\tlocalhost\n172.18.0.3\tweb\nfd00::3\tweb\n',
    )
    expect(appendOwnLines('172.18.0.3\tweb\n', ['172.18.0.3'], names)).toBe('172.18.0.3\tweb\n')
    expect(appendOwnLines('', ['172.18.0.3'], names)).toBe('172.18.0.3\tweb\n')
  })

  it('remove exactly their own lines', () => {
    const text =
      '172.18.0.3\tweb mine\n172.18.0.3 web\n172.18.0.3\tweb\n172.18.0.33\tweb\n# 172.18.0.3\tweb\n'
    expect(removeOwnLines(text, ['172.18.0.3'], names)).toBe(
      '172.18.0.3\tweb mine\n172.18.0.3 web\n172.18.0.33\tweb\n# 172.18.0.3\tweb\n',
    )
  })

  it('leave a user’s file as it was', () => {
    const line = fc.string().filter(text => !text.includes('\n'))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), lines => {
        const text = lines.map(each => `${each}\n`).join('')
        const addresses = ['172.18.0.3', 'fd00::3']
        expect(removeOwnLines(appendOwnLines(text, addresses, names), addresses, names)).toBe(text)
      }),
    )
  })

  it('move a link’s line in its place, unless the user took it out', () => {
    const link = { address: '172.17.0.9', names: ['db', 'test1'] }
    expect(moveLinkLine('a\n172.17.0.2\tdb test1\nb\n', link)).toBe('a\n172.17.0.9\tdb test1\nb\n')
    expect(moveLinkLine('a\nb\n', link)).toBe('a\nb\n')
  })
})

describe('--add-host', () => {
  it.each(['a:10.0.0.1', 'a:fd00::1', 'a:[fd00::1]', 'a:host-gateway', 'a_b:1.2.3.4'])('allows %s', text => {
    expect(() => checkExtraHosts([text])).not.toThrow()
  })

  it.each([
    ['a', 'bad format for add-host: "a"'],
    [':10.0.0.1', 'bad format for add-host: ":10.0.0.1"'],
    ['a:', 'bad format for add-host: "a:"'],
    ['a:10.0.1', 'invalid IP address in add-host: "10.0.1"'],
    ['a:gateway', 'invalid IP address in add-host: "gateway"'],
  ])('refuses %s', (text, message) => {
    expect(() => checkExtraHosts(['b:10.0.0.1', text])).toThrow(
      expect.objectContaining({ status: 400, message }),
    )
  })

  it('gives host-gateway a line per family, and says so when there is none', () => {
    expect(extraHosts(['h:host-gateway', 'x:[fd00::9]'], { ipv4: '172.17.0.1', ipv6: 'fd00::1' })).toEqual([
      { address: '172.17.0.1', names: ['h'] },
      { address: 'fd00::1', names: ['h'] },
      { address: 'fd00::9', names: ['x'] },
    ])
    expect(() => extraHosts(['h:host-gateway'], { ipv4: undefined, ipv6: undefined })).toThrow(
      'unable to derive the IP value for host-gateway',
    )
  })
})
