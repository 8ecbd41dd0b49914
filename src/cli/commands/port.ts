/** `port`: where a container's ports are published. */
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { naturalOrder } from '../units.ts'
import { containerPath, type ContainerDetails } from '../wire.ts'

const hostPort = (binding: { readonly HostIp: string; readonly HostPort: string }): string =>
  `${binding.HostIp.includes(':') ? `[${binding.HostIp}]` : binding.HostIp}:${binding.HostPort}`

export const port = defineCommand({
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  flags: {},
  minimum: 1,
  maximum: 2,
  examples: [
    ['linkspan port web', 'All of them'],
    ['linkspan port web 80', 'Where port 80 is reached'],
  ],
  run: async (context, _values, [name = '', wanted]) => {
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
