import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseTarget } from './ends.ts'
import { codes } from './explanation.ts'
import { hears } from './walk.ts'

describe('codes of explain', () => {
  it('are all documented, and no others', () => {
    const text = readFileSync(new URL('../../docs/explain.md', import.meta.url), 'utf8')
    const documented = [...text.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code)
    expect(new Set(documented)).toEqual(new Set(codes))
  })
})

describe('what is written for the other end', () => {
  it.each([
    ['web', { name: 'web', port: 0, protocol: 'icmp' }],
    ['web:80', { name: 'web', port: 80, protocol: 'tcp' }],
    ['web:53/udp', { name: 'web', port: 53, protocol: 'udp' }],
    ['[fd00::2]:80', { name: 'fd00::2', port: 80, protocol: 'tcp' }],
    ['fd00::2', { name: 'fd00::2', port: 0, protocol: 'icmp' }],
    ['10.0.0.1:443/tcp', { name: '10.0.0.1', port: 443, protocol: 'tcp' }],
  ])('%s', (text, target) => expect(parseTarget(text)).toEqual(target))

  it.each(['', ':80', 'web:0', 'web:65536', 'web:80/quic', 'web/udp', 'a:b:c'])('%j is refused', text => {
    expect(() => parseTarget(text)).toThrow(/cannot read|unknown protocol|lacks the port/)
  })
})

describe('a socket hears', () => {
  it.each([
    ['0.0.0.0', '172.17.0.2', true],
    ['0.0.0.0', 'fd00::2', false],
    ['::', '172.17.0.2', true],
    ['127.0.0.1', '172.17.0.2', false],
    ['172.17.0.2', '172.17.0.2', true],
    ['::ffff:172.17.0.2', '172.17.0.2', true],
  ])('bound to %s what is sent to %s: %s', (address, destination, heard) => {
    expect(hears(address, destination)).toBe(heard)
  })
})
