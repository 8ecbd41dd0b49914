import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { container, endpoint, image, network, sandbox } from './samples.ts'
import { inverseChange, State } from './state.ts'

const a = 'a'.repeat(64)
const ab = `ab${'0'.repeat(62)}`
const b = 'b'.repeat(64)

describe('looking a network up', () => {
  const state = new State()
  state.apply({
    networks: { put: [network({ id: a, name: 'front' }), network({ id: ab, name: b, pools: [] })] },
  })
  state.apply({ networks: { put: [network({ id: b, name: 'back', pools: [] })] } })

  it.each([
    ['full id', a, a],
    ['name', 'front', a],
    ['unique prefix', 'ab', ab],
    ['an id wins over a name that equals it', b, b],
  ])('finds it by %s', (_, term, id) => expect(state.findNetwork(term).id).toBe(id))

  it.each([
    ['nosuch', 404, 'network nosuch not found'],
    ['', 404, 'network  not found'],
    ['a', 400, 'network a is ambiguous (2 matches found based on ID prefix)'],
  ])('refuses %j', (term, status, message) => {
    expect(() => state.findNetwork(term)).toThrowError(expect.objectContaining({ status, message }))
  })
})

it('goes back to what it was by the inverse of a change', () => {
  const state = new State()
  state.apply({
    networks: { put: [network({ id: a, name: 'front' }), network({ id: b, name: 'back', pools: [] })] },
  })
  const before = new Map(state.networks)
  const change = {
    networks: {
      put: [network({ id: a, name: 'renamed' }), network({ id: ab, name: 'new', pools: [] })],
      drop: [b],
    },
  }
  const back = inverseChange(state, change)
  state.apply(change)
  expect(new Set(state.networks.keys())).toEqual(new Set([a, ab]))
  state.apply(back)
  expect(Object.fromEntries(state.networks)).toEqual(Object.fromEntries(before))
  expect(state.networkNamed('renamed')).toBeUndefined()
})

it('finds containers by name with and without slash, and forgets an old name', () => {
  const state = new State()
  state.apply({ containers: { put: [container({ id: a, name: 'web' })] } })
  expect(state.findContainer('/web').id).toBe(a)
  state.apply({ containers: { put: [container({ id: a, name: 'shop' })] } })
  expect(state.containerNamed('web')).toBeUndefined()
  expect(state.findContainer('aaa').name).toBe('shop')
})

it('finds images by short name, id and id prefix', () => {
  const state = new State()
  const id = `sha256:${'1'.repeat(64)}`
  state.apply({ images: { put: [image({ id, tags: ['busybox:latest'] })] } })
  for (const term of ['busybox', 'busybox:latest', 'docker.io/library/busybox', id, '1111']) {
    expect(state.imageNamed(term)?.id).toBe(id)
  }
  expect(() => state.findImage('nosuch')).toThrowError(
    expect.objectContaining({ status: 404, message: 'No such image: nosuch:latest' }),
  )
})

it('keeps the order of interfaces when an endpoint is put again', () => {
  const state = new State()
  state.apply({ sandboxes: { put: [sandbox({ id: 'sandbox' })] } })
  state.apply({
    endpoints: { put: [endpoint({ id: 'e1' }), endpoint({ id: 'e2', ifname: 'eth1', networkId: 'n2' })] },
  })
  state.apply({ endpoints: { put: [endpoint({ id: 'e1', dnsNames: ['renamed'] })] } })
  expect(state.endpointsOfSandbox('sandbox').map(each => each.id)).toEqual(['e1', 'e2'])
})

it('knows used addresses, subnets and ports by the records alone', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 2, max: 40 }), fc.boolean()), { maxLength: 40 }),
      steps => {
        const state = new State()
        const present = new Set<number>()
        for (const [n, add] of steps) {
          if (add) {
            present.add(n)
            const port = {
              protocol: 'tcp' as const,
              hostIp: '0.0.0.0',
              hostFrom: n,
              hostTo: n,
              containerFrom: 80,
            }
            state.apply({
              endpoints: { put: [endpoint({ id: `e${n}`, sandboxId: `s${n}`, ipv4: `172.18.0.${n}/16` })] },
              sandboxes: {
                put: [
                  sandbox({ id: `s${n}`, containerId: `c${n}`, ports: [{ ...port, endpointId: `e${n}` }] }),
                ],
              },
            })
          } else {
            present.delete(n)
            state.apply({ endpoints: { drop: [`e${n}`] }, sandboxes: { drop: [`s${n}`] } })
          }
        }
        for (let n = 2; n <= 40; n++) {
          const used = state.addressesIn('net', 4).has((172n << 24n) + (18n << 16n) + BigInt(n))
          const held = state.ports.conflict({ protocol: 'tcp', hostIp: '0.0.0.0', hostFrom: n, hostTo: n })
          expect([used, held?.holder]).toEqual(present.has(n) ? [true, `c${n}`] : [false, undefined])
        }
      },
    ),
    { numRuns: 50 },
  )
})
