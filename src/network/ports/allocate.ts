/**
 * Host ports for a container's requests.
 *
 * Ports that were named go first, so that no free choice can take one of them; then ranges, then free choices. The
 * same number is used on every address of one request. Free choices go upwards from a cursor that stays behind the
 * last one given, as Docker's do: a number is not given again soon after it was released.
 */
import { fault } from '../../base/index.ts'
import type { RangeSet } from '../ipam/range-set.ts'
import type { Id, PortRequest, Protocol, PublishedPort } from '../types.ts'
import type { HostPorts, PortTable } from './table.ts'
import { bindingText, portConflict } from './table.ts'

/** Where the next free choice begins, per protocol; absent = at the start of the ephemeral range. */
export type PortCursor = Readonly<Partial<Record<Protocol, number>>>

export interface PortContext {
  readonly table: PortTable
  /** Where free choices are made, both ends included: `net.ipv4.ip_local_port_range`. */
  readonly ephemeral: readonly [from: number, to: number]
  /** Never chosen freely: `net.ipv4.ip_local_reserved_ports`. */
  readonly reserved: RangeSet
  /** Found to be held by foreign programs: chosen neither freely nor from a range. */
  readonly busy: RangeSet
  readonly cursor: PortCursor
  /** Where requests without an address bind; `0.0.0.0` stands for both families. */
  readonly hostBinding: string
  /** The container's gateway endpoint of each family; without any nothing is published. */
  readonly endpoint4: Id | undefined
  readonly endpoint6: Id | undefined
  readonly hostHasIPv6: boolean
  /** The container, in the table. */
  readonly holder: string
  /** What a conflict calls a holder. */
  readonly nameOf: (holder: string) => string
}

export interface PortAllocation {
  /** Ascending by container port; runs of ports are one entry per host address. */
  readonly ports: readonly PublishedPort[]
  /** The table with these ports held. */
  readonly table: PortTable
  readonly cursor: PortCursor
}

/** The host addresses a request binds, IPv4 first. Empty = the container cannot be reached that way. */
function hostAddresses(request: PortRequest, context: PortContext): string[] {
  if (context.endpoint4 === undefined && context.endpoint6 === undefined) return []
  const hostIp = request.hostIp === '' ? context.hostBinding : request.hostIp
  if (request.hostIp === '' && hostIp === '0.0.0.0') {
    return [...(context.endpoint4 === undefined ? [] : ['0.0.0.0']), ...(context.hostHasIPv6 ? ['::'] : [])]
  }
  if (!hostIp.includes(':')) return context.endpoint4 === undefined ? [] : [hostIp]
  if (context.hostHasIPv6) return [hostIp]
  throw fault(
    'portUnbindable',
    `${bindingText(hostIp, request.hostFrom)}/${request.protocol}`,
    'cannot assign requested address',
  )
}

/** A request's place: the same host ports on each address. */
interface Placement {
  readonly request: PortRequest
  readonly addresses: readonly string[]
}

const lengthOf = (request: PortRequest): number =>
  (request.containerTo ?? request.containerPort) - request.containerPort + 1

/** 0: the port is named; 1: one of a range; 2: any. */
function freedom(request: PortRequest): 0 | 1 | 2 {
  if (request.hostFrom === 0) return 2
  return request.hostTo - request.hostFrom + 1 === lengthOf(request) ? 0 : 1
}

/** The lowest start of `length` ports in low..high that nothing is in the way of, on any of the addresses. */
function firstFreePorts(
  { request, addresses }: Placement,
  length: number,
  [low, high]: readonly [low: number, high: number],
  table: PortTable,
  avoided: readonly RangeSet[],
): number | undefined {
  let at = low
  while (at + length - 1 <= high) {
    const end = lastObstacle(request.protocol, addresses, at, at + length - 1, table, avoided)
    if (end === undefined) return at
    at = end + 1
  }
  return undefined
}

/** The end of something in the way of from..to; undefined = nothing is. */
function lastObstacle(
  protocol: Protocol,
  addresses: readonly string[],
  from: number,
  to: number,
  table: PortTable,
  avoided: readonly RangeSet[],
): number | undefined {
  for (const hostIp of addresses) {
    const rival = table.conflict({ protocol, hostIp, hostFrom: from, hostTo: to })
    if (rival !== undefined) return rival.hostTo
  }
  for (const ports of avoided) {
    const range = ports.firstOverlap(BigInt(from), BigInt(to))
    if (range !== undefined) return Number(range.last)
  }
  return undefined
}

/** Collects what one container gets; the table and the cursor move on with each request. */
class Allocation {
  readonly #context: PortContext
  readonly #ports: PublishedPort[] = []
  #table: PortTable
  #cursor: PortCursor

  constructor(context: PortContext) {
    this.#context = context
    this.#table = context.table
    this.#cursor = context.cursor
  }

  get result(): PortAllocation {
    return { ports: joinRuns(this.#ports), table: this.#table, cursor: this.#cursor }
  }

  #take({ request, addresses }: Placement, containerFrom: number, hostFrom: number, length: number): void {
    const { endpoint4, endpoint6, holder, nameOf } = this.#context
    for (const hostIp of addresses) {
      const ports: HostPorts = { protocol: request.protocol, hostIp, hostFrom, hostTo: hostFrom + length - 1 }
      const rival = this.#table.conflict(ports)
      if (rival !== undefined) throw portConflict(ports, rival, nameOf(rival.holder))
      // A host's IPv6 address may lead to a container that has IPv4 only, never the other way round.
      const endpointId = (hostIp.includes(':') ? (endpoint6 ?? endpoint4) : endpoint4) ?? ''
      this.#table = this.#table.hold(ports, holder)
      this.#ports.push({ ...ports, containerFrom, endpointId })
    }
  }

  named(placement: Placement): void {
    const { request } = placement
    this.#take(placement, request.containerPort, request.hostFrom, lengthOf(request))
  }

  /** The lowest free port of the range that was asked for. */
  ranged(placement: Placement): void {
    const { request } = placement
    const length = lengthOf(request)
    const range = [request.hostFrom, request.hostTo] as const
    const hostFrom = firstFreePorts(placement, length, range, this.#table, [this.#context.busy])
    if (hostFrom === undefined) throw fault('portsExhausted')
    this.#take(placement, request.containerPort, hostFrom, length)
  }

  /** A whole run at once where there is room, else port by port. */
  any(placement: Placement): void {
    const { request } = placement
    const length = lengthOf(request)
    if (this.#choose(placement, request.containerPort, length)) return
    for (let at = 0; at < length; at++) {
      if (length === 1 || !this.#choose(placement, request.containerPort + at, 1))
        throw fault('portsExhausted')
    }
  }

  #choose(placement: Placement, containerFrom: number, length: number): boolean {
    const { ephemeral, reserved, busy } = this.#context
    const avoided = [reserved, busy]
    const { protocol } = placement.request
    const [low, high] = ephemeral
    const start = Math.max(low, this.#cursor[protocol] ?? low)
    const hostFrom =
      firstFreePorts(placement, length, [start, high], this.#table, avoided) ??
      firstFreePorts(placement, length, [low, high], this.#table, avoided)
    if (hostFrom === undefined) return false
    this.#take(placement, containerFrom, hostFrom, length)
    this.#cursor = { ...this.#cursor, [protocol]: hostFrom + length }
    return true
  }
}

const byPlace = (a: PublishedPort, b: PublishedPort): number =>
  a.containerFrom - b.containerFrom ||
  (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0) ||
  Number(a.hostIp.includes(':')) - Number(b.hostIp.includes(':')) ||
  (a.hostIp < b.hostIp ? -1 : a.hostIp > b.hostIp ? 1 : 0) ||
  a.hostFrom - b.hostFrom

/** Sorted, with neighbours that lead to neighbours made one. */
function joinRuns(ports: readonly PublishedPort[]): PublishedPort[] {
  const joined: PublishedPort[] = []
  const open = new Map<string, number>()
  for (const port of ports.toSorted(byPlace)) {
    const key = `${port.protocol} ${port.hostIp} ${port.endpointId} ${port.hostFrom - port.containerFrom}`
    const at = open.get(key)
    const run = at === undefined ? undefined : joined[at]
    if (at !== undefined && run !== undefined && run.hostTo + 1 === port.hostFrom) {
      joined[at] = { ...run, hostTo: port.hostTo }
    } else {
      open.set(key, joined.length)
      joined.push(port)
    }
  }
  return joined
}

/**
 * Finds host ports for all requests or throws: `portAllocated` names the holder, `portsExhausted` ends a search,
 * `portUnbindable` an explicit IPv6 address on a host without IPv6. The context's table is not changed.
 */
export function allocatePorts(requests: readonly PortRequest[], context: PortContext): PortAllocation {
  const allocation = new Allocation(context)
  const placements = requests
    .map(request => ({ request, addresses: hostAddresses(request, context) }))
    .filter(({ addresses }) => addresses.length > 0)
  for (const each of placements.filter(({ request }) => freedom(request) === 0)) allocation.named(each)
  for (const each of placements.filter(({ request }) => freedom(request) === 1)) allocation.ranged(each)
  for (const each of placements.filter(({ request }) => freedom(request) === 2)) allocation.any(each)
  return allocation.result
}
