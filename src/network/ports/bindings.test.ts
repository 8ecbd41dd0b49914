import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PortRequest } from '../types.ts'
import type { HostBinding, PortWishes } from './bindings.ts'
import { parseContainerPort, portRequests } from './bindings.ts'

const wish = (
  bindings: PortWishes['bindings'],
  exposed: readonly string[] = [],
  publishAll = false,
): PortRequest[] => portRequests({ exposed, bindings, publishAll })

const any = { hostIp: '', hostFrom: 0, hostTo: 0 }

describe('parseContainerPort', () => {
  it.each([
    ['80', { protocol: 'tcp', from: 80, to: 80 }],
    ['80/', { protocol: 'tcp', from: 80, to: 80 }],
    ['80/tcp', { protocol: 'tcp', from: 80, to: 80 }],
    ['53/UDP', { protocol: 'udp', from: 53, to: 53 }],
    ['9/sctp', { protocol: 'sctp', from: 9, to: 9 }],
    ['65535/tcp', { protocol: 'tcp', from: 65535, to: 65535 }],
    ['8000-8010/udp', { protocol: 'udp', from: 8000, to: 8010 }],
  ])('reads %s', (text, expected) => {
    expect(parseContainerPort(text)).toEqual(expected)
  })

  it.each([
    ['', ''],
    ['0/tcp', '0'],
    ['65536/tcp', '65536'],
    ['abc/tcp', 'abc'],
    ['-1', '-1'],
    ['1.5', '1.5'],
    ['80-', '80-'],
    ['90-80/tcp', '90-80'],
    ['/tcp', ''],
    ['80/icmp', '80/icmp'],
    ['80/tcp/udp', '80/tcp/udp'],
  ])('refuses %j', (text, named) => {
    expect(() => parseContainerPort(text)).toThrow(
      expect.objectContaining({ status: 400, message: `invalid port specification: "${named}"` }),
    )
  })
})

describe('portRequests', () => {
  it.each<[string, PortWishes['bindings'], readonly PortRequest[]]>([
    [
      '-p 8080:80',
      { '80/tcp': [{ HostPort: '8080' }] },
      [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 8080, hostTo: 8080 }],
    ],
    ['-p 80', { '80/tcp': [{ HostIp: '', HostPort: '' }] }, [{ protocol: 'tcp', containerPort: 80, ...any }]],
    ['port 0', { '80': [{ HostPort: '0' }] }, [{ protocol: 'tcp', containerPort: 80, ...any }]],
    ['an empty list', { '80/tcp': [] }, [{ protocol: 'tcp', containerPort: 80, ...any }]],
    ['null', { '80/tcp': null }, [{ protocol: 'tcp', containerPort: 80, ...any }]],
    [
      'a range to choose from',
      { '80/tcp': [{ HostPort: '8000-8010' }] },
      [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 8000, hostTo: 8010 }],
    ],
    [
      'a host address',
      { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '80' }] },
      [{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostFrom: 80, hostTo: 80 }],
    ],
    [
      'an IPv6 address in capitals',
      { '80/tcp': [{ HostIp: 'FD00:0::1', HostPort: '80' }] },
      [{ protocol: 'tcp', containerPort: 80, hostIp: 'fd00::1', hostFrom: 80, hostTo: 80 }],
    ],
    [
      'several host ports',
      { '80/tcp': [{ HostPort: '8081' }, { HostPort: '8080' }] },
      [
        { protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 8081, hostTo: 8081 },
        { protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 8080, hostTo: 8080 },
      ],
    ],
    [
      'the same wish twice',
      { '80/tcp': [{ HostPort: '80' }, { HostPort: '80' }] },
      [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 80, hostTo: 80 }],
    ],
    [
      'two free choices',
      { '80/tcp': [{}, {}] },
      [
        { protocol: 'tcp', containerPort: 80, ...any },
        { protocol: 'tcp', containerPort: 80, ...any },
      ],
    ],
    [
      'tcp before udp',
      { '53/udp': [{ HostPort: '53' }], '53/tcp': [{ HostPort: '53' }] },
      [
        { protocol: 'tcp', containerPort: 53, hostIp: '', hostFrom: 53, hostTo: 53 },
        { protocol: 'udp', containerPort: 53, hostIp: '', hostFrom: 53, hostTo: 53 },
      ],
    ],
  ])('%s', (_, bindings, expected) => {
    expect(wish(bindings)).toEqual(expected)
  })

  it('makes one request of a thousand ports', () => {
    const bindings = Object.fromEntries(
      Array.from({ length: 1000 }, (_, at) => [`${8000 + at}/tcp`, [{ HostPort: String(18000 + at) }]]),
    )
    expect(wish(bindings)).toEqual([
      { protocol: 'tcp', containerPort: 8000, containerTo: 8999, hostIp: '', hostFrom: 18000, hostTo: 18999 },
    ])
  })

  it('breaks a run where ports, addresses or steps differ', () => {
    const requests = wish({
      '80/tcp': [{ HostPort: '80' }],
      '81/tcp': [{ HostPort: '81' }, { HostIp: '127.0.0.1', HostPort: '9081' }],
      '82/tcp': [{ HostPort: '83' }, { HostIp: '127.0.0.1', HostPort: '9082' }],
      '84/tcp': [{ HostPort: '84' }],
    })
    expect(
      requests.map(each => [each.containerPort, each.containerTo, each.hostIp, each.hostFrom, each.hostTo]),
    ).toEqual([
      [80, 81, '', 80, 81],
      [81, 82, '127.0.0.1', 9081, 9082],
      [82, undefined, '', 83, 83],
      [84, undefined, '', 84, 84],
    ])
  })

  it('publishes exposed ports only if told to, and bound ones no second time', () => {
    const bindings = { '80/tcp': [{ HostPort: '8080' }] }
    expect(wish(bindings, ['80/tcp', '81/tcp'])).toHaveLength(1)
    expect(wish(bindings, ['80/tcp', '81/tcp', '90-92/udp', '91/udp'], true)).toEqual([
      { protocol: 'tcp', containerPort: 80, hostIp: '', hostFrom: 8080, hostTo: 8080 },
      { protocol: 'tcp', containerPort: 81, ...any },
      { protocol: 'udp', containerPort: 90, containerTo: 92, ...any },
    ])
  })

  it.each<[PortWishes['bindings'], readonly string[], string]>([
    [{ '80-81/tcp': [{}] }, [], 'invalid port specification: "80-81/tcp"'],
    [{ '80/tcp': [{ HostPort: 'x' }] }, [], 'invalid port specification: "x"'],
    [{ '80/tcp': [{ HostPort: '70000' }] }, [], 'invalid port specification: "70000"'],
    [{ '80/tcp': [{ HostPort: '0-10' }] }, [], 'invalid port specification: "0-10"'],
    [{ '80/tcp': [{ HostPort: '20-10' }] }, [], 'invalid port specification: "20-10"'],
    [{ '80/tcp': [{ HostPort: '80/tcp' }] }, [], 'invalid port specification: "80/tcp"'],
    [{ '80/tcp': [{ HostIp: '127.1' }] }, [], 'invalid IP address: 127.1'],
    [{}, ['0/tcp'], 'invalid port specification: "0"'],
  ])('refuses %j %j', (bindings, exposed, message) => {
    expect(() => wish(bindings, exposed)).toThrow(expect.objectContaining({ status: 400, message }))
  })

  it('loses and invents no port when it puts them together', () => {
    const binding = fc.record({
      HostIp: fc.constantFrom('', '127.0.0.1'),
      HostPort: fc.constantFrom('', '100', '101', '102', '103', '200-210'),
    })
    const bindings = fc.dictionary(
      fc.constantFrom('10/tcp', '11/tcp', '12/tcp', '13/udp', '11/udp'),
      fc.uniqueArray(binding, { selector: each => JSON.stringify(each), maxLength: 4 }),
    )
    fc.assert(
      fc.property(bindings, each => {
        const spell = (protocol: string, port: number, { HostIp, HostPort }: HostBinding): string =>
          `${protocol} ${port} ${HostIp} ${HostPort}`
        const asked = Object.entries(each).flatMap(([key, list]) => {
          const { protocol, from } = parseContainerPort(key)
          return (list.length === 0 ? [{ HostIp: '', HostPort: '' }] : list).map(one =>
            spell(protocol, from, one),
          )
        })
        const got = wish(each).flatMap(request => {
          const last = request.containerTo ?? request.containerPort
          return Array.from({ length: last - request.containerPort + 1 }, (_, at) => {
            const { hostFrom, hostTo, hostIp, containerPort, protocol } = request
            const named =
              request.containerTo === undefined && hostTo > hostFrom
                ? `${hostFrom}-${hostTo}`
                : String(hostFrom + at)
            return spell(protocol, containerPort + at, {
              HostIp: hostIp,
              HostPort: hostFrom === 0 ? '' : named,
            })
          })
        })
        expect(got.toSorted()).toEqual(asked.toSorted())
      }),
    )
  })
})
