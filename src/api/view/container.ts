/** Containers as inspect and list show them, in Docker's key order. Nothing here is stored: all of it is derived. */
import type { Container, ContainerState, StateView } from '../../engine/index.ts'
import { userMounts, type ContainerConfig, type UserMount } from '../../container/index.ts'
import type { PublishedPort } from '../../network/index.ts'
import { humanDuration, nanoseconds } from '../time.ts'
import type { ApiVersion } from '../version.ts'
import { networkSettingsView, networksView, type ContainerFacts } from './endpoint.ts'
import { hostConfigView } from './host-config.ts'
import { present, sorted } from './order.ts'
import { parsePort, singlePorts } from './ports.ts'

const runs = (state: ContainerState): boolean =>
  state.status === 'running' || state.status === 'paused' || state.status === 'restarting'

const milliseconds = (rfc3339: string): number => Number(nanoseconds(rfc3339) / 1_000_000n)

/** The STATUS column of `docker ps`: `Up 2 hours (Paused)`, `Exited (0) 3 seconds ago`. `now` in milliseconds. */
export function statusText(state: ContainerState, now: number): string {
  const since = (time: string) => humanDuration(Math.max(0, now - milliseconds(time)))
  switch (state.status) {
    case 'created':
      return 'Created'
    case 'running':
      return `Up ${since(state.startedAt)}`
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`
    case 'removing':
      return 'Removal In Progress'
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`
    case 'dead':
      return 'Dead'
  }
}

/** What is run: entry point and command together. */
function argv(config: ContainerConfig): readonly string[] {
  return [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
}

/** The COMMAND column: arguments with spaces are quoted. */
function commandText(config: ContainerConfig): string {
  const [path = '', ...args] = argv(config)
  return [path, ...args.map(argument => (argument.includes(' ') ? `'${argument}'` : argument))].join(' ')
}

function mountView(mount: UserMount): Record<string, unknown> | undefined {
  switch (mount.kind) {
    case 'bind':
      return {
        Type: 'bind',
        Source: mount.source,
        Destination: mount.target,
        Mode: mount.readOnly ? 'ro' : '',
        RW: !mount.readOnly,
        Propagation: mount.propagation,
      }
    case 'volume':
      return {
        Type: 'volume',
        Name: mount.name,
        Source: '',
        Destination: mount.target,
        Driver: 'local',
        Mode: mount.readOnly ? 'ro' : 'z',
        RW: !mount.readOnly,
        Propagation: '',
      }
    case 'tmpfs':
      // Docker shows those of --tmpfs in HostConfig alone.
      return undefined
  }
}

function mountsView({ config, hostConfig }: Container): readonly Record<string, unknown>[] {
  let mounts: readonly UserMount[] = []
  try {
    mounts = userMounts(config, hostConfig)
  } catch {
    // Malformed ones are refused when the container starts; until then there is nothing to show.
  }
  return mounts.map(mount => mountView(mount)).filter(view => view !== undefined)
}

function stateView(state: ContainerState): Record<string, unknown> {
  return {
    Status: state.status,
    Running: runs(state),
    Paused: state.status === 'paused',
    Restarting: state.status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: state.status === 'dead',
    Pid: state.process?.pid ?? 0,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
  }
}

export function configView(config: ContainerConfig): Record<string, unknown> {
  return present({
    Hostname: config.Hostname,
    Domainname: config.Domainname,
    User: config.User,
    AttachStdin: config.AttachStdin,
    AttachStdout: config.AttachStdout,
    AttachStderr: config.AttachStderr,
    ExposedPorts:
      config.ExposedPorts === undefined || Object.keys(config.ExposedPorts).length === 0
        ? undefined
        : sorted(config.ExposedPorts),
    Tty: config.Tty,
    OpenStdin: config.OpenStdin,
    StdinOnce: config.StdinOnce,
    Env: config.Env,
    Cmd: config.Cmd,
    Healthcheck: config.Healthcheck,
    Image: config.Image,
    Volumes: config.Volumes,
    WorkingDir: config.WorkingDir,
    Entrypoint: config.Entrypoint,
    MacAddress: config.MacAddress,
    OnBuild: config.OnBuild,
    Labels: sorted(config.Labels),
    StopSignal: config.StopSignal,
    StopTimeout: config.StopTimeout,
  })
}

/** Legacy links as Docker shows them: `/child:/parent/alias`. A child that is gone is left out. */
function linksView(state: StateView, container: Container): readonly string[] {
  return Object.entries(container.links).flatMap(([alias, id]) => {
    const child = state.containers.get(id)
    return child === undefined ? [] : [`/${child.name}:/${container.name}/${alias}`]
  })
}

export interface ContainerSizes {
  /** Bytes of the writable layer and of everything. */
  readonly writable: number
  readonly root: number
}

/** `GET /containers/{id}/json`. */
export function containerView(
  state: StateView,
  container: Container,
  facts: ContainerFacts,
  version: ApiVersion,
  sizes?: ContainerSizes,
): Record<string, unknown> {
  const { files } = facts
  const [path = '', ...args] = argv(container.config)
  return present({
    Id: container.id,
    Created: container.created,
    Path: path,
    Args: args,
    State: stateView(container.state),
    Image: container.imageId,
    ResolvConfPath: files?.resolvConf ?? '',
    HostnamePath: files?.hostname ?? '',
    HostsPath: files?.hosts ?? '',
    LogPath: '',
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: hostConfigView(container.hostConfig, linksView(state, container)),
    GraphDriver: { Data: null, Name: 'overlay2' },
    SizeRw: sizes?.writable,
    SizeRootFs: sizes?.root,
    Mounts: mountsView(container),
    Config: configView(container.config),
    NetworkSettings: networkSettingsView(state, container, facts, version),
  })
}

/** The image as the user typed it, unless that name stands for another image by now: then its id. */
function imageText(state: StateView, container: Container): string {
  try {
    return state.findImage(container.image).id === container.imageId ? container.image : container.imageId
  } catch {
    return container.imageId
  }
}

function portList(container: Container, ports: readonly PublishedPort[]): readonly Record<string, unknown>[] {
  if (!runs(container.state)) return []
  const published = singlePorts(ports)
  const isPublished = (port: number, protocol: string) =>
    published.some(one => one.containerPort === port && one.protocol === protocol)
  const exposed = Object.keys(container.config.ExposedPorts ?? {}).flatMap(text => {
    const parsed = parsePort(text)
    return parsed === undefined || isPublished(parsed.port, parsed.protocol) ? [] : [parsed]
  })
  return [
    ...exposed.map(one => ({ PrivatePort: one.port, Type: one.protocol })),
    ...published.map(one => ({
      IP: one.hostIp,
      PrivatePort: one.containerPort,
      PublicPort: one.hostPort,
      Type: one.protocol,
    })),
  ]
}

/** One item of `GET /containers/json`. `now` in milliseconds. */
export function containerSummary(
  state: StateView,
  container: Container,
  ports: readonly PublishedPort[],
  version: ApiVersion,
  now: number,
  sizes?: ContainerSizes,
): Record<string, unknown> {
  return present({
    Id: container.id,
    Names: [`/${container.name}`],
    Image: imageText(state, container),
    ImageID: container.imageId,
    Command: commandText(container.config),
    Created: Math.floor(milliseconds(container.created) / 1000),
    Ports: portList(container, ports),
    SizeRw: sizes?.writable,
    SizeRootFs: sizes?.root,
    Labels: sorted(container.config.Labels),
    State: container.state.status,
    Status: statusText(container.state, now),
    HostConfig: { NetworkMode: container.hostConfig.NetworkMode },
    NetworkSettings: { Networks: networksView(state, container, version) },
    Mounts: mountsView(container),
  })
}
