/** Where the engine is: `unix:///path`, `tcp://host:port`; -H, LINKSPAN_HOST, DOCKER_HOST, in this order. */
import { Failure } from './failure.ts'

export const defaultHost = 'unix:///run/linkspan/docker.sock'

export type Host =
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | { readonly kind: 'tcp'; readonly hostname: string; readonly port: number; readonly text: string }

const tcpPort = 2375

/** Text without a scheme is a path if it begins with a slash, else host[:port]. */
export function parseHost(text: string): Host {
  if (text.startsWith('/')) return { kind: 'unix', path: text, text: `unix://${text}` }
  const match = /^(?:([a-z]+):\/\/)?(.*)$/.exec(text)
  const scheme = match?.[1] ?? 'tcp'
  const rest = match?.[2] ?? ''
  if (scheme === 'unix') {
    if (rest === '') throw new Failure(`unable to parse docker host \`${text}\``)
    return { kind: 'unix', path: rest, text }
  }
  if (scheme !== 'tcp' && scheme !== 'http') {
    throw new Failure(`unable to parse docker host \`${text}\`: use unix:///path or tcp://host:port`)
  }
  const address = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/]*))(?::(\d{1,5}))?\/?$/.exec(rest)
  if (address === null) throw new Failure(`unable to parse docker host \`${text}\``)
  const port = Number(address[3] ?? tcpPort)
  const hostname = address[1] ?? address[2] ?? ''
  return { kind: 'tcp', hostname: hostname === '' ? '127.0.0.1' : hostname, port, text: `tcp://${rest}` }
}

export function resolveHost(
  asked: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Host {
  const [text = defaultHost] = [asked, env.LINKSPAN_HOST, env.DOCKER_HOST].filter(
    candidate => candidate !== undefined && candidate !== '',
  )
  return parseHost(text)
}
