/** Commands on images: what is named how. Their content is the image store's business. */
import type { Readable } from 'node:stream'
import { fault } from '../base/index.ts'
import {
  familiarName,
  familiarReference,
  fullReference,
  parseReference,
  type Progress,
  type RegistryAuth,
  type StoredImage,
  withDefaultTag,
} from '../container/index.ts'
import type { Core } from './core.ts'
import { KeyedQueue } from './queue.ts'
import { type Image, isUp } from './records.ts'
import type { StateChange } from './state.ts'

export interface Removal {
  readonly untagged?: string
  readonly deleted?: string
}

export class Images {
  readonly #core: Core
  /** Two clients that pull the same image wait for one download. */
  readonly #pulls = new KeyedQueue()

  constructor(core: Core) {
    this.#core = core
  }

  async load(archive: Readable, progress: Progress): Promise<readonly string[]> {
    const names: string[] = []
    for (const { image, tags } of await this.#core.images.load(archive, progress)) {
      const references = tags.map(tag => familiarReference(withDefaultTag(parseReference(tag))))
      await this.#keep(image, references, [])
      names.push(...(references.length === 0 ? [image.id] : references))
      this.#emit('load', image.id, image.id)
    }
    return names
  }

  async import(
    tree: Readable,
    reference: string,
    options: { readonly changes: readonly string[]; readonly message: string },
  ): Promise<string> {
    const tags = reference === '' ? [] : [familiarReference(withDefaultTag(parseReference(reference)))]
    const image = await this.#core.images.import(tree, options)
    await this.#keep(image, tags, [])
    this.#emit('import', image.id, tags[0] ?? image.id)
    return image.id
  }

  async pull(text: string, auth: RegistryAuth | undefined, progress: Progress): Promise<void> {
    const reference = withDefaultTag(parseReference(text))
    const full = fullReference(reference)
    await this.#pulls.run(full, async () => {
      const image = await this.#core.images.pull(full, auth, progress)
      const familiar = familiarReference(reference)
      const before = this.#core.state.imageNamed(familiar)?.id
      const digests = image.digest === undefined ? [] : [`${familiarName(reference)}@${image.digest}`]
      await this.#keep(image, familiar.includes('@') ? [] : [familiar], digests)
      this.#emit('pull', familiar, familiar)
      const news = before === image.id ? 'Image is up to date for' : 'Downloaded newer image for'
      progress({ status: `Status: ${news} ${familiar}` })
    })
  }

  async tag(term: string, text: string): Promise<void> {
    const tag = familiarReference(withDefaultTag(parseReference(text)))
    const image = this.#core.state.findImage(term)
    await this.#keep(image, [tag], [])
    this.#emit('tag', image.id, tag)
  }

  /** By reference: that name goes, and the image with its last one. By id: the image goes if it has one name at most. */
  async remove(term: string, { force }: { readonly force: boolean }): Promise<readonly Removal[]> {
    const { state } = this.#core
    const image = state.findImage(term)
    const names = [...image.tags, ...image.digests]
    const named = names.find(name => state.imageNamed(name)?.id === image.id && name === nameOf(term))
    if (named === undefined && image.tags.length > 1 && !force) {
      throw fault(
        'conflict',
        `conflict: unable to delete ${image.id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
      )
    }
    const untagged = named === undefined ? names : withDigests(named, image)
    const last = names.every(name => untagged.includes(name))
    if (last) this.#checkUnused(image, term, named !== undefined, force)
    const removals = untagged.map(name => ({ untagged: name }))
    if (!last) {
      const left = (list: readonly string[]) => list.filter(name => !untagged.includes(name))
      await this.#put({ ...image, tags: left(image.tags), digests: left(image.digests) })
    } else if (this.#users(image).length === 0) {
      await this.#core.change(() => ({ images: { drop: [image.id] } }))
      await this.#core.images.remove(image.id)
      this.#emit('delete', image.id, image.id)
      return [...removals, { deleted: image.id }]
    } else {
      // A stopped container still needs the content: only the names go.
      await this.#put({ ...image, tags: [], digests: [] })
    }
    for (const name of untagged) this.#emit('untag', image.id, name)
    return removals
  }

  /** Removes images that have no name and that no container uses. */
  async prune(): Promise<readonly Removal[]> {
    const removals: Removal[] = []
    for (const image of this.#core.state.images.values()) {
      if (image.tags.length === 0 && this.#users(image).length === 0) {
        removals.push(...(await this.remove(image.id, { force: false })))
      }
    }
    this.#core.events.emit('image', 'prune', '', { reclaimed: '0' })
    return removals
  }

  /** Records an image under names; a name that another image had moves. */
  async #keep(stored: StoredImage, tags: readonly string[], digests: readonly string[]): Promise<void> {
    await this.#core.change((): StateChange => {
      const { state } = this.#core
      const known = state.images.get(stored.id)
      const image: Image = {
        ...(known ?? stored),
        tags: union(known?.tags, tags),
        digests: union(known?.digests, digests),
      }
      const losers = new Map<string, Image>()
      for (const tag of tags) {
        const holder = state.imageNamed(tag)
        if (holder === undefined || holder.id === stored.id) continue
        const loser = losers.get(holder.id) ?? holder
        losers.set(holder.id, { ...loser, tags: loser.tags.filter(each => each !== tag) })
      }
      return { images: { put: [...losers.values(), image] } }
    })
  }

  #put(image: Image): Promise<void> {
    return this.#core.change(() => ({ images: { put: [image] } }))
  }

  #users(image: Image) {
    return [...this.#core.state.containers.values()].filter(container => container.imageId === image.id)
  }

  #checkUnused(image: Image, term: string, byName: boolean, force: boolean): void {
    const users = this.#users(image)
    const running = users.find(isUp)
    const user = running ?? users[0]
    if (user === undefined || (force && running === undefined)) return
    const short = user.id.slice(0, 12)
    const id = image.id.slice(7, 19)
    if (byName && !force) throw fault('imageInUse', term, short, id)
    throw fault(
      'conflict',
      running === undefined
        ? `conflict: unable to delete ${id} (must be forced) - image is being used by stopped container ${short}`
        : `conflict: unable to delete ${id} (cannot be forced) - image is being used by running container ${short}`,
    )
  }

  #emit(action: string, id: string, name: string): void {
    this.#core.events.emit('image', action, id, { name })
  }
}

/** A name and what goes with it: with a repository's last tag go its digests. */
function withDigests(name: string, image: Image): readonly string[] {
  const repositoryOf = (text: string) => familiarName(parseReference(text))
  const repository = repositoryOf(name)
  const sameRepository = (text: string) => text !== name && repositoryOf(text) === repository
  if (name.includes('@') || image.tags.some(sameRepository)) return [name]
  return [name, ...image.digests.filter(sameRepository)]
}

function nameOf(term: string): string | undefined {
  try {
    return familiarReference(withDefaultTag(parseReference(term)))
  } catch {
    return undefined
  }
}

function union(known: readonly string[] | undefined, added: readonly string[]): readonly string[] {
  return [...new Set([...(known ?? []), ...added])]
}
