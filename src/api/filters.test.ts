import { describe, expect, it } from 'vitest'
import type { Container, EngineEvent } from '../engine/index.ts'
import { containerFilterKeys, containerSelector } from './container-filter.ts'
import { eventFilterKeys, eventSelector } from './event-filter.ts'
import { parseFilters, pruneFilter } from './filters.ts'
import { networkSelector } from './routes/networks.ts'
import { MemoryState } from './testing/memory-engine.ts'
import { bridge, config, endpoint, idOf, image, running, sandbox } from './testing/records.ts'

describe('encodings', () => {
  it.each([
    ['{"a":{"x":true,"y":true}}', ['x', 'y']],
    ['{"a":["x","y"]}', ['x', 'y']],
    ['{"a":{"x":true,"y":false}}', ['x']],
    ['{"a":[]}', undefined],
    ['', undefined],
    [null, undefined],
  ])('%s', (text, values) => {
    expect(parseFilters(text, ['a']).get('a')).toEqual(values)
  })

  it.each(['x', '[]', '1', 'null', '{"a":1}', '{"a":[1]}', '{"a":{"x":1}}', '{"a":"x"}'])(
    '%s is refused',
    text => {
      expect(() => parseFilters(text, ['a'])).toThrow('invalid filter')
    },
  )

  it('names an unknown key', () => {
    expect(() => parseFilters('{"b":["x"]}', ['a'])).toThrow("invalid filter 'b'")
  })
})

describe('networks', () => {
  const state = new MemoryState()
  const mine = {
    ...bridge,
    id: '0123456789'.repeat(6) + 'abcd',
    name: 'my-net',
    labels: { env: 'prod', a: '' },
  }
  const empty = { ...mine, id: idOf('9'), name: 'net2', labels: {} }
  for (const network of [mine, empty]) state.networks.set(network.id, network)
  state.endpoints.set(endpoint.id, { ...endpoint, networkId: mine.id })
  const keys = ['driver', 'type', 'name', 'id', 'label', 'scope', 'dangling']
  const names = (filters: Record<string, string[]>) => {
    const selects = networkSelector(parseFilters(JSON.stringify(filters), keys), state)
    return [...state.networks.values()].filter(one => selects(one)).map(one => one.name)
  }

  it.each<[Record<string, string[]>, string[]]>([
    [{}, ['bridge', 'host', 'none', 'my-net', 'net2']],
    [{ name: ['net'] }, ['my-net', 'net2']],
    [{ name: ['^net'] }, ['net2']],
    [{ name: ['['] }, []],
    [{ name: ['host', 'net2'] }, ['host', 'net2']],
    [{ id: ['012345'] }, ['my-net']],
    [{ driver: ['host'] }, ['host']],
    [{ driver: ['host', 'null'] }, ['host', 'none']],
    [{ scope: ['local'], name: ['net2'] }, ['net2']],
    [{ scope: ['swarm'] }, []],
    [{ type: ['builtin'] }, ['bridge', 'host', 'none']],
    [{ type: ['custom'] }, ['my-net', 'net2']],
    [{ type: ['custom', 'builtin'] }, ['bridge', 'host', 'none', 'my-net', 'net2']],
    [{ label: ['env'] }, ['my-net']],
    [{ label: ['env=prod', 'a'] }, ['my-net']],
    [{ label: ['env=test'] }, []],
    [{ label: ['toString'] }, []],
    [{ dangling: ['true'] }, ['net2']],
    [{ dangling: ['0'] }, ['bridge', 'host', 'none', 'my-net']],
  ])('%j', (filters, expected) => {
    expect(names(filters)).toEqual(expected)
  })

  it.each([
    [{ type: ['x'] }, "invalid filter: 'type'='x'"],
    [{ dangling: ['maybe'] }, "invalid filter 'dangling=[maybe]'"],
    [{ dangling: ['true', 'false'] }, "invalid filter 'dangling=[true false]'"],
  ])('%j is refused', (filters, text) => {
    expect(() => names(filters)).toThrow(text)
  })
})

describe('containers', () => {
  const state = new MemoryState()
  const stopped: Container = {
    ...running,
    id: idOf('2'),
    name: 'old',
    created: '2026-11-22T00:00:00Z',
    config: { ...config, Labels: { tier: 'db' }, ExposedPorts: { '5432/tcp': {} } },
    memberships: [{ network: 'gone', networkId: '', request: {} }],
    state: { ...running.state, status: 'exited', exitCode: 3 },
  }
  for (const one of [running, stopped]) state.containers.set(one.id, one)
  const names = (filters: Record<string, string[]>, all = true) => {
    const selects = containerSelector(
      parseFilters(JSON.stringify(filters), containerFilterKeys),
      state,
      id => (id === running.id ? sandbox.ports : []),
      { all, before: '', since: '' },
    )
    return [...state.containers.values()].filter(one => selects(one)).map(one => one.name)
  }

  it.each<[Record<string, string[]>, string[]]>([
    [{}, ['web', 'old']],
    [{ name: ['we'] }, ['web']],
    [{ name: ['^/old$'] }, ['old']],
    [{ id: ['222'] }, ['old']],
    [{ status: ['exited'] }, ['old']],
    [{ exited: ['3'] }, ['old']],
    [{ exited: ['0'] }, []],
    [{ label: ['tier=db'] }, ['old']],
    [{ network: ['bridge'] }, ['web']],
    [{ network: [bridge.id.slice(0, 12)] }, ['web']],
    [{ network: ['gone'] }, ['old']],
    [{ ancestor: ['busybox'] }, ['web', 'old']],
    [{ ancestor: [image.id] }, ['web', 'old']],
    [{ ancestor: ['nosuch'] }, []],
    [{ publish: ['80'] }, ['web']],
    [{ publish: ['70-90/tcp'] }, ['web']],
    [{ publish: ['80/udp'] }, []],
    [{ expose: ['5000-6000'] }, ['old']],
    [{ before: ['web'] }, ['old']],
    [{ since: ['old'] }, ['web']],
    [{ 'is-task': ['true'] }, []],
    [{ health: ['none'] }, ['web', 'old']],
    [{ volume: ['/data'] }, []],
  ])('%j', (filters, expected) => {
    expect(names(filters)).toEqual(expected)
  })

  it('shows running ones only, unless a filter asks for states', () => {
    expect(names({}, false)).toEqual(['web'])
    expect(names({ status: ['exited'] }, false)).toEqual(['old'])
  })

  it.each([
    [{ status: ['x'] }, "invalid filter 'status=x'"],
    [{ exited: ['x'] }, "invalid filter 'exited=x'"],
    [{ publish: ['a-b'] }, "invalid filter 'publish=a-b'"],
    [{ before: ['nosuch'] }, 'No such container: nosuch'],
  ])('%j is refused', (filters, text) => {
    expect(() => names(filters)).toThrow(text)
  })
})

describe('events', () => {
  const event: EngineEvent = {
    type: 'container',
    action: 'exec_create: ls -l',
    actor: { id: running.id, attributes: { name: 'web', image: 'busybox', tier: 'db' } },
    time: 1n,
  }
  const passes = (filters: Record<string, string[]>) =>
    eventSelector(parseFilters(JSON.stringify(filters), eventFilterKeys))(event)

  it.each<[Record<string, string[]>, boolean]>([
    [{}, true],
    [{ type: ['container'] }, true],
    [{ type: ['network'] }, false],
    [{ type: ['network', 'container'] }, true],
    [{ event: ['exec_create'] }, true],
    [{ event: ['exec'] }, false],
    [{ container: ['web'] }, true],
    [{ container: ['we'] }, true],
    [{ container: [running.id.slice(0, 12)] }, true],
    [{ network: ['web'] }, true],
    [{ container: ['db'] }, false],
    [{ label: ['tier=db'] }, true],
    [{ label: ['tier=web'] }, false],
    [{ scope: ['swarm'] }, false],
  ])('%j: %s', (filters, expected) => {
    expect(passes(filters)).toBe(expected)
  })
})

describe('prune', () => {
  it('takes one until, and labels both ways', () => {
    const filter = pruneFilter('{"until":["2026-01-01T00:00:00Z"],"label":["a"],"label!":["b=1"]}')
    expect(filter.before).toBe(1_767_225_600_000_000_000n)
    expect(filter.selectsLabels({ a: '' })).toBe(true)
    expect(filter.selectsLabels({ a: '', b: '1' })).toBe(false)
    expect(filter.selectsLabels({ a: '', b: '2' })).toBe(true)
    expect(filter.selectsLabels({})).toBe(false)
    expect(() => pruneFilter('{"until":["1h","2h"]}')).toThrow('more than one until filter')
  })
})
