/** What a picture of the host's networks is drawn from: the page and `linkspan top` share it. */

export interface SceneNetwork {
  readonly id: string
  readonly name: string
  /** Behind the NAT gate; otherwise its rail has a cut stub. */
  readonly gate: boolean
}

export interface SceneContainer {
  readonly id: string
  readonly name: string
  /** Containers of one family are folded into one tile where a rail has too many: compose project or image. */
  readonly family: string
  /** Lines under its name: one for each interface, ports… They decide its height. */
  readonly lines: number
  /** Ids of its networks in the order of its interfaces. */
  readonly networks: readonly string[]
}

export interface SceneInput {
  readonly networks: readonly SceneNetwork[]
  readonly containers: readonly SceneContainer[]
}

export interface SceneOptions {
  /** Boxes beside each other before a rail's row wraps. */
  readonly perRow: number
  /** A rail with more boxes than this has them folded. */
  readonly foldAbove: number
  /** Families that stay unfolded: `network/family`. */
  readonly opened: ReadonlySet<string>
}

/** A container, or a folded family of them, in its place. Pixels. */
export interface Box {
  /** Container id, or `network/family` of a tile. */
  readonly id: string
  readonly members: readonly string[]
  readonly folded: boolean
  /** Network under whose rail it hangs. */
  readonly home: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Rail {
  readonly network: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly gate: boolean
  /** Where its colour is in the palette. */
  readonly color: number
}

/** The cable of a veth pair: from a rail to a box. */
export interface Cable {
  readonly network: string
  readonly box: string
  /** Corners from the rail's socket to the box's plug. */
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Middle of the straight stretch where its label has room. */
  readonly label: readonly [x: number, y: number]
}

export interface Scene {
  readonly width: number
  readonly height: number
  readonly host: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
  /** The amber column that every rail with a gate is joined to; undefined where there is none. */
  readonly gate: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
  readonly rails: readonly Rail[]
  readonly boxes: readonly Box[]
  readonly cables: readonly Cable[]
}
