/**
 * What the container side is given and what it answers. It runs processes in namespaces that somebody else prepared and
 * keeps images; it knows nothing of networks. `ContainerConfig` and `HostConfig` keep the Engine API's spelling because
 * they are stored and echoed to users as they came.
 */
import type { Readable, Writable } from 'node:stream'

/** 64 lower-case hex digits. */
export type Id = string

/** `Config` of the Engine API with its defaults filled in; keys in Docker's order. */
export interface ContainerConfig {
  readonly Hostname: string
  readonly Domainname: string
  readonly User: string
  readonly AttachStdin: boolean
  readonly AttachStdout: boolean
  readonly AttachStderr: boolean
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>
  readonly Tty: boolean
  readonly OpenStdin: boolean
  readonly StdinOnce: boolean
  readonly Env: readonly string[]
  /** Null = nothing; the image's was merged at create. */
  readonly Cmd: readonly string[] | null
  readonly Healthcheck?: Readonly<Record<string, unknown>>
  readonly Image: string
  readonly Volumes: Readonly<Record<string, Record<string, never>>> | null
  readonly WorkingDir: string
  readonly Entrypoint: readonly string[] | null
  readonly MacAddress?: string
  readonly OnBuild: readonly string[] | null
  readonly Labels: Readonly<Record<string, string>>
  readonly StopSignal?: string
  /** Seconds. */
  readonly StopTimeout?: number
}

export interface PortBinding {
  readonly HostIp: string
  readonly HostPort: string
}

export interface RestartPolicy {
  readonly Name: '' | 'no' | 'on-failure' | 'always' | 'unless-stopped'
  readonly MaximumRetryCount: number
}

/**
 * `HostConfig` of the Engine API. Named here is what the engine acts on; everything else a client sent is kept in the
 * index signature and echoed.
 */
export interface HostConfig {
  readonly Binds: readonly string[] | null
  readonly NetworkMode: string
  readonly PortBindings: Readonly<Record<string, readonly PortBinding[]>>
  readonly PublishAllPorts: boolean
  readonly RestartPolicy: RestartPolicy
  readonly AutoRemove: boolean
  readonly CapAdd: readonly string[] | null
  readonly CapDrop: readonly string[] | null
  readonly Dns: readonly string[] | null
  readonly DnsOptions: readonly string[] | null
  readonly DnsSearch: readonly string[] | null
  readonly ExtraHosts: readonly string[] | null
  readonly Links: readonly string[] | null
  readonly Privileged: boolean
  readonly ReadonlyRootfs: boolean
  readonly SecurityOpt: readonly string[] | null
  readonly Tmpfs?: Readonly<Record<string, string>>
  readonly Sysctls?: Readonly<Record<string, string>>
  readonly ShmSize: number
  readonly PidMode: string
  readonly IpcMode: string
  readonly UTSMode: string
  readonly Memory: number
  readonly NanoCpus: number
  readonly CpuShares: number
  readonly CpuQuota: number
  readonly CpuPeriod: number
  readonly CpusetCpus: string
  readonly PidsLimit: number | null
  readonly Ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[] | null
  readonly OomScoreAdj: number
  readonly Init?: boolean | null
  readonly Devices:
    | readonly {
        readonly PathOnHost: string
        readonly PathInContainer: string
        readonly CgroupPermissions: string
      }[]
    | null
  readonly Mounts?: readonly {
    readonly Type: string
    readonly Source?: string
    readonly Target: string
    readonly ReadOnly?: boolean
    readonly BindOptions?: { readonly Propagation?: string; readonly CreateMountpoint?: boolean }
    readonly VolumeOptions?: { readonly NoCopy?: boolean }
    /** Bytes; mode as a number. */
    readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number }
  }[]
  readonly [key: string]: unknown
}

/** Everything that is needed to run one container's process. */
export interface RunSpec {
  readonly id: Id
  readonly name: string
  readonly config: ContainerConfig
  readonly hostConfig: HostConfig
  readonly imageId: string
  /** Path of the network namespace to run in; absent = the host's. */
  readonly netnsPath?: string
  /** Container whose hosts, resolv.conf and hostname are shown instead of its own: they share a namespace. */
  readonly filesOf?: Id
  /** Hostname inside; absent = the host's UTS namespace is kept (network mode host). */
  readonly hostname?: string
  /** Environment in its final order (PATH, HOSTNAME, links, user's). */
  readonly env: readonly string[]
  /** Sysctls of the namespace that the user asked for. */
  readonly sysctls: Readonly<Record<string, string>>
}

/** Files on the host that are bind-mounted to /etc/hosts, /etc/resolv.conf and /etc/hostname; written in place. */
export interface ContainerFiles {
  readonly hosts: string
  readonly resolvConf: string
  readonly hostname: string
}

export interface RunningProcess {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: tells the process from a later one with the same pid. */
  readonly startTime: number
}

export interface ExitStatus {
  readonly exitCode: number
  readonly oomKilled: boolean
  /** RFC 3339 with nanoseconds. */
  readonly finishedAt: string
}

export interface ExecSpec {
  readonly id: Id
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly tty: boolean
  readonly stdin: boolean
  readonly user: string
  readonly workingDir: string
  readonly privileged: boolean
  readonly detach: boolean
  /** Initial size of the terminal: rows, columns. */
  readonly size?: readonly [number, number]
}

/** A process started by exec; the engine supervises it itself. */
export interface ExecProcess {
  readonly pid: number
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  /** Absent with a terminal. */
  readonly stderr: Readable | undefined
  resize(rows: number, columns: number): void
  /** The exit code, once the process is gone and its output has been read to the end. */
  readonly exited: Promise<number>
}

/** Output of a container as it comes: nothing is lost from the first byte on. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Buffer
}

export interface LogOptions {
  readonly follow: boolean
  /** Last n lines; undefined = all. */
  readonly tail: number | undefined
  /** Nanoseconds since the epoch, inclusive. */
  readonly since: bigint | undefined
  readonly until: bigint | undefined
  readonly stdout: boolean
  readonly stderr: boolean
}

export interface LogLine extends OutputChunk {
  /** RFC 3339 with nanoseconds. */
  readonly time: string
}

export interface RuntimeInfo {
  /** crun or runc, and why this one. */
  readonly name: string
  readonly path: string
  readonly version: string
  readonly reason: string
  readonly conmonVersion: string
}

/** Runs containers by conmon and an OCI runtime. Everything survives the engine: `adopt` finds it again. */
export interface Runtime {
  readonly info: RuntimeInfo
  /** Where the files of a container are; the caller writes them before `create`. Makes the directory. */
  files(id: Id): Promise<ContainerFiles>
  /**
   * Mounts the root file system, writes the bundle, starts conmon and the runtime up to "created": the process exists
   * but does not run yet. On failure nothing is left. Errors are `Fault`s in runc's words (clients derive exit
   * codes 126 and 127 from them).
   */
  create(spec: RunSpec): Promise<RunningProcess>
  /** Lets the created process run. */
  start(id: Id): Promise<void>
  /**
   * Called once per run, after the last output, with the root file system unmounted. What is left of the run is removed
   * behind the call; the next `create`, `remove` or `discard` waits for that. The exit stays on disk until then, so
   * that `adopt` finds it should the engine be killed before it has noted it.
   */
  onExit(listener: (id: Id, exit: ExitStatus) => void): void
  /** Sends a signal to the container's first process. A process that is gone is no error. */
  kill(id: Id, signal: number): Promise<void>
  pause(id: Id): Promise<void>
  resume(id: Id): Promise<void>
  /**
   * Listener gets every chunk from now on; call before `start` (or before `create`) to miss nothing. 'end' comes once,
   * at the end of the run or when `create` or `start` fails, and is the last. Returns the unsubscribe function. The
   * listener must not block: output is read whether or not somebody keeps up with it.
   */
  subscribe(id: Id, listener: (chunk: OutputChunk | 'end') => void): () => void
  /** Writes to the container's stdin; resolves when the data is taken. What nobody can read any more is dropped. */
  writeStdin(id: Id, data: Buffer): Promise<void>
  /** Closes the container's stdin (StdinOnce and the client went away, or half-closed). */
  closeStdin(id: Id): void
  resize(id: Id, rows: number, columns: number): Promise<void>
  logs(id: Id, options: LogOptions): AsyncIterable<LogLine>
  /**
   * Runs a process in a running container. Its environment is the container's with the spec's on top. Output is read
   * only as the caller reads it (a detached one's is dropped); after the end, streams that stay silent are closed.
   */
  exec(containerId: Id, spec: ExecSpec, container: RunSpec): Promise<ExecProcess>
  /** Pids of everything in the container, as the host numbers them. */
  processes(id: Id): Promise<readonly number[]>
  /**
   * After a restart of the engine: takes up a container that was running. Answers with its exit if it ended meanwhile
   * (then everything of it is cleaned up), with its process if it still runs; one that was created but not started is
   * started. Nothing known of it any more (a reboot) = exit code 255; one whose conmon is gone is killed.
   */
  adopt(id: Id, process: RunningProcess, tty: boolean): Promise<RunningProcess | ExitStatus>
  /** Removes what belongs to a stopped container on disk: upper directory, log, files. */
  remove(id: Id): Promise<void>
  /**
   * Ends and clears whatever there is of a container that is not to run: what a crash of the engine left, or what was
   * created for a start that failed elsewhere. Nobody is told of an exit. Disk data stays.
   */
  discard(id: Id): Promise<void>
  /** Containers that the caller does not know (left by a crash) are ended and removed: processes, mounts, directories. */
  sweep(known: ReadonlySet<Id>): Promise<void>
  /** Stops watching; containers go on. */
  close(): Promise<void>
}

/** The parts of an OCI image configuration that a container inherits. */
export interface ImageConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Volumes?: Readonly<Record<string, Record<string, never>>> | null
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly StopSignal?: string
  readonly OnBuild?: readonly string[] | null
  readonly Healthcheck?: Readonly<Record<string, unknown>>
}

/** An image whose content is on disk, unpacked. */
export interface StoredImage {
  /** `sha256:` + digest of the image configuration. */
  readonly id: string
  /** Manifest digest where it came from a registry, `sha256:…`. */
  readonly digest?: string
  /** RFC 3339. */
  readonly created: string
  readonly author: string
  readonly comment: string
  readonly architecture: string
  readonly os: string
  readonly config: ImageConfig
  /** Bytes of the unpacked tree. */
  readonly size: number
  /** diff ids. */
  readonly layers: readonly string[]
  readonly history: readonly {
    readonly created: string
    readonly createdBy: string
    readonly comment: string
    readonly emptyLayer: boolean
  }[]
}

/** One line of Docker's progress stream. */
export interface ProgressMessage {
  readonly status?: string
  readonly id?: string
  readonly stream?: string
  readonly progress?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
}

export type Progress = (message: ProgressMessage) => void

export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  readonly identityToken?: string
}

/** Images on disk, unpacked by umoci, moved by skopeo. Names (tags) are the caller's business. */
export interface ImageStore {
  /** A docker-archive (or OCI archive) as `docker save` writes it, compressed or not. One result per image in it. */
  load(
    archive: Readable,
    progress: Progress,
  ): Promise<readonly { readonly image: StoredImage; readonly tags: readonly string[] }[]>
  /** A root file system as tar (any compression); `changes` are Dockerfile instructions (CMD, ENV, …). */
  import(
    tree: Readable,
    options: { readonly changes: readonly string[]; readonly message: string },
  ): Promise<StoredImage>
  /**
   * `reference` in any form, with or without tag. What is there already under the registry's digest is not copied.
   * Progress ends with the digest; what the name meant before, and so the "Status:" line, is the caller's to say.
   */
  pull(reference: string, auth: RegistryAuth | undefined, progress: Progress): Promise<StoredImage>
  /** Read-only lower directory of the image. */
  rootfs(id: string): string
  remove(id: string): Promise<void>
  /** Images on disk that the caller does not know are removed. */
  sweep(known: ReadonlySet<string>): Promise<void>
}

export interface ContainerSettings {
  /** Persistent: images/, containers/<id>/. */
  readonly dataRoot: string
  /** Volatile: bundles, sockets; short paths (a unix socket's path is at most 107 bytes). */
  readonly execRoot: string
  /** crun, runc or a path; undefined = probe. */
  readonly runtime: string | undefined
}
