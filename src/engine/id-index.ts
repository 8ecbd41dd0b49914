/**
 * Ids in order, for look-up by prefix. A sorted array: a look-up is a binary search, an insertion moves pointers, which
 * for tens of thousands of ids is cheaper than any tree.
 */
export class IdIndex {
  readonly #ids: string[] = []

  add(id: string): void {
    const at = this.#lowerBound(id)
    if (this.#ids[at] !== id) this.#ids.splice(at, 0, id)
  }

  delete(id: string): void {
    const at = this.#lowerBound(id)
    if (this.#ids[at] === id) this.#ids.splice(at, 1)
  }

  /** At most `limit` ids that begin with `prefix`. */
  withPrefix(prefix: string, limit: number): readonly string[] {
    const found: string[] = []
    for (let at = this.#lowerBound(prefix); at < this.#ids.length && found.length < limit; at++) {
      const id = this.#ids[at]
      if (id === undefined || !id.startsWith(prefix)) break
      found.push(id)
    }
    return found
  }

  /** How many ids begin with `prefix`. */
  count(prefix: string): number {
    return this.#lowerBound(`${prefix}\uffff`) - this.#lowerBound(prefix)
  }

  /** Position of the first id that is not less than `term`. */
  #lowerBound(term: string): number {
    let low = 0
    let high = this.#ids.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ids[middle] ?? '') < term) low = middle + 1
      else high = middle
    }
    return low
  }
}
