/**
 * A container's life: create, start, stop, remove, and what happens when its process ends. Network and process are
 * joined here and nowhere else: the namespace is complete before the process exists, and is given up after it is gone.
 */
import { Fault, fault, wrapFault } from '../base/index.ts'
import type { ExitStatus, LogLine, LogOptions, RunSpec } from '../container/index.ts'
import type { EndpointRequest, Id } from '../network/index.ts'
import type { Core } from './core.ts'
import { checkName, containerFromRequest } from './create-container.ts'
import { nowNanoseconds, timestamp } from './events.ts'
import type { Files } from './files.ts'
import type { Joining } from './joining.ts'
import { containerEnvironment, linkLines } from './links.ts'
import { randomId, randomName } from './names.ts'
import { checkConnectable, networkModeOf } from './network-mode.ts'
import { type Container, type ContainerState, isUp, never } from './records.ts'
import { restartDelay } from './restart-policy.ts'
import { signalNumber } from './signals.ts'
import type { StateChange } from './state.ts'
import { Streams } from './streams.ts'
import type { Attachment, CreateContainerRequest, WaitCondition, WaitResult } from './types.ts'
import { Waiters } from './waiters.ts'

const defaultStopSeconds = 10
const sigkill = 9
/** How long a killed process may take to be reaped and cleaned up before the client is told so. */
const killedWithinMs = 10_000

/** Where a start gets its network namespace from. */
interface Namespace {
  /** Absent = the host's. */
  readonly path: string | undefined
  /** Name of a namespace made for this start; absent if it is shared or the host's. */
  readonly own: string | undefined
}

export class Containers {
  readonly #core: Core
  readonly #joining: Joining
  readonly #files: Files
  readonly #streams = new Streams()
  readonly #waiters = new Waiters()
  /** Ends the runtime's delivery of a container's output. */
  readonly #subscriptions = new Map<Id, () => void>()
  /** Containers whose policy will start them again: timer and the delay it has. */
  readonly #restarts = new Map<Id, { readonly timer: NodeJS.Timeout; readonly delayMs: number }>()
  /** Delay of the last restart by policy, for the back-off. */
  readonly #lastDelay = new Map<Id, number>()
  #closing = false

  constructor(core: Core, joining: Joining, files: Files) {
    this.#core = core
    this.#joining = joining
    this.#files = files
    core.runtime.onExit((id, exit) => {
      this.#handleExit(id, exit).catch((error: unknown) =>
        core.log.error({ err: error, container: id }, 'cleaning up after a container failed'),
      )
    })
  }

  async create(
    request: CreateContainerRequest,
  ): Promise<{ readonly id: Id; readonly warnings: readonly string[] }> {
    const { state } = this.#core
    const { container, warnings } = await this.#core.write(() => {
      const made = containerFromRequest(request, {
        id: randomId(),
        created: timestamp(),
        state,
        randomName: () => randomName(name => state.containerNamed(name) !== undefined),
      })
      return { change: { containers: { put: [made.container] } }, result: made }
    })
    this.#emit(container, 'create')
    return { id: container.id, warnings }
  }

  async start(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#current(id)
      if (container.state.status === 'running' || container.state.status === 'paused')
        throw fault('notModified')
      this.#cancelRestart(id)
      this.#lastDelay.delete(id)
      await this.#start(container, 0)
    })
  }

  async stop(term: string, timeout: number | undefined, signal: string | undefined): Promise<void> {
    const container = this.#core.state.findContainer(term)
    if (this.#cancelRestart(container.id)) {
      await this.#update(container.id, { stoppedByUser: true }, { status: 'exited' })
      return
    }
    if (!isUp(container)) throw fault('notModified')
    await this.#update(container.id, { stoppedByUser: true })
    await this.#terminate(container, timeout, signal)
    this.#emit(this.#current(container.id, container), 'stop')
  }

  async restart(term: string, timeout: number | undefined, signal: string | undefined): Promise<void> {
    const container = this.#core.state.findContainer(term)
    try {
      await this.stop(container.id, timeout, signal)
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'notModified') throw error
    }
    await this.start(container.id)
    this.#emit(this.#current(container.id), 'restart')
  }

  async kill(term: string, signal: string): Promise<void> {
    const container = this.#core.state.findContainer(term)
    const number = signalNumber(signal === '' ? 'KILL' : signal)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    await this.#core.runtime.kill(container.id, number)
    this.#emit(container, 'kill', { signal: String(number) })
    const stopSignal = signalNumber(container.config.StopSignal ?? 'TERM')
    if (number === sigkill || number === stopSignal) await this.#update(container.id, { stoppedByUser: true })
  }

  async pause(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#current(id)
      if (container.state.status === 'paused') throw fault('conflict', `Container ${id} is already paused`)
      if (container.state.status !== 'running') throw fault('containerNotRunning', id)
      await this.#core.runtime.pause(id)
      await this.#update(id, {}, { status: 'paused' })
      this.#emit(container, 'pause')
    })
  }

  async unpause(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#current(id)
      if (container.state.status !== 'paused') throw fault('internal', `Container ${id} is not paused`)
      await this.#core.runtime.resume(id)
      await this.#update(id, {}, { status: 'running' })
      this.#emit(container, 'unpause')
    })
  }

  async remove(term: string, { force }: { readonly force: boolean }): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    this.#cancelRestart(id)
    const container = this.#current(id)
    if (isUp(container)) {
      if (!force) throw fault('containerRunningRemove', container.name)
      await this.#update(id, { stoppedByUser: true })
      await this.#killAndWait(container)
    }
    await this.#core.withContainer(id, () => this.#removeStopped(id))
  }

  async rename(term: string, name: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    const newName = name.startsWith('/') ? name.slice(1) : name
    checkName(newName)
    const { old, container } = await this.#core.write(() => {
      const { state } = this.#core
      const old = this.#current(id)
      const holder = state.containerNamed(newName)
      if (holder !== undefined && holder.id !== id) throw fault('containerNameTaken', newName, holder.id)
      if (holder !== undefined) {
        throw fault('invalidParameter', 'Renaming a container with the same name as its current name')
      }
      const container = { ...old, name: newName }
      const sandbox = state.sandboxOf(id)
      const endpoints = sandbox === undefined ? [] : state.endpointsOfSandbox(sandbox.id)
      // The name is the first (canonical) of the endpoint's names on networks that have names.
      const renamed = endpoints.map(endpoint => ({
        ...endpoint,
        dnsNames:
          endpoint.dnsNames.length === 0
            ? []
            : [...new Set([newName, ...endpoint.dnsNames.filter(each => each !== old.name)])],
      }))
      return {
        change: { containers: { put: [container] }, endpoints: { put: renamed } },
        result: { old, container },
      }
    })
    this.#emit(container, 'rename', { oldName: `/${old.name}` })
  }

  async updateRestartPolicy(
    term: string,
    policy: Container['hostConfig']['RestartPolicy'] | undefined,
  ): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    if (policy !== undefined) {
      await this.#core.change(() => {
        const container = this.#current(id)
        return {
          containers: {
            put: [{ ...container, hostConfig: { ...container.hostConfig, RestartPolicy: policy } }],
          },
        }
      })
    }
    this.#emit(this.#current(id), 'update')
  }

  async prune(selects: (container: Container) => boolean): Promise<readonly Id[]> {
    const removed: Id[] = []
    for (const container of this.#core.state.containers.values()) {
      if (isUp(container) || container.state.status === 'restarting' || !selects(container)) continue
      try {
        await this.remove(container.id, { force: false })
        removed.push(container.id)
      } catch (error) {
        this.#core.log.warn({ err: error, container: container.id }, 'pruning a container failed')
      }
    }
    this.#core.events.emit('container', 'prune', '', { reclaimed: '0' })
    return removed
  }

  wait(term: string, condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    const container = this.#core.state.findContainer(term)
    switch (condition) {
      case 'removed':
        return this.#waiters.next(container.id, 'removed', signal)
      case 'next-exit':
        return this.#waiters.next(container.id, 'exit', signal)
      case 'not-running':
        return isUp(container)
          ? this.#waiters.next(container.id, 'exit', signal)
          : Promise.resolve({ exitCode: container.state.exitCode, error: container.state.error })
    }
  }

  attach(term: string, { stdin }: { readonly stdin: boolean }): Attachment {
    const container = this.#core.state.findContainer(term)
    const { Tty, OpenStdin, StdinOnce } = container.config
    if (container.state.status === 'paused') throw fault('containerPaused', container.id)
    this.#emit(container, 'attach')
    return this.#streams.attach(container.id, stdin && OpenStdin, StdinOnce && !Tty)
  }

  async resize(term: string, rows: number, columns: number): Promise<void> {
    const container = this.#core.state.findContainer(term)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    await this.#core.runtime.resize(container.id, rows, columns)
    this.#emit(container, 'resize', { height: String(rows), width: String(columns) })
  }

  logs(term: string, options: LogOptions): AsyncIterable<LogLine> {
    return this.#core.runtime.logs(this.#core.state.findContainer(term).id, options)
  }

  processes(term: string): Promise<readonly number[]> {
    const container = this.#core.state.findContainer(term)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    return this.#core.runtime.processes(container.id)
  }

  async connect(term: string, containerTerm: string, request: EndpointRequest): Promise<void> {
    const { id } = this.#core.state.findContainer(containerTerm)
    await this.#core.withContainer(id, async () => {
      const container = this.#current(id)
      checkConnectable(this.#core.state, container, term)
      if (isUp(container)) await this.#connectRunning(container, term, request)
      else await this.#connectStopped(container, term, request)
    })
  }

  async disconnect(term: string, containerTerm: string, force: boolean): Promise<void> {
    const { state } = this.#core
    const { id } = state.findContainer(containerTerm)
    await this.#core.withContainer(id, async () => {
      const container = this.#current(id)
      const membership = membershipOf(container, term, force ? undefined : state.findNetwork(term).id)
      if (networkModeOf(container).kind === 'host') throw fault('disconnectHost')
      const sandbox = state.sandboxOf(id)
      if (!isUp(container) || sandbox === undefined) {
        if (membership === undefined) {
          throw fault('notConfigured', id, state.findNetwork(term).name)
        }
        await this.#update(id, { memberships: container.memberships.filter(each => each !== membership) })
        return
      }
      const network = state.findNetwork(membership?.networkId ?? term)
      const endpoint = state.endpointsOfSandbox(sandbox.id).find(each => each.networkId === network.id)
      if (endpoint === undefined) throw fault('notConnected', id, network.name)
      await this.#core.change(() => ({
        ...this.#joining.disconnect(container, sandbox, endpoint),
        containers: {
          put: [
            { ...this.#current(id), memberships: container.memberships.filter(each => each !== membership) },
          ],
        },
      }))
      await this.#files.leave(container, endpoint)
      this.#emitNetwork('disconnect', network.id, id)
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
        .withContainer(container.id, () => this.#start(container, 0))
        .catch((error: unknown) =>
          this.#core.log.warn({ err: error, container: container.id }, 'restarting by policy failed'),
        )
    }
  }

  close(): void {
    this.#closing = true
    for (const { timer } of this.#restarts.values()) clearTimeout(timer)
  }

  // Starting

  async #start(container: Container, restartCount: number): Promise<void> {
    const { id } = container
    let namespace: Namespace | undefined
    try {
      await this.#checkLinks(container)
      namespace = await this.#namespaceFor(container)
      await this.#joinNetworks(container, namespace)
      const joined = this.#current(id)
      if (networkModeOf(joined).kind !== 'container') await this.#files.write(joined)
      const spec = this.runSpec(joined, namespace.path)
      // Listening before the process exists loses nothing of its output; its stdin is there once it does.
      this.#subscribe(id)
      const process = await this.#core.runtime.create(spec)
      this.#openInput(id)
      const startedAt = timestamp()
      await this.#core.change(() => ({
        containers: {
          put: [
            {
              ...this.#current(id),
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
      for (const membership of joined.memberships) this.#emitNetwork('connect', membership.networkId, id)
      await this.#core.runtime.start(id)
      this.#emit(this.#current(id), 'start')
    } catch (error) {
      await this.#abandon(container, namespace, error)
      throw error
    }
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
          return { ...change, containers: { put: [{ ...this.#current(container.id), memberships }] } }
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
    const sandbox = this.#core.state.sandboxOf(id)
    if (sandbox === undefined && namespace?.own !== undefined)
      this.#core.applier.discardNamespace(namespace.own)
    const exitCode = failureExitCode(message)
    await this.#core.change(() => ({
      ...(sandbox === undefined ? {} : this.#joining.leave(sandbox)),
      containers: {
        put: [
          {
            ...this.#current(id),
            state: { ...container.state, ...noProcess, status: 'created', exitCode, error: message },
          },
        ],
      },
    }))
    this.#endStreams(id)
    // Who waits for the next exit goes on waiting: there was no run. With AutoRemove the removal ends the wait.
    if (container.hostConfig.AutoRemove) await this.#removeStopped(id)
  }

  #subscribe(id: Id): void {
    const unsubscribe = this.#core.runtime.subscribe(id, chunk => {
      if (chunk === 'end') this.#endStreams(id)
      else this.#streams.publish(id, chunk)
    })
    this.#subscriptions.set(id, unsubscribe)
  }

  #openInput(id: Id): void {
    const { runtime } = this.#core
    this.#streams.open(id, {
      write: data => runtime.writeStdin(id, data),
      close: () => runtime.closeStdin(id),
    })
  }

  #endStreams(id: Id): void {
    this.#subscriptions.get(id)?.()
    this.#subscriptions.delete(id)
    this.#streams.end(id)
  }

  // Ending

  async #terminate(
    container: Container,
    timeout: number | undefined,
    signal: string | undefined,
  ): Promise<void> {
    const { id, config } = container
    const number = signalNumber(signal ?? config.StopSignal ?? 'TERM')
    const seconds = timeout ?? config.StopTimeout ?? defaultStopSeconds
    const gone = this.#gone(id, seconds < 0 ? undefined : seconds * 1000)
    await this.#core.runtime.kill(id, number)
    this.#emit(container, 'kill', { signal: String(number) })
    if (await gone) return
    await this.#killAndWait(container)
  }

  async #killAndWait(container: Container): Promise<void> {
    const { id } = container
    if (this.#current(id, container).state.status === 'paused') await this.#core.runtime.resume(id)
    const gone = this.#gone(id, killedWithinMs)
    await this.#core.runtime.kill(id, sigkill)
    this.#emit(container, 'kill', { signal: String(sigkill) })
    if (!(await gone)) throw fault('internal', `container ${id} did not end after SIGKILL`)
  }

  /** True once the container has ended and everything of it is cleaned up; false after the time. */
  async #gone(id: Id, withinMs: number | undefined): Promise<boolean> {
    const container = this.#core.state.containers.get(id)
    if (container === undefined || !isUp(container)) return true
    const timer = new AbortController()
    const timeout = withinMs === undefined ? undefined : setTimeout(() => timer.abort(), withinMs)
    try {
      await this.#waiters.next(id, 'exit', timer.signal)
      return true
    } catch {
      return false
    } finally {
      clearTimeout(timeout)
    }
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
      const state = { ...this.#current(id).state, ...noProcess, status: 'exited' as const, ...exit }
      return {
        change: {
          ...(sandbox === undefined ? {} : this.#joining.leave(sandbox)),
          containers: { put: [{ ...this.#current(id), state }] },
        },
        result: { sandbox, networks },
      }
    })
    const ended = this.#current(id)
    this.#emit(ended, 'die', { exitCode: String(exit.exitCode), execDuration: executionSeconds(ended.state) })
    if (sandbox !== undefined) for (const network of networks) this.#emitNetwork('disconnect', network, id)
    const restarting = await this.#scheduleRestart(ended)
    this.#endStreams(id)
    this.#waiters.settle(id, 'exit', { exitCode: exit.exitCode, error: '' })
    if (!restarting && container.hostConfig.AutoRemove) await this.#removeStopped(id)
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
    await this.#update(id, {}, { status: 'restarting' })
    this.#lastDelay.set(id, delayMs)
    const timer = setTimeout(() => {
      this.#restarts.delete(id)
      this.#core
        .withContainer(id, async () => {
          const current = this.#core.state.containers.get(id)
          if (current?.state.status === 'restarting') await this.#start(current, current.restartCount + 1)
        })
        .catch((error: unknown) =>
          this.#core.log.warn({ err: error, container: id }, 'restarting by policy failed'),
        )
    }, delayMs)
    this.#restarts.set(id, { timer, delayMs })
    return true
  }

  /** True if a restart was pending. */
  #cancelRestart(id: Id): boolean {
    const pending = this.#restarts.get(id)
    if (pending === undefined) return false
    clearTimeout(pending.timer)
    this.#restarts.delete(id)
    return true
  }

  async #removeStopped(id: Id): Promise<void> {
    const container = this.#core.state.containers.get(id)
    if (container === undefined) return
    await this.#core.runtime.remove(id)
    await this.#core.change(() => ({ containers: { drop: [id] } }))
    this.#endStreams(id)
    this.#lastDelay.delete(id)
    this.#emit(container, 'destroy')
    const result = { exitCode: container.state.exitCode, error: '' }
    this.#waiters.settle(id, 'exit', result)
    this.#waiters.settle(id, 'removed', result)
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

  // Networks of one container

  async #connectRunning(container: Container, term: string, request: EndpointRequest): Promise<void> {
    const { state } = this.#core
    const network = state.findNetwork(term)
    const sandbox = state.sandboxOf(container.id)
    if (sandbox === undefined) throw fault('connectShared')
    const membership = { network: network.name, networkId: network.id, request }
    await this.#core.change(() => ({
      ...this.#joining.connect(container, sandbox, network, request),
      containers: {
        put: [{ ...this.#current(container.id), memberships: [...container.memberships, membership] }],
      },
    }))
    await this.#files.join(this.#current(container.id), network)
    this.#emitNetwork('connect', network.id, container.id)
  }

  /** Only the configuration changes; a name that is not known yet is kept as typed and resolved at the next start. */
  async #connectStopped(container: Container, term: string, request: EndpointRequest): Promise<void> {
    const { state } = this.#core
    const network = [...state.networks.values()].find(each => each.id === term || each.name === term)
    const others = container.memberships.filter(each => each.network !== (network?.name ?? term))
    const membership = { network: network?.name ?? term, networkId: network?.id ?? '', request }
    await this.#update(container.id, { memberships: [...others, membership] })
  }

  // Records and events

  /** The record as it is now. `known` stands in if the container is gone meanwhile. */
  #current(id: Id, known?: Container): Container {
    const container = this.#core.state.containers.get(id) ?? known
    if (container === undefined) throw fault('containerNotFound', id)
    return container
  }

  async #update(id: Id, fields: Partial<Container>, state: Partial<ContainerState> = {}): Promise<void> {
    await this.#core.change((): StateChange => {
      const container = this.#core.state.containers.get(id)
      if (container === undefined) return {}
      return { containers: { put: [{ ...container, ...fields, state: { ...container.state, ...state } }] } }
    })
  }

  #emit(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { id, name, image, config } = container
    this.#core.events.emit('container', action, id, { ...config.Labels, ...attributes, image, name })
  }

  #emitNetwork(action: 'connect' | 'disconnect', networkId: Id, container: Id): void {
    const network = this.#core.state.networks.get(networkId)
    if (network === undefined) return
    this.#core.events.emit('network', action, network.id, {
      container,
      name: network.name,
      type: network.driver,
    })
  }
}

/** Takes the process out of a state record. */
const noProcess = { process: undefined }

function membershipOf(container: Container, term: string, networkId: Id | undefined) {
  return container.memberships.find(each => each.network === term || each.networkId === (networkId ?? term))
}

/** Docker's exit codes of a container that could not be started: 127 not found, 126 not executable, else 128. */
function failureExitCode(message: string): number {
  if (/executable file not found|no such file or directory/.test(message)) return 127
  return /permission denied|is a directory/.test(message) ? 126 : 128
}

function executionSeconds({ startedAt }: ContainerState): string {
  return String(Math.max(0, Math.round((Number(nowNanoseconds()) / 1e6 - Date.parse(startedAt)) / 1000)))
}
