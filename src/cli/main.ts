/**
 * The command line. Only names and one-line summaries live here: a sub-command's module is imported when it is called,
 * so that `linkspan ps` starts about as fast as node itself. The words, exit statuses and habits are docker's.
 */
import { Command as Node, CommanderError } from 'commander'
import type { Command } from './command.ts'
import { createContext, processWorld, type Context, type World } from './context.ts'
import { describe, EngineError, Failure, PlainFailure } from './failure.ts'
import { flagTitle, type Flag } from './flags.ts'
import { catalogue, type Entry } from './catalogue.ts'
import { commandHelp, groupHelp, programHelp } from './help.ts'
import { version } from '../version.ts'

const program = 'linkspan'
/** Docker's status for a command line it does not understand. */
const usageStatus = 125

interface Globals {
  readonly host: string | undefined
  readonly debug: boolean
}

function findEntry(entries: readonly Entry[], name: string): Entry | undefined {
  return entries.find(entry => entry.name === name || entry.aliases?.includes(name) === true)
}

/** Runs a command line and answers its exit status. Everything it prints goes through `world`. */
export async function main(argv: readonly string[], world: World = processWorld): Promise<number> {
  let globals: Globals = { host: undefined, debug: false }
  let status = 0
  const root = new Node(program)
    .exitOverride()
    .configureOutput({ writeOut: out => void world.stdout.write(out), writeErr: () => undefined })
    .configureHelp({ formatHelp: () => programHelp() })
    .enablePositionalOptions()
    .option('-H, --host <address>')
    .option('-D, --debug')
    .helpOption('-h, --help')
    .helpCommand(false)
    .version(`${program} ${version}`, '-v, --version')
    .allowExcessArguments()
    .passThroughOptions()
    .argument('[command...]')
    .action(async (words: string[]) => {
      const options = root.opts<{ host?: string; debug?: boolean }>()
      globals = { host: options.host, debug: options.debug ?? false }
      const context = createContext(world, {
        debug: globals.debug,
        ...(globals.host === undefined ? {} : { host: globals.host }),
      })
      status = await dispatch(catalogue, [program], words, context)
    })
  try {
    await root.parseAsync(argv, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      world.stderr.write(`${unknownFlag(error)}\n\nRun '${program} --help' for more information\n`)
      return usageStatus
    }
    return report(error, globals.debug || argv.includes('--debug'), world)
  }
}

/** Goes down the tree of commands by the words given, then runs what it finds. */
async function dispatch(
  entries: readonly Entry[],
  path: readonly string[],
  words: readonly string[],
  context: Context,
): Promise<number> {
  const [word, ...rest] = words
  const title = path.join(' ')
  if (word === undefined || word === '--help' || word === '-h' || (word === 'help' && path.length === 1)) {
    if (path.length === 1 && word === 'help' && rest.length > 0)
      return dispatch(entries, path, [...rest, '--help'], context)
    const out = word === undefined && path.length > 1 ? context.stderr : context.stdout
    out.write(path.length === 1 ? programHelp() : groupHelp(path, entries))
    return 0
  }
  const entry = findEntry(entries, word)
  if (entry === undefined) {
    const usage = path.length === 1 ? '' : `Usage:  ${title}\n\n`
    const near = nearest(word, entries)
    const hint = near === undefined ? '' : `Did you mean '${title} ${near}'?\n\n`
    context.stderr.write(
      `${program}: unknown command: ${title} ${word}\n\n${usage}${hint}Run '${title} --help' for more information\n`,
    )
    return 1
  }
  const below = [...path, entry.name]
  if (entry.kind === 'group') return dispatch(entry.commands, below, rest, context)
  return runCommand(entry, below, rest, await entry.load(), context)
}

async function runCommand(
  entry: Entry,
  path: readonly string[],
  words: readonly string[],
  command: Command,
  context: Context,
): Promise<number> {
  const title = path.join(' ')
  const usage = `Usage:  ${title} ${command.usage}`
  const hint = `Run '${title} --help' for more information`
  const help = (): string => commandHelp(path, entry, command)
  const verbatim = command.verbatim === true && words[0] !== '--help'
  const parsed: Parsed = verbatim ? { kind: 'values', values: {}, args: words } : parseFlags(command, words)
  if (parsed.kind === 'help') {
    context.stdout.write(help())
    return 0
  }
  if (parsed.kind === 'wrong') {
    context.stderr.write(`${parsed.message}\n\n${usage}\n\n${hint}\n`)
    return usageStatus
  }
  const { values, args } = parsed
  const counted = countProblem(command, args.length)
  if (counted !== undefined) {
    const advice = counted.includes('at least') ? hint.replace(/^Run/, 'See') : hint
    context.stderr.write(`${program}: '${title}' ${counted}\n\n${usage}\n\n${advice}\n`)
    return 1
  }
  try {
    return await command.execute(context, values, args)
  } catch (error) {
    if (command.hintOnError !== true || context.debug || error instanceof PlainFailure) throw error
    context.stderr.write(`${program}: ${describe(error)}\n\n${hint}\n`)
    return error instanceof Failure && error.exitCode !== 1 ? error.exitCode : usageStatus
  }
}

type Parsed =
  | {
      readonly kind: 'values'
      readonly values: Readonly<Record<string, unknown>>
      readonly args: readonly string[]
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

/**
 * Reads a command's flags with commander. What its grammar lacks of docker's is said beforehand: `--rm=false` on a
 * flag without value, and `-e=X`.
 */
export function parseFlags(
  command: Pick<Command, 'flags' | 'passThrough'>,
  words: readonly string[],
): Parsed {
  const values: Record<string, unknown> = {}
  const node = new Node('command')
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
  // --help is docker's; -h belongs to --hostname where a command has it.
  node.helpOption(false).helpCommand(false).allowExcessArguments().argument('[words...]')
  if (command.passThrough === true) node.passThroughOptions()
  const byShort = new Map<string, string>()
  let help = false
  node.option('--help').on('option:help', () => {
    help = true
  })
  const give = (name: string, flag: Flag<unknown>, text: string): void => {
    try {
      values[name] = flag.read(text, values[name])
    } catch (error) {
      if (error instanceof Failure) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new WrongValue(
        `invalid argument ${JSON.stringify(text)} for "${flagTitle(name, flag)}" flag: ${reason}`,
      )
    }
  }
  for (const [name, flag] of Object.entries(command.flags) as [string, Flag<unknown>][]) {
    values[name] = flag.initial
    if (flag.short !== undefined) byShort.set(flag.short, name)
    node.option(
      `${flag.short === undefined ? '' : `-${flag.short}, `}--${name}${flag.takesValue ? ' <value>' : ''}`,
    )
    node.on(`option:${name}`, (value: string | null) => give(name, flag, value ?? 'true'))
  }
  let args: readonly string[] = []
  node.action((operands: string[]) => {
    args = operands
  })
  try {
    node.parse(plainWords(command, words, byShort, give), { from: 'user' })
  } catch (error) {
    if (error instanceof WrongValue) return { kind: 'wrong', message: error.message }
    if (error instanceof CommanderError) {
      return help || words.includes('--help')
        ? { kind: 'help' }
        : { kind: 'wrong', message: unknownFlag(error) }
    }
    throw error
  }
  return help ? { kind: 'help' } : { kind: 'values', values, args }
}

class WrongValue extends Error {}

/** Takes `--flag=bool` out of the words (giving it at once) and writes `-e=X` as `-e X`. */
function plainWords(
  command: Pick<Command, 'flags' | 'passThrough'>,
  words: readonly string[],
  byShort: ReadonlyMap<string, string>,
  give: (name: string, flag: Flag<unknown>, text: string) => void,
): string[] {
  const plain: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (word === '--') return [...plain, ...words.slice(index)]
    if (!word.startsWith('-') || word === '-') {
      if (command.passThrough === true) return [...plain, ...words.slice(index)]
      plain.push(word)
      continue
    }
    const long = /^--([^=]+)(?:=(.*))?$/s.exec(word)
    const short = /^-(.)=(.+)$/s.exec(word)
    const name = long?.[1] ?? byShort.get(short?.[1] ?? '')
    const flag = name === undefined ? undefined : command.flags[name]
    const value = long?.[2] ?? short?.[2]
    if (name !== undefined && flag !== undefined && !flag.takesValue && value !== undefined) {
      give(name, flag, value)
      continue
    }
    if (short !== null && flag !== undefined) {
      plain.push(`-${short[1]}`, value ?? '')
      continue
    }
    plain.push(word)
    // The next word is this flag's value, whatever it looks like.
    const last = /^-[^-]/.test(word) ? lastOfCluster(command, word, byShort) : flag
    if (last?.takesValue === true && value === undefined && index + 1 < words.length) {
      index += 1
      plain.push(words[index] ?? '')
    }
  }
  return plain
}

/** Of `-itv`, the flag `v`, if it still waits for its value; `-p80:80` has it already. */
function lastOfCluster(
  command: Pick<Command, 'flags'>,
  word: string,
  byShort: ReadonlyMap<string, string>,
): Flag<unknown> | undefined {
  for (let index = 1; index < word.length; index += 1) {
    const flag = command.flags[byShort.get(word[index] ?? '') ?? '']
    if (flag === undefined) return undefined
    if (flag.takesValue) return index === word.length - 1 ? flag : undefined
  }
  return undefined
}

/** Commander's complaint in docker's words. */
function unknownFlag(error: CommanderError): string {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? ''
  if (error.code === 'commander.unknownOption') {
    if (quoted.startsWith('--')) return `unknown flag: ${quoted.split('=')[0]}`
    return `unknown shorthand flag: '${quoted[1] ?? ''}' in ${quoted}`
  }
  if (error.code === 'commander.optionMissingArgument') {
    return `flag needs an argument: ${/--[^ ]+/.exec(quoted)?.[0] ?? quoted}`
  }
  return error.message.replace(/^error: /, '')
}

function countProblem(command: Command, count: number): string | undefined {
  const { minimum, maximum } = command
  const noun = (wanted: number): string => `${wanted} argument${wanted === 1 ? '' : 's'}`
  if (minimum === maximum) {
    if (count === minimum) return undefined
    return minimum === 0 ? 'accepts no arguments' : `requires ${noun(minimum)}`
  }
  if (count < minimum) return `requires at least ${noun(minimum)}`
  if (maximum !== undefined && count > maximum) return `requires at most ${noun(maximum)}`
  return undefined
}

/** The one command whose name is at most two edits away. */
function nearest(word: string, entries: readonly Entry[]): string | undefined {
  const ranked = entries
    .map(({ name }) => ({ name, distance: editDistance(word, name) }))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0] !== undefined && ranked[0].distance <= 2 ? ranked[0].name : undefined
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** One line for people; the stack is for --debug. */
function report(error: unknown, debug: boolean, world: World): number {
  if (error instanceof Failure && error.message === '') return error.exitCode
  const line = describe(error)
  const expected = error instanceof Failure || error instanceof EngineError
  world.stderr.write(expected ? `${line}\n` : `${program}: ${line}\n`)
  if (debug) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      world.stderr.write(`${cause.stack ?? ''}\n`)
  }
  return error instanceof Failure ? error.exitCode : 1
}
