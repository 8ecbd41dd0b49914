/**
 * Standard streams between clients and containers. Clients attach before the container starts, so the hub outlives
 * runs: it collects listeners by container and is fed by the runtime while the container runs.
 */
import type { OutputChunk } from '../container/index.ts'
import type { Id } from '../network/index.ts'
import type { Attachment } from './types.ts'

export type OutputListener = (chunk: OutputChunk | 'end') => void

/** Where input goes: the runtime's stdin of a running container. */
export interface InputSink {
  write(data: Buffer): Promise<void>
  close(): void
}

interface Hub {
  readonly listeners: Set<OutputListener>
  /** Set while the container runs. */
  input: InputSink | undefined
  /** Clients that write before the container runs wait here. */
  readonly whenRunning: Set<() => void>
}

export class Streams {
  readonly #hubs = new Map<Id, Hub>()

  #hub(id: Id): Hub {
    const existing = this.#hubs.get(id)
    if (existing !== undefined) return existing
    const hub: Hub = { listeners: new Set(), input: undefined, whenRunning: new Set() }
    this.#hubs.set(id, hub)
    return hub
  }

  /** The container runs from now on. */
  open(id: Id, input: InputSink): void {
    const hub = this.#hub(id)
    hub.input = input
    for (const resume of hub.whenRunning) resume()
    hub.whenRunning.clear()
  }

  publish(id: Id, chunk: OutputChunk): void {
    for (const listener of this.#hubs.get(id)?.listeners ?? []) listener(chunk)
  }

  /** The run is over (or never came to be): every client is told. */
  end(id: Id): void {
    const hub = this.#hubs.get(id)
    if (hub === undefined) return
    this.#hubs.delete(id)
    for (const listener of hub.listeners) listener('end')
    for (const resume of hub.whenRunning) resume()
  }

  /** `closeOnEnd`: when this client's input ends the container's stdin is closed. */
  attach(id: Id, stdin: boolean, closeOnEnd: boolean): Attachment {
    const hub = this.#hub(id)
    const mine = new Set<OutputListener>()
    const running = () =>
      hub.input === undefined && this.#hubs.get(id) === hub
        ? new Promise<void>(resolve => hub.whenRunning.add(resolve))
        : Promise.resolve()
    return {
      onOutput: listener => {
        mine.add(listener)
        hub.listeners.add(listener)
      },
      write: async data => {
        if (!stdin) return
        await running()
        await hub.input?.write(data)
      },
      endInput: () => {
        if (!stdin || !closeOnEnd) return
        void running().then(() => hub.input?.close())
      },
      detach: () => {
        for (const listener of mine) hub.listeners.delete(listener)
      },
    }
  }
}
