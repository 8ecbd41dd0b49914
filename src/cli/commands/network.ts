/** `network …` */
import { isIP } from 'node:net'
import { defineCommand } from '../command.ts'
import { confirm } from '../confirm.ts'
import { forEachName } from '../each.ts'
import { EngineError, Failure } from '../failure.ts'
import { boolean, commas, filterQuery, filters, integer, keyValue, list, map, maybe, text } from '../flags.ts'
import { labelText, prepareList, printInspected, type Listing } from '../format.ts'
import { choiceOf, endpointSettings, ipamConfig } from '../networking.ts'
import { ipamPools } from '../subnets.ts'
import { goTimeOf, naturalOrder, shortId } from '../units.ts'
import type { NetworkSummary } from '../wire.ts'

const path = (name: string, rest = ''): string => `/networks/${encodeURIComponent(name)}${rest}`

export const networkListing: Listing<NetworkSummary> = {
  typeName: '*network.networkContext',
  quiet: 'ID',
  table: ['ID', 'Name', 'Driver', 'Scope'],
  columns: [
    { name: 'ID', title: 'NETWORK ID', value: (item, { full }) => (full ? item.Id : shortId(item.Id)) },
    { name: 'Name', title: 'NAME', value: item => item.Name },
    { name: 'Driver', title: 'DRIVER', value: item => item.Driver },
    { name: 'Scope', title: 'SCOPE', value: item => item.Scope },
    { name: 'IPv4', title: 'IPV4', value: item => String(item.EnableIPv4 ?? false) },
    { name: 'IPv6', title: 'IPV6', value: item => String(item.EnableIPv6) },
    { name: 'Internal', title: 'INTERNAL', value: item => String(item.Internal) },
    { name: 'Labels', title: 'LABELS', value: item => labelText(item.Labels) },
    { name: 'CreatedAt', title: 'CREATED AT', value: item => goTimeOf(item.Created) },
  ],
  methods: { Label: { call: (item, key) => item.Labels?.[key] ?? '' } },
}

const subnetsOf = (item: NetworkSummary) => Object.entries(item.Status?.IPAM.Subnets ?? {})

/** `5 of 256 (2%)`; subnets with more addresses than can be counted are never full. */
function usageText(inUse: number, available: number): string {
  if (available >= Number.MAX_SAFE_INTEGER) return String(inUse)
  const all = inUse + available
  return `${inUse} of ${all} (${Math.floor((100 * inUse) / all)}%)`
}

/** With how full the networks are, which docker does not show. */
const usageListing: Listing<NetworkSummary> = {
  ...networkListing,
  table: ['ID', 'Name', 'Driver', 'Subnet', 'Used'],
  columns: [
    ...networkListing.columns,
    {
      name: 'Subnet',
      title: 'SUBNET',
      value: item =>
        subnetsOf(item)
          .map(([subnet]) => subnet)
          .join(', '),
    },
    {
      name: 'Used',
      title: 'ADDRESSES USED',
      value: item =>
        subnetsOf(item)
          .map(([, { IPsInUse, DynamicIPsAvailable }]) => usageText(IPsInUse, DynamicIPsAvailable))
          .join(', '),
    },
  ],
}

export const ls = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    filter: filters('Provide filter values (e.g. "driver=bridge")', { short: 'f' }),
    format: text("'table', 'json', 'table TEMPLATE' or a Go template"),
    'no-trunc': boolean('Do not truncate the output'),
    quiet: boolean('Only display network IDs', { short: 'q' }),
    usage: boolean('Show the subnets and how many of their addresses are used'),
  },
  minimum: 0,
  maximum: 0,
  examples: [
    ['linkspan network ls --filter driver=bridge', 'The bridges only'],
    ['linkspan network ls --usage', 'How full each network is'],
  ],
  run: async (context, values) => {
    const render = prepareList(values.usage ? usageListing : networkListing, {
      format: values.format,
      quiet: values.quiet,
      full: values['no-trunc'],
      now: context.now(),
    })
    const networks = await context.client.json<readonly NetworkSummary[]>('GET', '/networks', {
      query: { filters: filterQuery(values.filter), ...(values.usage ? { usage: '1' } : {}) },
    })
    context.stdout.write(render([...networks].sort((a, b) => naturalOrder(a.Name, b.Name))))
    return 0
  },
})

export const inspect = defineCommand({
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  flags: {
    format: text("'json' or a Go template", { short: 'f' }),
    verbose: boolean('Verbose output for diagnostics', { short: 'v' }),
  },
  minimum: 1,
  examples: [
    ['linkspan network inspect bridge', 'Subnet, gateway, options and the containers that are connected'],
    [
      "linkspan network inspect -f '{{range .Containers}}{{println .Name .IPv4Address}}{{end}}' shop",
      'Who has which address',
    ],
  ],
  run: async (context, values, names) => {
    const query = values.verbose ? { verbose: 'true' } : {}
    return printInspected(context, names, values.format, name =>
      context.client.json('GET', path(name), { query }),
    )
  },
})

export const create = defineCommand({
  usage: '[OPTIONS] NETWORK',
  flags: {
    attachable: boolean('Enable manual container attachment'),
    'aux-address': map('Auxiliary IPv4 or IPv6 addresses used by Network driver'),
    'config-from': text('The network from which to copy the configuration'),
    'config-only': boolean('Create a configuration only network'),
    driver: text('Driver to manage the Network', { short: 'd', initial: 'bridge' }),
    gateway: commas('IPv4 or IPv6 Gateway for the master subnet'),
    ingress: boolean('Create swarm routing-mesh network', { hidden: true }),
    internal: boolean('Restrict external access to the network'),
    'ip-range': commas('Allocate container ip from a sub-range'),
    'ipam-driver': text('IP Address Management Driver', { initial: 'default' }),
    'ipam-opt': map('Set IPAM driver specific options'),
    ipv4: maybe('Enable or disable IPv4 address assignment'),
    ipv6: maybe('Enable or disable IPv6 address assignment'),
    label: list('Set metadata on a network'),
    opt: map('Set driver specific options', { short: 'o' }),
    scope: text("Control the network's scope"),
    subnet: commas('Subnet in CIDR format that represents a network segment'),
  },
  minimum: 1,
  maximum: 1,
  examples: [
    ['linkspan network create shop', 'A bridge with the next free subnet'],
    [
      'linkspan network create --subnet 172.30.0.0/24 --gateway 172.30.0.254 --ip-range 172.30.0.64/26 fixed',
      'Addresses as you want them',
    ],
    ['linkspan network create --ipv6 six', 'Both families'],
    ['linkspan network create --internal vault', 'No way out and no way in'],
  ],
  run: async (context, values, [name = '']) => {
    const body = {
      Driver: values.driver,
      Scope: values.scope,
      ...(values.ipv4 === undefined ? {} : { EnableIPv4: values.ipv4 }),
      ...(values.ipv6 === undefined ? {} : { EnableIPv6: values.ipv6 }),
      IPAM: {
        Driver: values['ipam-driver'],
        Options: values['ipam-opt'],
        Config: ipamPools({
          subnets: values.subnet,
          ranges: values['ip-range'],
          gateways: values.gateway,
          auxiliary: values['aux-address'],
        }),
      },
      Internal: values.internal,
      Attachable: values.attachable,
      Ingress: values.ingress,
      ConfigOnly: values['config-only'],
      ConfigFrom: values['config-from'] === '' ? null : { Network: values['config-from'] },
      Options: values.opt,
      Labels: Object.assign({}, ...values.label.map(keyValue)) as Record<string, string>,
      Name: name,
    }
    const answer = await context.client.json<{ Id: string; Warning?: string }>('POST', '/networks/create', {
      body,
    })
    if (answer.Warning !== undefined && answer.Warning !== '') context.warn(`WARNING: ${answer.Warning}`)
    context.print(answer.Id)
    return 0
  },
})

function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new Error(`invalid IP address: ${value}`)
  return value
}

export const connect = defineCommand({
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: {
    alias: commas('Add network-scoped alias for the container'),
    'driver-opt': commas('driver options for the network'),
    'gw-priority': integer(
      'Highest gw-priority provides the default gateway. Accepts positive and negative values',
      {
        initial: 0,
      },
    ),
    ip: text('IPv4 address (e.g., "172.30.100.104")'),
    ip6: text('IPv6 address (e.g., "2001:db8::33")'),
    link: list('Add link to another container'),
    'link-local-ip': commas('Add a link-local address for the container', { check: ipAddress }),
  },
  minimum: 2,
  maximum: 2,
  examples: [
    ['linkspan network connect shop web', 'A second interface, eth1, while the container runs'],
    [
      'linkspan network connect --alias db --ip 172.30.0.77 fixed store',
      'With a further name and a fixed address',
    ],
  ],
  run: async (context, values, [network = '', container = '']) => {
    const options: Record<string, string> = {}
    for (const option of values['driver-opt']) {
      if (!option.includes('=')) throw new Failure('invalid key/value pair format in driver options')
      Object.assign(options, keyValue(option))
    }
    const choice = choiceOf({
      target: network,
      ipv4: values.ip,
      ipv6: values.ip6,
      linkLocal: values['link-local-ip'],
      links: values.link,
      gatewayPriority: values['gw-priority'],
    })
    await context.client.json('POST', path(network, '/connect'), {
      body: {
        Container: container,
        EndpointConfig: endpointSettings(choice, {
          IPAMConfig: ipamConfig(choice),
          Aliases: values.alias,
          DriverOpts: options,
        }),
      },
    })
    return 0
  },
})

export const disconnect = defineCommand({
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: { force: boolean('Force the container to disconnect from a network', { short: 'f' }) },
  minimum: 2,
  maximum: 2,
  run: async (context, values, [network = '', container = '']) => {
    await context.client.json('POST', path(network, '/disconnect'), {
      body: { Container: container, Force: values.force },
    })
    return 0
  },
})

export const rm = defineCommand({
  usage: 'NETWORK [NETWORK...]',
  flags: { force: boolean('Do not error if the network does not exist', { short: 'f' }) },
  minimum: 1,
  run: async (context, values, names) =>
    forEachName(
      context,
      names,
      async name => {
        try {
          await context.client.json('DELETE', path(name))
        } catch (error) {
          if (values.force && error instanceof EngineError && error.status === 404) return undefined
          throw error
        }
        return name
      },
      'exit status 1',
    ),
})

export const prune = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    filter: filters('Provide filter values (e.g. "until=<timestamp>")'),
    force: boolean('Do not prompt for confirmation', { short: 'f' }),
  },
  minimum: 0,
  maximum: 0,
  run: async (context, values) => {
    const warning = 'WARNING! This will remove all custom networks not used by at least one container.'
    if (!values.force && !(await confirm(context, warning))) return 1
    const answer = await context.client.json<{ NetworksDeleted: readonly string[] | null }>(
      'POST',
      '/networks/prune',
      {
        query: { filters: filterQuery(values.filter) },
      },
    )
    const removed = answer.NetworksDeleted ?? []
    if (removed.length > 0) context.stdout.write(`Deleted Networks:\n${removed.join('\n')}\n\n`)
    return 0
  },
})
