/** The flags that `run` and `create` share, with docker's names and meanings. */
import { isIP } from 'node:net'
import { parseNetwork } from './networking.ts'
import { boolean, duration, integer, keyValue, list, map, maybe, optional, size, text } from './flags.ts'

function address(value: string): string {
  const plain = value.trim()
  if (isIP(plain) === 0) throw new Error(`IP address is not correctly formatted: ${value}`)
  return plain
}

/** `name:address`, `name=address` or `name:host-gateway`; brackets around IPv6 are dropped, sent with a colon. */
function extraHost(value: string): string {
  const match = /^([^:=]+)[:=](.+)$/.exec(value)
  const name = match?.[1] ?? ''
  const target = match?.[2]?.trim() ?? ''
  if (match === null || name.trim() === '')
    throw new Error(`bad format for add-host: ${JSON.stringify(value)}`)
  if (target === 'host-gateway') return `${name}:${target}`
  const plain = target.startsWith('[') && target.endsWith(']') ? target.slice(1, -1) : target
  if (isIP(plain) === 0) throw new Error(`invalid IP address in add-host: ${JSON.stringify(target)}`)
  return `${name}:${plain}`
}

function searchDomain(value: string): string {
  if (value.trim() === '.') return '.'
  const match = /^\s*([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)\.?\s*$/.exec(value)
  if (match?.[1] === undefined || value.includes('..')) throw new Error(`${value} is not a valid domain`)
  return match[1]
}

function environment(value: string): string {
  if (value === '' || value.startsWith('=')) throw new Error(`invalid environment variable: ${value}`)
  return value
}

function sysctl(value: string): string {
  const { length } = Object.values(keyValue(value))[0] ?? ''
  const known = /^(?:net\.|fs\.mqueue\.|kernel\.(?:msg|sem|shm))/.test(value)
  if (length === 0 || !known) throw new Error(`sysctl '${value}' is not allowed`)
  return value
}

function streamName(value: string): string {
  const name = value.toLowerCase()
  if (name !== 'stdin' && name !== 'stdout' && name !== 'stderr') {
    throw new Error('valid streams are STDIN, STDOUT and STDERR')
  }
  return name
}

export interface Ulimit {
  readonly Name: string
  readonly Hard: number
  readonly Soft: number
}

/** `nofile=1024:2048`, `nofile=1024`; -1 is no limit. */
export function parseUlimit(value: string): Ulimit {
  const match = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(value)
  if (match === null) throw new Error(`invalid ulimit argument: ${value}`)
  const soft = Number(match[2])
  const hard = Number(match[3] ?? match[2])
  if (hard !== -1 && (soft > hard || soft === -1)) {
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`)
  }
  return { Name: match[1] ?? '', Hard: hard, Soft: soft }
}

function network(value: string): string {
  parseNetwork(value)
  return value
}

function ulimit(value: string): string {
  parseUlimit(value)
  return value
}

/** `1.5` CPUs in billionths. */
export function nanoCpus(value: string): number {
  if (!/^\d*\.?\d+$/.test(value)) throw new Error(`failed to parse ${value} as a rational number`)
  return Math.round(Number(value) * 1e9)
}

function cpus(value: string): string {
  nanoCpus(value)
  return value
}

export const containerFlags = {
  'add-host': list('Add a custom host-to-IP mapping (host:ip)', { check: extraHost }),
  attach: list('Attach to STDIN, STDOUT or STDERR', { short: 'a', check: streamName }),
  'cap-add': list('Add Linux capabilities'),
  'cap-drop': list('Drop Linux capabilities'),
  'cgroup-parent': text('Optional parent cgroup for the container'),
  cidfile: text('Write the container ID to the file'),
  'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period', { initial: 0 }),
  'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota', { initial: 0 }),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c', initial: 0 }),
  cpus: text('Number of CPUs', { placeholder: 'decimal', check: cpus }),
  'cpuset-cpus': text('CPUs in which to allow execution (0-3, 0,1)'),
  'cpuset-mems': text('MEMs in which to allow execution (0-3, 0,1)'),
  device: list('Add a host device to the container'),
  dns: list('Set custom DNS servers', { check: address }),
  'dns-opt': list('Set DNS options', { hidden: true }),
  'dns-option': list('Set DNS options'),
  'dns-search': list('Set custom DNS search domains', { check: searchDomain }),
  domainname: text('Container NIS domain name'),
  entrypoint: optional('Overwrite the default ENTRYPOINT of the image'),
  env: list('Set environment variables', { short: 'e', check: environment }),
  'env-file': list('Read in a file of environment variables'),
  expose: list('Expose a port or a range of ports'),
  'group-add': list('Add additional groups to join'),
  'health-cmd': text('Command to run to check health'),
  'health-interval': duration('Time between running the check (ms|s|m|h)'),
  'health-retries': integer('Consecutive failures needed to report unhealthy', { initial: 0 }),
  'health-start-period': duration(
    'Start period for the container to initialize before the countdown (ms|s|m|h)',
  ),
  'health-timeout': duration('Maximum time to allow one check to run (ms|s|m|h)'),
  hostname: text('Container host name', { short: 'h' }),
  init: maybe('Run an init inside the container that forwards signals and reaps processes'),
  interactive: boolean('Keep STDIN open even if not attached', { short: 'i' }),
  ip: text('IPv4 address (e.g., 172.30.100.104)'),
  ip6: text('IPv6 address (e.g., 2001:db8::33)'),
  ipc: text('IPC mode to use'),
  label: list('Set meta data on a container', { short: 'l' }),
  'label-file': list('Read in a line delimited file of labels'),
  link: list('Add link to another container'),
  'link-local-ip': list('Container IPv4/IPv6 link-local addresses', { check: address }),
  'log-driver': text('Logging driver for the container'),
  'log-opt': list('Log driver options'),
  'mac-address': text('Container MAC address (e.g., 92:d0:c6:0a:29:33)'),
  memory: size('Memory limit', { short: 'm' }),
  'memory-reservation': size('Memory soft limit'),
  'memory-swap': size("Swap limit equal to memory plus swap: '-1' to enable unlimited swap", {
    unlimited: true,
  }),
  'memory-swappiness': integer('Tune container memory swappiness (0 to 100)', { initial: -1 }),
  mount: list('Attach a filesystem mount to the container', { placeholder: 'mount' }),
  name: text('Assign a name to the container'),
  net: list('Connect a container to a network', { hidden: true, check: network }),
  network: list('Connect a container to a network: a name, or name=NAME,alias=…,ip=…,gw-priority=…', {
    placeholder: 'network',
    check: network,
  }),
  'net-alias': list('Add network-scoped alias for the container', { hidden: true }),
  'network-alias': list('Add network-scoped alias for the container'),
  'no-healthcheck': boolean('Disable any container-specified HEALTHCHECK'),
  'oom-kill-disable': boolean('Disable OOM Killer'),
  'oom-score-adj': integer("Tune host's OOM preferences (-1000 to 1000)", { initial: 0 }),
  pid: text('PID namespace to use'),
  'pids-limit': integer('Tune container pids limit (set -1 for unlimited)', { initial: 0 }),
  platform: text('Set platform if server is multi-platform capable'),
  privileged: boolean('Give extended privileges to this container'),
  publish: list("Publish a container's port(s) to the host", { short: 'p' }),
  'publish-all': boolean('Publish all exposed ports to random ports', { short: 'P' }),
  pull: text('Pull image before running ("always", "missing", "never")', { initial: 'missing' }),
  quiet: boolean('Suppress the pull output', { short: 'q' }),
  'read-only': boolean("Mount the container's root filesystem as read only"),
  restart: text('Restart policy to apply when a container exits', { initial: 'no' }),
  rm: boolean('Automatically remove the container when it exits'),
  runtime: text('Runtime to use for this container'),
  'security-opt': list('Security Options'),
  'shm-size': size('Size of /dev/shm'),
  'stop-signal': text('Signal to stop the container'),
  'stop-timeout': integer('Timeout (in seconds) to stop a container', { initial: undefined }),
  sysctl: map('Sysctl options', { check: sysctl }),
  tmpfs: list('Mount a tmpfs directory'),
  tty: boolean('Allocate a pseudo-TTY', { short: 't' }),
  ulimit: list('Ulimit options', { placeholder: 'ulimit', check: ulimit }),
  user: text('Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
  userns: text('User namespace to use'),
  uts: text('UTS namespace to use'),
  volume: list('Bind mount a volume', { short: 'v' }),
  'volumes-from': list('Mount volumes from the specified container(s)'),
  workdir: text('Working directory inside the container', { short: 'w' }),
}
