import { describe, expect, it } from 'vitest'
import type { PublishedPort } from '../types.ts'
import { dropBinding, mergeBindings, singlePorts, withoutPort } from './change.ts'

const port = (
  hostFrom: number,
  hostTo: number,
  containerFrom: number,
  hostIp = '0.0.0.0',
): PublishedPort => ({
  protocol: 'tcp',
  hostIp,
  hostFrom,
  hostTo,
  containerFrom,
  endpointId: 'e',
})
const meant = (key: string, hostPort = 0, hostIp = '') => ({ key, hostPort, hostIp })

describe('taking a published port away', () => {
  it.each([
    ['a single one', [port(8080, 8080, 80)], meant('80/tcp', 8080), []],
    ['whichever host port', [port(8080, 8080, 80), port(9, 9, 9)], meant('80/tcp'), [port(9, 9, 9)]],
    ['the first of a run', [port(10, 12, 20)], meant('20/tcp', 10), [port(11, 12, 21)]],
    ['the middle of a run', [port(10, 12, 20)], meant('21/tcp', 11), [port(10, 10, 20), port(12, 12, 22)]],
    ['the last of a run', [port(10, 12, 20)], meant('22/tcp'), [port(10, 11, 20)]],
    ['on every address', [port(1, 1, 1), port(1, 1, 1, '::')], meant('1/tcp', 1), []],
    ['on one address', [port(1, 1, 1), port(1, 1, 1, '::')], meant('1/tcp', 1, '::'), [port(1, 1, 1)]],
  ])('%s', (_, ports, asked, left) => {
    expect(withoutPort(ports, asked)).toEqual(left)
  })

  it('leaves the list itself where nothing is meant', () => {
    const ports = [port(8080, 8080, 80)]
    expect(withoutPort(ports, meant('80/udp', 8080))).toBe(ports)
    expect(withoutPort(ports, meant('81/tcp'))).toBe(ports)
    expect(withoutPort(ports, meant('80/tcp', 8081))).toBe(ports)
  })
})

describe('one host port', () => {
  it('is cut out of its runs, on every address', () => {
    const ports = [port(10, 12, 20), port(11, 11, 21, '::'), port(30, 30, 30)]
    expect(singlePorts(ports, 11, 'tcp')).toEqual([port(11, 11, 21), port(11, 11, 21, '::')])
    expect(singlePorts(ports, 11, 'udp')).toEqual([])
  })
})

describe('what was asked for', () => {
  const web = { '80/tcp': [{ HostIp: '', HostPort: '8080' }] }
  it('grows, each binding once', () => {
    expect(
      mergeBindings(web, { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '53/udp': [{ HostPort: '' }] }),
    ).toEqual({
      ...web,
      '53/udp': [{ HostPort: '' }],
    })
  })
  it('shrinks, and forgets a port without bindings', () => {
    expect(dropBinding(web, meant('80/tcp', 8080))).toEqual({})
    expect(dropBinding(web, meant('80/tcp', 81))).toEqual(web)
  })
})
