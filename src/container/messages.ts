/**
 * What runtimes print → what Docker says. Clients derive exit codes from these sentences ("executable file not
 * found" and "no such file or directory" → 127, "permission denied" → 126), so crun's are put into runc's form.
 */

import { type Fault, fault } from '../base/index.ts'

const mountHint =
  ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type'

export type Stage = 'create' | 'start' | 'exec'

/**
 * The fault for a runtime that failed. `output` is what it printed, `program` what it was to run (args[0]). 400 for
 * what the user can mend (126 and 127), 500 for everything else, as Docker does.
 */
export function runtimeFault(stage: Stage, runtime: string, program: string, output: string): Fault {
  const reason = reasonOf(runtime, program, lastError(output))
  const text =
    stage === 'exec'
      ? `OCI runtime exec failed: exec failed: ${reason}: unknown`
      : `failed to create task for container: failed to create shim task: OCI runtime ${stage} failed: runc ${stage} failed: ${reason}: unknown`
  if (startExitCode(text) === 128) return fault('internal', text)
  return fault('invalidParameter', /: not a directory: unknown$/i.test(text) ? text + mountHint : text)
}

/** The exit code Docker records for a container whose start failed with this message. */
export function startExitCode(message: string): 126 | 127 | 128 {
  if (/permission denied|is a directory/i.test(message)) return 126
  return /executable file not found|no such file or directory|not a directory/i.test(message) ? 127 : 128
}

/** The last error among a runtime's output: plain lines, logrus text or JSON. */
function lastError(output: string): string {
  const lines = output.split('\n').filter(line => line.trim() !== '')
  const errors = lines.flatMap(line => {
    if (line.startsWith('{')) {
      const { level, msg } = parseJson(line)
      return level === 'warning' || level === 'info' || msg === undefined ? [] : [msg]
    }
    const match = /^time=\S+ level=(\w+) msg=(?:"((?:[^"\\]|\\.)*)"|(\S+))/.exec(line)
    if (match === null) return [line]
    return match[1] === 'warning' || match[1] === 'info' ? [] : [unquote(match[2] ?? match[3] ?? '')]
  })
  return (errors.at(-1) ?? lines.at(-1) ?? 'the runtime ended without a message').trim()
}

function parseJson(line: string): { readonly level?: string; readonly msg?: string } {
  try {
    return JSON.parse(line) as { level?: string; msg?: string }
  } catch {
    return { msg: line }
  }
}

/** Go's %q: the escapes that occur in messages are JSON's. */
function unquote(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return text
  }
}

function reasonOf(runtime: string, program: string, message: string): string {
  const prefix = 'unable to start container process: '
  const plain = message.replace(/^(?:runc (?:create|run|start) failed|exec failed): /, '')
  if (runtime !== 'crun') return plain
  const notFound = /^executable file `(.*)` not found(?: in \$PATH)?: /.exec(plain)?.[1]
  if (notFound !== undefined) {
    return notFound.includes('/')
      ? `${prefix}exec: "${notFound}": stat ${notFound}: no such file or directory`
      : `${prefix}exec: "${notFound}": executable file not found in $PATH`
  }
  // A directory gives EPERM, a file that may not be executed EACCES; runc calls both the same.
  if (/^open executable: (?:Permission denied|Operation not permitted|Is a directory)$/.test(plain)) {
    return `${prefix}exec: "${program}": permission denied`
  }
  const chdir = /^chdir(?: to)? `(.*)`: (.*)$/.exec(plain)
  if (chdir !== null) {
    return `${prefix}chdir to cwd ("${chdir[1] ?? ''}") set in config.json failed: ${(chdir[2] ?? '').toLowerCase()}`
  }
  return (
    prefix +
    plain.replace(/: ([A-Z])([^:]*)$/, (_, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`)
  )
}
