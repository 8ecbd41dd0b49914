/** `port`: where a container's ports are published. */
import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { Failure } from '../failure.ts'
import { parsePorts, type PortMap } from '../ports.ts'
import { naturalOrder } from '../units.ts'
import { containerPath, type ContainerDetails } from '../wire.ts'

const hostPort = (binding: { readonly HostIp: string; readonly HostPort: string }): string =>
  `${binding.HostIp.includes(':') ? `[${binding.HostIp}]` : binding.HostIp}:${binding.HostPort}`

/** `add` and `rm` are words for changes where what follows them is a container and at least one port. */
function changeAsked(words: readonly string[]): 'POST' | 'DELETE' | undefined {
  if (words.length < 3) return undefined
  return words[0] === 'add' ? 'POST' : words[0] === 'rm' ? 'DELETE' : undefined
}

async function change(
  context: Context,
  method: 'POST' | 'DELETE',
  words: readonly string[],
): Promise<number> {
  const [, name = '', ...given] = words
  let bindings: PortMap
  try {
    bindings = parsePorts(given, []).bindings
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error))
  }
  await context.client.json(method, `/linkspan/v1${containerPath(name, '/ports')}`, {
    body: { PortBindings: bindings },
  })
  context.print(name)
  return 0
}

async function move(context: Context, words: readonly string[]): Promise<number> {
  const [, port = '', from = '', to = ''] = words
  await context.client.json('POST', '/linkspan/v1/ports/move', { body: { Port: port, From: from, To: to } })
  context.print(to)
  return 0
}

export const port = defineCommand({
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]] | add|rm CONTAINER PORT... | move PORT FROM TO',
  flags: {},
  minimum: 1,
  examples: [
    ['linkspan port web', 'All of them'],
    ['linkspan port web 80', 'Where port 80 is reached'],
    ['linkspan port add web 8443:443', 'Publish one more port of a running container; nothing is restarted'],
    ['linkspan port move 8080 web web2', 'From now on new connections go to web2; none is refused'],
    ['linkspan port rm web 8443:443', 'Take it back; established connections go on'],
  ],
  run: async (context, _values, words) => {
    const method = changeAsked(words)
    if (method !== undefined) return await change(context, method, words)
    if (words.length === 4 && words[0] === 'move') return await move(context, words)
    if (words.length > 2) throw new Failure('"port" takes a container and a port, or add or rm before them')
    const [name = '', wanted] = words
    const { NetworkSettings: settings } = await context.client.json<ContainerDetails>(
      'GET',
      containerPath(name, '/json'),
    )
    const ports = settings.Ports ?? {}
    if (wanted === undefined) {
      const lines = Object.entries(ports).flatMap(([inside, bindings]) =>
        (bindings ?? []).map(binding => `${inside} -> ${hostPort(binding)}`),
      )
      for (const line of lines.sort(naturalOrder)) context.print(line)
      return 0
    }
    const [number = '', protocol = 'tcp'] = wanted.split('/')
    if (!/^\d+$/.test(number) || Number(number) > 65_535) {
      throw new Failure(
        `Error: invalid port (${number}): strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`,
      )
    }
    const bindings = ports[`${Number(number)}/${protocol}`]
    if (bindings === undefined || bindings === null) {
      throw new Failure(`Error: No public port '${wanted}' published for ${name}`)
    }
    for (const line of bindings.map(hostPort).sort(naturalOrder)) context.print(line)
    return 0
  },
})
