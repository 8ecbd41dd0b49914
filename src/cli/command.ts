/**
 * A sub-command as data. `main.ts` knows names and summaries only; the module with flags and behaviour is loaded when
 * the command is called.
 */
import type { Context } from './context.ts'
import type { Flags, Values } from './flags.ts'

export interface CommandSpec<F extends Flags> {
  /** What follows the name: `[OPTIONS] IMAGE [COMMAND] [ARG...]` */
  readonly usage: string
  readonly flags: F
  /** How many arguments it takes; no maximum = any number. */
  readonly minimum: number
  readonly maximum?: number
  /** What comes after the first argument belongs to it, even if it looks like a flag (run, exec, top). */
  readonly passThrough?: boolean
  /** The command reads its words itself, `--` included. */
  readonly verbatim?: boolean
  /** Shown in the help, each with what it does. */
  readonly examples?: readonly (readonly [line: string, effect: string])[]
  /** Docker's habit: errors of create and run are followed by a hint and end with status 125. */
  readonly hintOnError?: boolean
  /** Answers the exit status. */
  readonly run: (context: Context, values: Values<F>, args: readonly string[]) => Promise<number>
}

/** A command whose flag types are forgotten: the parser hands it values by name. */
export interface Command extends Omit<CommandSpec<Flags>, 'run'> {
  execute(
    context: Context,
    values: Readonly<Record<string, unknown>>,
    args: readonly string[],
  ): Promise<number>
}

export function defineCommand<const F extends Flags>(spec: CommandSpec<F>): Command {
  const { run, ...rest } = spec
  return { ...rest, execute: (context, values, args) => run(context, values as Values<F>, args) }
}
