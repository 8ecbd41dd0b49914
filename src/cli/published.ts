/** The PORTS column: what is published and exposed, consecutive ports joined into ranges, in docker's order. */
import type { Port } from './wire.ts'

interface Run {
  readonly first: number
  last: number
}

const host = (address: string): string => (address.includes(':') ? `[${address}]` : address)
const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** `key` is a protocol, or address and protocol of ports published on their own number. */
function describeRun(key: string, { first, last }: Run): string {
  const ports = first === last ? String(first) : `${first}-${last}`
  const slash = key.lastIndexOf('/')
  if (slash === -1) return `${ports}/${key}`
  return `${host(key.slice(0, slash))}:${ports}->${ports}${key.slice(slash)}`
}

/** `0.0.0.0:80->80/tcp, [::]:80->80/tcp, 443/tcp`; ports published on another number follow one by one. */
export function publishedText(ports: readonly Port[]): string {
  const finished: string[] = []
  const open = new Map<string, Run>()
  const moved: string[] = []
  const ordered = [...ports].sort(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      text(a.IP ?? '', b.IP ?? '') ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      text(a.Type, b.Type),
  )
  for (const { IP: address = '', PrivatePort: inside, PublicPort: outside = 0, Type: protocol } of ordered) {
    if (address !== '' && outside !== inside) {
      moved.push(`${host(address)}:${outside}->${inside}/${protocol}`)
      continue
    }
    const key = address === '' ? protocol : `${address}/${protocol}`
    const run = open.get(key)
    if (run?.last === inside - 1) {
      run.last = inside
      continue
    }
    if (run !== undefined) finished.push(describeRun(key, run))
    open.set(key, { first: inside, last: inside })
  }
  const rest = [...open].map(([key, run]) => describeRun(key, run))
  return [...finished, ...rest, ...moved].join(', ')
}
