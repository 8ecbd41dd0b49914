/**
 * Running containers: conmon watches them, the OCI runtime makes them, this file keeps them apart. What it knows of a
 * running container is also on disk (bundle, pid and start time, exit file), so that an engine that was killed at any
 * moment finds everything again: `adopt` takes up what runs, `discard` and `sweep` clear what nobody wants.
 *
 * - The engine is always attached and always reads: a container never waits for a client.
 * - Output ends before the exit is told; the root file system is unmounted before that as well, or a quick `rm` meets
 *   EBUSY. The runtime's own state goes behind the answer, and the next `create` waits for it.
 * - An exit file stays until the next start or the removal: the engine may be killed before it has noted the exit.
 */

import { execFile } from 'node:child_process'
import { constants, watch, type FSWatcher } from 'node:fs'
import { access, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { fault } from '../base/index.ts'
import { KernelError, SeqpacketSocket } from '../kernel/index.ts'
import { cgroupProcesses, isFrozen, removeCgroups, prepareMigration } from './cgroup.ts'
import { conmonPid, killConmon, launchConmon } from './conmon.ts'
import { startExec } from './exec.ts'
import { readLog, type LogSource } from './logs.ts'
import { runtimeFault } from './messages.ts'
import { userMounts } from './mounts.ts'
import { serializeOci } from './oci.ts'
import { Paths, shortId } from './paths.ts'
import { probeHost, probeRuntime } from './probe.ts'
import { eventually, isAlive, observeProcess, signalProcess } from './process.ts'
import { readRooted } from './rooted.ts'
import { gatherDevices, mountRootfs, mountSharedMemory, prepareMounts, removeMount } from './rootfs.ts'
import { buildSpec, execProcess, type HostFacts } from './spec.ts'
import type {
  ContainerFiles,
  ContainerSettings,
  ExecProcess,
  ExecSpec,
  ExitStatus,
  Id,
  LogLine,
  LogOptions,
  OutputChunk,
  RunningProcess,
  RunSpec,
  Runtime,
  RuntimeInfo,
} from './types.ts'
import { resolveUser, type UserIds } from './user.ts'

const run = promisify(execFile)

const accountFileLimit = 1024 * 1024
const createTimeoutMs = 10_000
const lastOutputMs = 5000
const exitFileMs = 2000
const conmonGoneMs = 2000
/** A frozen process of cgroup version 1 does not die before it thaws. */
const processGoneMs = 1000
const killed = 137
/** What Docker records when nobody knows how a container ended. */
const unknownExit = 255
const SIGKILL = 9
const runtimeTimeoutMs = 30_000
/** First byte of conmon's attach packets. */
const stdoutPacket = 2
const stderrPacket = 3

type Listener = (chunk: OutputChunk | 'end') => void

/** container.json of a bundle: what an engine that did not start the container needs to know. */
interface BundleRecord {
  readonly id: Id
  readonly name: string
}

interface Live extends BundleRecord {
  readonly bundle: string
  readonly process: RunningProcess
  socket: SeqpacketSocket | undefined
  /** Settled when conmon has closed the attach socket. */
  output: Promise<void>
  paused: boolean
  ending: boolean
}

/** Probes the host and opens the directories; missing programs are faults that name the package. */
export async function openRuntime(settings: ContainerSettings): Promise<Runtime> {
  const paths = new Paths(settings)
  const [info, host] = await Promise.all([
    probeRuntime(settings.runtime),
    probeHost(),
    mkdir(paths.containers, { recursive: true, mode: 0o711 }),
    ...[paths.bundles, paths.exits, paths.runtimeState, paths.execs].map(path =>
      mkdir(path, { recursive: true, mode: 0o700 }),
    ),
  ])
  return new ConmonRuntime(paths, info, host)
}

class ConmonRuntime implements Runtime {
  readonly info: RuntimeInfo
  readonly #paths: Paths
  readonly #conmon: string
  readonly #host: HostFacts
  readonly #live = new Map<Id, Live>()
  /** Work behind the answer, by container: the next create, remove or discard waits for it. */
  readonly #cleanups = new Map<Id, Promise<void>>()
  readonly #listeners = new Map<Id, Set<Listener>>()
  readonly #exitListeners: ((id: Id, exit: ExitStatus) => void)[] = []
  readonly #exitWatcher: FSWatcher

  constructor(paths: Paths, info: RuntimeInfo & { readonly conmonPath: string }, host: HostFacts) {
    const { conmonPath, ...rest } = info
    this.info = rest
    this.#paths = paths
    this.#conmon = conmonPath
    this.#host = host
    this.#exitWatcher = watch(paths.exits, (_, name) => {
      const live = this.#live.get(name ?? '')
      if (live !== undefined) this.#ended(live)
    })
    // The watch can only fail if the directory goes, and then the closing attach socket still tells.
    this.#exitWatcher.on('error', () => undefined)
  }

  async files(id: Id): Promise<ContainerFiles> {
    await mkdir(this.#paths.container(id), { recursive: true, mode: 0o711 })
    return this.#paths.files(id)
  }

  // Starting

  async create(spec: RunSpec): Promise<RunningProcess> {
    const { id, name, config } = spec
    if (this.#live.has(id)) throw fault('conflict', `container ${id} is already running`)
    void prepareMigration()
    await this.#cleanups.get(id)
    const bundle = this.#paths.bundle(id)
    try {
      await this.#clearRemains(id)
      await rm(this.#paths.exit(id), { force: true })
      await this.files(id)
      await mkdir(bundle, { mode: 0o700 })
      await writeFile(join(bundle, 'container.json'), JSON.stringify({ id, name } satisfies BundleRecord))
      await this.#writeConfig(spec, bundle)
      const pid = await launchConmon({
        conmon: this.#conmon,
        runtime: this.info,
        runtimeState: this.#paths.runtimeState,
        systemdCgroup: this.#host.systemdCgroup,
        id,
        name,
        bundle,
        exits: this.#paths.exits,
        log: logType(spec) === 'none' ? undefined : this.#paths.log(id),
        terminal: config.Tty,
        stdin: config.OpenStdin,
        leaveStdinOpen: config.Tty || !config.StdinOnce,
        program: config.Entrypoint?.[0] ?? config.Cmd?.[0] ?? '',
        timeoutMs: createTimeoutMs,
      })
      const process = await observeProcess(pid)
      if (process === undefined) throw fault('internal', `container ${id} ended before it was started`)
      await this.#follow({ id, name, bundle, process })
      return process
    } catch (error) {
      await this.#abandon(id)
      throw error
    }
  }

  async #writeConfig(spec: RunSpec, bundle: string): Promise<void> {
    const { config, hostConfig } = spec
    const wanted = userMounts(config, hostConfig)
    const rootfs = await mountRootfs(this.#paths, spec)
    // One after the other: a step that fails must not leave another one at work on what is being cleared.
    const user = await this.#user(config.User, hostConfig['GroupAdd'], rootfs)
    const devices = await gatherDevices(hostConfig)
    const mounts = await prepareMounts(this.#paths, spec, rootfs, wanted)
    const shm = await this.#sharedMemory(spec, bundle)
    const oci = buildSpec(
      {
        run: spec,
        rootfs,
        files: this.#paths.files(spec.filesOf ?? spec.id),
        user,
        mounts,
        devices,
        shm,
        join: this.#joined(spec),
      },
      this.#host,
    )
    await writeFile(join(bundle, 'config.json'), serializeOci(oci), { mode: 0o600 })
  }

  async #user(name: string, groupAdd: unknown, root: string): Promise<UserIds> {
    const [passwd, group] = await Promise.all(
      ['etc/passwd', 'etc/group'].map(path => readRooted(root, path, accountFileLimit)),
    )
    const extra = Array.isArray(groupAdd) ? groupAdd.map(String) : []
    return resolveUser(name, passwd ?? '', group ?? '', extra)
  }

  #joined({ hostConfig }: RunSpec): { readonly pid?: string; readonly ipc?: string } {
    const namespace = (mode: string, kind: string): string | undefined => {
      const term = /^container:(.+)$/.exec(mode)?.[1]
      return term === undefined ? undefined : `/proc/${String(this.#find(term).process.pid)}/ns/${kind}`
    }
    const pid = namespace(hostConfig.PidMode, 'pid')
    const ipc = namespace(hostConfig.IpcMode, 'ipc')
    return { ...(pid === undefined ? {} : { pid }), ...(ipc === undefined ? {} : { ipc }) }
  }

  async #sharedMemory({ hostConfig }: RunSpec, bundle: string): Promise<string | undefined> {
    const { IpcMode, ShmSize } = hostConfig
    if (IpcMode === 'host') return '/dev/shm'
    if (IpcMode === 'shareable') {
      await mountSharedMemory(join(bundle, 'shm'), ShmSize)
      return join(bundle, 'shm')
    }
    const term = /^container:(.+)$/.exec(IpcMode)?.[1]
    if (term === undefined) return undefined
    const shared = join(this.#find(term).bundle, 'shm')
    if (!(await exists(shared))) {
      throw fault(
        'conflict',
        `cannot join IPC of a container ${term}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      )
    }
    return shared
  }

  /** A running container by id, prefix of an id, or name. */
  #find(term: string): Live {
    const all = [...this.#live.values()]
    const found =
      all.find(one => one.id === term || one.name === term) ?? all.find(one => one.id.startsWith(term))
    if (found === undefined)
      throw fault('conflict', `cannot join namespace of a non running container: ${term}`)
    return found
  }

  async start(id: Id): Promise<void> {
    this.#running(id)
    try {
      await this.#runtime('start', id)
    } catch (error) {
      await this.#abandon(id)
      throw runtimeFault('start', this.info.name, '', outputOf(error))
    }
  }

  /** Clears a start that failed. The caller never saw it run: it hears of the failure, not of an exit. */
  async #abandon(id: Id): Promise<void> {
    const live = this.#live.get(id)
    if (live !== undefined) live.ending = true
    live?.socket?.close()
    this.#live.delete(id)
    // What fails here is tried again by the next create, remove or discard; the first error is the one to tell.
    await this.#clearRemains(id).catch(() => undefined)
    this.#endOutput(id)
  }

  // Following

  /** Attaches to a container and notices its end, also one that has come already. */
  async #follow(found: Pick<Live, 'id' | 'name' | 'bundle' | 'process'>): Promise<void> {
    let closed = (): void => undefined
    const output = new Promise<void>(resolve => {
      closed = resolve
    })
    const live: Live = { ...found, output, socket: undefined, paused: false, ending: false }
    live.socket = await SeqpacketSocket.connect(join(live.bundle, 'attach'), {
      packet: data => this.#publish(live.id, data),
      end: () => {
        closed()
        void this.#conmonGone(live)
      },
    })
    this.#live.set(live.id, live)
    if (await exists(this.#paths.exit(live.id))) this.#ended(live)
  }

  #publish(id: Id, packet: Buffer): void {
    const kind = packet[0]
    if (packet.length < 2 || (kind !== stdoutPacket && kind !== stderrPacket)) return
    const chunk: OutputChunk = {
      stream: kind === stdoutPacket ? 'stdout' : 'stderr',
      data: packet.subarray(1),
    }
    for (const listener of this.#listeners.get(id) ?? []) listener(chunk)
  }

  #endOutput(id: Id): void {
    const listeners = this.#listeners.get(id)
    this.#listeners.delete(id)
    for (const listener of listeners ?? []) listener('end')
  }

  /** conmon closes the attach socket when it goes, which is normally behind the exit file. */
  async #conmonGone(live: Live): Promise<void> {
    await eventually(
      async () =>
        live.ending ||
        (await exists(this.#paths.exit(live.id))) ||
        (await conmonPid(live.bundle)) === undefined,
      exitFileMs,
    )
    // Somebody killed conmon: nobody reads the container's output or its exit code any more, so it ends as well.
    if (!live.ending && !(await exists(this.#paths.exit(live.id)))) await endProcess(live.process)
    this.#ended(live)
  }

  #ended(live: Live): void {
    if (live.ending) return
    live.ending = true
    void this.#finish(live)
  }

  async #finish(live: Live): Promise<void> {
    const { id, bundle } = live
    await Promise.race([live.output, delay(lastOutputMs, undefined, { ref: false })])
    live.socket?.close()
    const exit = (await this.#exitStatus(id)) ?? exitNow(killed)
    this.#live.delete(id)
    this.#endOutput(id)
    // What fails here is tried again by the next create, remove or discard.
    await removeMount(join(bundle, 'rootfs')).catch(() => undefined)
    const cleanup = this.#clearRemains(id).catch(() => undefined)
    this.#cleanups.set(id, cleanup)
    void cleanup.then(() => this.#cleanups.delete(id))
    for (const listener of this.#exitListeners) listener(id, exit)
  }

  /** What conmon wrote; undefined if it did not. */
  async #exitStatus(id: Id): Promise<ExitStatus | undefined> {
    try {
      const path = this.#paths.exit(id)
      const [text, { mtimeNs }, oomKilled] = await Promise.all([
        readFile(path, 'utf8'),
        stat(path, { bigint: true }),
        exists(join(this.#paths.bundle(id), 'oom')),
      ])
      return { exitCode: Number(text), oomKilled, finishedAt: timestamp(mtimeNs) }
    } catch {
      return undefined
    }
  }

  /** Ends and removes whatever there is of a run, in whatever state. The exit file stays. Idempotent. */
  async #clearRemains(id: Id): Promise<void> {
    const bundle = this.#paths.bundle(id)
    const state = join(this.#paths.runtimeState, id)
    if (!(await exists(bundle)) && !(await exists(state))) return
    // Without state a runtime is still at it, or nothing was made; both end with conmon and its children.
    if (!(await exists(state))) await killConmon(bundle)
    // Directly: a runtime's forced delete sleeps 100 ms between its looks.
    const init = await bundleProcess(bundle, id)
    if (init !== undefined) await endProcess(init)
    try {
      if (await exists(state)) await this.#runtime('delete', '--force', id)
    } catch {
      // Half-made state is refused by the runtimes themselves.
      await rm(state, { recursive: true, force: true })
    }
    await removeCgroups(id)
    if (!(await eventually(async () => (await conmonPid(bundle)) === undefined, conmonGoneMs))) {
      await killConmon(bundle)
    }
    for (const name of ['rootfs', 'shm']) await removeMount(join(bundle, name))
    await rm(bundle, { recursive: true, force: true })
  }

  onExit(listener: (id: Id, exit: ExitStatus) => void): void {
    this.#exitListeners.push(listener)
  }

  // Running containers

  #running(id: Id): Live {
    const live = this.#live.get(id)
    if (live === undefined || live.ending) throw fault('containerNotRunning', id)
    return live
  }

  #runtimeOptions(): readonly string[] {
    return [`--root=${this.#paths.runtimeState}`, ...(this.#host.systemdCgroup ? ['--systemd-cgroup'] : [])]
  }

  async #runtime(...args: readonly string[]): Promise<void> {
    await run(this.info.path, [...this.#runtimeOptions(), ...args], {
      timeout: runtimeTimeoutMs,
      killSignal: 'SIGKILL',
    })
  }

  async kill(id: Id, signal: number): Promise<void> {
    const live = this.#live.get(id)
    if (live === undefined || live.ending || !(await isAlive(live.process))) return
    signalProcess(live.process.pid, signal)
    // A frozen process of version 1 dies only once it thaws.
    if (signal === SIGKILL && live.paused) await this.resume(id)
  }

  async pause(id: Id): Promise<void> {
    const live = this.#running(id)
    await this.#runtime('pause', id)
    live.paused = true
  }

  async resume(id: Id): Promise<void> {
    const live = this.#running(id)
    await this.#runtime('resume', id)
    live.paused = false
  }

  subscribe(id: Id, listener: Listener): () => void {
    const listeners = this.#listeners.get(id) ?? new Set()
    this.#listeners.set(id, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id)
    }
  }

  async writeStdin(id: Id, data: Buffer): Promise<void> {
    try {
      await this.#live.get(id)?.socket?.write(data)
    } catch (error) {
      // As with any pipe whose reader is gone, except that nobody is told: the exit says it all.
      if (!(error instanceof KernelError)) throw error
    }
  }

  closeStdin(id: Id): void {
    this.#live.get(id)?.socket?.end()
  }

  async resize(id: Id, rows: number, columns: number): Promise<void> {
    const { bundle } = this.#running(id)
    // Non-blocking, or it would wait for a reader if conmon has gone.
    const control = await open(join(bundle, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK)
    try {
      await control.writeFile(`1 ${String(rows)} ${String(columns)}\n`)
    } finally {
      await control.close()
    }
  }

  logs(id: Id, options: LogOptions): AsyncIterable<LogLine> {
    const source = options.follow && this.#live.has(id) ? this.#logSource(id, options.until) : undefined
    return readLog(this.#paths.log(id), options, source)
  }

  /** conmon writes the log before it passes the output on, so output is the sign that the log has grown. */
  #logSource(id: Id, until: bigint | undefined): LogSource {
    let grown = false
    let ended = false
    let wake = (): void => undefined
    const unsubscribe = this.subscribe(id, chunk => {
      grown = true
      ended ||= chunk === 'end'
      wake()
    })
    const remaining = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now()
    const timer =
      remaining === undefined
        ? undefined
        : setTimeout(
            () => {
              ended = true
              wake()
            },
            Math.min(Math.max(remaining, 0), 2 ** 31 - 1),
          )
    return {
      next: async () => {
        if (!grown && !ended) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
        grown = false
        return ended
      },
      close: () => {
        unsubscribe()
        clearTimeout(timer)
      },
    }
  }

  async exec(containerId: Id, spec: ExecSpec, container: RunSpec): Promise<ExecProcess> {
    const live = this.#running(containerId)
    const root = `/proc/${String(live.process.pid)}/root`
    const user = await this.#user(spec.user || container.config.User, container.hostConfig['GroupAdd'], root)
    return startExec({
      runtime: this.info,
      runtimeOptions: this.#runtimeOptions(),
      directory: this.#paths.execs,
      containerId,
      spec,
      process: execProcess(spec, container, user, this.#host),
    })
  }

  async processes(id: Id): Promise<readonly number[]> {
    return cgroupProcesses(this.#running(id).process.pid)
  }

  // After a restart, and at the end

  async adopt(id: Id, process: RunningProcess, _tty: boolean): Promise<RunningProcess | ExitStatus> {
    const bundle = this.#paths.bundle(id)
    const record = await readRecord(bundle)
    const followed =
      record?.id === id &&
      !(await exists(this.#paths.exit(id))) &&
      (await isAlive(process)) &&
      (await this.#follow({ id, name: record.name, bundle, process }).then(
        () => true,
        () => false,
      ))
    if (!followed) {
      // Alive without conmon: nobody reads its output. Dead with conmon: the exit file is about to come.
      await endProcess(process)
      await eventually(
        async () => (await exists(this.#paths.exit(id))) || (await conmonPid(bundle)) === undefined,
        exitFileMs,
      )
      const exit = (await this.#exitStatus(id)) ?? exitNow(record === undefined ? unknownExit : killed)
      await this.#clearRemains(id)
      return exit
    }
    const live = this.#live.get(id)
    if (live !== undefined) live.paused = await isFrozen(process.pid)
    // The engine was killed between create and start, and had noted it as running.
    if (await exists(join(this.#paths.runtimeState, id, 'exec.fifo'))) await this.start(id)
    return process
  }

  async discard(id: Id): Promise<void> {
    await this.#cleanups.get(id)
    if (this.#live.has(id)) await this.#abandon(id)
    await this.#clearRemains(id)
    await rm(this.#paths.exit(id), { force: true })
  }

  async remove(id: Id): Promise<void> {
    if (this.#live.has(id)) throw fault('conflict', `container ${id} is running`)
    await this.discard(id)
    await rm(this.#paths.container(id), { recursive: true, force: true })
  }

  async sweep(known: ReadonlySet<Id>): Promise<void> {
    const unknown = new Set<Id>()
    const consider = (ids: readonly string[]): void => {
      // Nothing but ids: crun keeps a cache beside its containers.
      for (const id of ids) if (isId(id) && !known.has(id) && !this.#live.has(id)) unknown.add(id)
    }
    const shorts = new Set([...known, ...this.#live.keys()].map(shortId))
    for (const name of await readdir(this.#paths.bundles)) {
      if (shorts.has(name)) continue
      // Killed before the record was written: the directory's name is all there is, and all that is needed.
      unknown.add((await readRecord(join(this.#paths.bundles, name)))?.id ?? name)
    }
    consider(await readdir(this.#paths.runtimeState))
    consider(await readdir(this.#paths.exits))
    consider(await readdir(this.#paths.containers))
    for (const id of unknown) await this.remove(id)
    for (const name of await readdir(this.#paths.execs))
      await rm(join(this.#paths.execs, name), { force: true })
  }

  async close(): Promise<void> {
    this.#exitWatcher.close()
    await Promise.all(this.#cleanups.values())
    for (const { socket } of this.#live.values()) socket?.close()
    this.#live.clear()
  }
}

/** SIGKILL, and until it is gone. */
async function endProcess(process: RunningProcess): Promise<void> {
  if (!(await isAlive(process))) return
  signalProcess(process.pid, SIGKILL)
  await eventually(async () => !(await isAlive(process)), processGoneMs)
}

/** The container's first process by its pid file, if it is really in the container's cgroup. */
async function bundleProcess(bundle: string, id: Id): Promise<RunningProcess | undefined> {
  try {
    const pid = Number(await readFile(join(bundle, 'pid'), 'utf8'))
    const cgroups = await readFile(`/proc/${String(pid)}/cgroup`, 'utf8')
    return cgroups.includes(id) ? await observeProcess(pid) : undefined
  } catch {
    return undefined
  }
}

async function readRecord(bundle: string): Promise<BundleRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(bundle, 'container.json'), 'utf8')) as BundleRecord
  } catch {
    return undefined
  }
}

function isId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name)
}

function logType({ hostConfig }: RunSpec): string {
  return (hostConfig['LogConfig'] as { readonly Type?: string } | undefined)?.Type ?? ''
}

function exitNow(exitCode: number): ExitStatus {
  return { exitCode, oomKilled: false, finishedAt: timestamp(BigInt(Date.now()) * 1_000_000n) }
}

/** RFC 3339 with nanoseconds. */
function timestamp(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19)
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}Z`
}

function outputOf(error: unknown): string {
  const { stderr, message } = error as { readonly stderr?: string; readonly message?: string }
  return stderr || message || ''
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
