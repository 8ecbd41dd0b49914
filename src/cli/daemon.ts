/**
 * The options of `linkspan daemon`: dockerd's flags and the keys of daemon.json, merged by Docker's rule (what is said in
 * both places is an error, not a matter of precedence), checked, and turned into DaemonOptions. One table describes
 * flags and keys alike. Pure: the file's text is an argument.
 */
import { isIP } from 'node:net'
import { isAbsolute, join } from 'node:path'
import type { AddressPool, DaemonOptions, ListenAddress, LogLevel } from '../daemon-options.ts'
import { Failure } from './failure.ts'
import { parseHost } from './host.ts'
import { parseBoolean, type Flag } from './flags.ts'

export const defaultConfigFile = '/etc/linkspan/daemon.json'
const defaultDataRoot = '/var/lib/linkspan'
const defaultExecRoot = '/run/linkspan'

type Kind = 'boolean' | 'text' | 'integer' | 'list' | 'map' | 'pools' | 'networks'

type OptionMap = Readonly<Record<string, string>>
type NetworkOptions = Readonly<Record<string, OptionMap>>

interface Values {
  readonly boolean: boolean
  readonly text: string
  readonly integer: number
  readonly list: readonly string[]
  readonly map: OptionMap
  readonly pools: readonly AddressPool[]
  readonly networks: NetworkOptions
}

interface Option<K extends Kind = Kind> {
  readonly kind: K
  readonly short?: string
  /** Name in daemon.json where it differs from the flag's. `null` = a flag only. */
  readonly key?: string | null
  readonly summary: string
  /** Accepted for the sake of existing units, without effect: why, if that could surprise somebody. */
  readonly ignored?: true | string
  /** Understood and handed on, but the engine does nothing with it as yet: said in the help and in a warning. */
  readonly pending?: true
  /** Would weaken security if it were ignored: refused with this reason when switched on. */
  readonly refused?: string
}

function option<K extends Kind>(
  kind: K,
  summary: string,
  rest: Omit<Option<K>, 'kind' | 'summary'> = {},
): Option<K> {
  return { kind, summary, ...rest }
}

function ignored<K extends Kind>(
  kind: K,
  reason: true | string = true,
  rest: Omit<Option<K>, 'kind' | 'summary'> = {},
): Option<K> {
  return { kind, summary: '', ignored: reason, ...rest }
}

function refused<K extends Kind>(
  kind: K,
  reason: string,
  rest: Omit<Option<K>, 'kind' | 'summary'> = {},
): Option<K> {
  return { kind, summary: '', refused: reason, ...rest }
}

const noTls = 'TLS is not served; put a proxy that speaks it before a unix socket'

const table = {
  // Where it listens and keeps its things
  host: option('list', 'Where to listen: unix:///path, tcp://address:port, fd://', {
    short: 'H',
    key: 'hosts',
  }),
  'data-root': option('text', `Root directory of persistent state (default ${defaultDataRoot})`),
  'exec-root': option('text', `Root directory of volatile state (default ${defaultExecRoot})`),
  pidfile: option('text', 'Path of the PID file (default EXEC-ROOT/linkspan.pid)', { short: 'p' }),
  'config-file': option('text', `Configuration file (default ${defaultConfigFile})`, { key: null }),
  group: option('text', 'Group for the unix socket (default docker where it exists)', { short: 'G' }),
  // The default bridge
  bridge: option('text', "Attach containers to this bridge; 'none' for no default network", { short: 'b' }),
  bip: option('text', 'IPv4 address for the default bridge, with prefix length'),
  bip6: option('text', 'IPv6 address for the default bridge, with prefix length'),
  'fixed-cidr': option(
    'text',
    'IPv4 subnet for the default bridge: containers get addresses of this part only',
  ),
  'fixed-cidr-v6': option('text', 'IPv6 subnet for the default bridge'),
  'default-gateway': option('text', 'IPv4 address of the gateway that containers on the default bridge get'),
  'default-gateway-v6': option(
    'text',
    'IPv6 address of the gateway that containers on the default bridge get',
  ),
  ipv6: option('boolean', 'Enable IPv6 on the default bridge'),
  icc: option('boolean', 'Containers on the default bridge may talk to each other (default true)'),
  'ip-masq': option('boolean', "Masquerade the default bridge's containers (default true)"),
  ip: option('text', 'Host address that -p binds to where none is given (default 0.0.0.0)'),
  mtu: option('integer', 'MTU of the default bridge'),
  // All networks
  'default-address-pool': option('pools', 'Pool for automatic subnets: base=10.64.0.0/12,size=24', {
    key: 'default-address-pools',
  }),
  'default-network-opt': option(
    'networks',
    'Default option of new networks: bridge=com.docker.network.driver.mtu=1400',
    {
      key: 'default-network-opts',
    },
  ),
  'ip-forward': option('boolean', 'Switch on IP forwarding in the kernel (default true)'),
  mend: option('boolean', 'Bring back links and rules of ours that others change (default true)'),
  iptables: option('boolean', 'Write firewall rules for IPv4: cannot be switched off yet'),
  ip6tables: option(
    'boolean',
    'Write firewall rules for IPv6: can be switched off for the iptables backend only',
  ),
  'firewall-backend': option('text', 'The firewall backend: nftables (default) or iptables'),
  'allow-direct-routing': option(
    'boolean',
    "Published ports may be reached at containers' own addresses too (with the iptables backend)",
  ),
  // Names
  dns: option('list', 'DNS server for containers'),
  'dns-search': option('list', 'DNS search domain for containers'),
  'dns-opt': option('list', 'DNS option for containers', { key: 'dns-opts' }),
  'dns-ttl': option('integer', 'Seconds for which answers about containers may be kept (default 5)'),
  'dns-cache': option('integer', 'Replies of outside servers that are kept; 0 for none (default 4096)'),
  'default-bridge-dns': option('boolean', 'Containers on the default bridge have names as on other networks'),
  'host-dns': option(
    'text',
    'Answer the host itself for NAME.NETWORK.linkspan on this loopback address: 127.0.0.54:53',
  ),
  'host-gateway-ip': option('list', "Address that 'host-gateway' in --add-host stands for", {
    key: 'host-gateway-ips',
  }),
  // Containers and images
  runtime: option('text', 'OCI runtime: crun, runc or a path (default: chosen by probe)'),
  'default-runtime': option('text', 'The same in dockerd’s spelling'),
  label: option('list', 'key=value label of the engine', { key: 'labels', pending: true }),
  'log-driver': option('text', 'Log driver that containers name by default (default json-file)', {
    pending: true,
  }),
  'log-opt': option('map', 'Default log option', { key: 'log-opts', pending: true }),
  'insecure-registry': option('list', 'Registry to speak to without verifying TLS', {
    key: 'insecure-registries',
    pending: true,
  }),
  'registry-mirror': option('list', 'Mirror of Docker Hub', { key: 'registry-mirrors', pending: true }),
  // The process
  web: option(
    'text',
    "Loopback address and port of the web page from the start on, or off (default: when 'linkspan ui' asks, on 127.0.0.1:7353)",
  ),
  'log-level': option('text', 'debug, info, warn, error or fatal (default info)', { short: 'l' }),
  debug: option('boolean', 'Log everything', { short: 'D' }),
  'shutdown-timeout': option('integer', 'Seconds that a stop may take (default 15)', { pending: true }),
  'live-restore': option('boolean', 'Containers live on without the engine: always so here'),
  validate: option('boolean', 'Check the configuration and exit', { key: null }),

  // dockerd's, without meaning here
  'add-runtime': ignored('list', true, { key: null }),
  runtimes: ignored('map', 'name a runtime with --runtime'),
  'bridge-accept-fwmark': ignored('text', 'marks of other firewalls are not consulted'),
  'cdi-spec-dir': ignored('list', true, { key: 'cdi-spec-dirs' }),
  'cgroup-parent': ignored('text', 'containers are placed in the cgroups that the runtime chooses'),
  containerd: ignored('text'),
  'containerd-namespace': ignored('text'),
  'containerd-plugins-namespace': ignored('text'),
  'containerd-plugin-namespace': ignored('text'),
  'cpu-rt-period': ignored('integer'),
  'cpu-rt-runtime': ignored('integer'),
  'default-cgroupns-mode': ignored('text', 'containers get a cgroup namespace of their own'),
  'default-ipc-mode': ignored('text', 'containers get an IPC namespace of their own'),
  'default-shm-size': ignored('text', 'give --shm-size to the container'),
  'default-ulimit': ignored('map', 'give --ulimit to the container', { key: 'default-ulimits' }),
  'exec-opt': ignored('list', true, { key: 'exec-opts' }),
  experimental: ignored('boolean'),
  feature: ignored('map', true, { key: 'features' }),
  'http-proxy': ignored('text', 'set HTTP_PROXY in the environment of the engine'),
  'https-proxy': ignored('text', 'set HTTPS_PROXY in the environment of the engine'),
  'no-proxy': ignored('text', 'set NO_PROXY in the environment of the engine'),
  proxies: ignored('map', 'set HTTP_PROXY in the environment of the engine'),
  init: ignored('boolean', 'give --init to the container'),
  'init-path': ignored('text'),
  'ip-forward-no-drop': ignored('boolean', 'the policy of the FORWARD chain is left as it is'),
  'log-format': ignored('text'),
  'max-concurrent-downloads': ignored('integer'),
  'max-concurrent-uploads': ignored('integer'),
  'max-download-attempts': ignored('integer'),
  'metrics-addr': ignored('text', 'metrics are not served'),
  'network-control-plane-mtu': ignored('integer'),
  'node-generic-resource': ignored('list', true, { key: 'node-generic-resources' }),
  'raw-logs': ignored('boolean'),
  'storage-driver': ignored('text', true, { short: 's' }),
  'storage-opt': ignored('list', true, { key: 'storage-opts' }),
  'swarm-default-advertise-addr': ignored('text'),
  'userland-proxy': ignored('boolean', 'there is none: every published port is the kernel’s'),
  'userland-proxy-path': ignored('text'),

  // Refused: who asks for these relies on them
  'authorization-plugin': refused('list', 'there are no authorization plugins', {
    key: 'authorization-plugins',
  }),
  'no-new-privileges': refused('boolean', 'give --security-opt no-new-privileges to the container'),
  rootless: refused('boolean', 'networks are made in the host’s kernel, which needs root'),
  'seccomp-profile': refused('text', 'give --security-opt seccomp=FILE to the container'),
  'selinux-enabled': refused('boolean', 'containers are not labelled'),
  tls: refused('boolean', noTls),
  tlscacert: ignored('text'),
  tlscert: ignored('text'),
  tlskey: ignored('text'),
  tlsverify: refused('boolean', noTls),
  'userns-remap': refused('text', 'containers use the host’s user namespace'),
} satisfies Record<string, Option>

type Table = typeof table
type Name = keyof Table
/** What somebody said: absent = nothing. */
type Given = { readonly [N in Name]?: Values[Table[N]['kind']] }

const names = Object.keys(table) as Name[]
const entry = (name: Name): Option => table[name]
const keyOf = (name: Name): string | undefined => {
  const { key } = entry(name)
  return key === null ? undefined : (key ?? name)
}

function parseBase(base: string, size: number): AddressPool {
  const [address = '', bits] = base.split('/')
  const family = isIP(address)
  const length = Number(bits)
  if (family === 0 || bits === undefined || !Number.isInteger(length) || length > (family === 6 ? 128 : 32)) {
    throw new Error(`invalid default address pool: ${JSON.stringify(base)} is no subnet`)
  }
  if (!Number.isInteger(size) || size < length || size > (family === 6 ? 128 : 32)) {
    throw new Error(`invalid default address pool: size ${size} does not fit into ${base}`)
  }
  return { base, size }
}

function parsePool(text: string): AddressPool {
  const fields = Object.fromEntries(
    text.split(',').map(field => {
      const at = field.indexOf('=')
      return [field.slice(0, Math.max(at, 0)).trim(), field.slice(at + 1).trim()]
    }),
  )
  const { base = '', size = '' } = fields
  if (base === '' || !/^\d+$/.test(size)) {
    throw new Error(`invalid default address pool ${JSON.stringify(text)}: write base=SUBNET,size=LENGTH`)
  }
  return parseBase(base, Number(size))
}

/** How each kind reads a flag's text, given what earlier flags of that name said. */
const readers: { readonly [K in Kind]: (text: string, previous: Values[K] | undefined) => Values[K] } = {
  boolean: parseBoolean,
  text: value => value,
  integer: value => {
    if (!/^-?\d+$/.test(value)) throw new Error(`${JSON.stringify(value)} is no number`)
    return Number(value)
  },
  list: (value, previous = []) => [...previous, value],
  map: (value, previous = {}) => {
    const at = value.indexOf('=')
    return { ...previous, [at === -1 ? value : value.slice(0, at)]: at === -1 ? '' : value.slice(at + 1) }
  },
  pools: (value, previous = []) => [...previous, parsePool(value)],
  networks: (value, previous = {}) => {
    const match = /^([^=]+)=([^=]+)=(.*)$/.exec(value)
    if (match === null) throw new Error(`${JSON.stringify(value)}: write DRIVER=KEY=VALUE`)
    const [, driver = '', key = '', text = ''] = match
    return { ...previous, [driver]: { ...previous[driver], [key]: text } }
  },
}

const placeholders: Readonly<Record<Kind, string>> = {
  boolean: '',
  text: 'string',
  integer: 'int',
  list: 'list',
  map: 'map',
  pools: 'pool',
  networks: 'driver=key=value',
}

function flagOf(name: Name): Flag<unknown> {
  const { kind, short, summary, ignored: unused, pending, refused: never } = entry(name)
  const read = readers[kind] as (text: string, previous: unknown) => unknown
  return {
    takesValue: kind !== 'boolean',
    ...(short === undefined ? {} : { short }),
    placeholder: placeholders[kind],
    summary: pending === true ? `${summary}; not acted on yet` : summary,
    initial: undefined,
    hidden: unused !== undefined || never !== undefined,
    read,
  }
}

/** The flags of `linkspan daemon`. A value that was not given is undefined. */
export const daemonFlags: Readonly<Record<string, Flag<unknown>>> = Object.fromEntries(
  names.map(name => [name, flagOf(name)]),
)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string')
const asMap = (value: unknown): OptionMap | undefined =>
  isRecord(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          typeof item === 'string' ? item : JSON.stringify(item),
        ]),
      )
    : undefined

/** How each kind reads its value in daemon.json; undefined = wrong type. */
const jsonReaders: { readonly [K in Kind]: (value: unknown) => Values[K] | undefined } = {
  boolean: value => (typeof value === 'boolean' ? value : undefined),
  text: value => (typeof value === 'string' ? value : undefined),
  integer: value => (typeof value === 'number' && Number.isInteger(value) ? value : undefined),
  list: value => (isTexts(value) ? value : undefined),
  map: asMap,
  pools: value => {
    if (!Array.isArray(value)) return undefined
    return (value as readonly unknown[]).map(item => {
      if (!isRecord(item) || typeof item.base !== 'string' || typeof item.size !== 'number') {
        throw new Error('a default address pool is {"base": SUBNET, "size": LENGTH}')
      }
      return parseBase(item.base, item.size)
    })
  },
  networks: value =>
    isRecord(value)
      ? Object.fromEntries(Object.entries(value).map(([driver, options]) => [driver, asMap(options) ?? {}]))
      : undefined,
}

/** Keys of daemon.json that older releases spelled otherwise. */
const olderKeys: Readonly<Record<string, readonly [name: Name, read: (value: unknown) => unknown]>> = {
  graph: ['data-root', value => value],
  'host-gateway-ip': ['host-gateway-ip', value => (typeof value === 'string' ? [value] : value)],
}

/** Reads the text of a configuration file. Throws Failure with `path` in the message. */
export function parseConfig(text: string, path: string): Given {
  const wrong = (why: string, cause?: unknown): Failure =>
    new Failure(`unable to configure the daemon with file ${path}: ${why}`, 1, { cause })
  let parsed: unknown
  try {
    parsed = text.trim() === '' ? {} : JSON.parse(text)
  } catch (error) {
    throw wrong(`invalid JSON: ${error instanceof Error ? error.message : String(error)}`, error)
  }
  if (!isRecord(parsed)) throw wrong('it has to hold one JSON object')
  const byKey = new Map(
    names.flatMap(name => (keyOf(name) === undefined ? [] : [[keyOf(name), name] as const])),
  )
  const given: Partial<Record<Name, unknown>> = {}
  const unknown: string[] = []
  for (const [key, value] of Object.entries(parsed)) {
    const older = olderKeys[key]
    const name = older?.[0] ?? byKey.get(key)
    if (name === undefined) {
      unknown.push(key)
      continue
    }
    const { kind } = entry(name)
    let read: unknown
    try {
      read = jsonReaders[kind](older === undefined ? value : older[1](value))
    } catch (error) {
      throw wrong(`${key}: ${error instanceof Error ? error.message : String(error)}`, error)
    }
    // An ignored key may hold anything.
    if (read === undefined && entry(name).ignored === undefined)
      throw wrong(`${key}: ${JSON.stringify(value)} is no ${kind}`)
    given[name] = read ?? value
  }
  if (unknown.length > 0)
    throw wrong(`the following directives don't match any configuration option: ${unknown.join(', ')}`)
  return given as Given
}

const shown = (value: unknown): string =>
  Array.isArray(value) && value.every(item => typeof item === 'string')
    ? `[${value.join(' ')}]`
    : typeof value === 'string'
      ? value
      : JSON.stringify(value)

/** Docker's rule: what stands in both places is an error, whether the values agree or not. */
export function mergeConfig(flags: Given, file: Given, path: string): Given {
  const twice = names
    .filter(name => flags[name] !== undefined && file[name] !== undefined)
    .map(
      name => `${keyOf(name) ?? name}: (from flag: ${shown(flags[name])}, from file: ${shown(file[name])})`,
    )
  if (twice.length > 0) {
    throw new Failure(
      `unable to configure the daemon with file ${path}: the following directives are specified both as a flag and in the configuration file: ${twice.join(', ')}`,
    )
  }
  const said = Object.entries(flags).filter(([, value]) => value !== undefined)
  return { ...file, ...(Object.fromEntries(said) as Given) }
}

/** `-H` as the daemon understands it: `fd://` are the sockets that systemd hands over. */
export function parseListen(text: string): ListenAddress {
  if (/^fd:\/\/\*?$/.test(text)) return { kind: 'systemd' }
  const host = parseHost(text)
  if (host.kind === 'unix') {
    if (!isAbsolute(host.path)) throw new Failure(`invalid -H ${text}: the path of a socket is absolute`)
    return { kind: 'unix', path: host.path }
  }
  return { kind: 'tcp', host: host.hostname, port: host.port }
}

function isCidr(text: string, family: 4 | 6): boolean {
  const [address = '', bits, ...more] = text.split('/')
  return (
    more.length === 0 &&
    isIP(address) === family &&
    bits !== undefined &&
    /^\d{1,3}$/.test(bits) &&
    Number(bits) <= (family === 6 ? 128 : 32)
  )
}

function bounded(value: number | undefined, flag: string, usual: number, most: number): number {
  if (value !== undefined && (value < 0 || value > most)) {
    throw new Failure(`invalid ${flag} ${value}: from 0 to ${most}`)
  }
  return value ?? usual
}

/** Open to the network it would tell everybody what runs here, and be of use in amplifying attacks. */
function parseHostDns(text: string | undefined): DaemonOptions['hostDns'] {
  if (text === undefined || text === '' || text === 'off') return undefined
  const [, v6, v4, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4 ?? ''
  const loopback = host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  if (!loopback || Number(port) > 65_535) {
    throw new Failure(`invalid --host-dns ${text}: write a loopback address and a port, as 127.0.0.54:53`)
  }
  return { host, port: Number(port) }
}

function parseWeb(text: string | undefined): DaemonOptions['web'] {
  if (text === undefined || text === '') return { host: '127.0.0.1', port: 7353, atStart: false }
  if (text === 'off') return undefined
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  if (match === null || Number(match[3]) > 65_535)
    throw new Failure(`invalid --web ${text}: write ADDRESS:PORT or off`)
  const host = match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] ?? '127.0.0.1'))
  if (!/^127(\.\d{1,3}){3}$/.test(host) && host !== '::1') {
    throw new Failure(
      `invalid --web ${text}: the page speaks no TLS and is served on loopback only; reach it from elsewhere through "ssh -L 7353:127.0.0.1:${match[3]}"`,
    )
  }
  return { host, port: Number(match[3]), atStart: true }
}

const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal']

/** Every value that can be judged without looking at the machine is judged here. */
function check(given: Given): void {
  const problems: string[] = []
  const demand = (holds: boolean, name: Name, what: string): void => {
    if (!holds) problems.push(`--${name} ${shown(given[name])}: ${what}`)
  }
  const cidrs: readonly (readonly [name: 'bip' | 'bip6' | 'fixed-cidr' | 'fixed-cidr-v6', family: 4 | 6])[] =
    [
      ['bip', 4],
      ['bip6', 6],
      ['fixed-cidr', 4],
      ['fixed-cidr-v6', 6],
    ]
  for (const [name, family] of cidrs) {
    const value = given[name]
    if (value !== undefined && value !== '')
      demand(isCidr(value, family), name, `not an IPv${family} address with prefix length`)
  }
  const addresses: readonly (readonly [
    name: 'default-gateway' | 'default-gateway-v6' | 'ip',
    families: readonly number[],
  ])[] = [
    ['default-gateway', [4]],
    ['default-gateway-v6', [6]],
    ['ip', [4, 6]],
  ]
  for (const [name, families] of addresses) {
    const value = given[name]
    if (value !== undefined) demand(families.includes(isIP(value)), name, 'not an IP address')
  }
  for (const server of given.dns ?? []) demand(isIP(server) !== 0, 'dns', `${server} is not an IP address`)
  const gateways = (given['host-gateway-ip'] ?? []).flatMap(item => item.split(','))
  for (const address of gateways)
    demand(isIP(address) !== 0, 'host-gateway-ip', `${address} is not an IP address`)
  for (const family of [4, 6]) {
    demand(
      gateways.filter(address => isIP(address) === family).length <= 1,
      'host-gateway-ip',
      `only one IPv${family} address is possible`,
    )
  }
  const { mtu, bridge } = given
  if (mtu !== undefined) demand(mtu >= 0 && mtu <= 65_535, 'mtu', 'not an MTU')
  if (bridge !== undefined && bridge !== '') {
    demand(
      given.bip === undefined && given.bip6 === undefined,
      'bridge',
      'an existing bridge has its address: --bip cannot be given as well',
    )
    demand(/^[^\s/:]{1,15}$/.test(bridge), 'bridge', 'not the name of an interface')
  }
  const backend = given['firewall-backend']
  if (backend !== undefined && backend !== '') {
    demand(isBackend(backend), 'firewall-backend', 'there are nftables and iptables')
  }
  const switchable = 'the firewall rules cannot be switched off yet'
  demand(given.iptables !== false, 'iptables', switchable)
  demand(given.ip6tables !== false || backend === 'iptables', 'ip6tables', switchable)
  const level = given['log-level']
  if (level !== undefined)
    demand(
      logLevels.some(known => known === level),
      'log-level',
      logLevels.join(', '),
    )
  for (const label of given.label ?? []) demand(label.includes('='), 'label', 'write key=value')
  for (const root of ['data-root', 'exec-root', 'pidfile'] as const) {
    const path = given[root]
    if (path !== undefined) demand(isAbsolute(path), root, 'not an absolute path')
  }
  const timeout = given['shutdown-timeout']
  if (timeout !== undefined) demand(timeout >= -1, 'shutdown-timeout', 'seconds, or -1 for no limit')
  for (const name of names) {
    const reason = entry(name).refused
    const value = given[name]
    const on =
      value !== undefined && value !== false && value !== '' && !(Array.isArray(value) && value.length === 0)
    if (reason !== undefined && on) problems.push(`--${name} is not available: ${reason}`)
  }
  if (problems.length > 0) throw new Failure(problems.join('\n'))
}

function warningsOf(given: Given): string[] {
  const warnings: string[] = []
  for (const name of names) {
    const reason = entry(name).ignored
    const value = given[name]
    // What is switched off, and is not there, is as asked.
    if (typeof reason === 'string' && value !== undefined && value !== false)
      warnings.push(`--${name} is ignored: ${reason}`)
  }
  for (const name of names) {
    const value = given[name]
    const asked = value !== undefined && value !== '' && value !== 'off' && value !== 'json-file'
    if (entry(name).pending === true && asked) warnings.push(`--${name} is not acted on yet`)
  }
  if (given['live-restore'] === false)
    warnings.push('--live-restore=false is ignored: containers always outlive the engine')
  for (const host of given.host ?? []) {
    const address = parseListen(host)
    if (address.kind === 'tcp' && !/^(?:127\.|::1$|localhost$)/.test(address.host)) {
      warnings.push(
        `${host} gives everybody who can reach it root on this machine: there is no authentication`,
      )
    }
  }
  return warnings
}

/** Checks what was said and fills in the rest. Throws Failure with every problem found, one per line. */
export function daemonOptions(given: Given): DaemonOptions {
  check(given)
  const dataRoot = given['data-root'] ?? defaultDataRoot
  const execRoot = given['exec-root'] ?? defaultExecRoot
  const hosts = given.host ?? []
  const orUndefined = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
  const backend = orUndefined(given['firewall-backend'])
  return {
    listen:
      hosts.length === 0 ? [{ kind: 'unix', path: join(execRoot, 'docker.sock') }] : hosts.map(parseListen),
    dataRoot,
    execRoot,
    pidfile: given.pidfile ?? join(execRoot, 'linkspan.pid'),
    group: given.group ?? 'docker',
    bridge: {
      name: orUndefined(given.bridge),
      ipv4: orUndefined(given.bip),
      ipv6: orUndefined(given.bip6),
      fixedCidr: orUndefined(given['fixed-cidr']),
      fixedCidrV6: orUndefined(given['fixed-cidr-v6']),
      gateway: given['default-gateway'],
      gatewayV6: given['default-gateway-v6'],
      enableIPv6: given.ipv6 ?? false,
      names: given['default-bridge-dns'] ?? false,
      icc: given.icc ?? true,
      masquerade: given['ip-masq'] ?? true,
      hostBinding: given.ip ?? '0.0.0.0',
      mtu: given.mtu === 0 ? undefined : given.mtu,
    },
    defaultAddressPools: given['default-address-pool'] ?? [],
    defaultNetworkOptions: given['default-network-opt'] ?? {},
    ipForward: given['ip-forward'] ?? true,
    mend: given.mend ?? true,
    iptables: given.iptables ?? true,
    ip6tables: given.ip6tables ?? true,
    firewallBackend: isBackend(backend) ? backend : undefined,
    allowDirectRouting: given['allow-direct-routing'] ?? false,
    dns: given.dns ?? [],
    dnsSearch: given['dns-search'] ?? [],
    dnsOptions: given['dns-opt'] ?? [],
    // Names change at any time: stub resolvers do not cache, and caching ones must not for long.
    dnsTtl: bounded(given['dns-ttl'], '--dns-ttl', 5, 86_400),
    dnsCache: bounded(given['dns-cache'], '--dns-cache', 4096, 1_000_000),
    hostDns: parseHostDns(given['host-dns']),
    hostGatewayIps: (given['host-gateway-ip'] ?? []).flatMap(item => item.split(',')),
    runtime: orUndefined(given.runtime) ?? orUndefined(given['default-runtime']),
    web: parseWeb(given.web),
    labels: given.label ?? [],
    logDriver: given['log-driver'] ?? 'json-file',
    logOptions: given['log-opt'] ?? {},
    shutdownTimeout: given['shutdown-timeout'] ?? 15,
    logLevel: logLevels.find(level => level === given['log-level']) ?? 'info',
    debug: given.debug ?? false,
    insecureRegistries: given['insecure-registry'] ?? [],
    registryMirrors: given['registry-mirror'] ?? [],
    warnings: warningsOf(given),
  }
}

function isBackend(text: string | undefined): text is 'nftables' | 'iptables' {
  return text === 'nftables' || text === 'iptables'
}
