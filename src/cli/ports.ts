/**
 * `-p` and `--expose` as text → the maps of the Engine API. `[ip:][host[-host]:]container[-container][/protocol]`; ranges
 * run in step, or a host range stands for "any free one of these" where the container's side is one port.
 */
import { isIP } from 'node:net'

export type PortMap = Record<string, { readonly HostIp: string; readonly HostPort: string }[]>

const protocols = new Set(['tcp', 'udp', 'sctp'])
const lastPort = 65_535

interface Range {
  readonly from: number
  readonly to: number
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  if (match === null) return undefined
  const from = Number(match[1])
  const to = Number(match[2] ?? match[1])
  return from <= to && to <= lastPort ? { from, to } : undefined
}

/** Splits `ip:host:container` from the right; an IPv6 address stands in brackets. */
function splitAddress(text: string): {
  readonly ip: string
  readonly host: string
  readonly container: string
} {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(text)
  const ip = bracketed?.[1]
  const parts = (bracketed?.[2] ?? text).split(':')
  const container = parts.pop() ?? ''
  const host = parts.pop() ?? ''
  return { ip: ip ?? parts.join(':'), host, container }
}

function splitProtocol(text: string): { readonly ports: string; readonly protocol: string } {
  const at = text.lastIndexOf('/')
  const protocol = at === -1 ? 'tcp' : text.slice(at + 1).toLowerCase()
  if (!protocols.has(protocol)) throw new Error(`invalid proto: ${protocol}`)
  return { ports: at === -1 ? text : text.slice(0, at), protocol }
}

/** `target=80,published=8080,protocol=tcp,mode=host` in the short form. */
function shortForm(text: string): string {
  if (!text.includes('=')) return text
  const fields: Record<string, string> = { protocol: 'tcp', published: '', target: '' }
  for (const part of text.split(',')) {
    const [key = '', value = ''] = part.toLowerCase().split('=')
    if (key === 'mode') {
      if (value !== 'ingress' && value !== 'host')
        throw new Error(`invalid publish mode value (${value}): must be either "ingress" or "host"`)
    } else if (key in fields) fields[key] = value
    else throw new Error(`invalid field key ${key}`)
  }
  if (fields.target === '') throw new Error(`invalid publish value: ${text}: no target port`)
  return `${fields.published === '' ? '' : `${fields.published}:`}${fields.target}/${fields.protocol}`
}

/** Adds what one `-p` says to `exposed` and `bindings`. */
function publishOne(given: string, exposed: Record<string, Record<string, never>>, bindings: PortMap): void {
  const { ports, protocol } = splitProtocol(shortForm(given))
  const { ip, host, container } = splitAddress(ports)
  if (container === '') throw new Error(`no port specified: ${given}<empty>`)
  if (ip !== '' && isIP(ip.replace(/%.*$/, '')) === 0) throw new Error(`invalid IP address: ${ip}`)
  const inside = parseRange(container)
  if (inside === undefined || inside.from === 0) throw new Error(`invalid containerPort: ${container}`)
  const outside = host === '' ? undefined : parseRange(host)
  if (host !== '' && outside === undefined) throw new Error(`invalid hostPort: ${host}`)
  const width = inside.to - inside.from
  const choose = outside !== undefined && width === 0 && outside.to > outside.from
  if (outside !== undefined && !choose && outside.to - outside.from !== width) {
    throw new Error(`invalid ranges specified for container and host Ports: ${container} and ${host}`)
  }
  for (let step = 0; step <= width; step += 1) {
    const key = `${inside.from + step}/${protocol}`
    const hostPort =
      outside === undefined ? '' : choose ? `${outside.from}-${outside.to}` : String(outside.from + step)
    exposed[key] = {}
    const list = bindings[key] ?? []
    list.push({ HostIp: ip, HostPort: hostPort })
    bindings[key] = list
  }
}

export interface PublishedPorts {
  readonly exposed: Readonly<Record<string, Record<string, never>>>
  readonly bindings: PortMap
}

/** What all -p and --expose of a command line say together. */
export function parsePorts(published: readonly string[], exposing: readonly string[]): PublishedPorts {
  const exposed: Record<string, Record<string, never>> = {}
  const bindings: PortMap = {}
  for (const given of published) publishOne(given, exposed, bindings)
  for (const given of exposing) {
    if (given.includes(':')) throw new Error(`invalid port format for --expose: ${given}`)
    const { ports, protocol } = splitProtocol(given)
    const range = parseRange(ports)
    if (range === undefined) {
      const wrong = /^\d+-\d+$/.test(ports)
        ? `invalid range specified for port: ${ports}`
        : `strconv.ParseUint: parsing ${JSON.stringify(ports)}: invalid syntax`
      throw new Error(`invalid range format for --expose: ${given}, error: ${wrong}`)
    }
    for (let port = range.from; port <= range.to; port += 1) exposed[`${port}/${protocol}`] = {}
  }
  return { exposed, bindings }
}
