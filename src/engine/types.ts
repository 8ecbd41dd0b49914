/**
 * The engine as the floors above see it: commands that change something, the state they may read, the events.
 * Terms (`term`) are what a user types for a network, container or image: name, id, or unique id prefix.
 */
import type { WatchedQuestion } from '../dns/index.ts'
import type { Kernel } from '../kernel/index.ts'
import type { Drift } from './drift.ts'
import type { NameService } from './name-service.ts'
import type { Readable } from 'node:stream'
import type {
  ContainerConfig,
  ContainerFiles,
  ExecProcess,
  HostConfig,
  LogLine,
  LogOptions,
  OutputChunk,
  Progress,
  RegistryAuth,
  RuntimeInfo,
  Usage,
} from '../container/index.ts'
import type {
  PortMeant,
  Protocol,
  Endpoint,
  EndpointRequest,
  Family,
  Id,
  KernelObject,
  Network,
  NetworkRequest,
  PublishedPort,
  RangeSet,
  Sandbox,
} from '../network/index.ts'
import type { Container, Exec, Image } from './records.ts'

/** A network event, container event or image event as `docker events` shows it. */
export interface EngineEvent {
  readonly type: 'network' | 'container' | 'image' | 'volume' | 'daemon'
  readonly action: string
  readonly actor: { readonly id: string; readonly attributes: Readonly<Record<string, string>> }
  /** Nanoseconds since the epoch. */
  readonly time: bigint
}

/** Reading side of the state: indexes are kept by every change, each look-up is O(1) or O(log n). */
export interface StateView {
  readonly networks: ReadonlyMap<Id, Network>
  readonly containers: ReadonlyMap<Id, Container>
  readonly endpoints: ReadonlyMap<Id, Endpoint>
  readonly sandboxes: ReadonlyMap<Id, Sandbox>
  readonly images: ReadonlyMap<string, Image>
  /** Resolves name, id or unique prefix in Docker's order; throws networkNotFound or networkAmbiguous. */
  findNetwork(term: string): Network
  findContainer(term: string): Container
  /** Reference, id, or unique id prefix; throws imageNotFound. */
  findImage(term: string): Image
  endpointsOfNetwork(id: Id): readonly Endpoint[]
  /** Addresses that the endpoints of a network have. */
  addressesIn(networkId: Id, family: Family): RangeSet
  /** In the order in which they were made. */
  endpointsOfSandbox(id: Id): readonly Endpoint[]
  /** The sandbox of a running container (its own, not one it shares). */
  sandboxOf(containerId: Id): Sandbox | undefined
  /** Container of an endpoint. */
  containerOf(endpoint: Endpoint): Container | undefined
}

export interface CreateContainerRequest {
  /** Without slash; undefined = a random one. */
  readonly name: string | undefined
  /** Image defaults not yet merged: null or undefined lists mean "the image's". */
  readonly config: Partial<ContainerConfig> & { readonly Image: string }
  readonly hostConfig: Partial<HostConfig>
  /** Network as typed → what is asked of the endpoint; in the client's order. */
  readonly endpoints: Readonly<Record<string, EndpointRequest>>
}

export interface ExecRequest {
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly tty: boolean
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  readonly detachKeys: string
  readonly user: string
  readonly workingDir: string
  readonly privileged: boolean
}

export interface WaitResult {
  readonly exitCode: number
  readonly error: string
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

/** One client's hold on a container's standard streams. */
export interface Attachment {
  /** Called for every chunk, then once with 'end' when the container's output is over. */
  onOutput(listener: (chunk: OutputChunk | 'end') => void): void
  /** Resolves when the container took the data: wait for it before the next, it is the back-pressure. */
  write(data: Buffer): Promise<void>
  /** The client closed its sending half. With StdinOnce (or without a tty) the container's stdin is closed too. */
  endInput(): void
  /** The client is gone. */
  detach(): void
}

export type { Drift, NameService, WatchedQuestion }

export interface EngineInfo {
  /** Stable id of this installation. */
  readonly id: string
  readonly version: string
  readonly dataRoot: string
  /** Where the files of named network namespaces are; a sandbox's `netns` is one of them. */
  readonly netnsDirectory: string
  readonly runtime: RuntimeInfo
  readonly firewall: { readonly driver: string; readonly reason: string }
  readonly ipForwarding: boolean
  readonly warnings: readonly string[]
  readonly defaultAddressPools: readonly { readonly base: string; readonly size: number }[]
  /** RFC 3339. */
  readonly startedAt: string
}

export interface Engine {
  readonly state: StateView

  info(): EngineInfo

  // Networks
  createNetwork(request: NetworkRequest): Promise<{ readonly id: Id; readonly warning: string }>
  removeNetwork(term: string): Promise<void>
  connectNetwork(network: string, container: string, request: EndpointRequest): Promise<void>
  disconnectNetwork(network: string, container: string, force: boolean): Promise<void>
  /**
   * Removes user-defined networks without endpoints for which `selects` is true; answers with their names. One prune of
   * any kind runs at a time: throws conflict. `signal` ends it between two networks.
   */
  pruneNetworks(selects: (network: Network) => boolean, signal: AbortSignal): Promise<readonly string[]>

  // Containers
  createContainer(
    request: CreateContainerRequest,
  ): Promise<{ readonly id: Id; readonly warnings: readonly string[] }>
  /** Throws fault('notModified') if it runs already. */
  startContainer(term: string): Promise<void>
  /** Signal (default the container's stop signal), then SIGKILL after `timeout` seconds (default the container's, 10). */
  stopContainer(term: string, timeout: number | undefined, signal: string | undefined): Promise<void>
  restartContainer(term: string, timeout: number | undefined, signal: string | undefined): Promise<void>
  /** `signal` is a name with or without SIG, or a number; '' = KILL. */
  killContainer(term: string, signal: string): Promise<void>
  pauseContainer(term: string): Promise<void>
  unpauseContainer(term: string): Promise<void>
  removeContainer(
    term: string,
    options: { readonly force: boolean; readonly volumes: boolean },
  ): Promise<void>
  renameContainer(term: string, name: string): Promise<void>
  /** Resolves once the condition holds; state changes (and removal with AutoRemove for 'removed') are finished by then. */
  waitContainer(term: string, condition: WaitCondition, signal: AbortSignal): Promise<WaitResult>
  resizeContainer(term: string, rows: number, columns: number): Promise<void>
  /** May be called before start; nothing is lost from the first byte on. */
  attachContainer(term: string, streams: { readonly stdin: boolean }): Attachment
  containerLogs(term: string, options: LogOptions): AsyncIterable<LogLine>
  /** Where its /etc/hosts, /etc/resolv.conf and /etc/hostname are on the host. */
  containerFiles(term: string): Promise<ContainerFiles>
  /** Pids of the container's processes as the host sees them. */
  containerProcesses(term: string): Promise<readonly number[]>
  /** undefined if it does not run. */
  containerUsage(term: string): Promise<Usage | undefined>
  updateContainer(term: string, restartPolicy: HostConfig['RestartPolicy'] | undefined): Promise<void>
  /** Removes stopped containers for which `selects` is true; answers with their ids. */
  pruneContainers(selects: (container: Container) => boolean): Promise<readonly Id[]>

  // Published ports, without a restart
  publishPorts(term: string, bindings: HostConfig['PortBindings']): Promise<void>
  /** Throws notFound if one of them is not published; nothing is changed then. */
  unpublishPorts(term: string, ports: readonly PortMeant[]): Promise<void>
  /** Hands a host port from one running container to another; no connection is refused in between. */
  movePort(hostPort: number, protocol: Protocol, from: string, to: string): Promise<void>

  // Exec
  createExec(container: string, request: ExecRequest): Promise<Id>
  exec(id: Id): Exec
  /** Starts it; the caller pumps the streams. */
  startExec(
    id: Id,
    options: {
      readonly detach: boolean
      readonly tty: boolean
      readonly size: readonly [number, number] | undefined
    },
  ): Promise<ExecProcess>
  resizeExec(id: Id, rows: number, columns: number): Promise<void>

  // Images
  loadImages(archive: Readable, progress: Progress): Promise<readonly string[]>
  importImage(
    tree: Readable,
    reference: string,
    options: { readonly changes: readonly string[]; readonly message: string },
  ): Promise<string>
  pullImage(reference: string, auth: RegistryAuth | undefined, progress: Progress): Promise<void>
  tagImage(term: string, reference: string): Promise<void>
  /** Docker's answer lines: what was untagged and deleted. */
  removeImage(
    term: string,
    options: { readonly force: boolean },
  ): Promise<readonly { readonly untagged?: string; readonly deleted?: string }[]>
  pruneImages(): Promise<readonly { readonly untagged?: string; readonly deleted?: string }[]>

  // Names
  /** What a running container can resolve, and who is asked for the rest. */
  namesSeenBy(term: string): NameService
  /** Tells every question of a running container once it is answered, until the function that it gives is called. */
  watchNames(term: string, tell: (question: WatchedQuestion) => void): () => void

  // Events: the last 256 are kept
  pastEvents(): readonly EngineEvent[]
  onEvent(listener: (event: EngineEvent) => void): () => void

  /** Ports of a container as they are now, '' when it does not run. */
  portsOf(containerId: Id): readonly PublishedPort[]

  /** Clean stop: containers go on running; state is on disk. */
  close(): Promise<void>
}

/** What those who explain ask of the kernel. `run` is for mending what doctor was told to mend, and for nothing else. */
export type KernelView = Pick<
  Kernel,
  | 'links'
  | 'link'
  | 'routes'
  | 'lookUpRoute'
  | 'namespaces'
  | 'elements'
  | 'element'
  | 'ruleset'
  | 'iptables'
  | 'listeners'
  | 'openSocket'
  | 'run'
>

/** The engine as those see it who explain it: with the kernel it rules, and what it wants there. */
export interface ObservedEngine extends Engine {
  readonly kernel: KernelView
  /** Everything that must exist in the kernel because the state says so. */
  blueprint(): readonly KernelObject[]
  /** Where the kernel differs from that. */
  drift(): Promise<Drift>
  /** Brings the kernel to it, and says what had to be done. */
  mend(): Promise<Drift>
}
