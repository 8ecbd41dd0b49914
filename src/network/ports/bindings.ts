/**
 * From `ExposedPorts`, `PortBindings` and `PublishAllPorts` to requests for host ports.
 *
 * The CLI expands `-p 8000-8999:8000-8999` into a thousand bindings. They are put together again here, so that a
 * published range costs one request, one element in the kernel's maps and one line in the records.
 */
import { fault } from '../../base/index.ts'
import { canonicalAddress } from '../address.ts'
import type { PortRequest, Protocol } from '../types.ts'

/** Spelled as in the Engine API, from which these records come unchanged. */
export interface HostBinding {
  readonly HostIp?: string | undefined
  readonly HostPort?: string | undefined
}

export interface PortWishes {
  /** `80/tcp`, `53/udp`, `80` (tcp), `8000-8010/tcp`. */
  readonly exposed: Iterable<string>
  /** By container port; null or an empty list stands for one binding to any free port. */
  readonly bindings: Readonly<Record<string, readonly HostBinding[] | null>>
  /** Exposed ports without a binding get one to any free port. */
  readonly publishAll: boolean
}

interface PortRange {
  readonly from: number
  readonly to: number
}

/** `8080` or `8000-8010`; ports are 1 to 65535, and 0 where `lowest` is 0. */
function parsePorts(text: string, lowest: 0 | 1): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const from = Number(match[1])
  const to = match[2] === undefined ? from : Number(match[2])
  return from < lowest || from > to || to > 65_535 ? undefined : { from, to }
}

const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp']

/** Reads a key of `ExposedPorts` or `PortBindings`. Throws `invalidPort`. */
export function parseContainerPort(text: string): PortRange & { readonly protocol: Protocol } {
  const slash = text.indexOf('/')
  const digits = slash < 0 ? text : text.slice(0, slash)
  const suffix = slash < 0 ? '' : text.slice(slash + 1).toLowerCase()
  const ports = parsePorts(digits, 1)
  if (ports === undefined) throw fault('invalidPort', digits)
  const protocol = protocols.find(each => each === (suffix === '' ? 'tcp' : suffix))
  if (protocol === undefined) throw fault('invalidPort', text)
  return { ...ports, protocol }
}

function hostPorts(text: string): PortRange {
  const ports = parsePorts(text === '' ? '0' : text, 0)
  // Port 0 means "any" and cannot begin a range.
  if (ports === undefined || (ports.from === 0 && ports.to !== 0)) throw fault('invalidPort', text)
  return ports
}

function hostAddress(text: string): string {
  if (text === '') return ''
  const address = canonicalAddress(text)
  if (address === undefined) throw fault('invalidHostIp', text)
  return address
}

function boundRequests(key: string, bindings: readonly HostBinding[] | null): PortRequest[] {
  const { protocol, from, to } = parseContainerPort(key)
  if (from !== to) throw fault('invalidPort', key)
  const asked = bindings === null || bindings.length === 0 ? [{}] : bindings
  return asked.map((binding: HostBinding) => {
    const host = hostPorts(binding.HostPort ?? '')
    const hostIp = hostAddress(binding.HostIp ?? '')
    return { protocol, containerPort: from, hostIp, hostFrom: host.from, hostTo: host.to }
  })
}

function exposedRequests(exposed: Iterable<string>, bound: readonly PortRequest[]): PortRequest[] {
  const has = new Set(bound.map(request => `${request.protocol} ${request.containerPort}`))
  const requests: PortRequest[] = []
  for (const key of exposed) {
    const { protocol, from, to } = parseContainerPort(key)
    for (let containerPort = from; containerPort <= to; containerPort++) {
      const name = `${protocol} ${containerPort}`
      if (has.has(name)) continue
      has.add(name)
      requests.push({ protocol, containerPort, hostIp: '', hostFrom: 0, hostTo: 0 })
    }
  }
  return requests
}

/** Requests that share this text and follow each other in the container form a run; undefined = never part of one. */
function seriesOf(request: PortRequest): string | undefined {
  const { protocol, hostIp, hostFrom, hostTo, containerPort } = request
  if (hostFrom !== hostTo) return undefined
  return `${protocol} ${hostIp} ${hostFrom === 0 ? 'any' : hostFrom - containerPort}`
}

const byContainerPort = (a: PortRequest, b: PortRequest): number =>
  a.containerPort - b.containerPort || protocols.indexOf(a.protocol) - protocols.indexOf(b.protocol)

/** Puts consecutive ports together and drops repetitions of the same fixed binding. One pass after one sort. */
function coalesce(requests: readonly PortRequest[]): PortRequest[] {
  const open = new Map<string, number>()
  const runs: PortRequest[] = []
  for (const request of requests.toSorted(byContainerPort)) {
    const series = seriesOf(request)
    const at = series === undefined ? undefined : open.get(series)
    const run = at === undefined ? undefined : runs[at]
    const last = run === undefined ? undefined : (run.containerTo ?? run.containerPort)
    if (run !== undefined && at !== undefined && last === request.containerPort - 1) {
      runs[at] = { ...run, containerTo: request.containerPort, hostTo: request.hostTo }
      continue
    }
    // The same fixed port twice is one wish; any free port twice is two.
    if (last === request.containerPort && request.hostFrom !== 0) continue
    if (series !== undefined) open.set(series, runs.length)
    runs.push(request)
  }
  return runs
}

/**
 * What a container asks of the host's ports, ascending by container port, tcp before udp. Throws `invalidPort` and
 * `invalidHostIp`, which are answers to a malformed request; nothing is looked up.
 */
export function portRequests(wishes: PortWishes): PortRequest[] {
  const bound = Object.entries(wishes.bindings).flatMap(([key, bindings]) => boundRequests(key, bindings))
  const exposed = exposedRequests(wishes.exposed, bound)
  return coalesce(wishes.publishAll ? [...bound, ...exposed] : bound)
}
