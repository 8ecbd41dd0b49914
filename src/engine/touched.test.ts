import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { difference } from '../network/index.ts'
import { endpoint, network, sandbox } from './samples.ts'
import { State, type StateChange } from './state.ts'
import { blueprintDifference, wholeBlueprint } from './touched.ts'

/** A step of a random history: things that commands do. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('start' as const),
    n: fc.nat(5),
    networks: fc.subarray([0, 1, 2]),
    link: fc.nat(5),
  }),
  fc.record({ kind: fc.constant('stop' as const), n: fc.nat(5) }),
  fc.record({ kind: fc.constant('leave' as const), n: fc.nat(5), network: fc.nat(2) }),
  fc.record({ kind: fc.constant('rename' as const), n: fc.nat(5) }),
  fc.record({ kind: fc.constant('network' as const), network: fc.nat(2), internal: fc.boolean() }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function changeFor(state: State, each: Step): StateChange {
  switch (each.kind) {
    case 'network':
      return { networks: { put: [testNetwork(each.network, each.internal)] } }
    case 'start': {
      if (state.sandboxes.has(`s${each.n}`)) return {}
      const endpoints = each.networks.map((n, index) =>
        endpoint({
          id: `e${each.n}-${n}`,
          networkId: `net${n}`,
          sandboxId: `s${each.n}`,
          ifname: `eth${index}`,
          ipv4: `172.${18 + n}.0.${each.n + 2}/16`,
          links: { friend: `c${each.link}` },
        }),
      )
      const [first] = endpoints
      const ports = first === undefined ? [] : [port(each.n, first.id)]
      const made = sandbox({ id: `s${each.n}`, containerId: `c${each.n}`, netns: `ns${each.n}`, ports })
      return { sandboxes: { put: [made] }, endpoints: { put: endpoints } }
    }
    case 'stop': {
      const endpoints = state.endpointsOfSandbox(`s${each.n}`).map(e => e.id)
      return { sandboxes: { drop: [`s${each.n}`] }, endpoints: { drop: endpoints } }
    }
    case 'leave':
      return { endpoints: { drop: [`e${each.n}-${each.network}`] } }
    case 'rename': {
      const renamed = state.endpointsOfSandbox(`s${each.n}`).map(e => ({ ...e, dnsNames: [`new-${each.n}`] }))
      return { endpoints: { put: renamed } }
    }
  }
}

function testNetwork(n: number, internal: boolean) {
  return network({
    id: `net${n}`,
    internal,
    pools: [
      {
        family: 4,
        subnet: `172.${18 + n}.0.0/16`,
        gateway: `172.${18 + n}.0.1`,
        auxiliary: {},
        automatic: true,
      },
    ],
  })
}

function port(n: number, endpointId: string) {
  const hostFrom = 8000 + n
  return {
    protocol: 'tcp' as const,
    hostIp: '0.0.0.0',
    hostFrom,
    hostTo: hostFrom,
    containerFrom: 80,
    endpointId,
  }
}

it('what a command touches is all that differs: the parts add up to the whole', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), steps => {
      const state = new State()
      state.apply({ networks: { put: [0, 1, 2].map(n => testNetwork(n, false)) } })
      for (const each of steps) {
        const change = changeFor(state, each)
        const before = wholeBlueprint(state)
        const found = blueprintDifference(state, change)
        state.apply(change)
        const whole = difference(before, wholeBlueprint(state))
        const keys = (objects: readonly { readonly key: string }[]) =>
          objects.map(object => object.key).sort()
        expect(keys(found.add)).toEqual(keys(whole.add))
        expect(keys(found.remove)).toEqual(keys(whole.remove))
        const changes = (d: typeof found) => d.change.map(c => JSON.stringify(c)).sort()
        expect(changes(found)).toEqual(changes(whole))
      }
    }),
    { numRuns: 200 },
  )
})
