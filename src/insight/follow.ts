/**
 * The picture as it changes. All followers share one sampler: it looks at the kernel's counters once a second and takes
 * the picture anew when the engine tells of an event; without followers it does nothing.
 */
import type { ObservedEngine } from '../engine/index.ts'
import { linkCounters, type LinkCounters } from '../kernel/index.ts'
import { type Picture, type PictureContainer, type PictureNetwork, takePicture } from './picture.ts'

const sampleMs = 1_000
/** Events of one command come together: the picture is taken once for all of them. */
const gatherMs = 50

/** Bytes per second by link name. Of a veth's host end, `In` is what the container sends. */
export type Rates = Readonly<Record<string, { readonly In: number; readonly Out: number }>>

interface Changed<T> {
  readonly Put: readonly T[]
  readonly Drop: readonly string[]
}

/** `Sequence` counts up by one: who misses one asks for the picture again. */
export type PictureMessage =
  | { readonly Type: 'picture'; readonly Sequence: number; readonly Picture: Picture }
  | {
      readonly Type: 'change'
      readonly Sequence: number
      readonly Time: string
      readonly Uplink: Picture['Uplink']
      readonly Networks: Changed<PictureNetwork>
      readonly Containers: Changed<PictureContainer>
    }
  /** Links without traffic since the last message are left out. */
  | { readonly Type: 'rates'; readonly Sequence: number; readonly Time: string; readonly Rates: Rates }

type Tell = (message: PictureMessage) => void

interface Follower {
  readonly tell: Tell
  sequence: number
}

export class PictureFeed {
  readonly #engine: ObservedEngine
  readonly #followers = new Set<Follower>()
  #last: Picture | undefined
  #stop: (() => void) | undefined
  #gather: NodeJS.Timeout | undefined
  /** Pictures are taken and told one after the other. */
  #turn: Promise<void> = Promise.resolve()

  constructor(engine: ObservedEngine) {
    this.#engine = engine
  }

  /** Tells the whole picture, then what changes, until the function that it gives is called. */
  follow(tell: Tell): () => void {
    const follower: Follower = { tell, sequence: 0 }
    this.#stop ??= this.#start()
    this.#turn = this.#turn.then(async () => {
      const picture = await takePicture(this.#engine)
      // Those who were here before hear of it as a change.
      this.#tellChange(picture)
      follower.tell({ Type: 'picture', Sequence: ++follower.sequence, Picture: picture })
      if (this.#stop !== undefined) this.#followers.add(follower)
    }, ignore)
    let left = false
    this.#waiting += 1
    return () => {
      if (left) return
      left = true
      this.#waiting -= 1
      this.#turn = this.#turn.then(() => void this.#followers.delete(follower), ignore)
      if (this.#waiting === 0) {
        this.#stop?.()
        this.#stop = undefined
        this.#last = undefined
      }
    }
  }

  /** Followers that have not left, those included that wait for their first picture. */
  #waiting = 0

  #start(): () => void {
    let before = sample()
    const timer = setInterval(() => {
      const now = sample()
      const rates = ratesBetween(before, now)
      before = now
      const time = new Date().toISOString()
      for (const follower of this.#followers) {
        follower.tell({ Type: 'rates', Sequence: ++follower.sequence, Time: time, Rates: rates })
      }
    }, sampleMs).unref()
    const unsubscribe = this.#engine.onEvent(() => {
      this.#gather ??= setTimeout(() => {
        this.#gather = undefined
        this.#turn = this.#turn.then(async () => this.#tellChange(await takePicture(this.#engine)), ignore)
      }, gatherMs)
    })
    return () => {
      clearInterval(timer)
      clearTimeout(this.#gather)
      this.#gather = undefined
      unsubscribe()
    }
  }

  #tellChange(picture: Picture): void {
    const before = this.#last
    this.#last = picture
    if (before === undefined) return
    const networks = changed(before.Networks, picture.Networks)
    const containers = changed(before.Containers, picture.Containers)
    const uplinkSame = JSON.stringify(before.Uplink) === JSON.stringify(picture.Uplink)
    if (uplinkSame && isEmpty(networks) && isEmpty(containers)) return
    for (const follower of this.#followers) {
      follower.tell({
        Type: 'change',
        Sequence: ++follower.sequence,
        Time: picture.Time,
        Uplink: picture.Uplink,
        Networks: networks,
        Containers: containers,
      })
    }
  }
}

/** A picture that could not be taken is taken at the next event. */
function ignore(): void {
  return undefined
}

const isEmpty = ({ Put, Drop }: Changed<unknown>): boolean => Put.length + Drop.length === 0

export function changed<T extends { readonly Id: string }>(
  before: readonly T[],
  after: readonly T[],
): Changed<T> {
  const known = new Map(before.map(each => [each.Id, JSON.stringify(each)]))
  const Put = after.filter(each => known.get(each.Id) !== JSON.stringify(each))
  const left = new Set(after.map(each => each.Id))
  return { Put, Drop: before.map(each => each.Id).filter(id => !left.has(id)) }
}

interface Sample {
  readonly at: number
  readonly links: ReadonlyMap<string, LinkCounters>
}

function sample(): Sample {
  return { at: performance.now(), links: new Map(linkCounters().map(link => [link.name, link])) }
}

export function ratesBetween(before: Sample, now: Sample): Rates {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000)
  const rates: Record<string, { In: number; Out: number }> = {}
  for (const [name, link] of now.links) {
    const old = before.links.get(name)
    // A link of the same name that was made anew begins at zero.
    if (old === undefined || link.receivedBytes < old.receivedBytes || link.sentBytes < old.sentBytes)
      continue
    const In = Math.round((link.receivedBytes - old.receivedBytes) / seconds)
    const Out = Math.round((link.sentBytes - old.sentBytes) / seconds)
    if (In + Out > 0) rates[name] = { In, Out }
  }
  return rates
}
