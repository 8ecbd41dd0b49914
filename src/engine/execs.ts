/** Processes that clients start in running containers. They live as long as the engine: nothing of them is stored. */
import { fault } from '../base/index.ts'
import type { ExecProcess } from '../container/index.ts'
import type { Id } from '../network/index.ts'
import type { Core } from './core.ts'
import { randomId } from './names.ts'
import type { Container, Exec } from './records.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { ExecRequest } from './types.ts'

/** An exec that ended can be inspected for this long: clients ask for its exit code after its output is over. */
const keptMs = 5 * 60 * 1000

interface Entry {
  record: Exec
  process: ExecProcess | undefined
  /** A resize that came before the process: applied when it is there. */
  size: readonly [number, number] | undefined
}

export class Execs {
  readonly #core: Core
  readonly #lifecycle: Lifecycle
  readonly #execs = new Map<Id, Entry>()

  constructor(core: Core, lifecycle: Lifecycle) {
    this.#core = core
    this.#lifecycle = lifecycle
  }

  create(term: string, request: ExecRequest): Id {
    const container = this.#running(term)
    if (request.args.length === 0) throw fault('invalidParameter', 'No exec command specified')
    const id = randomId()
    const record: Exec = { ...request, id, containerId: container.id, running: false, exitCode: null, pid: 0 }
    this.#execs.set(id, { record, process: undefined, size: undefined })
    this.#emit(container, `exec_create: ${request.args.join(' ')}`, id)
    return id
  }

  get(id: Id): Exec {
    return this.#entry(id).record
  }

  /** Ids of the execs of a container that run now. */
  runningIn(containerId: Id): readonly Id[] {
    return [...this.#execs.values()]
      .filter(({ record }) => record.containerId === containerId && record.running)
      .map(({ record }) => record.id)
  }

  async start(
    id: Id,
    options: {
      readonly detach: boolean
      readonly tty: boolean
      readonly size: readonly [number, number] | undefined
    },
  ): Promise<ExecProcess> {
    const entry = this.#entry(id)
    const { record } = entry
    if (record.running) throw fault('conflict', `exec ${id} is already running`)
    if (record.exitCode !== null) throw fault('conflict', `exec ${id} has already run`)
    const container = this.#running(record.containerId)
    const size = options.size ?? entry.size
    entry.record = { ...record, running: true }
    try {
      const process = await this.#core.runtime.exec(
        container.id,
        {
          id,
          args: record.args,
          env: record.env,
          tty: record.tty,
          stdin: record.attachStdin && !options.detach,
          user: record.user,
          workingDir: record.workingDir,
          privileged: record.privileged,
          detach: options.detach,
          ...(size === undefined ? {} : { size }),
        },
        this.#lifecycle.runSpec(container),
      )
      entry.process = process
      entry.record = { ...entry.record, pid: process.pid }
      if (entry.size !== undefined) process.resize(...entry.size)
      this.#emit(container, `exec_start: ${record.args.join(' ')}`, id)
      this.#watch(entry, container)
      return process
    } catch (error) {
      // Docker remembers 126 or 127 for a command that could not be started; the client asks for it.
      const notFound = error instanceof Error && /not found|no such file/.test(error.message)
      entry.record = { ...entry.record, running: false, exitCode: notFound ? 127 : 126 }
      this.#forgetLater(id)
      throw error
    }
  }

  resize(id: Id, rows: number, columns: number): void {
    const entry = this.#entry(id)
    if (entry.process === undefined) entry.size = [rows, columns]
    else entry.process.resize(rows, columns)
  }

  #watch(entry: Entry, container: Container): void {
    const { id } = entry.record
    const ended = (exitCode: number) => {
      entry.record = { ...entry.record, running: false, exitCode }
      entry.process = undefined
      this.#emit(container, 'exec_die', id, { exitCode: String(exitCode) })
      this.#forgetLater(id)
    }
    entry.process?.exited.then(ended, (error: unknown) => {
      this.#core.log.warn({ err: error, exec: id }, 'watching an exec failed')
      ended(137)
    })
  }

  #forgetLater(id: Id): void {
    setTimeout(() => this.#execs.delete(id), keptMs).unref()
  }

  #running(term: string): Container {
    const container = this.#core.state.findContainer(term)
    if (container.state.status === 'paused') throw fault('containerPaused', container.id)
    if (container.state.status !== 'running') throw fault('containerNotRunning', container.id)
    return container
  }

  #entry(id: Id): Entry {
    const entry = this.#execs.get(id)
    if (entry === undefined) throw fault('execNotFound', id)
    return entry
  }

  #emit(
    container: Container,
    action: string,
    execID: Id,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    const { id, name, image, config } = container
    this.#core.events.emit('container', action, id, { ...config.Labels, ...attributes, execID, image, name })
  }
}
