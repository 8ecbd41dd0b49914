/** Commands on containers: create, start, stop, remove, rename, and what clients do with their streams. */
import { Fault, fault } from '../base/index.ts'
import { type LogLine, type LogOptions, readUsage, type Usage } from '../container/index.ts'
import type { Id } from '../network/index.ts'
import type { ContainerRecords } from './container-records.ts'
import type { Core } from './core.ts'
import { checkName, containerFromRequest } from './create-container.ts'
import { timestamp } from './events.ts'
import type { Lifecycle } from './lifecycle.ts'
import { randomId, randomName } from './names.ts'
import { type Container, isUp } from './records.ts'
import { signalNumber } from './signals.ts'
import type { Attachment, CreateContainerRequest, WaitCondition, WaitResult } from './types.ts'

const defaultStopSeconds = 10
const sigkill = 9
/** How long a killed process may take to be reaped and cleaned up before the client is told so. */
const killedWithinMs = 10_000

export class Containers {
  readonly #core: Core
  readonly #records: ContainerRecords
  readonly #lifecycle: Lifecycle

  constructor(core: Core, records: ContainerRecords, lifecycle: Lifecycle) {
    this.#core = core
    this.#records = records
    this.#lifecycle = lifecycle
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
    this.#records.emit(container, 'create')
    return { id: container.id, warnings }
  }

  async start(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#records.current(id)
      if (container.state.status === 'running' || container.state.status === 'paused')
        throw fault('notModified')
      this.#lifecycle.cancelRestart(id)
      await this.#lifecycle.start(container, 0)
    })
  }

  async stop(term: string, timeout: number | undefined, signal: string | undefined): Promise<void> {
    const container = this.#core.state.findContainer(term)
    if (this.#lifecycle.cancelRestart(container.id)) {
      await this.#records.update(container.id, { stoppedByUser: true }, { status: 'exited' })
      return
    }
    if (!isUp(container)) throw fault('notModified')
    await this.#records.update(container.id, { stoppedByUser: true })
    await this.#terminate(container, timeout, signal)
    this.#records.emit(this.#records.current(container.id, container), 'stop')
  }

  async restart(term: string, timeout: number | undefined, signal: string | undefined): Promise<void> {
    const container = this.#core.state.findContainer(term)
    try {
      await this.stop(container.id, timeout, signal)
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'notModified') throw error
    }
    await this.start(container.id)
    this.#records.emit(this.#records.current(container.id), 'restart')
  }

  async kill(term: string, signal: string): Promise<void> {
    const container = this.#core.state.findContainer(term)
    const number = signalNumber(signal === '' ? 'KILL' : signal)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    await this.#core.runtime.kill(container.id, number)
    this.#records.emit(container, 'kill', { signal: String(number) })
    const stopSignal = signalNumber(container.config.StopSignal ?? 'TERM')
    if (number === sigkill || number === stopSignal)
      await this.#records.update(container.id, { stoppedByUser: true })
  }

  async pause(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#records.current(id)
      if (container.state.status === 'paused') throw fault('conflict', `Container ${id} is already paused`)
      if (container.state.status !== 'running') throw fault('containerNotRunning', id)
      await this.#core.runtime.pause(id)
      await this.#records.update(id, {}, { status: 'paused' })
      this.#records.emit(container, 'pause')
    })
  }

  async unpause(term: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#records.current(id)
      if (container.state.status !== 'paused') throw fault('conflict', `Container ${id} is not paused`)
      await this.#core.runtime.resume(id)
      await this.#records.update(id, {}, { status: 'running' })
      this.#records.emit(container, 'unpause')
    })
  }

  async remove(term: string, { force }: { readonly force: boolean }): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    this.#lifecycle.cancelRestart(id)
    const container = this.#records.current(id)
    if (isUp(container)) {
      if (!force) throw fault('containerRunningRemove', container.name)
      await this.#records.update(id, { stoppedByUser: true })
      await this.#killAndWait(container)
    }
    await this.#core.withContainer(id, () => this.#lifecycle.remove(id))
  }

  async rename(term: string, name: string): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    const newName = name.startsWith('/') ? name.slice(1) : name
    checkName(newName)
    const { old, container } = await this.#core.write(() => {
      const { state } = this.#core
      const old = this.#records.current(id)
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
    this.#records.emit(container, 'rename', { oldName: `/${old.name}` })
  }

  async updateRestartPolicy(
    term: string,
    policy: Container['hostConfig']['RestartPolicy'] | undefined,
  ): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    if (policy !== undefined) {
      await this.#core.change(() => {
        const container = this.#records.current(id)
        return {
          containers: {
            put: [{ ...container, hostConfig: { ...container.hostConfig, RestartPolicy: policy } }],
          },
        }
      })
    }
    this.#records.emit(this.#records.current(id), 'update')
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
        return this.#lifecycle.waiters.next(container.id, 'removed', signal)
      case 'next-exit':
        return this.#lifecycle.waiters.next(container.id, 'exit', signal)
      case 'not-running':
        return isUp(container)
          ? this.#lifecycle.waiters.next(container.id, 'exit', signal)
          : Promise.resolve({ exitCode: container.state.exitCode, error: container.state.error })
    }
  }

  attach(term: string, { stdin }: { readonly stdin: boolean }): Attachment {
    const container = this.#core.state.findContainer(term)
    const { Tty, OpenStdin, StdinOnce } = container.config
    if (container.state.status === 'paused') throw fault('containerPaused', container.id)
    this.#records.emit(container, 'attach')
    return this.#lifecycle.streams.attach(container.id, stdin && OpenStdin, StdinOnce && !Tty)
  }

  async resize(term: string, rows: number, columns: number): Promise<void> {
    const container = this.#core.state.findContainer(term)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    await this.#core.runtime.resize(container.id, rows, columns)
    this.#records.emit(container, 'resize', { height: String(rows), width: String(columns) })
  }

  logs(term: string, options: LogOptions): AsyncIterable<LogLine> {
    return this.#core.runtime.logs(this.#core.state.findContainer(term).id, options)
  }

  async usage(term: string): Promise<Usage | undefined> {
    const container = this.#core.state.findContainer(term)
    return isUp(container) ? await readUsage(container.state.process?.pid ?? 0) : undefined
  }

  processes(term: string): Promise<readonly number[]> {
    const container = this.#core.state.findContainer(term)
    if (!isUp(container)) throw fault('containerNotRunning', container.id)
    return this.#core.runtime.processes(container.id)
  }

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
    this.#records.emit(container, 'kill', { signal: String(number) })
    if (await gone) return
    await this.#killAndWait(container)
  }

  async #killAndWait(container: Container): Promise<void> {
    const { id } = container
    if (this.#records.current(id, container).state.status === 'paused') await this.#core.runtime.resume(id)
    const gone = this.#gone(id, killedWithinMs)
    await this.#core.runtime.kill(id, sigkill)
    this.#records.emit(container, 'kill', { signal: String(sigkill) })
    if (!(await gone)) throw fault('internal', `container ${id} did not end after SIGKILL`)
  }

  /** True once the container has ended and everything of it is cleaned up; false after the time. */
  async #gone(id: Id, withinMs: number | undefined): Promise<boolean> {
    const container = this.#core.state.containers.get(id)
    if (container === undefined || !isUp(container)) return true
    const timer = new AbortController()
    const timeout = withinMs === undefined ? undefined : setTimeout(() => timer.abort(), withinMs)
    try {
      await this.#lifecycle.waiters.next(id, 'exit', timer.signal)
      return true
    } catch {
      return false
    } finally {
      clearTimeout(timeout)
    }
  }
}
