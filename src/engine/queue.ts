/**
 * The engine's one writer: commands that change networks, sandboxes or ports run one after another, in the order in
 * which they came. What takes long and touches one container only (starting its process, say) is done outside, under
 * that container's own queue.
 */
export class Queue {
  #tail: Promise<unknown> = Promise.resolve()

  run<T>(command: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(command)
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Resolves when everything that was queued so far is done. */
  async idle(): Promise<void> {
    await this.#tail
  }
}

/** One queue per key, made when needed and dropped when empty. */
export class KeyedQueue {
  readonly #queues = new Map<string, { queue: Queue; waiting: number }>()

  async run<T>(key: string, command: () => Promise<T>): Promise<T> {
    const entry = this.#queues.get(key) ?? { queue: new Queue(), waiting: 0 }
    this.#queues.set(key, entry)
    entry.waiting++
    try {
      return await entry.queue.run(command)
    } finally {
      entry.waiting--
      if (entry.waiting === 0) this.#queues.delete(key)
    }
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ queue }) => queue.idle()))
  }
}
