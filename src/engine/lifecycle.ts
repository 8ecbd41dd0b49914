/**
 * From start to end of a container: network and process are joined here and nowhere else. The namespace is complete
 * before the process starts, and is given up after it is gone. What policies restart is restarted here.
 */
import { fault, wrapFault } from '../base/index.ts'
import { type ExitStatus, type RunningProcess, type RunSpec, startExitCode } from '../container/index.ts'
import type { Id } from '../network/index.ts'
import type { ContainerRecords } from './container-records.ts'
import type { Core } from './core.ts'
import { nowNanoseconds, timestamp } from './events.ts'
import type { Files } from './files.ts'
import type { Joining } from './joining.ts'
import { containerEnvironment, linkLines } from './links.ts'
import { networkModeOf } from './network-mode.ts'
import { type Container, type ContainerState, isUp, never } from './records.ts'
import { restartDelay } from './restart-policy.ts'
import { Streams } from './streams.ts'
import { Waiters } from './waiters.ts'

/** Where a start gets its network namespace from. */
interface Namespace {
  /** Absent = the host's. */
  readonly path: string | undefined
  /** Name of a namespace made for this start; absent if it is shared or the host's. */
  readonly own: string | undefined
}

export class Lifecycle {
  readonly streams = new Streams()
  readonly waiters = new Waiters()
  readonly #core: Core
  readonly #records: ContainerRecords
  readonly #joining: Joining
  readonly #files: Files
  /** Ends the runtime's delivery of a container's output. */
  readonly #subscriptions = new Map<Id, () => void>()
  /** Containers whose policy will start them again. */
  readonly #restarts = new Map<Id, NodeJS.Timeout>()
  /** Delay of the last restart by policy, for the back-off. */
  readonly #lastDelay = new Map<Id, number>()
  #closing = false

  constructor(core: Core, records: ContainerRecords, joining: Joining, files: Files) {
    this.#core = core
    this.#records = records
    this.#joining = joining
    this.#files = files
    core.runtime.onExit((id, exit) => {
      this.#handleExit(id, exit).catch((error: unknown) =>
        core.log.error({ err: error, container: id }, 'cleaning up after a container failed'),
      )
    })
  }

  /**
   * After a restart of the engine: what was running is taken up, what ended meanwhile is finished, what was half-way
   * is put back. The namespaces are not touched here; reconciliation follows.
   */
  async recover(): Promise<void> {
    const { state, runtime } = this.#core
    await runtime.sweep(new Set(state.containers.keys()))
    for (const container of state.containers.values()) {
      const { process } = container.state
      if (!isUp(container) || process === undefined) {
        await this.#recoverStopped(container)
        continue
      }
      const found = await runtime.adopt(container.id, process, container.config.Tty)
      if ('exitCode' in found) await this.#finish(container, found)
      else {
        this.#subscribe(container.id)
        this.#openInput(container.id)
      }
    }
  }

  /** Starts what its policy wants running; called once the network stands. */
  async startByPolicy(): Promise<void> {
    for (const container of this.#core.state.containers.values()) {
      const { Name } = container.hostConfig.RestartPolicy
      const wanted = Name === 'always' || (Name === 'unless-stopped' && !container.stoppedByUser)
      if (!wanted || isUp(container) || container.state.status === 'created') continue
      await this.#core
        .withContainer(container.id, () => this.start(container, 0))
        .catch((error: unknown) =>
          this.#core.log.warn({ err: error, container: container.id }, 'restarting by policy failed'),
        )
    }
  }

  close(): void {
    this.#closing = true
    for (const timer of this.#restarts.values()) clearTimeout(timer)
  }

  /** Starts it, under the container's own queue. Undone as a whole if a step fails. */
  async start(container: Container, restartCount: number): Promise<void> {
    const { id } = container
    let namespace: Namespace | undefined
    try {
      await this.#checkLinks(container)
      namespace = await this.#namespaceFor(container)
      // Listening before the process exists loses nothing of its output; its stdin is there once it does.
      this.#subscribe(id)
      const process = await this.#createJoined(container, namespace)
      const joined = this.#records.current(id)
      this.#openInput(id)
      const startedAt = timestamp()
      await this.#core.change(() => ({
        containers: {
          put: [
            {
              ...this.#records.current(id),
              restartCount,
              stoppedByUser: false,
              state: {
                status: 'running',
                process,
                exitCode: 0,
                oomKilled: false,
                error: '',
                startedAt,
                finishedAt: never,
              },
            },
          ],
        },
      }))
      for (const membership of joined.memberships)
        this.#records.emitNetwork('connect', membership.networkId, id)
      await this.#core.runtime.start(id)
      await this.#files.relink(joined)
      this.#records.emit(this.#records.current(id), 'start')
    } catch (error) {
      await this.#abandon(container, namespace, error)
      throw error
    }
  }

  /**
   * The runtime makes the process, which waits to be started, while the namespace it will live in is furnished: each
   * takes its time and neither needs the other. When it starts its network and its files are complete.
   */
  async #createJoined(container: Container, namespace: Namespace): Promise<RunningProcess> {
    const ownFiles = networkModeOf(container).kind !== 'container'
    const join = async () => {
      await this.#joinNetworks(container, namespace)
      if (ownFiles) await this.#files.write(this.#records.current(container.id))
    }
    const create = () => this.#core.runtime.create(this.runSpec(container, namespace.path))
    // The runtime sets these itself, and they may be about an interface.
    const needsInterfaces = Object.keys(container.hostConfig.Sysctls ?? {}).some(key =>
      key.startsWith('net.'),
    )
    if (needsInterfaces) {
      await join()
      return await create()
    }
    if (ownFiles) await this.#files.prepare(container)
    const [joined, created] = await Promise.allSettled([join(), create()])
    if (joined.status === 'rejected') throw joined.reason
    if (created.status === 'rejected') throw created.reason
    return created.value
  }

  async #namespaceFor(container: Container): Promise<Namespace> {
    const mode = networkModeOf(container)
    if (mode.kind === 'host') return { path: undefined, own: undefined }
    if (mode.kind === 'container') return { path: this.#joinedPath(mode.container), own: undefined }
    const { name, path } = await this.#core.applier.takeNamespace()
    return { path, own: name }
  }

  /** The namespace of the container that another one joins; undefined = that one is in the host's. */
  #joinedPath(term: string): string | undefined {
    const target = this.#core.state.findContainer(term)
    if (!isUp(target)) throw fault('joinNotRunning', target.id)
    const mode = networkModeOf(target)
    if (mode.kind === 'host') return undefined
    if (mode.kind === 'container') return this.#joinedPath(mode.container)
    return `/proc/${target.state.process?.pid ?? 0}/ns/net`
  }

  /** The container whose files everybody in that namespace sees. */
  #filesOwner(term: string): Id {
    const target = this.#core.state.findContainer(term)
    const mode = networkModeOf(target)
    return mode.kind === 'container' ? this.#filesOwner(mode.container) : target.id
  }

  async #joinNetworks(container: Container, namespace: Namespace): Promise<void> {
    const mode = networkModeOf(container)
    if (mode.kind === 'container') return
    try {
      await this.#joining.retryingBusyPorts(container, () =>
        this.#core.change(() => {
          const { memberships, ...change } = this.#joining.join(container, namespace.own)
          return { ...change, containers: { put: [{ ...this.#records.current(container.id), memberships }] } }
        }),
      )
    } catch (error) {
      throw wrapFault('failed to set up container networking', error)
    }
  }

  /** A link on the default bridge needs its target to run: it is an address in a file. */
  async #checkLinks(container: Container): Promise<void> {
    for (const [alias, id] of Object.entries(container.links)) {
      const target = this.#core.state.containers.get(id)
      if (target === undefined || !isUp(target)) {
        throw fault('linkNotRunning', `/${target?.name ?? id}`, `/${container.name}/${alias}`)
      }
    }
  }

  /** Everything the container side needs to run it; an exec in it needs no namespace path. */
  runSpec(container: Container, netnsPath?: string): RunSpec {
    const mode = networkModeOf(container)
    const { config, hostConfig } = container
    const sharesHost = mode.kind === 'host' && hostConfig.UTSMode !== ''
    return {
      id: container.id,
      name: container.name,
      config,
      hostConfig,
      imageId: container.imageId,
      ...(netnsPath === undefined ? {} : { netnsPath }),
      ...(sharesHost ? {} : { hostname: config.Hostname }),
      ...(mode.kind === 'container' ? { filesOf: this.#filesOwner(mode.container) } : {}),
      env: containerEnvironment(container, linkLines(this.#core.state, container)),
      sysctls: hostConfig.Sysctls ?? {},
    }
  }

  /** Undoes a start that failed, and lets everybody who waits for it know. */
  async #abandon(container: Container, namespace: Namespace | undefined, error: unknown): Promise<void> {
    const { id } = container
    const message = error instanceof Error ? error.message : String(error)
    await this.#core.runtime.discard(id)
    const sandbox = this.#core.state.sandboxOf(id)
    if (sandbox === undefined && namespace?.own !== undefined)
      this.#core.applier.discardNamespace(namespace.own)
    const exitCode = startExitCode(message)
    await this.#core.change(() => ({
      ...(sandbox === undefined ? {} : this.#joining.leave(sandbox)),
      containers: {
        put: [
          {
            ...this.#records.current(id),
            state: { ...container.state, ...noProcess, status: 'created', exitCode, error: message },
          },
        ],
      },
    }))
    this.#endStreams(id)
    // Who waits for the next exit goes on waiting: there was no run. With AutoRemove the removal ends the wait.
    if (container.hostConfig.AutoRemove) await this.remove(id)
  }

  #subscribe(id: Id): void {
    const unsubscribe = this.#core.runtime.subscribe(id, chunk => {
      if (chunk === 'end') this.#endStreams(id)
      else this.streams.publish(id, chunk)
    })
    this.#subscriptions.set(id, unsubscribe)
  }

  #openInput(id: Id): void {
    const { runtime } = this.#core
    this.streams.open(id, {
      write: data => runtime.writeStdin(id, data),
      close: () => runtime.closeStdin(id),
    })
  }

  #endStreams(id: Id): void {
    this.#subscriptions.get(id)?.()
    this.#subscriptions.delete(id)
    this.streams.end(id)
  }

  async #handleExit(id: Id, exit: ExitStatus): Promise<void> {
    await this.#core.withContainer(id, async () => {
      const container = this.#core.state.containers.get(id)
      if (container !== undefined && isUp(container)) await this.#finish(container, exit)
    })
  }

  async #finish(container: Container, exit: ExitStatus): Promise<void> {
    const { id } = container
    const { sandbox, networks } = await this.#core.write(() => {
      const sandbox = this.#core.state.sandboxOf(id)
      const networks =
        sandbox === undefined ? [] : this.#core.state.endpointsOfSandbox(sandbox.id).map(e => e.networkId)
      const state = { ...this.#records.current(id).state, ...noProcess, status: 'exited' as const, ...exit }
      return {
        change: {
          ...(sandbox === undefined ? {} : this.#joining.leave(sandbox)),
          containers: { put: [{ ...this.#records.current(id), state }] },
        },
        result: { sandbox, networks },
      }
    })
    const ended = this.#records.current(id)
    this.#records.emit(ended, 'die', {
      exitCode: String(exit.exitCode),
      execDuration: executionSeconds(ended.state),
    })
    if (sandbox !== undefined)
      for (const network of networks) this.#records.emitNetwork('disconnect', network, id)
    const restarting = await this.#scheduleRestart(ended)
    this.#endStreams(id)
    this.waiters.settle(id, 'exit', { exitCode: exit.exitCode, error: '' })
    if (!restarting && container.hostConfig.AutoRemove) await this.remove(id)
  }

  async #scheduleRestart(container: Container): Promise<boolean> {
    const { id, state } = container
    const delayMs = restartDelay(container.hostConfig.RestartPolicy, {
      exitCode: state.exitCode,
      stoppedByUser: container.stoppedByUser,
      ranMs: Date.parse(state.finishedAt) - Date.parse(state.startedAt),
      restarts: container.restartCount,
      lastDelayMs: this.#lastDelay.get(id) ?? 0,
    })
    if (delayMs === undefined || this.#closing) return false
    await this.#records.update(id, {}, { status: 'restarting' })
    this.#lastDelay.set(id, delayMs)
    const timer = setTimeout(() => {
      this.#restarts.delete(id)
      this.#core
        .withContainer(id, async () => {
          const current = this.#core.state.containers.get(id)
          if (current?.state.status === 'restarting') await this.start(current, current.restartCount + 1)
        })
        .catch((error: unknown) =>
          this.#core.log.warn({ err: error, container: id }, 'restarting by policy failed'),
        )
    }, delayMs)
    this.#restarts.set(id, timer)
    return true
  }

  /** No restart by policy any more, and the back-off begins anew. True if one was pending. */
  cancelRestart(id: Id): boolean {
    this.#lastDelay.delete(id)
    const pending = this.#restarts.get(id)
    if (pending === undefined) return false
    clearTimeout(pending)
    this.#restarts.delete(id)
    return true
  }

  /** Removes a container that does not run, and everything of it. */
  async remove(id: Id): Promise<void> {
    const container = this.#core.state.containers.get(id)
    if (container === undefined) return
    await this.#core.runtime.remove(id)
    await this.#core.change(() => ({ containers: { drop: [id] } }))
    this.#endStreams(id)
    this.#lastDelay.delete(id)
    this.#records.emit(container, 'destroy')
    const result = { exitCode: container.state.exitCode, error: '' }
    this.waiters.settle(id, 'exit', result)
    this.waiters.settle(id, 'removed', result)
  }

  async #recoverStopped(container: Container): Promise<void> {
    const { runtime, state } = this.#core
    await runtime.discard(container.id)
    const sandbox = state.sandboxOf(container.id)
    const restarting = container.state.status === 'restarting'
    if (sandbox === undefined && !restarting) return
    await this.#core.change(() => ({
      ...(sandbox === undefined ? {} : this.#joining.leave(sandbox)),
      containers: {
        put: [
          {
            ...container,
            state: { ...container.state, status: restarting ? 'exited' : container.state.status },
          },
        ],
      },
    }))
  }
}

/** Takes the process out of a state record. */
const noProcess = { process: undefined }

function executionSeconds({ startedAt }: ContainerState): string {
  return String(Math.max(0, Math.round((Number(nowNanoseconds()) / 1e6 - Date.parse(startedAt)) / 1000)))
}
