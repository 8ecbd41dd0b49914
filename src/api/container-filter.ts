/** The filters of `GET /containers/json` as one predicate. */
import type { Container, Image, StateView } from '../engine/index.ts'
import type { PublishedPort } from '../network/index.ts'
import { invalidValue, labelled, pattern, singleBoolean, type Filters } from './filters.ts'
import { fault } from '../base/index.ts'
import { nanoseconds } from './time.ts'
import { parsePort, singlePorts } from './view/ports.ts'

export const containerFilterKeys = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]

const statuses = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead']

interface PortRange {
  readonly from: number
  readonly to: number
  readonly protocol: string
}

/** `80`, `80/tcp`, `8000-8010/udp`. */
function portRange(key: string, text: string): PortRange {
  const [ports = '', protocol = 'tcp', ...rest] = text.split('/')
  const [first = '', last = first, ...more] = ports.split('-')
  const from = parsePort(first)
  const to = parsePort(last)
  if (rest.length > 0 || more.length > 0 || from === undefined || to === undefined || from.port > to.port) {
    throw invalidValue(key, text)
  }
  return { from: from.port, to: to.port, protocol: protocol.toLowerCase() }
}

type Ports = (containerId: string) => readonly PublishedPort[]
type Test = (container: Container) => boolean

const always: Test = () => true

const within = (ranges: readonly PortRange[], port: number, protocol: string): boolean =>
  ranges.some(range => port >= range.from && port <= range.to && protocol === range.protocol)

function publishTest(filters: Filters, portsOf: Ports): Test {
  const ranges = filters.get('publish')?.map(value => portRange('publish', value))
  if (ranges === undefined) return always
  return container =>
    singlePorts(portsOf(container.id)).some(
      one => within(ranges, one.hostPort, one.protocol) || within(ranges, one.containerPort, one.protocol),
    )
}

function exposeTest(filters: Filters): Test {
  const ranges = filters.get('expose')?.map(value => portRange('expose', value))
  if (ranges === undefined) return always
  return container =>
    Object.keys(container.config.ExposedPorts ?? {}).some(text => {
      const port = parsePort(text)
      return port !== undefined && within(ranges, port.port, port.protocol)
    })
}

function statusTest(filters: Filters): Test {
  const values = filters.get('status')
  const wrong = values?.find(value => !statuses.includes(value))
  if (wrong !== undefined) throw invalidValue('status', wrong)
  return values === undefined ? always : container => values.includes(container.state.status)
}

function exitedTest(filters: Filters): Test {
  const values = filters.get('exited')
  if (values === undefined) return always
  const wrong = values.find(value => !/^-?\d{1,9}$/.test(value))
  if (wrong !== undefined) throw invalidValue('exited', wrong)
  const codes = values.map(Number)
  const ran: Test = container => nanoseconds(container.state.startedAt) > 0n
  return container =>
    ran(container) && container.state.status === 'exited' && codes.includes(container.state.exitCode)
}

/** Image as name, id or id prefix. An unknown one matches nothing. */
function ancestorTest(filters: Filters, state: StateView): Test {
  const values = filters.get('ancestor')
  if (values === undefined) return always
  const ids = new Set(
    values.flatMap((value): readonly Image['id'][] => {
      try {
        return [state.findImage(value).id]
      } catch {
        return []
      }
    }),
  )
  return container => ids.has(container.imageId)
}

/** Network by name, id or id prefix, among those the container is configured for. */
function networkTest(filters: Filters, state: StateView): Test {
  const values = filters.get('network')
  if (values === undefined) return always
  return container =>
    container.memberships.some(({ network, networkId }) => {
      const name = state.networks.get(networkId)?.name ?? network
      return values.some(
        value => value === name || (networkId !== '' && value !== '' && networkId.startsWith(value)),
      )
    })
}

function volumeTest(filters: Filters): Test {
  const values = filters.get('volume')
  if (values === undefined) return always
  return container => {
    const binds = (container.hostConfig.Binds ?? []).flatMap(bind => bind.split(':').slice(0, 2))
    const mounts = (container.hostConfig.Mounts ?? []).flatMap(mount => [mount.Source ?? '', mount.Target])
    return values.some(value => binds.includes(value) || mounts.includes(value))
  }
}

function healthTest(filters: Filters): Test {
  const values = filters.get('health')
  const wrong = values?.find(value => !['starting', 'healthy', 'unhealthy', 'none'].includes(value))
  if (wrong !== undefined) throw invalidValue('health', wrong)
  // Health checks are not run: no container has a state of health.
  return values === undefined || values.includes('none') ? always : () => false
}

function taskTest(filters: Filters): Test {
  // There is no swarm, so no container is a task.
  return singleBoolean(filters, 'is-task') === true ? () => false : always
}

interface ListOptions {
  readonly all: boolean
  /** Container terms: created before or since that one; '' = not asked for. */
  readonly before: string
  readonly since: string
}

/** Created before (after) the container that the filter or the parameter names; throws containerNotFound. */
function creationTest(filters: Filters, state: StateView, options: ListOptions): Test {
  const timesOf = (key: 'before' | 'since'): readonly bigint[] =>
    [...(filters.get(key) ?? []), ...(options[key] === '' ? [] : [options[key]])].map(term =>
      nanoseconds(state.findContainer(term).created),
    )
  const before = timesOf('before')
  const since = timesOf('since')
  if (before.length === 0 && since.length === 0) return always
  return container => {
    const created = nanoseconds(container.created)
    return before.every(time => created < time) && since.every(time => created > time)
  }
}

/** Throws for values that no container can have; `portsOf` = ports published now. */
export function containerSelector(
  filters: Filters,
  state: StateView,
  portsOf: Ports,
  options: ListOptions,
): Test {
  if (filters.has('isolation')) throw fault('invalidFilter', 'isolation')
  const stopped =
    options.all ||
    filters.has('status') ||
    filters.has('exited') ||
    filters.has('before') ||
    filters.has('since')
  const byName = pattern(filters, 'name')
  const tests: readonly Test[] = [
    container => stopped || ['running', 'paused', 'restarting'].includes(container.state.status),
    container => byName(container.name) || byName(`/${container.name}`),
    (
      byId => (container: Container) =>
        byId(container.id)
    )(pattern(filters, 'id')),
    container => labelled(filters, container.config.Labels),
    statusTest(filters),
    exitedTest(filters),
    healthTest(filters),
    taskTest(filters),
    ancestorTest(filters, state),
    networkTest(filters, state),
    volumeTest(filters),
    publishTest(filters, portsOf),
    exposeTest(filters),
    creationTest(filters, state, options),
  ]
  return container => tests.every(test => test(container))
}
