import { describe, expect, test } from 'vitest'
import type { PublishObject, SegmentObject } from '../../network/index.ts'
import { constantRules, rulesOf } from './chains.ts'

const segment = (more: Partial<SegmentObject> = {}): SegmentObject => ({
  kind: 'segment',
  key: 'segment docker0',
  owner: 'n',
  bridge: 'docker0',
  subnets: ['172.17.0.0/16'],
  mode: 'nat',
  icc: true,
  masquerade: true,
  ...more,
})

const publish = (more: Partial<PublishObject> = {}): PublishObject => ({
  kind: 'publish',
  key: 'publish tcp 0.0.0.0 80-80',
  owner: 'e',
  bridge: 'docker0',
  protocol: 'tcp',
  hostIp: '0.0.0.0',
  hostFrom: 80,
  hostTo: 80,
  target: '172.17.0.5',
  targetFrom: 80,
  ...more,
})

const guarded = { directRouting: false }

const lines = (intent: SegmentObject | PublishObject, family: 4 | 6 = 4, options = guarded) =>
  rulesOf(intent, family, options).map(({ table, chain, spec }) => `${table} ${chain} ${spec}`)

describe('a network', () => {
  test('with NAT, as the tutorial shows it and Docker 28 adds to it', () => {
    expect(lines(segment()).sort()).toEqual([
      'filter DOCKER ! -i docker0 -o docker0 -j DROP',
      'filter DOCKER-BRIDGE -o docker0 -j DOCKER',
      'filter DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      'filter DOCKER-FORWARD -i docker0 -j ACCEPT',
      'filter DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
      'filter DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP',
      'nat DOCKER-POSTROUTING -s 172.17.0.0/16 -o docker0 -m conntrack --ctstate DNAT -j MASQUERADE',
      'nat POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      'raw DOCKER -d 172.17.0.0/16 ! -i docker0 -m addrtype ! --dst-type LOCAL -j DROP',
    ])
  })

  test('without masquerade, without the guard of container addresses', () => {
    expect(lines(segment({ masquerade: false }))).not.toContainEqual(expect.stringMatching(/ POSTROUTING /))
    expect(lines(segment(), 4, { directRouting: true })).not.toContainEqual(expect.stringMatching(/^raw/))
  })

  test('with icc=false only what is published passes between its containers', () => {
    const rules = rulesOf(segment({ icc: false }), 4, guarded).filter(({ spec }) =>
      spec.startsWith('-i docker0'),
    )
    expect(rules.map(({ chain, spec, place }) => `${chain} ${spec} ${place}`)).toEqual([
      'DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2 bottom',
      'DOCKER -i docker0 -o docker0 -m conntrack --ctstate DNAT -j ACCEPT top',
      'DOCKER-FORWARD -i docker0 -o docker0 -j DROP bottom',
      'DOCKER-FORWARD -i docker0 ! -o docker0 -j ACCEPT bottom',
    ])
  })

  test.each([
    [true, 'ACCEPT'],
    [false, 'DROP'],
  ])('an internal one is told by interface, whatever the address; icc %s', (icc, verdict) => {
    const filter = lines(segment({ mode: 'internal', icc, masquerade: false })).filter(line =>
      line.startsWith('filter'),
    )
    expect(filter).toEqual([
      'filter DOCKER-ISOLATION-STAGE-1 ! -i docker0 -o docker0 -j DROP',
      'filter DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DROP',
      `filter DOCKER-FORWARD -i docker0 -o docker0 -j ${verdict}`,
    ])
  })

  test('each family has its subnets, and the bridge’s rules in both', () => {
    const both = segment({ subnets: ['172.17.0.0/16', 'fd00:1::/64'] })
    expect(lines(both, 4).join('\n')).not.toContain('fd00')
    expect(lines(both, 6)).toContain('nat POSTROUTING -s fd00:1::/64 ! -o docker0 -j MASQUERADE')
    expect(lines(both, 6).join('\n')).not.toContain('172.')
    expect(lines(segment(), 6)).toContain('filter DOCKER ! -i docker0 -o docker0 -j DROP')
  })

  test.each(['br+', '-x', 'a"b', '!br', "b'r", 'a\\b'])('a bridge named %s is refused', bridge => {
    expect(() => rulesOf(segment({ bridge }), 4, guarded)).toThrow('iptables takes names of letters')
    expect(() => rulesOf(publish({ bridge }), 4, guarded)).toThrow('iptables takes names of letters')
  })
})

describe('a published port', () => {
  test('is the tutorial’s rule to the letter, and once more for the bridge’s own containers', () => {
    expect(lines(publish())).toEqual([
      'filter DOCKER -d 172.17.0.5/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT',
      'nat DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.5:80',
      'nat DOCKER-HAIRPIN -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.5:80',
    ])
    expect(lines(publish(), 6)).toEqual([])
  })

  test.each([
    [
      'another port',
      { hostFrom: 8080, hostTo: 8080 },
      '! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.5:80',
    ],
    [
      'one address',
      { hostIp: '127.0.0.1' },
      '-d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.5:80',
    ],
    [
      'udp',
      { protocol: 'udp' as const },
      '! -i docker0 -p udp -m udp --dport 80 -j DNAT --to-destination 172.17.0.5:80',
    ],
    [
      'a run of equal ports',
      { hostFrom: 80, hostTo: 9999 },
      '! -i docker0 -p tcp -m tcp --dport 80:9999 -j DNAT --to-destination 172.17.0.5',
    ],
    [
      'a shifted run',
      { hostFrom: 8000, hostTo: 8009 },
      '! -i docker0 -p tcp -m tcp --dport 8000:8009 -j DNAT --to-destination 172.17.0.5:80-89/8000',
    ],
  ])('%s', (_, more, expected) => {
    expect(lines(publish(more))).toHaveLength(3)
    expect(lines(publish(more))).toContain(`nat DOCKER ${expected}`)
  })

  test('the ports of the container are accepted, however they are called outside', () => {
    expect(lines(publish({ hostFrom: 8000, hostTo: 8009 }))[0]).toContain('--dport 80:89 -j ACCEPT')
  })

  test.each([
    [
      { hostIp: '::' },
      '! -s fe80::/10 ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::5]:80',
    ],
    [
      { hostIp: '2001:db8:0::1' },
      '! -s fe80::/10 -d 2001:db8::1/128 ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::5]:80',
    ],
    [
      { hostIp: '::', hostTo: 90 },
      '! -s fe80::/10 ! -i docker0 -p tcp -m tcp --dport 80:90 -j DNAT --to-destination fd00::5',
    ],
  ])('IPv6 %j', (more, expected) => {
    const intent = publish({ target: 'fd00::5', ...more })
    expect(lines(intent, 6)).toContain(`nat DOCKER ${expected}`)
    expect(lines(intent, 4)).toEqual([])
  })

  test('for one address goes before those for all', () => {
    const placeOf = (intent: PublishObject) => rulesOf(intent, 4, guarded).map(({ place }) => place)
    expect(placeOf(publish())).toEqual(['top', 'bottom', 'bottom'])
    expect(placeOf(publish({ hostIp: '10.0.0.1' }))).toEqual(['top', 'top', 'top'])
  })
})

test('DOCKER-USER is asked first', () => {
  for (const family of [4, 6] as const) {
    const forward = constantRules(family).filter(({ chain }) => chain === 'FORWARD')
    expect(forward.map(({ spec, place }) => `${spec} ${place}`)).toEqual([
      '-j DOCKER-USER head',
      '-j DOCKER-FORWARD head',
    ])
  }
})
