/**
 * Legacy links of the default bridge (`--link target:alias`): lines in /etc/hosts and variables in the environment.
 * On user-defined networks links are names in the resolver's zone and none of this applies.
 */
import { type Id, stripLength } from '../network/index.ts'
import type { Container } from './records.ts'
import type { StateView } from './types.ts'

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Link {
  readonly alias: string
  readonly target: Container
  /** Address of the target on the default bridge. */
  readonly address: string
}

/** The links whose targets run now, in the order in which they were given. */
export function linkLines(state: StateView, container: Container): readonly Link[] {
  return Object.entries(container.links).flatMap(([alias, id]) => {
    const target = state.containers.get(id)
    const address = addressOnDefaultBridge(state, id)
    return target === undefined || address === undefined ? [] : [{ alias, target, address }]
  })
}

function addressOnDefaultBridge(state: StateView, containerId: Id): string | undefined {
  const sandbox = state.sandboxOf(containerId)
  if (sandbox === undefined) return undefined
  const endpoint = state
    .endpointsOfSandbox(sandbox.id)
    .find(each => state.networks.get(each.networkId)?.bridge?.isDefault === true)
  return endpoint?.ipv4 === undefined ? undefined : stripLength(endpoint.ipv4)
}

/** PATH, HOSTNAME, TERM, the links' variables, then the container's own, which win. */
export function containerEnvironment(container: Container, links: readonly Link[]): readonly string[] {
  const { config } = container
  const environment = new Map<string, string>()
  const set = (variable: string) => environment.set(variable.split('=', 1)[0] ?? '', variable)
  set(defaultPath)
  set(`HOSTNAME=${config.Hostname}`)
  if (config.Tty) set('TERM=xterm')
  for (const link of links) for (const variable of linkEnvironment(container, link)) set(variable)
  for (const variable of config.Env) set(variable)
  return [...environment.values()]
}

function linkEnvironment(container: Container, { alias, target, address }: Link): readonly string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_')
  const ports = Object.keys(target.config.ExposedPorts ?? {})
    .map(text => {
      const [port = '', protocol = 'tcp'] = text.split('/')
      return { port: Number(port), protocol }
    })
    .sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1))
  const url = (each: { readonly port: number; readonly protocol: string }) =>
    `${each.protocol}://${address}:${each.port}`
  const [first] = ports
  const lines = first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]
  for (const each of ports) {
    const name = `${prefix}_PORT_${each.port}_${each.protocol.toUpperCase()}`
    lines.push(`${name}=${url(each)}`, `${name}_ADDR=${address}`, `${name}_PORT=${each.port}`)
    lines.push(`${name}_PROTO=${each.protocol}`)
  }
  lines.push(`${prefix}_NAME=/${container.name}/${alias}`)
  for (const variable of target.config.Env) {
    const [name = '', ...value] = variable.split('=')
    if (name !== 'PATH' && name !== 'HOME') lines.push(`${prefix}_ENV_${name}=${value.join('=')}`)
  }
  return lines
}
