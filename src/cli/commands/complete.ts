/**
 * `complete SHELL` prints what a shell needs; `complete -- WORDS` is what the shell then asks on every tab: commands,
 * flags, and the names of the containers, networks and images there are.
 */
import { RootCommand } from '@bomb.sh/tab'
import { catalogue, type Entry } from '../catalogue.ts'
import { defineCommand, type Command } from '../command.ts'
import type { Context } from '../context.ts'
import { Failure } from '../failure.ts'
import type { Flag } from '../flags.ts'
import type { ContainerSummary, ImageSummary, NetworkSummary } from '../wire.ts'

type Candidate = readonly [value: string, summary: string]

const shells = ['bash', 'zsh', 'fish', 'powershell']

const running = async (context: Context, all: boolean): Promise<Candidate[]> => {
  const items = await context.client.json<readonly ContainerSummary[]>('GET', '/containers/json', {
    query: { all },
  })
  return items.flatMap(item => item.Names.map(name => [name.replace(/^\//, ''), item.Status] as const))
}
const networks = async (context: Context): Promise<Candidate[]> => {
  const items = await context.client.json<readonly NetworkSummary[]>('GET', '/networks')
  return items.map(item => [item.Name, item.Driver] as const)
}
const images = async (context: Context): Promise<Candidate[]> => {
  const items = await context.client.json<readonly ImageSummary[]>('GET', '/images/json')
  return items.flatMap(item => (item.RepoTags ?? []).map(tag => [tag, ''] as const))
}

/** What the word after the flags names, read off the usage line. */
async function operands(context: Context, command: Command, position: number): Promise<Candidate[]> {
  const words = command.usage.split(' ').filter(word => word !== '[OPTIONS]')
  const word = words[Math.min(position, words.length - 1)] ?? ''
  if (word.includes('CONTAINER')) return running(context, true)
  if (word === 'FROM' || word.startsWith('TO['))
    return [...(await running(context, true)), ['host', 'this host'], ['internet', 'somebody outside']]
  if (word.includes('NETWORK')) return networks(context)
  if (word.includes('IMAGE')) return images(context)
  if (word.startsWith('NAME'))
    return (await Promise.all([running(context, true), networks(context), images(context)])).flat()
  return []
}

function flagCandidates(command: Command): Candidate[] {
  return (Object.entries(command.flags) as [string, Flag<unknown>][])
    .filter(([, flag]) => flag.hidden !== true)
    .map(([name, flag]) => [`--${name}`, flag.summary] as const)
}

/** Everything that may stand where the last of `words` stands. */
export async function candidates(context: Context, words: readonly string[]): Promise<Candidate[]> {
  const typed = words.at(-1) ?? ''
  const before = words.slice(0, -1).filter(word => !word.startsWith('-H') && !word.startsWith('--host'))
  let entries: readonly Entry[] = catalogue
  for (const [index, word] of before.entries()) {
    const entry = entries.find(item => item.name === word || item.aliases?.includes(word) === true)
    if (entry === undefined) return []
    if (entry.kind === 'group') {
      entries = entry.commands
      continue
    }
    const command = await entry.load()
    if (typed.startsWith('-')) return flagCandidates(command).filter(([value]) => value.startsWith(typed))
    const rest = before.slice(index + 1)
    const last = rest.at(-1)
    if (last === '--network' || last === '--net')
      return (await networks(context)).filter(([value]) => value.startsWith(typed))
    const given = rest.filter(item => !item.startsWith('-'))
    const found = await operands(context, command, given.length)
    return found.filter(([value]) => value.startsWith(typed))
  }
  return entries.map(item => [item.name, item.summary] as const).filter(([value]) => value.startsWith(typed))
}

/** Says to the shell: these words only, no file names. */
const noFiles = ':4'

export const complete = defineCommand({
  usage: 'SHELL',
  flags: {},
  minimum: 1,
  verbatim: true,
  examples: [
    ['source <(linkspan complete bash)', 'In this bash; put it into ~/.bashrc to keep it'],
    ['linkspan complete fish > ~/.config/fish/completions/linkspan.fish', 'For fish'],
  ],
  run: async (context, _values, args) => {
    const [shell = '', ...words] = args
    if (shell === '--') {
      // Pressing tab must never print an error: without an engine there are just no names.
      const found = await candidates(context, words).catch((): Candidate[] => [])
      for (const [value, summary] of found) context.print(summary === '' ? value : `${value}\t${summary}`)
      context.print(noFiles)
      return 0
    }
    if (!shells.includes(shell))
      throw new Failure(`unknown shell ${JSON.stringify(shell)}: ${shells.join(', ')}`)
    new RootCommand().setup('linkspan', 'linkspan', shell)
    return 0
  },
})
