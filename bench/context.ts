/** What sections share: one run's directory and its engines, opened when the first section needs them. */
import { join } from 'node:path'
import { type Engine, findDockerd, openDockerd, openLinkspan } from './engine.ts'

export interface Context {
  readonly directory: string
  readonly signal: AbortSignal
  /** Rounds of a measurement that takes milliseconds; what takes longer takes a part of them. */
  readonly rounds: number
  linkspan(): Promise<Engine>
  /** A sentence if there is none. */
  dockerd(): Promise<Engine | string>
  /** Tells what is going on, to people who wait. */
  say(text: string): void
  close(): Promise<void>
}

export function openContext(directory: string, rounds: number, signal: AbortSignal): Context {
  let ours: Promise<Engine> | undefined
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
    dockerd: () => (theirs ??= dockerd()),
    say: text => void process.stderr.write(`${text}\n`),
    close: async () => {
      for (const opened of await Promise.allSettled([ours, theirs])) {
        if (opened.status === 'fulfilled' && typeof opened.value === 'object') await opened.value.close()
      }
    },
  }
}

/** The engines there are, ours first, and a note for what is not there. */
export async function openEngines(
  context: Context,
): Promise<{ readonly engines: readonly Engine[]; readonly notes: readonly string[] }> {
  context.say('starting the engines')
  const ours = await context.linkspan()
  const theirs = await context.dockerd()
  return typeof theirs === 'string'
    ? { engines: [ours], notes: [theirs] }
    : { engines: [ours, theirs], notes: [] }
}
