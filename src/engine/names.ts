/** Ids and names that the engine makes up. The only place of the engine's randomness. */
import { randomBytes, randomInt } from 'node:crypto'

const manners =
  `able agile amber azure bold brave breezy bright brisk calm candid cheerful clever coastal cosy crisp
curious daring deft eager early easy fair fleet fond frank fresh gentle glad golden grand handy happy hardy honest jolly
keen kind lively loyal lucid lucky mellow merry mild misty modest neat nimble noble open patient placid plucky polite
proud quick quiet rapid ready robust rosy salty serene sharp silver sleek smooth snug solid spry steady stout sunny
swift tender tidy tranquil trim trusty upbeat vivid warm wise witty zesty`.split(/\s+/)

const vessels =
  `anchor barge bark bollard bosun bowsprit brig buoy capstan captain cargo clipper compass cutter davit
deckhand derrick dinghy dock dory drifter felucca ferry fender frigate galleon gangway halyard harbor hawser helm hull
jetty junk keel ketch lantern lateen launch lighter lugger mainsail mariner mast mooring navigator oar packet pennant
pier pilot pinnace piper porthole prow quay rigger rudder sail sampan schooner sextant shallop skiff skipper sloop
spinnaker stern steward tackle tanker tender tiller trawler trimaran tug wharf whaler wherry windlass xebec yacht yawl`.split(
    /\s+/,
  )

/** A name for a container that was given none. `taken` tells which are in use. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(manners)}_${pick(vessels)}${attempt > 5 ? randomInt(10_000).toString() : ''}`
    if (!taken(name)) return name
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? ''
}

/** 64 lower-case hex digits. A name of digits only would read as a number in a shell's hands, so the first 12 have a letter. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex')
    if (/[a-f]/.test(id.slice(0, 12))) return id
  }
}

export function randomBytesOf(count: number): Uint8Array {
  return randomBytes(count)
}

/** Name of a veth's host end: 11 characters, well within the kernel's 15. */
export function randomVethName(): string {
  return `veth${randomBytes(4).toString('hex').slice(0, 7)}`
}
