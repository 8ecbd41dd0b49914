/** What sections share: one run's directory and its engines, opened when the first section needs them. */
import { join } from 'node:path'
import { type Engine, findDockerd, openDockerd, openLinkspan } from './engine.ts'

export interface Context {
  readonly directory: string
  readonly signal: AbortSignal
  /** Rounds of a measurement that takes milliseconds; what takes longer takes a part of them. */
  readonly rounds: number
  linkspan(): Promise<Engine>
  /** Another checkout of ours to compare with, if one was named. */
  base(): Promise<Engine | undefined>
  /** A sentence if there is none. */
  dockerd(): Promise<Engine | string>
  /** Tells what is going on, to people who wait. */
  say(text: string): void
  close(): Promise<void>
}

export interface Settings {
  readonly directory: string
  readonly rounds: number
  /** A built checkout whose engine is measured as well. */
  readonly base: string | undefined
  readonly signal: AbortSignal
}

export function openContext({ directory, rounds, base, signal }: Settings): Context {
  let ours: Promise<Engine> | undefined
  let other: Promise<Engine | undefined> | undefined
  let theirs: Promise<Engine | string> | undefined
  const dockerd = () => {
    const found = findDockerd()
    return typeof found === 'string' ? Promise.resolve(found) : openDockerd(join(directory, 'd'), found.path)
  }
  return {
    directory,
    rounds,
    signal,
    linkspan: () => (ours ??= openLinkspan(join(directory, 'l'))),
    base: () =>
      (other ??=
        base === undefined ? Promise.resolve(undefined) : openLinkspan(join(directory, 'b'), base, 'base')),
    dockerd: () => (theirs ??= dockerd()),
    say: text => void process.stderr.write(`${text}\n`),
    close: async () => {
      for (const opened of await Promise.allSettled([ours, other, theirs])) {
        if (opened.status === 'fulfilled' && typeof opened.value === 'object') await opened.value.close()
      }
    },
  }
}

/** The engines there are, ours first, dockerd last, and a note for what is not there. */
export async function openEngines(
  context: Context,
): Promise<{ readonly engines: readonly Engine[]; readonly notes: string[] }> {
  context.say('starting the engines')
  const ours = await context.linkspan()
  const base = await context.base()
  const theirs = await context.dockerd()
  const engines = base === undefined ? [ours] : [ours, base]
  return typeof theirs === 'string'
    ? { engines, notes: [theirs] }
    : { engines: [...engines, theirs], notes: [] }
}
