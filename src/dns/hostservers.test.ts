import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'

import { HostServers, parseNameservers, usableServers } from './hostservers.ts'

test.each([
  ['nameserver 192.0.2.1\nnameserver 2001:db8::1\n', ['192.0.2.1', '2001:db8::1']],
  ['# nameserver 1.1.1.1\n;nameserver 1.1.1.2\n  nameserver\t192.0.2.1   # mine\r\n', ['192.0.2.1']],
  ['search a b\noptions ndots:2\nnameservers 1.1.1.1\nnameserver', []],
  ['', []],
])('nameserver lines of %j', (text, servers) => {
  expect(parseNameservers(text)).toEqual(servers)
})

test('at most three servers, all addresses, never the resolver itself', () => {
  expect(
    usableServers(['127.0.0.11', 'dns.example', '127.0.0.53', 'fe80::1%eth0', '192.0.2.1', '192.0.2.2']),
  ).toEqual(['127.0.0.53', 'fe80::1%eth0', '192.0.2.1'])
})

test('any text can be parsed', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      for (const server of usableServers(parseNameservers(text))) expect(server).not.toBe('127.0.0.11')
    }),
  )
})

describe('HostServers', () => {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  test('follows changes in place, replacement, links and loss', () => {
    const [first, second, link] = ['first', 'second', 'link'].map(name => join(directory, name))
    if (first === undefined || second === undefined || link === undefined) throw new Error('no paths')
    const servers = new HostServers(link)
    expect(servers.current()).toEqual([])
    writeFileSync(first, 'nameserver 192.0.2.1\n')
    symlinkSync(first, link)
    expect(servers.current()).toEqual(['192.0.2.1'])
    writeFileSync(first, 'nameserver 192.0.2.10\n')
    expect(servers.current()).toEqual(['192.0.2.10'])
    writeFileSync(second, 'nameserver 192.0.2.20\n')
    renameSync(second, first)
    expect(servers.current()).toEqual(['192.0.2.20'])
    rmSync(first)
    expect(servers.current()).toEqual([])
    writeFileSync(first, 'nameserver 192.0.2.20\n')
    expect(servers.current()).toEqual(['192.0.2.20'])
  })
})
