/** `dns`: what a container can resolve, and what it asks. */
import { defineCommand } from '../command.ts'
import { boolean, text } from '../flags.ts'
import { Failure } from '../failure.ts'
import { alignColumns } from '../table.ts'

interface Seen {
  readonly Resolver: string
  readonly Servers: readonly string[]
  readonly External: boolean
  readonly Names: readonly {
    readonly Name: string
    readonly Network: string
    readonly Addresses: readonly string[]
    readonly Containers: readonly string[]
    readonly Link: boolean
    readonly Hidden: boolean
  }[]
}

interface Asked {
  readonly Time: string
  readonly Name: string
  readonly Type: string
  readonly From: string
  readonly Code: string
  readonly Answers: number
  readonly Milliseconds: number
}

const path = (container: string): string => `/linkspan/v1/containers/${encodeURIComponent(container)}/dns`

export const dns = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  flags: {
    follow: boolean('Show its questions as they are answered', { short: 'f' }),
    format: text("'json' for JSON, one object per line with --follow"),
  },
  minimum: 1,
  maximum: 1,
  examples: [
    ['linkspan dns web', 'Every name that web can resolve here, and who is asked for the rest'],
    ['linkspan dns --follow web', 'What it asks, who answered, and how long that took'],
  ],
  run: async (context, values, [container = '']) => {
    if (values.format !== '' && values.format !== 'json') {
      throw new Failure(`invalid --format ${values.format}: there is json`)
    }
    const asJson = values.format === 'json'
    if (!values.follow) {
      const seen = await context.client.json<Seen>('GET', path(container))
      context.print(asJson ? JSON.stringify(seen) : describe(seen))
      return 0
    }
    for await (const line of context.client.lines('GET', `${path(container)}/questions`)) {
      context.print(asJson ? line : questionLine(JSON.parse(line) as Asked))
    }
    return 0
  },
})

function describe(seen: Seen): string {
  if (seen.Resolver !== '127.0.0.11') {
    return 'It asks the servers of its /etc/resolv.conf itself: networks of this kind have no names for containers.'
  }
  const rows = seen.Names.map(({ Name, Network, Addresses, Containers, Link, Hidden }) => {
    const remark = [Link ? 'link' : '', Hidden ? `hidden; ask for ${Name}.${Network}` : '']
    return [
      Name,
      Network,
      Addresses.join(' ') || '(no address)',
      Containers.join(' '),
      remark.filter(one => one !== '').join(', '),
    ].join('\t')
  })
  return `${alignColumns(['NAME\tNETWORK\tADDRESS\tCONTAINER\tREMARK', ...rows].join('\n'))
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')}\n\n${others(seen)}`
}

function others({ Servers: servers, External: external }: Seen): string {
  if (servers.length > 0)
    return `Other names: asked of ${servers.join(', ')} from inside the container (--dns).`
  return external
    ? "Other names: asked of the host's servers (/etc/resolv.conf)."
    : 'Other names: not asked for; all its networks are internal.'
}

/** `14:02:11.031  A     db                NOERROR   1 answer   zone   0 ms` */
function questionLine({ Time, Name, Type, From, Code, Answers, Milliseconds }: Asked): string {
  const time = new Date(Time).toTimeString().slice(0, 8)
  const cells = [
    `${time}.${Time.slice(20, 23)}`,
    Type.padEnd(5),
    Name.padEnd(30),
    Code.padEnd(8),
    `${Answers} ${Answers === 1 ? 'answer ' : 'answers'}`,
    `from ${From}`.padEnd(20),
    `${Milliseconds} ms`,
  ]
  return cells.join('  ')
}
