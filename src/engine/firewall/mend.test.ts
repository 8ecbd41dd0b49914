import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IptablesChange, IptablesTable } from '../../kernel/index.ts'
import type { FirewallIntent, PublishObject, SegmentObject } from '../../network/index.ts'
import { constantRules, ownChains, type Rule, rulesOf, type TableName, tableNames } from './chains.ts'
import { changesOf, mendingChanges, removalChanges } from './mend.ts'

/** What iptables-restore --noflush makes of the changes; it refuses what iptables refuses. */
function applied(
  tables: readonly IptablesTable[],
  changes: readonly IptablesChange[],
): readonly IptablesTable[] {
  const result = new Map(
    tables.map(({ name, chains, rules }) => [name, { chains: new Map(chains), rules: [...rules] }]),
  )
  for (const { table, lines } of changes) {
    const { chains, rules } = result.get(table) ?? { chains: builtIn(table as TableName), rules: [] }
    result.set(table, { chains, rules })
    for (const line of lines) {
      const [verb = '', chain = '', ...rest] = line.split(' ')
      const spec = rest.join(' ')
      const refuse = (why: string) => new Error(`${why}: ${line}`)
      const target = /-j (DOCKER\S*)/.exec(spec)?.[1]
      if (verb === '-N' ? chains.has(chain) : !chains.has(chain)) throw refuse('chain')
      if (target !== undefined && !chains.has(target)) throw refuse('target')
      if (verb === '-N') chains.set(chain, '-')
      else if (verb === '-P') chains.set(chain, spec)
      else if (verb === '-A') rules.push({ chain, spec })
      else if (verb === '-I') rules.unshift({ chain, spec })
      else if (verb === '-X') {
        if (rules.some(rule => rule.chain === chain || rule.spec.endsWith(`-j ${chain}`)))
          throw refuse('in use')
        chains.delete(chain)
      } else {
        const at = rules.findIndex(rule => rule.chain === chain && rule.spec === spec)
        if (verb !== '-D' || at < 0) throw refuse('no such rule')
        rules.splice(at, 1)
      }
    }
  }
  return [...result].map(([name, { chains, rules }]) => ({ name, chains, rules }))
}

const kernelChains = {
  raw: ['PREROUTING', 'OUTPUT'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
}

function builtIn(table: TableName): Map<string, string> {
  return new Map(kernelChains[table].map(chain => [chain, 'ACCEPT']))
}

const pristine: readonly IptablesTable[] = tableNames.map(name => ({
  name,
  chains: builtIn(name),
  rules: [],
}))

const inChain = (tables: readonly IptablesTable[], table: string, chain: string) =>
  tables
    .find(({ name }) => name === table)
    ?.rules.filter(rule => rule.chain === chain)
    .map(({ spec }) => spec) ?? []

const all = (tables: readonly IptablesTable[]) =>
  tables.flatMap(({ name, rules }) => rules.map(({ chain, spec }) => `${name} ${chain} ${spec}`))

const texts = (rules: readonly Rule[]) => rules.map(({ table, chain, spec }) => `${table} ${chain} ${spec}`)

const segment = (bridge: string, subnet: string, more: Partial<SegmentObject> = {}): SegmentObject => ({
  kind: 'segment',
  key: `segment ${bridge}`,
  owner: 'n',
  bridge,
  subnets: [subnet],
  mode: 'nat',
  icc: true,
  masquerade: true,
  ...more,
})

const publish = (bridge: string, port: number, hostIp = '0.0.0.0'): PublishObject => ({
  kind: 'publish',
  key: `publish ${port}`,
  owner: 'e',
  bridge,
  protocol: 'tcp',
  hostIp,
  hostFrom: port,
  hostTo: port,
  target: '172.17.0.5',
  targetFrom: 80,
})

const render = (intents: readonly FirewallIntent[]) =>
  intents.flatMap(intent => rulesOf(intent, 4, { directRouting: false }))

const docker0 = segment('docker0', '172.17.0.0/16')
const shop = segment('br-shop', '172.18.0.0/16', { icc: false })
const running = render([docker0, shop, publish('docker0', 80), publish('docker0', 81, '127.0.0.1')])

const installed = (rules = running) => applied(pristine, mendingChanges({ 4: pristine }, 4, rules, false))

describe('mending', () => {
  test('builds everything from nothing, where iptables has never been used', () => {
    const tables = applied([], mendingChanges({}, 4, running, false))
    expect(all(tables).sort()).toEqual(texts([...constantRules(4), ...running]).sort())
    expect(inChain(tables, 'filter', 'FORWARD')).toEqual(['-j DOCKER-USER', '-j DOCKER-FORWARD'])
    expect(inChain(tables, 'filter', 'DOCKER-FORWARD').slice(0, 3)).toEqual([
      '-j DOCKER-CT',
      '-j DOCKER-ISOLATION-STAGE-1',
      '-j DOCKER-BRIDGE',
    ])
  })

  test('has nothing to do where all is right', () => {
    expect(mendingChanges({ 4: installed() }, 4, running, false)).toEqual([])
  })

  test('stands before rules that others put first', () => {
    const foreign = installed().map(table =>
      table.name === 'filter'
        ? { ...table, rules: [{ chain: 'FORWARD', spec: '-j ufw' }, ...table.rules] }
        : table,
    )
    const mended = applied(foreign, mendingChanges({ 4: foreign }, 4, running, false))
    expect(inChain(mended, 'filter', 'FORWARD')).toEqual(['-j DOCKER-USER', '-j DOCKER-FORWARD', '-j ufw'])
  })

  test('removes what a network that is gone left, and a dead dockerd on a bridge that is ours now', () => {
    const left = installed(
      render([docker0, shop, segment('br-gone', '172.19.0.0/16'), publish('br-gone', 99)]),
    )
    const dockerd = left.map(table =>
      table.name === 'nat'
        ? { ...table, rules: [...table.rules, { chain: 'DOCKER', spec: '-i docker0 -j RETURN' }] }
        : table,
    )
    const mended = applied(dockerd, mendingChanges({ 4: dockerd }, 4, running, false))
    expect(all(mended).sort()).toEqual(texts([...constantRules(4), ...running]).sort())
  })

  test('sets the policy of FORWARD only if the engine made the host a router', () => {
    const lines = mendingChanges({ 4: pristine }, 4, running, true).flatMap(change => change.lines)
    expect(lines).toContain('-P FORWARD DROP')
    expect(mendingChanges({ 4: pristine }, 4, running, false).flatMap(change => change.lines)).not.toContain(
      '-P FORWARD DROP',
    )
  })

  /** Rules of other programs and of a dockerd with bridges of its own. */
  const foreign = fc.constantFrom<readonly [TableName, string, string]>(
    ['filter', 'FORWARD', '-j ufw-forward'],
    ['filter', 'FORWARD', '-i docker0 -s 10.0.0.0/8 -j DROP'],
    ['filter', 'DOCKER-USER', '-i eth0 -j DROP'],
    ['filter', 'DOCKER-USER', '-o docker0 -j DROP'],
    ['filter', 'DOCKER', '! -i br-theirs -o br-theirs -j DROP'],
    ['filter', 'DOCKER-FORWARD', '-i br-theirs -j ACCEPT'],
    ['nat', 'POSTROUTING', '-s 10.8.0.0/24 ! -o docker0 -j MASQUERADE'],
    ['nat', 'POSTROUTING', '-s 172.17.0.0/16 -d 10.0.0.0/8 -j RETURN'],
    ['nat', 'DOCKER', '! -i br-theirs -p tcp -m tcp --dport 7 -j DNAT --to-destination 10.1.1.1:7'],
    ['raw', 'PREROUTING', '-p tcp -j NOTRACK'],
  )

  test('any damage is mended in one go, and what belongs to others keeps its place among theirs', () => {
    const damage = fc.record({
      drop: fc.array(fc.nat(200), { maxLength: 30 }),
      swap: fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { maxLength: 10 }),
      foreign: fc.array(fc.tuple(foreign, fc.nat(200)), { maxLength: 8 }),
    })
    fc.assert(
      fc.property(damage, ({ drop, swap, foreign: added }) => {
        const theirs = new Set(added.map(([[table, chain, spec]]) => `${table} ${chain} ${spec}`))
        const damaged = installed().map(({ name, chains, rules }) => {
          const left = rules.filter((_, at) => !drop.includes(at))
          for (const [one, other] of swap) {
            const [a, b] = [left[one], left[other]]
            if (a !== undefined && b !== undefined) [left[one], left[other]] = [b, a]
          }
          for (const [[table, chain, spec], at] of added)
            if (table === name) left.splice(at, 0, { chain, spec })
          return { name, chains, rules: left }
        })
        const mended = applied(damaged, mendingChanges({ 4: damaged }, 4, running, false))
        const ours = all(mended).filter(each => !theirs.has(each))
        expect(ours.sort()).toEqual(texts([...constantRules(4), ...running]).sort())
        for (const { name, chains } of damaged) {
          for (const chain of chains.keys()) {
            const foreignIn = (tables: readonly IptablesTable[]) =>
              inChain(tables, name, chain).filter(spec => theirs.has(`${name} ${chain} ${spec}`))
            expect(foreignIn(mended)).toEqual(foreignIn(damaged))
          }
        }
        expect(mendingChanges({ 4: mended }, 4, running, false)).toEqual([])
        const nat = inChain(mended, 'nat', 'DOCKER').filter(spec => spec.includes('docker0'))
        expect(nat[0]).toContain('-d 127.0.0.1/32')
      }),
    )
  })
})

describe('removal', () => {
  test('leaves nothing of ours', () => {
    const tables = installed()
    expect(applied(tables, removalChanges({ 4: tables }, 4, false))).toEqual(pristine)
  })

  test('finds a bridge that is known in the other family only', () => {
    const rules = rulesOf(docker0, 6, { directRouting: false })
    const six = applied(pristine, mendingChanges({ 6: pristine }, 6, rules, false))
    expect(applied(six, removalChanges({ 4: installed(), 6: six }, 6, false))).toEqual(pristine)
  })

  test('needs no knowledge of the networks there were, and gives the policy back', () => {
    const tables = applied(pristine, mendingChanges({ 4: pristine }, 4, running, true))
    expect(applied(tables, removalChanges({ 4: tables }, 4, true))).toEqual(pristine)
  })

  test('keeps the administrator’s rules in force', () => {
    const own = {
      table: 'filter',
      chains: [],
      lines: ['-A DOCKER-USER -i eth0 -j DROP', '-A FORWARD -j ufw'],
    }
    const tables = applied(installed(), [own])
    const left = applied(tables, removalChanges({ 4: tables }, 4, false))
    expect(all(left)).toEqual([
      'filter FORWARD -j DOCKER-USER',
      'filter DOCKER-USER -i eth0 -j DROP',
      'filter FORWARD -j ufw',
    ])
    expect([...(left.find(({ name }) => name === 'filter')?.chains.keys() ?? [])]).toEqual([
      ...kernelChains.filter,
      'DOCKER-USER',
    ])
  })

  test('touches nothing where only dockerd has been', () => {
    const dockerd = [
      {
        table: 'filter',
        chains: [],
        lines: [
          ...ownChains.filter.map(chain => `-N ${chain}`),
          '-A FORWARD -j DOCKER-USER',
          '-A FORWARD -j DOCKER-FORWARD',
          '-A DOCKER-FORWARD -i docker0 -j ACCEPT',
        ],
      },
      {
        table: 'nat',
        chains: [],
        lines: ['-N DOCKER', '-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE'],
      },
    ]
    expect(removalChanges({ 4: applied(pristine, dockerd) }, 4, true)).toEqual([])
  })
})

describe('a command', () => {
  test('changes only what differs, and its inverse takes it back', () => {
    const tables = installed()
    const before = render([publish('docker0', 80)])
    const after = render([publish('docker0', 8080)])
    const changes = changesOf(after, before)
    // The acceptance of the container's own port is the same.
    expect(changes.flatMap(({ lines }) => lines)).toHaveLength(4)
    const changed = applied(tables, changes)
    expect(all(applied(changed, changesOf(before, after))).sort()).toEqual(all(tables).sort())
  })

  test('two host ports of one container port: removing one leaves the other open', () => {
    const tables = installed(render([docker0, publish('docker0', 80), publish('docker0', 81)]))
    const left = applied(tables, changesOf([], render([publish('docker0', 81)])))
    expect(inChain(left, 'filter', 'DOCKER').filter(spec => spec.endsWith('ACCEPT'))).toHaveLength(1)
  })

  test('that changes nothing is nothing', () => {
    expect(changesOf(running, running)).toEqual([])
  })
})
