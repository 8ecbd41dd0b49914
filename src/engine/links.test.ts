import { expect, it } from 'vitest'
import { containerEnvironment, linkLines } from './links.ts'
import { container, endpoint, network, sandbox } from './samples.ts'
import { State } from './state.ts'

function stateWithWeb() {
  const state = new State()
  const web = container({ id: 'web' })
  const asker = container({ id: 'asker', links: { w: 'web' } })
  const base = network({ id: 'net', name: 'bridge' })
  const { bridge } = base
  if (bridge === undefined) throw new Error('a bridge network has a bridge')
  state.apply({
    networks: { put: [{ ...base, bridge: { ...bridge, isDefault: true } }] },
    containers: {
      put: [
        {
          ...web,
          config: {
            ...web.config,
            ExposedPorts: { '443/tcp': {}, '80/tcp': {} },
            Env: ['PATH=/x', 'MODE=fast'],
          },
        },
        asker,
      ],
    },
    sandboxes: { put: [sandbox({ id: 'sandbox', containerId: 'web' })] },
    endpoints: { put: [endpoint({ id: 'e', ipv4: '172.17.0.4/16' })] },
  })
  return { state, asker }
}

it('describes a linked container in the environment, first port first', () => {
  const { state, asker } = stateWithWeb()
  expect(containerEnvironment(asker, linkLines(state, asker))).toEqual([
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'HOSTNAME=asker',
    'W_PORT=tcp://172.17.0.4:80',
    'W_PORT_80_TCP=tcp://172.17.0.4:80',
    'W_PORT_80_TCP_ADDR=172.17.0.4',
    'W_PORT_80_TCP_PORT=80',
    'W_PORT_80_TCP_PROTO=tcp',
    'W_PORT_443_TCP=tcp://172.17.0.4:443',
    'W_PORT_443_TCP_ADDR=172.17.0.4',
    'W_PORT_443_TCP_PORT=443',
    'W_PORT_443_TCP_PROTO=tcp',
    'W_NAME=/asker/w',
    'W_ENV_MODE=fast',
  ])
})

it('lets the container’s own variables win and keeps their place', () => {
  const { state, asker } = stateWithWeb()
  const own = { ...asker, config: { ...asker.config, Env: ['PATH=/mine', 'X=1'] } }
  expect(containerEnvironment(own, []).slice(0, 1)).toEqual(['PATH=/mine'])
  expect(linkLines(state, { ...asker, links: { w: 'gone' } })).toEqual([])
})
