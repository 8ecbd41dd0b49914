/** `version`: of this program and of the engine it talks to. */
import { arch, platform } from 'node:os'
import { defineCommand } from '../command.ts'
import { text } from '../flags.ts'
import { prepareObject } from '../format.ts'
import { version as clientVersion } from '../../version.ts'

interface Component {
  readonly Name: string
  readonly Version: string
  readonly Details?: Readonly<Record<string, string>>
}

interface ServerVersion {
  readonly Platform?: { readonly Name: string }
  readonly Components?: readonly Component[]
  readonly Version: string
  readonly ApiVersion: string
}

const goArch: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' }

/** Titles of an engine's details, in docker's order. */
const details: readonly (readonly [key: string, title: string])[] = [
  ['GoVersion', 'Go version'],
  ['GitCommit', 'Git commit'],
  ['BuildTime', 'Built'],
]

const row = (indent: string, title: string, value: string): string =>
  `${indent}${`${title}:`.padEnd(19 - indent.length + 1)}${value}\n`

function componentText(component: Component): string {
  const more = component.Details ?? {}
  const lines = [
    ` ${component.Name === 'Engine' ? 'Engine' : component.Name}:\n`,
    row('  ', 'Version', component.Version),
  ]
  if (component.Name === 'Engine') {
    lines.push(
      row('  ', 'API version', `${more.ApiVersion ?? ''} (minimum version ${more.MinAPIVersion ?? ''})`),
    )
    for (const [key, title] of details) lines.push(row('  ', title, more[key] ?? ''))
    lines.push(row('  ', 'OS/Arch', `${more.Os ?? ''}/${more.Arch ?? ''}`))
    lines.push(row('  ', 'Experimental', more.Experimental ?? 'false'))
  } else for (const [key, value] of Object.entries(more)) lines.push(row('  ', key, value))
  return lines.join('')
}

export const version = defineCommand({
  usage: '[OPTIONS]',
  flags: { format: text("'json' or a Go template", { short: 'f' }) },
  minimum: 0,
  maximum: 0,
  run: async (context, values) => {
    const render = prepareObject(values.format)
    const client = {
      Version: clientVersion,
      NodeVersion: process.version,
      Os: platform(),
      Arch: goArch[arch()] ?? arch(),
    }
    const lines = [
      'Client: Linkspan\n',
      row(' ', 'Version', client.Version),
      row(' ', 'Node version', client.NodeVersion),
      row(' ', 'OS/Arch', `${client.Os}/${client.Arch}`),
    ]
    let server: ServerVersion
    try {
      server = await context.client.json<ServerVersion>('GET', '/version')
    } catch (error) {
      // What is known of the client is told even where there is no engine.
      if (values.format === '') context.stdout.write(lines.join(''))
      throw error
    }
    if (values.format !== '') {
      context.stdout.write(render({ Client: client, Server: server }))
      return 0
    }
    const name = server.Platform?.Name ?? ''
    lines.push(`\nServer:${name === '' ? '' : ` ${name}`}\n`)
    for (const component of server.Components ?? []) lines.push(componentText(component))
    context.stdout.write(lines.join(''))
    return 0
  },
})
