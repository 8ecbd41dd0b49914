/** Help texts: in docker's shape, so that they read at a glance, with examples that can be pasted. */
import type { Command } from './command.ts'
import type { Flag } from './flags.ts'
import { sections, type Entry } from './catalogue.ts'
import { defaultHost } from './host.ts'

const width = 80

/** Breaks text at spaces so that no line is longer than `limit`. */
function wrap(text: string, limit: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > limit) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** Two columns, the second wrapped; docker has two spaces between commands and their summaries, three for options. */
function columns(rows: readonly (readonly [left: string, right: string])[], gap: 2 | 3): string {
  const left = Math.max(0, ...rows.map(([name]) => name.length)) + gap
  return rows
    .flatMap(([name, text]) =>
      wrap(text, Math.max(30, width - left - 2)).map(
        (line, index) => `  ${(index === 0 ? name : '').padEnd(left)}${line}\n`,
      ),
    )
    .join('')
}

export function programHelp(): string {
  const body = sections
    .map(
      ({ title, entries }) =>
        `${title}:\n${columns(
          entries.map(entry => [entry.name, entry.summary] as const),
          2,
        )}`,
    )
    .join('\n')
  return `Usage:  linkspan [OPTIONS] COMMAND

Docker's container networking for Linux, made directly in the kernel

${body}
Options:
${columns(
  [
    ['-H, --host address', `Engine to talk to (default ${defaultHost}, or $LINKSPAN_HOST, or $DOCKER_HOST)`],
    ['-D, --debug', 'Show where an error comes from'],
    ['-v, --version', 'Print the version and quit'],
  ],
  3,
)}
Try it:
  linkspan network create shop
  linkspan run -d --name web --network shop -p 8080:80 busybox httpd -f -h /var/www
  linkspan network inspect shop
  linkspan run --rm --network shop busybox wget -qO- http://web/

Run 'linkspan COMMAND --help' for more information on a command.
`
}

export function groupHelp(path: readonly string[], entries: readonly Entry[]): string {
  const title = path.join(' ')
  const group = sections.flatMap(section => section.entries).find(entry => entry.name === path.at(-1))
  return `Usage:  ${title} COMMAND

${group?.summary ?? ''}

Commands:
${columns(
  entries.map(entry => [entry.name, entry.summary] as const),
  2,
)}
Run '${title} COMMAND --help' for more information on a command.
`
}

function flagRow(name: string, flag: Flag<unknown>): readonly [string, string] {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `
  const value = flag.takesValue ? ` ${flag.placeholder}` : ''
  return [`${short}--${name}${value}`, flag.summary]
}

export function commandHelp(path: readonly string[], entry: Entry, command: Command): string {
  const title = path.join(' ')
  const flags = (Object.entries(command.flags) as [string, Flag<unknown>][]).filter(
    ([, flag]) => flag.hidden !== true,
  )
  const others = (entry.aliases ?? []).filter(alias => alias !== entry.name)
  const aliases =
    others.length === 0
      ? ''
      : `\nAliases:\n  ${[entry.name, ...others].map(name => [...path.slice(0, -1), name].join(' ')).join(', ')}\n`
  const options =
    flags.length === 0
      ? ''
      : `\nOptions:\n${columns(
          flags.map(([name, flag]) => flagRow(name, flag)),
          3,
        )}`
  const examples =
    command.examples === undefined
      ? ''
      : `\nExamples:\n${command.examples.map(([line, effect]) => `  # ${effect}\n  ${line}\n`).join('')}`
  return `Usage:  ${title} ${command.usage}\n\n${entry.summary}\n${aliases}${options}${examples}`
}
