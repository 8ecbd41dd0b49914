/** A kind of work that is not done twice at a time: who comes while it is under way is told so. */
import { fault } from '../base/index.ts'

export class Alone {
  readonly #what: string
  #busy = false

  /** `what` is said to whoever comes too early: `a prune operation`. */
  constructor(what: string) {
    this.#what = what
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw fault('conflict', `${this.#what} is already running`)
    this.#busy = true
    try {
      return await work()
    } finally {
      this.#busy = false
    }
  }
}
