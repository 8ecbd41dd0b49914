/** `ps`: the containers. */
import { defineCommand } from '../command.ts'
import { filterQuery, filters, boolean, integer, text } from '../flags.ts'
import { labelText, prepareList, type Listing } from '../format.ts'
import { ellipsis, goTime, humanDuration, humanSize, shortId } from '../units.ts'
import { publishedText } from '../published.ts'
import type { ContainerSummary } from '../wire.ts'

const longestCommand = 20
const longestMount = 15

/** The names users gave: not those by which a link calls it. */
function ownNames(names: readonly string[], full: boolean): string {
  const plain = names.map(name => name.replace(/^\//, ''))
  return (full ? plain : plain.filter(name => !name.includes('/'))).join(',')
}

export const containerListing: Listing<ContainerSummary> = {
  typeName: '*formatter.ContainerContext',
  quiet: 'ID',
  table: ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names'],
  columns: [
    { name: 'ID', title: 'CONTAINER ID', value: (item, { full }) => (full ? item.Id : shortId(item.Id)) },
    {
      name: 'Image',
      title: 'IMAGE',
      value: ({ Image: image, ImageID: id }, { full }) => {
        if (image === '') return '<no image>'
        // An image without a name is called by its id, which is as short as ids are.
        return !full && image === id ? shortId(id) : full ? image : image.replace(/@sha256:[0-9a-f]{64}$/, '')
      },
    },
    {
      name: 'Command',
      title: 'COMMAND',
      value: (item, { full }) => `"${full ? item.Command : ellipsis(item.Command, longestCommand)}"`,
    },
    { name: 'CreatedAt', title: 'CREATED AT', value: item => goTime(item.Created) },
    {
      name: 'RunningFor',
      title: 'CREATED',
      value: (item, { now }) => `${humanDuration(now - item.Created * 1000)} ago`,
    },
    { name: 'Ports', title: 'PORTS', value: item => publishedText(item.Ports) },
    { name: 'State', title: 'STATE', value: item => item.State },
    { name: 'Status', title: 'STATUS', value: item => item.Status },
    {
      name: 'Size',
      title: 'SIZE',
      value: item => {
        const own = humanSize(item.SizeRw ?? 0, 3)
        return (item.SizeRootFs ?? 0) > 0 ? `${own} (virtual ${humanSize(item.SizeRootFs ?? 0, 3)})` : own
      },
    },
    { name: 'Names', title: 'NAMES', value: (item, { full }) => ownNames(item.Names, full) },
    { name: 'Labels', title: 'LABELS', value: item => labelText(item.Labels) },
    {
      name: 'LocalVolumes',
      title: 'LOCAL VOLUMES',
      value: item => String((item.Mounts ?? []).filter(mount => mount.Driver === 'local').length),
    },
    {
      name: 'Mounts',
      title: 'MOUNTS',
      value: (item, { full }) =>
        (item.Mounts ?? [])
          .map(mount => (mount.Name === undefined || mount.Name === '' ? (mount.Source ?? '') : mount.Name))
          .map(name => (full ? name : ellipsis(name, longestMount)))
          .join(','),
    },
    {
      name: 'Networks',
      title: 'NETWORKS',
      value: item => Object.keys(item.NetworkSettings?.Networks ?? {}).join(','),
    },
  ],
  methods: {
    Label: { call: (item, key) => item.Labels?.[key] ?? '' },
  },
}

export const ps = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    all: boolean('Show all containers (default shows just running)', { short: 'a' }),
    filter: filters('Filter output based on conditions provided', { short: 'f' }),
    format: text("'table', 'json', 'table TEMPLATE' or a Go template"),
    last: integer('Show n last created containers (includes all states)', { short: 'n', initial: -1 }),
    latest: boolean('Show the latest created container (includes all states)', { short: 'l' }),
    'no-trunc': boolean("Don't truncate output"),
    quiet: boolean('Only display container IDs', { short: 'q' }),
    size: boolean('Display total file sizes', { short: 's' }),
  },
  minimum: 0,
  maximum: 0,
  examples: [
    ['linkspan ps -a', 'Those that have ended, too'],
    ["linkspan ps --format 'table {{.Names}}\\t{{.Networks}}\\t{{.Ports}}'", 'The columns you want'],
    ['linkspan ps -q --filter network=shop', 'Ids of the containers on one network'],
  ],
  run: async (context, values) => {
    const last = values.latest && values.last === -1 ? 1 : values.last
    const size = values.size || /\{\{[^}]*\.Size\b/.test(values.format)
    const listing = values.size
      ? { ...containerListing, table: [...containerListing.table, 'Size'] }
      : containerListing
    const render = prepareList(listing, {
      format: values.format,
      quiet: values.quiet,
      full: values['no-trunc'],
      now: context.now(),
    })
    const items = await context.client.json<readonly ContainerSummary[]>('GET', '/containers/json', {
      query: {
        all: values.all,
        filters: filterQuery(values.filter),
        limit: last > 0 ? last : undefined,
        size,
      },
    })
    context.stdout.write(render(items))
    return 0
  },
})
