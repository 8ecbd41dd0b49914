import { describe, expect, it } from 'vitest'
import { containerFromRequest } from './create-container.ts'
import { image, network } from './samples.ts'
import { State } from './state.ts'
import type { CreateContainerRequest } from './types.ts'

const id = 'c0ffee'.padEnd(64, '0')

function stateWithNetworks() {
  const state = new State()
  const bridge = network({ id: 'b'.repeat(64), name: 'bridge' })
  if (bridge.bridge === undefined) throw new Error('a bridge network has a bridge')
  state.apply({
    networks: {
      put: [
        { ...bridge, bridge: { ...bridge.bridge, isDefault: true } },
        network({ id: 'a'.repeat(64), name: 'shop', pools: [] }),
      ],
    },
    images: {
      put: [
        image({
          id: `sha256:${'1'.repeat(64)}`,
          tags: ['app:latest'],
          config: {
            Cmd: ['serve'],
            Entrypoint: ['/entry'],
            Env: ['A=1', 'B=2'],
            ExposedPorts: { '80/tcp': {} },
          },
        }),
      ],
    },
  })
  return state
}

function create(request: Partial<CreateContainerRequest>) {
  const full = { name: 'web', config: { Image: 'app' }, hostConfig: {}, endpoints: {}, ...request }
  const context = {
    id,
    created: '2026-01-01T00:00:00Z',
    state: stateWithNetworks(),
    randomName: () => 'random_name',
  }
  return containerFromRequest(full, context)
}

describe('the image’s defaults', () => {
  it.each([
    [{}, ['/entry'], ['serve']],
    [{ Cmd: ['other'] }, ['/entry'], ['other']],
    [{ Entrypoint: ['/mine'] }, ['/mine'], null],
    [{ Entrypoint: [''], Cmd: ['sh'] }, null, ['sh']],
  ])('%j → entrypoint %j, command %j', (config, entrypoint, command) => {
    const { container } = create({ config: { Image: 'app', ...config } })
    expect([container.config.Entrypoint, container.config.Cmd]).toEqual([entrypoint, command])
  })

  it('own variables come first and replace the image’s', () => {
    const { container } = create({ config: { Image: 'app', Env: ['B=3', 'C=4'] } })
    expect(container.config.Env).toEqual(['B=3', 'C=4', 'A=1'])
    expect(container.config.ExposedPorts).toEqual({ '80/tcp': {} })
  })
})

describe('networks', () => {
  const names = (request: Partial<CreateContainerRequest>) =>
    create(request).container.memberships.map(each => each.network)

  it.each([
    ['nothing asked: the default bridge', {}, {}, ['bridge']],
    ['the CLI’s default entry', { NetworkMode: 'default' }, { default: {} }, ['bridge']],
    ['a mode without an entry', { NetworkMode: 'shop' }, {}, ['shop']],
    ['the mode’s network first', { NetworkMode: 'shop' }, { other: {}, shop: {} }, ['shop', 'other']],
    ['one entry by id', { NetworkMode: 'shop' }, { ['a'.repeat(64)]: {} }, ['shop']],
    ['container mode has none of its own', { NetworkMode: 'none' }, {}, ['none']],
  ])('%s', (_, hostConfig, endpoints, expected) => expect(names({ hostConfig, endpoints })).toEqual(expected))

  it('keeps `bridge` as the mode of the default network', () => {
    expect(create({ hostConfig: { NetworkMode: 'default' } }).container.hostConfig.NetworkMode).toBe('bridge')
  })
})

it('a container to share with is looked for at the start, if it is not there yet', () => {
  const { container } = create({ hostConfig: { NetworkMode: 'container:later' } })
  expect(container.hostConfig.NetworkMode).toBe('container:later')
  expect(container.config.Hostname).toBe(container.id.slice(0, 12))
})

describe('refused', () => {
  it.each([
    [{ config: { Image: 'nosuch' } }, 404, 'No such image: nosuch:latest'],
    [{ name: 'a b' }, 400, 'Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed'],
    [{ config: { Image: 'app', Hostname: '-x' } }, 400, 'invalid hostname format: -x'],
    [{ config: { Image: 'app', StopSignal: 'SIGNOPE' } }, 400, 'Invalid signal: SIGNOPE'],
    [
      { hostConfig: { NetworkMode: 'container:' } },
      400,
      'invalid network mode: invalid container format container:<name|id>',
    ],
    [
      { hostConfig: { Links: ['nosuch:x'] } },
      400,
      'could not get container for nosuch: No such container: nosuch',
    ],
    [
      { endpoints: { bridge: { ipv4: '172.17.0.9' } } },
      400,
      'invalid endpoint settings:\n* user-specified IP address is supported on user-defined networks only',
    ],
  ])('%j → %i %s', (request, status, message) => {
    expect(() => create(request)).toThrowError(expect.objectContaining({ status, message }))
  })

  it('an image and a request without any command', () => {
    const state = stateWithNetworks()
    state.apply({
      images: { put: [image({ id: `sha256:${'2'.repeat(64)}`, tags: ['empty:latest'], config: {} })] },
    })
    const request = { name: undefined, config: { Image: 'empty' }, hostConfig: {}, endpoints: {} }
    const context = { id, created: '', state, randomName: () => 'x' }
    expect(() => containerFromRequest(request, context)).toThrowError('no command specified')
  })
})
