/**
 * `POST /containers/create`: from the body as it came to what the engine is asked for. All of Docker's rules on how
 * network options go together, and which API version takes what, are here with its words. What depends on the image or
 * on other objects, and what must hold however a container is asked for, is the engine's business.
 */
import { fault } from '../base/index.ts'
import type { HostConfig, RestartPolicy } from '../container/index.ts'
import type { CreateContainerRequest, StateView } from '../engine/index.ts'
import { parseAddress, parseInterfaceMac, parseMac, type EndpointRequest } from '../network/index.ts'
import { endpointRequest } from './endpoint-request.ts'
import type { ApiVersion } from './version.ts'
import type { ContainerCreate } from './wire/container.ts'
import { compact } from './wire/go.ts'

export interface ContainerRequestResult {
  readonly request: CreateContainerRequest
  readonly warnings: readonly string[]
}

type BodyHostConfig = NonNullable<ContainerCreate['HostConfig']>

const refuse = (message: string) => fault('invalidParameter', message)

const endpointSysctls = 'com.docker.network.endpoint.sysctls'

const isContainerMode = (mode: string): boolean => mode === 'container' || mode.startsWith('container:')

/** `default` and '' stand for the bridge network; where the engine has none, for no network at all. */
function networkMode(asked: string | undefined, state: StateView): string {
  if (asked === undefined || asked === '' || asked === 'default') {
    return [...state.networks.values()].some(network => network.bridge?.isDefault === true)
      ? 'bridge'
      : 'none'
  }
  return asked
}

/** Two terms that lead to the same network, by name, id or id prefix. */
function sameNetwork(state: StateView, a: string, b: string): boolean {
  if (a === b) return true
  try {
    return state.findNetwork(a).id === state.findNetwork(b).id
  } catch {
    return false
  }
}

const notEmpty = (list: readonly unknown[] | undefined): boolean => list !== undefined && list.length > 0

function checkConflicts(body: ContainerCreate, host: BodyHostConfig, mode: string): void {
  if (mode === 'host' && notEmpty(host.Links)) {
    throw refuse(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  }
  if (host.UTSMode === 'host' && (body.Hostname ?? '') !== '') {
    throw refuse('conflicting options: hostname and the UTS mode')
  }
  if (!isContainerMode(mode)) return
  if ((body.Hostname ?? '') !== '') throw refuse('conflicting options: hostname and the network mode')
  if (notEmpty(host.Links)) {
    throw refuse(
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    )
  }
  if (notEmpty(host.Dns)) throw refuse('conflicting options: dns and the network mode')
  if (notEmpty(host.ExtraHosts)) {
    throw refuse('conflicting options: custom host-to-IP mapping and the network mode')
  }
  if ((body.MacAddress ?? '') !== '') {
    throw refuse('conflicting options: mac-address and the network mode')
  }
  if (Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts === true) {
    throw refuse('conflicting options: port publishing and the container type network mode')
  }
  if (Object.keys(body.ExposedPorts ?? {}).length > 0) {
    throw refuse('conflicting options: port exposing and the container type network mode')
  }
}

/** `host:ip`, `host=ip`, `host:host-gateway`, IPv6 in brackets or not → `host:ip`. */
function extraHost(entry: string): string {
  const at = entry.includes('=') ? entry.indexOf('=') : entry.indexOf(':')
  const host = entry.slice(0, Math.max(at, 0))
  if (at < 1) throw refuse(`bad format for add-host: "${entry}"`)
  const address = entry.slice(at + 1)
  if (address === 'host-gateway') return `${host}:${address}`
  const bare = address.replace(/^\[(.*)\]$/, '$1')
  if (parseAddress(bare) === undefined) throw refuse(`invalid IP address in add-host: "${address}"`)
  return `${host}:${bare}`
}

function checkDns(addresses: readonly string[] | undefined): void {
  for (const address of addresses ?? []) {
    if (parseAddress(address) === undefined) throw fault('invalidHostIp', address)
  }
}

const policies = ['', 'no', 'on-failure', 'always', 'unless-stopped'] as const

/** Checks a restart policy in Docker's words. */
export function restartPolicy(
  asked: { readonly Name: string | undefined; readonly MaximumRetryCount: number | undefined } | undefined,
): RestartPolicy | undefined {
  if (asked === undefined) return undefined
  const Name = policies.find(policy => policy === (asked.Name ?? ''))
  const MaximumRetryCount = asked.MaximumRetryCount ?? 0
  if (Name === undefined) {
    throw refuse(
      `invalid restart policy: unknown policy '${asked.Name ?? ''}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  if (Name !== 'on-failure' && MaximumRetryCount !== 0) {
    throw refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  if (MaximumRetryCount < 0) {
    throw refuse('invalid restart policy: maximum retry count cannot be negative')
  }
  return { Name: Name === '' ? 'no' : Name, MaximumRetryCount }
}

/** No binding for a port that is to be published means "any free port". */
export function portBindingsOf(asked: BodyHostConfig['PortBindings']): HostConfig['PortBindings'] {
  return Object.fromEntries(
    Object.entries(asked ?? {}).map(([port, bindings]) => [
      port.includes('/') ? port : `${port}/tcp`,
      (bindings.length === 0 ? [{ HostIp: undefined, HostPort: undefined }] : bindings).map(
        ({ HostIp, HostPort }) => ({ HostIp: HostIp ?? '', HostPort: HostPort ?? '' }),
      ),
    ]),
  )
}

interface MovedSysctls {
  readonly sysctls: Readonly<Record<string, string>>
  /** Driver option of the main network; '' = none. */
  readonly option: string
  readonly warnings: readonly string[]
}

/** Sysctls of eth0 belong to the endpoint; older clients put them among the container's. */
function moveInterfaceSysctls(sysctls: Readonly<Record<string, string>>, version: ApiVersion): MovedSysctls {
  const kept: [string, string][] = []
  const moved: string[] = []
  const warnings: string[] = []
  for (const [key, value] of Object.entries(sysctls)) {
    const [net, family, table, ifname, ...rest] = key.split('.')
    if (net !== 'net' || rest.length === 0 || ifname === undefined || !/^eth\d+$/.test(ifname)) {
      kept.push([key, value])
      continue
    }
    if (version >= 48) {
      throw refuse(
        `interface specific sysctl setting "${key}" must be supplied using driver option '${endpointSysctls}'`,
      )
    }
    if (ifname !== 'eth0') {
      throw refuse(
        `unable to determine network endpoint for sysctl ${key}, use driver option '${endpointSysctls}' to set per-interface sysctls`,
      )
    }
    const setting = `net.${family}.${table}.IFNAME.${rest.join('.')}=${value}`
    moved.push(setting)
    warnings.push(`Migrated sysctl "${key}" to DriverOpts{"${endpointSysctls}":"${setting}"}.`)
  }
  return { sysctls: Object.fromEntries(kept), option: moved.join(','), warnings }
}

/** What the client asks of its endpoints, the main network (NetworkMode) first. */
function endpointsOf(
  body: ContainerCreate,
  mode: string,
  version: ApiVersion,
  state: StateView,
): Record<string, EndpointRequest> {
  const asked = Object.entries(body.NetworkingConfig?.EndpointsConfig ?? {})
  if (version < 44 && asked.length > 1) {
    const names = asked.map(([name]) => name).join(', ')
    throw refuse(`Container cannot be created with multiple network endpoints: ${names}`)
  }
  const requests = new Map<string, EndpointRequest>()
  for (const [name, settings] of asked) {
    if (settings === null) throw refuse(`no EndpointSettings for ${name}`)
    // Some clients repeat the mode of a container without networks here.
    if (isContainerMode(name)) {
      if ((settings.MacAddress ?? '') !== '') {
        throw refuse('conflicting options: mac-address and the network mode')
      }
      continue
    }
    const typed = name === 'default' ? networkMode(name, state) : name
    const key = sameNetwork(state, typed, mode) ? mode : typed
    requests.set(key, endpointRequest(settings, version, { mac: true }))
  }
  const own = ['host', 'none'].includes(mode) || isContainerMode(mode)
  const others = [...requests].filter(([name]) => name !== mode)
  if (own && others.length > 0) {
    if (mode === 'host') throw fault('connectHost')
    throw fault(mode === 'none' ? 'connectNone' : 'connectShared')
  }
  if (isContainerMode(mode)) return {}
  return Object.fromEntries([[mode, requests.get(mode) ?? {}], ...others])
}

/** The container-wide MAC address of older clients goes to the main network. */
function withMac(
  endpoints: Record<string, EndpointRequest>,
  mac: string | undefined,
  mode: string,
): Record<string, EndpointRequest> {
  if (mac === undefined || mac === '') return endpoints
  if (parseInterfaceMac(mac) === undefined) throw refuse(`invalid MAC address: ${mac}`)
  const main = endpoints[mode]
  if (main === undefined) throw refuse('conflicting options: mac-address and the network mode')
  if (main.mac !== undefined && parseMac(main.mac) !== parseMac(mac)) {
    throw refuse(
      'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
    )
  }
  return { ...endpoints, [mode]: { ...main, mac } }
}

function withDriverOption(
  endpoints: Record<string, EndpointRequest>,
  mode: string,
  option: string,
): Record<string, EndpointRequest> {
  if (option === '') return endpoints
  const main = endpoints[mode] ?? {}
  return {
    ...endpoints,
    [mode]: { ...main, driverOptions: { ...main.driverOptions, [endpointSysctls]: option } },
  }
}

function checkEnvironment(env: readonly string[] | undefined): void {
  const bad = (env ?? []).find(one => one === '' || one.startsWith('='))
  if (bad !== undefined) throw refuse(`invalid environment variable: ${bad}`)
}

export interface ContainerRequestContext {
  readonly state: StateView
  readonly version: ApiVersion
  readonly ipForwarding: boolean
}

/** Throws invalidParameter and its relatives; `name` as in the query. */
export function containerRequest(
  name: string,
  body: ContainerCreate,
  { state, version, ipForwarding }: ContainerRequestContext,
): ContainerRequestResult {
  const { HostConfig: sentHost, NetworkingConfig: _networking, Image, ...config } = body
  if (Image === undefined || Image === '') {
    throw refuse('config cannot be empty in order to create a container: no image given')
  }
  const host: BodyHostConfig = sentHost ?? ({} as BodyHostConfig)
  const mode = networkMode(host.NetworkMode, state)
  checkEnvironment(body.Env)
  checkConflicts(body, host, mode)
  checkDns(host.Dns)
  const policy = restartPolicy(host.RestartPolicy)
  const bindings = portBindingsOf(host.PortBindings)
  const moved = moveInterfaceSysctls(host.Sysctls ?? {}, version)
  const endpoints = withDriverOption(
    withMac(endpointsOf(body, mode, version, state), body.MacAddress, mode),
    mode,
    moved.option,
  )

  const warnings = [...moved.warnings]
  if ((body.MacAddress ?? '') !== '' && version >= 44) {
    warnings.push(
      'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
    )
  }
  if (!ipForwarding) warnings.push('IPv4 forwarding is disabled. Networking will not work.')

  const bare = name.startsWith('/') ? name.slice(1) : name
  return {
    request: {
      name: bare === '' ? undefined : bare,
      config: { ...compact(config), Image },
      hostConfig: compact({
        ...host,
        NetworkMode: mode,
        PortBindings: bindings,
        RestartPolicy: policy,
        ExtraHosts: host.ExtraHosts?.map(entry => extraHost(entry)),
        Sysctls: host.Sysctls === undefined ? undefined : moved.sysctls,
      }),
      endpoints,
    },
    warnings,
  }
}
