import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAddress, parseMac } from './address.ts'
import { announceOnce, gratuitousArp, internetChecksum, neighbourAdvertisement } from './announce.ts'
import { createNamespace, deleteNamespace } from './namespace.ts'
import { cannotRun, enterFreshNetwork, scratch, shell } from './testing.ts'

const hex = (text: string) => text.replaceAll(/\s/g, '')
const mac = parseMac('02:42:ac:11:00:02')

test('a gratuitous ARP request', () => {
  expect(gratuitousArp(mac, parseAddress('172.17.0.2')).toString('hex')).toBe(
    hex(`
      ffffffffffff 0242ac110002 0806
      0001 0800 06 04 0001
      0242ac110002 ac110002
      000000000000 ac110002
    `),
  )
})

test('an unsolicited neighbour advertisement', () => {
  const frame = neighbourAdvertisement(mac, parseAddress('fd00::2'))
  expect(frame.toString('hex')).toBe(
    hex(`
      333300000001 0242ac110002 86dd
      60000000 0020 3a ff
      fd000000000000000000000000000002 ff020000000000000000000000000001
      88 00 ae44 20000000
      fd000000000000000000000000000002
      02 01 0242ac110002
    `),
  )
  // RFC 1071: over pseudo header and message, checksum included, the sum is zero.
  const pseudo = Buffer.concat([frame.subarray(22, 54), Buffer.from([0, 0, 0, 32, 0, 0, 0, 58])])
  expect(internetChecksum(Buffer.concat([pseudo, frame.subarray(54)]))).toBe(0)
})

describe.skipIf(cannotRun !== '')('in a kernel', () => {
  const place = scratch()
  const path = join(place.directory, 'inner')
  beforeAll(() => {
    enterFreshNetwork()
    createNamespace(path, () => undefined)
    shell(`
      ip link add veth0 type veth peer name eth0
      sysctl -qw net.ipv4.neigh.veth0.locktime=0
      ip address add 10.1.0.1/24 dev veth0; ip address add fd01::1/64 dev veth0 nodad; ip link set veth0 up
      nsenter --net=${path} true`)
    shell(`ip link set eth0 netns /proc/self/fd/9 9<${path}`)
    shell(
      'ip address add 10.1.0.2/24 dev eth0; ip address add fd01::2/64 dev eth0 nodad; ip link set eth0 up',
      path,
    )
  })
  afterAll(() => {
    deleteNamespace(path)
    place.remove()
  })

  test('a neighbour that knew the addresses under another MAC learns the new one', () => {
    const wrong = '02:00:00:00:00:99'
    for (const address of ['10.1.0.2', 'fd01::2']) {
      shell(`ip neighbour replace ${address} lladdr ${wrong} dev veth0 nud stale`)
    }
    // Another interface had the name then: nothing is sent, and the MAC of this one says so.
    const other = announceOnce(path, 'eth0', wrong)
    expect(shell('ip neighbour show dev veth0 10.1.0.2')).toContain(`lladdr ${wrong}`)
    const announced = announceOnce(path, 'eth0')
    expect(other).toBe(announced)
    expect(shell('ip -brief link show eth0', path)).toContain(announced)
    expect(shell('ip neighbour show dev veth0 10.1.0.2')).toContain(`lladdr ${announced}`)
    expect(shell('ip neighbour show dev veth0 fd01::2')).toContain(`lladdr ${announced}`)
  })

  test('a link or a namespace that is gone ends it quietly', () => {
    expect(announceOnce(path, 'eth7')).toBeUndefined()
    expect(announceOnce(join(place.directory, 'absent'), 'eth0')).toBeUndefined()
  })

  test('a link that is down is nothing to announce on', () => {
    shell('ip link set eth0 down', path)
    expect(() => announceOnce(path, 'eth0')).toThrow(expect.objectContaining({ code: 'ENETDOWN' }))
  })
})
