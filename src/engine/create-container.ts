/**
 * A container's record from what a client asks for: the image's defaults merged, names resolved, contradictions
 * refused. Nothing is changed here.
 */
import { hostname } from 'node:os'
import { fault } from '../base/index.ts'
import { type ContainerConfig, defaultHostConfig, type HostConfig } from '../container/index.ts'
import {
  checkExtraHosts,
  type EndpointRequest,
  type Id,
  portRequests,
  validateEndpointRequest,
} from '../network/index.ts'
import { type NetworkMode, parseNetworkMode } from './network-mode.ts'
import { type Container, type Image, type Membership, never } from './records.ts'
import { signalNumber } from './signals.ts'
import type { State } from './state.ts'
import type { CreateContainerRequest } from './types.ts'

export interface CreateContext {
  readonly id: Id
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly state: State
  readonly randomName: () => string
}

export interface Created {
  readonly container: Container
  readonly warnings: readonly string[]
}

export function containerFromRequest(request: CreateContainerRequest, context: CreateContext): Created {
  const { state, id } = context
  const name = containerName(request.name, context)
  const image = state.findImage(request.config.Image)
  const hostConfig = withHostDefaults(request.hostConfig)
  const mode = parseNetworkMode(hostConfig.NetworkMode)
  const config = mergeConfig(request.config, image, defaultHostname(mode, id, state))
  if ((config.Entrypoint ?? []).length + (config.Cmd ?? []).length === 0) throw fault('noCommand')
  if (config.StopSignal !== undefined) signalNumber(config.StopSignal)
  checkHostname(request.config)
  checkExtraHosts(hostConfig.ExtraHosts ?? [])
  // Throws for malformed ports, which is the client's mistake and must not wait for the start.
  portRequests({
    exposed: Object.keys(config.ExposedPorts ?? {}),
    bindings: hostConfig.PortBindings,
    publishAll: hostConfig.PublishAllPorts,
  })
  const memberships = membershipsOf(mode, request.endpoints, state)
  const container: Container = {
    id,
    name,
    created: context.created,
    image: request.config.Image,
    imageId: image.id,
    config,
    hostConfig: { ...hostConfig, NetworkMode: normalMode(mode, hostConfig.NetworkMode, state) },
    memberships,
    state: {
      status: 'created',
      exitCode: 0,
      oomKilled: false,
      error: '',
      startedAt: never,
      finishedAt: never,
    },
    restartCount: 0,
    stoppedByUser: false,
    links: legacyLinks(mode, hostConfig.Links ?? [], state),
  }
  return { container, warnings: warningsFor(mode, hostConfig) }
}

/** Docker's characters; the first one a letter or digit, at least two in all. */
export function checkName(name: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) throw fault('containerNameInvalid', name)
}

function containerName(asked: string | undefined, { state, randomName }: CreateContext): string {
  if (asked === undefined || asked === '') return randomName()
  const name = asked.startsWith('/') ? asked.slice(1) : asked
  checkName(name)
  const holder = state.containerNamed(name)
  if (holder !== undefined) throw fault('containerNameTaken', name, holder.id)
  return name
}

function defaultHostname(mode: NetworkMode, id: Id, state: State): string {
  if (mode.kind === 'host') return hostname()
  const shared = mode.kind === 'container' ? state.containerMeant(mode.container) : undefined
  if (shared !== undefined) return shared.config.Hostname
  return id.slice(0, 12)
}

/** RFC 1123: labels of letters, digits and hyphens; the kernel takes at most 64 characters. */
function checkHostname({ Hostname }: CreateContainerRequest['config']): void {
  if (Hostname === undefined || Hostname === '') return
  const labels = /^[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*$/
  if (Hostname.length > 63 || !labels.test(Hostname)) {
    throw fault('invalidParameter', `invalid hostname format: ${Hostname}`)
  }
}

/** The client's settings over the image's. An own entrypoint makes the image's command meaningless. */
function mergeConfig(
  config: CreateContainerRequest['config'],
  image: Image,
  hostName: string,
): ContainerConfig {
  const base = image.config
  const entrypoint = emptyToNull(config.Entrypoint)
  const ownEntrypoint = entrypoint !== null && !(entrypoint.length === 1 && entrypoint[0] === '')
  const command = emptyToNull(config.Cmd) ?? (entrypoint === null ? emptyToNull(base.Cmd) : null)
  const exposed = { ...base.ExposedPorts, ...config.ExposedPorts }
  const volumes = { ...base.Volumes, ...config.Volumes }
  const stopSignal = config.StopSignal ?? base.StopSignal
  const health = config.Healthcheck ?? base.Healthcheck
  return {
    Hostname: config.Hostname === undefined || config.Hostname === '' ? hostName : config.Hostname,
    Domainname: config.Domainname ?? '',
    User: config.User === undefined || config.User === '' ? (base.User ?? '') : config.User,
    AttachStdin: config.AttachStdin ?? false,
    AttachStdout: config.AttachStdout ?? false,
    AttachStderr: config.AttachStderr ?? false,
    ...(Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed }),
    Tty: config.Tty ?? false,
    OpenStdin: config.OpenStdin ?? false,
    StdinOnce: config.StdinOnce ?? false,
    Env: mergeEnvironment(base.Env ?? [], config.Env ?? []),
    Cmd: command,
    ...(health === undefined ? {} : { Healthcheck: health }),
    Image: config.Image,
    Volumes: Object.keys(volumes).length === 0 ? null : volumes,
    WorkingDir:
      config.WorkingDir === undefined || config.WorkingDir === ''
        ? (base.WorkingDir ?? '')
        : config.WorkingDir,
    Entrypoint: entrypoint === null ? emptyToNull(base.Entrypoint) : ownEntrypoint ? entrypoint : null,
    ...(config.MacAddress === undefined ? {} : { MacAddress: config.MacAddress }),
    OnBuild: null,
    Labels: { ...base.Labels, ...config.Labels },
    ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
    ...(config.StopTimeout === undefined ? {} : { StopTimeout: config.StopTimeout }),
  }
}

function emptyToNull(list: readonly string[] | null | undefined): readonly string[] | null {
  return list === undefined || list === null || list.length === 0 ? null : list
}

function mergeEnvironment(base: readonly string[], own: readonly string[]): readonly string[] {
  const nameOf = (variable: string) => variable.split('=', 1)[0]
  const names = new Set(own.map(nameOf))
  return [...own, ...base.filter(variable => !names.has(nameOf(variable)))]
}

function withHostDefaults(asked: Partial<HostConfig>): HostConfig {
  const hostConfig: HostConfig = { ...defaultHostConfig, ...asked }
  if (hostConfig.AutoRemove && !['', 'no'].includes(hostConfig.RestartPolicy.Name)) {
    throw fault('invalidParameter', "can't create 'AutoRemove' container with restart policy")
  }
  return {
    ...hostConfig,
    ShmSize: hostConfig.ShmSize === 0 ? defaultHostConfig.ShmSize : hostConfig.ShmSize,
    IpcMode: hostConfig.IpcMode === '' ? defaultHostConfig.IpcMode : hostConfig.IpcMode,
  }
}

/**
 * What is stored: names as typed, `bridge` for the default, the id for `container:NAME` (Docker resolves it). One that
 * is not there is looked for at the start: a 404 from create means to clients that the image is missing.
 */
function normalMode(mode: NetworkMode, text: string, state: State): string {
  if (mode.kind === 'container') {
    return `container:${state.containerMeant(mode.container)?.id ?? mode.container}`
  }
  return mode.kind === 'network' ? mode.network : text
}

/** The first network is the one of the network mode: its interface is eth0. The others follow as they were given. */
function membershipsOf(
  mode: NetworkMode,
  endpoints: Readonly<Record<string, EndpointRequest>>,
  state: State,
): readonly Membership[] {
  if (mode.kind === 'container') return []
  const primary = mode.kind === 'network' ? mode.network : mode.kind
  const known = (term: string) => state.networkNamed(term) ?? state.networks.get(term)
  const entries = Object.entries(endpoints).map(([term, request]) => {
    const network = term === 'default' ? 'bridge' : term
    return { network: known(network)?.name ?? network, request }
  })
  const primaryName = known(primary)?.name ?? primary
  const first = entries.find(entry => entry.network === primaryName)
  // One entry under another spelling of the same network (an id, a prefix) is the primary one.
  const sole = first === undefined && entries.length === 1 ? entries[0] : undefined
  const head =
    first ?? (sole === undefined ? { network: primaryName, request: {} } : { ...sole, network: primaryName })
  const rest = entries.filter(entry => entry !== first && entry !== sole)
  return [head, ...rest].map(({ network, request }) => {
    const record = known(network)
    if (record !== undefined) validateEndpointRequest(record, request)
    return { network, networkId: record?.id ?? '', request }
  })
}

/** `target:alias` on the default bridge. Elsewhere links are part of the endpoint's request. */
function legacyLinks(
  mode: NetworkMode,
  links: readonly string[],
  state: State,
): Readonly<Record<string, Id>> {
  const usesDefault = mode.kind === 'network' && state.networkNamed(mode.network)?.bridge?.isDefault === true
  if (!usesDefault) return {}
  return Object.fromEntries(
    links.map(link => {
      const [target = '', alias] = link.split(':')
      const container = linkTarget(target, state)
      return [alias ?? container.name, container.id]
    }),
  )
}

function linkTarget(term: string, state: State): Container {
  try {
    return state.findContainer(term.startsWith('/') ? term.slice(1) : term)
  } catch {
    throw fault('linkNotFound', term)
  }
}

function warningsFor(mode: NetworkMode, hostConfig: HostConfig): readonly string[] {
  const publishes = Object.keys(hostConfig.PortBindings).length > 0 || hostConfig.PublishAllPorts
  return mode.kind === 'host' && publishes
    ? ['Published ports are discarded when using host network mode']
    : []
}
