/**
 * What all commands share: the state, the way a change becomes real, the settings. One instance per engine.
 */
import type { ImageStore, Runtime } from '../container/index.ts'
import type { DaemonOptions } from '../daemon-options.ts'
import type { Kernel } from '../kernel/index.ts'
import type { Id } from '../network/index.ts'
import type { Applier } from './apply.ts'
import { Events } from './events.ts'
import type { Log } from './log.ts'
import { KeyedQueue, Queue } from './queue.ts'
import { inverseChange, State, type StateChange } from './state.ts'
import type { Store } from './store.ts'
import { blueprintDifference } from './touched.ts'

export interface CoreParts {
  readonly options: DaemonOptions
  readonly log: Log
  readonly store: Store
  readonly kernel: Kernel
  readonly applier: Applier
  readonly runtime: Runtime
  readonly images: ImageStore
}

export class Core {
  readonly options: DaemonOptions
  readonly log: Log
  readonly store: Store
  readonly kernel: Kernel
  readonly applier: Applier
  readonly runtime: Runtime
  readonly images: ImageStore
  readonly state = new State()
  readonly events = new Events()
  /** The one writer. */
  readonly #writer = new Queue()
  /** What one container goes through happens one after another; two containers do not wait for each other. */
  readonly #perContainer = new KeyedQueue()

  constructor(parts: CoreParts) {
    this.options = parts.options
    this.log = parts.log
    this.store = parts.store
    this.kernel = parts.kernel
    this.applier = parts.applier
    this.runtime = parts.runtime
    this.images = parts.images
  }

  /**
   * Runs a command as the one writer: `command` looks at the state and returns the change (or undefined for none); it
   * is applied to the kernel, made durable and then visible. Nothing of it remains if a step fails. Not re-entrant.
   */
  write<T>(command: () => { readonly change: StateChange; readonly result: T }): Promise<T> {
    return this.#writer.run(async () => {
      const { change, result } = command()
      await this.#commit(change)
      return result
    })
  }

  /** As `write`, for commands without a result. */
  change(command: () => StateChange): Promise<void> {
    return this.write(() => ({ change: command(), result: undefined }))
  }

  /** Runs a job between commands. Not re-entrant. */
  exclusively<T>(job: () => Promise<T>): Promise<T> {
    return this.#writer.run(job)
  }

  /** Runs what concerns one container after everything that was asked of it before. Not re-entrant. */
  withContainer<T>(id: Id, command: () => Promise<T>): Promise<T> {
    return this.#perContainer.run(id, command)
  }

  async #commit(change: StateChange): Promise<void> {
    const back = inverseChange(this.state, change)
    await this.applier.apply(blueprintDifference(this.state, change), {
      write: () => this.store.commit(change),
      unwrite: () => this.store.commit(back),
    })
    this.state.apply(change)
  }

  /** Resolves when no command is under way. */
  async idle(): Promise<void> {
    await this.#perContainer.idle()
    await this.#writer.idle()
    await this.applier.settled()
  }
}
