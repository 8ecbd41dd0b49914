/**
 * The records on disk: one lmdb environment, one database per table, one durable transaction per command.
 * lmdb answers a `put` before it is on the disk; `commit` waits for the flush, because what a client was told must
 * survive a power cut.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import type { Family } from '../network/index.ts'
import type { Records, StateChange, TableName } from './state.ts'

/** Version of the records' shape. A store of a later version is refused; older ones are migrated step by step. */
export const schemaVersion = 1

/** Facts of the installation that are not records. */
export interface Meta {
  readonly schemaVersion: number
  /** Stable id of this installation, 64 hex digits. */
  readonly hostId: string
  /** Families whose forwarding the engine switched on itself: its forward chain then drops what is not its own. */
  readonly forwardingSwitchedOn: readonly Family[]
}

export class Store {
  readonly #root: RootDatabase<unknown, string>
  readonly #tables: { readonly [T in TableName]: Database<Records[T], string> }
  readonly #meta: Database<Meta, string>

  private constructor(root: RootDatabase<unknown, string>) {
    this.#root = root
    const table = <T extends TableName>(name: T) =>
      root.openDB<Records[T], string>({ name, encoding: 'json' })
    this.#tables = {
      networks: table('networks'),
      endpoints: table('endpoints'),
      sandboxes: table('sandboxes'),
      containers: table('containers'),
      images: table('images'),
    }
    this.#meta = root.openDB<Meta, string>({ name: 'meta', encoding: 'json' })
  }

  /** Opens or makes the store in `directory`. Throws with a sentence for the user if it cannot be used. */
  static open(directory: string, newMeta: () => Meta): Store {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const store = new Store(open<unknown, string>({ path: join(directory, 'state.mdb'), maxDbs: 16 }))
    const meta = store.#meta.get('meta')
    if (meta === undefined) {
      store.#meta.putSync('meta', newMeta())
    } else if (meta.schemaVersion > schemaVersion) {
      throw new Error(
        `the store in ${directory} was written by a newer version (schema ${meta.schemaVersion}, this is ${schemaVersion})`,
      )
    }
    return store
  }

  get meta(): Meta {
    const meta = this.#meta.get('meta')
    if (meta === undefined) throw new Error('the store has no meta record')
    return meta
  }

  async setMeta(meta: Meta): Promise<void> {
    await this.#meta.put('meta', meta)
    await this.#root.flushed
  }

  /** All records, as one change to an empty state. */
  load(): StateChange {
    const all = <T extends TableName>(name: T) => ({
      put: [...this.#tables[name].getRange()].map(entry => entry.value),
    })
    return {
      networks: all('networks'),
      endpoints: all('endpoints'),
      sandboxes: all('sandboxes'),
      containers: all('containers'),
      images: all('images'),
    }
  }

  /**
   * Writes a change in one transaction; resolves when it is on the disk. A batch is carried out by lmdb's own thread:
   * this one encodes the records and is not asked again, which a transaction with a callback would do.
   */
  async commit(change: StateChange): Promise<void> {
    const writes: Promise<boolean>[] = []
    const batch = this.#root.batch(() => {
      writes.push(
        ...write(this.#tables.networks, change.networks),
        ...write(this.#tables.endpoints, change.endpoints),
        ...write(this.#tables.sandboxes, change.sandboxes),
        ...write(this.#tables.containers, change.containers),
        ...write(this.#tables.images, change.images),
      )
    })
    // Each of them is rejected when the transaction fails.
    await Promise.all([batch, ...writes])
    await this.#root.flushed
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}

function write<T extends { readonly id: string }>(
  table: Database<T, string>,
  change: { readonly put?: readonly T[]; readonly drop?: readonly string[] } | undefined,
): readonly Promise<boolean>[] {
  const dropped = (change?.drop ?? []).map(id => table.remove(id))
  return [...dropped, ...(change?.put ?? []).map(record => table.put(record.id, record))]
}
