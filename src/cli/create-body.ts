/**
 * The flags of `run` and `create` → the body of POST /containers/create, key for key what docker's client sends. Pure
 * but for the files that the flags name. Errors are worded as docker's.
 */
import { resolve } from 'node:path'
import { nanoCpus, parseUlimit, type containerFlags } from './container-flags.ts'
import { keyValue, readLines, type Values } from './flags.ts'
import { macAddress, networking, parseNetwork } from './networking.ts'
import { parsePorts } from './ports.ts'

export type ContainerValues = Values<typeof containerFlags>

export interface CreateBody {
  readonly Tty: boolean
  readonly OpenStdin: boolean
  readonly AttachStdin: boolean
  readonly AttachStdout: boolean
  readonly AttachStderr: boolean
  readonly Image: string
  readonly HostConfig: Readonly<Record<string, unknown>> & { readonly AutoRemove: boolean }
  readonly [key: string]: unknown
}

const orNull = <T>(values: readonly T[]): readonly T[] | null => (values.length === 0 ? null : values)

/**
 * `KEY` alone takes the caller's value. Where there is none, a file's line is left out, while `-e KEY` is sent as it is:
 * it removes the image's. Files come before flags.
 */
export function environmentOf(
  files: readonly string[],
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const lines = files.flatMap(readLines)
  for (const line of lines) {
    const key = line.split('=')[0] ?? ''
    if (key === '') throw new Error(`no variable name on line '${line}'`)
    if (/\s/.test(key)) throw new Error(`variable '${key}' contains whitespaces`)
  }
  const value = (item: string): string | undefined => {
    if (item.includes('=')) return item
    const own = env[item]
    return own === undefined ? undefined : `${item}=${own}`
  }
  const all = [...lines.flatMap(line => value(line) ?? []), ...given.map(item => value(item) ?? item)]
  // Said twice, the last counts.
  return [...new Map(all.map(item => [item.split('=')[0], item])).values()]
}

function labelsOf(files: readonly string[], given: readonly string[]): Record<string, string> {
  return Object.assign({}, ...[...files.flatMap(readLines), ...given].map(keyValue)) as Record<string, string>
}

function restartPolicy(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = '', count, ...more] = text.split(':')
  if (more.length > 0)
    throw new Error('invalid restart policy format: maximum retry count must be an integer')
  if (count !== undefined && name === '')
    throw new Error('invalid restart policy format: no policy provided before colon')
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new Error('invalid restart policy format: maximum retry count must be an integer')
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) }
}

/** Docker's spelling of capabilities: upper case with prefix, sorted, without repeats. */
function capabilities(names: readonly string[]): readonly string[] | null {
  const spelled = names.map(name => {
    const upper = name.trim().toUpperCase()
    return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`
  })
  if (spelled.includes('ALL')) return ['ALL']
  return orNull([...new Set(spelled)].sort())
}

interface Volumes {
  readonly anonymous: Record<string, Record<string, never>>
  readonly binds: readonly string[]
}

/** `/path` is an anonymous volume, `source:target[:options]` a bind; a relative source begins with a dot. */
function volumesOf(given: readonly string[]): Volumes {
  const anonymous: Record<string, Record<string, never>> = {}
  const binds: string[] = []
  for (const item of given) {
    const [source = '', target, ...rest] = item.split(':')
    if (target === undefined) anonymous[item] = {}
    else {
      const absolute =
        source === '.' || source === '..' || /^\.{1,2}\//.test(source) ? resolve(source) : source
      binds.push([absolute, target, ...rest].join(':'))
    }
  }
  return { anonymous, binds }
}

const truthy = (value: string | undefined): boolean =>
  value === undefined || value === 'true' || value === '1'

/** `type=bind,src=/a,dst=/b,ro` */
export function parseMount(text: string): Record<string, unknown> {
  const mount: Record<string, unknown> = { Type: 'volume' }
  const tmpfs: Record<string, unknown> = {}
  for (const field of text.split(',')) {
    const at = field.indexOf('=')
    const key = (at === -1 ? field : field.slice(0, at)).trim().toLowerCase()
    const value = at === -1 ? undefined : field.slice(at + 1)
    switch (key) {
      case 'type':
        mount.Type = (value ?? '').toLowerCase()
        break
      case 'source':
      case 'src':
        mount.Source = /^\.{1,2}(?:\/|$)/.test(value ?? '') ? resolve(value ?? '') : value
        break
      case 'target':
      case 'dst':
      case 'destination':
        mount.Target = value
        break
      case 'readonly':
      case 'ro':
        if (truthy(value)) mount.ReadOnly = true
        break
      case 'bind-propagation':
        mount.BindOptions = { Propagation: (value ?? '').toLowerCase() }
        break
      case 'tmpfs-size':
        tmpfs.SizeBytes = Number(value)
        break
      case 'tmpfs-mode':
        tmpfs.Mode = Number.parseInt(value ?? '', 8)
        break
      default:
        throw new Error(
          `invalid argument ${JSON.stringify(text)} for "--mount" flag: unexpected key '${key}' in '${field}'`,
        )
    }
  }
  if (mount.Target === undefined)
    throw new Error(`invalid argument ${JSON.stringify(text)} for "--mount" flag: target is required`)
  const { Type, Source, Target, ReadOnly, BindOptions } = mount
  return {
    Type,
    ...(Source === undefined ? {} : { Source }),
    Target,
    ...(ReadOnly === undefined ? {} : { ReadOnly }),
    ...(BindOptions === undefined ? {} : { BindOptions }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { TmpfsOptions: tmpfs }),
  }
}

function deviceOf(text: string): Record<string, string> {
  const [host = '', second, third] = text.split(':')
  const permissionsOnly = second !== undefined && third === undefined && /^[rwm]{1,3}$/.test(second)
  return {
    PathOnHost: host,
    PathInContainer: second === undefined || permissionsOnly ? host : second,
    CgroupPermissions: permissionsOnly ? second : (third ?? 'rwm'),
  }
}

function healthcheck(values: ContainerValues): Record<string, unknown> {
  const given =
    values['health-cmd'] !== '' ||
    values['health-interval'] !== 0 ||
    values['health-timeout'] !== 0 ||
    values['health-start-period'] !== 0 ||
    values['health-retries'] !== 0
  if (values['no-healthcheck']) {
    if (given) throw new Error('--no-healthcheck conflicts with --health-* options')
    return { Healthcheck: { Test: ['NONE'] } }
  }
  if (!given) return {}
  return {
    Healthcheck: {
      ...(values['health-cmd'] === '' ? {} : { Test: ['CMD-SHELL', values['health-cmd']] }),
      ...(values['health-interval'] === 0 ? {} : { Interval: values['health-interval'] }),
      ...(values['health-timeout'] === 0 ? {} : { Timeout: values['health-timeout'] }),
      ...(values['health-start-period'] === 0 ? {} : { StartPeriod: values['health-start-period'] }),
      ...(values['health-retries'] === 0 ? {} : { Retries: values['health-retries'] }),
    },
  }
}

/** `no-new-privileges` and `key=value`; a seccomp profile's file is sent as its content. */
function securityOptions(given: readonly string[]): readonly string[] | null {
  return orNull(
    given.map(option => {
      const [key, value] = option.split(/[=:](.*)/s)
      if (key !== 'seccomp' || value === undefined || value === 'unconfined' || value === 'builtin')
        return option
      return `seccomp=${readLines(value).join('\n')}`
    }),
  )
}

interface Attached {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

/** Without -a: output always, input with -i; with -d only what the flags ask for. */
function attached(values: ContainerValues, detach: boolean): Attached {
  const asked = values.attach
  const stdin = asked.includes('stdin') || (values.interactive && asked.length === 0)
  if (detach) return { stdin: false, stdout: false, stderr: false }
  if (asked.length > 0)
    return {
      stdin: stdin || values.interactive,
      stdout: asked.includes('stdout'),
      stderr: asked.includes('stderr'),
    }
  return { stdin, stdout: true, stderr: true }
}

export interface BodyOptions {
  readonly image: string
  readonly command: readonly string[]
  readonly detach: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Rows and columns of the terminal; sent with a tty. */
  readonly consoleSize: readonly [number, number]
}

export function createBody(values: ContainerValues, options: BodyOptions): CreateBody {
  const ports = parsePorts(values.publish, values.expose)
  const restart = restartPolicy(values.restart)
  if (values.rm && restart.Name !== 'no' && restart.Name !== '') {
    throw new Error('conflicting options: cannot specify both --restart and --rm')
  }
  if (values['mac-address'] !== '') macAddress(values['mac-address'])
  const net = networking([...values.network, ...values.net].map(parseNetwork), {
    aliases: [...values['network-alias'], ...values['net-alias']],
    links: values.link,
    ipv4: values.ip,
    ipv6: values.ip6,
    linkLocal: values['link-local-ip'],
    mac: values['mac-address'],
  })
  const volumes = volumesOf(values.volume)
  const tmpfs = Object.fromEntries(
    values.tmpfs.map(item => {
      const at = item.indexOf(':')
      return at === -1 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)]
    }),
  )
  const streams = attached(values, options.detach)
  const environment = environmentOf(values['env-file'], values.env, options.env)
  const tty = values.tty
  const mounts = values.mount.map(parseMount)
  const stopTimeout = values['stop-timeout']
  return {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    ...(Object.keys(ports.exposed).length === 0 ? {} : { ExposedPorts: ports.exposed }),
    Tty: tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive && streams.stdin,
    Env: orNull(environment),
    Cmd: orNull(options.command),
    ...healthcheck(values),
    Image: options.image,
    Volumes: volumes.anonymous,
    WorkingDir: values.workdir,
    Entrypoint: values.entrypoint === undefined ? null : [values.entrypoint],
    OnBuild: null,
    Labels: labelsOf(values['label-file'], values.label),
    ...(values['stop-signal'] === '' ? {} : { StopSignal: values['stop-signal'] }),
    ...(stopTimeout === undefined ? {} : { StopTimeout: stopTimeout }),
    HostConfig: {
      Binds: orNull(volumes.binds),
      ContainerIDFile: values.cidfile,
      LogConfig: { Type: values['log-driver'], Config: labelsOf([], values['log-opt']) },
      NetworkMode: net.mode,
      PortBindings: ports.bindings,
      RestartPolicy: restart,
      AutoRemove: values.rm,
      VolumeDriver: '',
      VolumesFrom: orNull(values['volumes-from']),
      ConsoleSize: tty ? options.consoleSize : [0, 0],
      CapAdd: capabilities(values['cap-add']),
      CapDrop: capabilities(values['cap-drop']),
      CgroupnsMode: '',
      Dns: values.dns,
      DnsOptions: [...values['dns-option'], ...values['dns-opt']],
      DnsSearch: values['dns-search'],
      ExtraHosts: orNull(values['add-host']),
      GroupAdd: orNull(values['group-add']),
      IpcMode: values.ipc,
      Cgroup: '',
      Links: orNull(values.link),
      OomScoreAdj: values['oom-score-adj'],
      PidMode: values.pid,
      Privileged: values.privileged,
      PublishAllPorts: values['publish-all'],
      ReadonlyRootfs: values['read-only'],
      SecurityOpt: securityOptions(values['security-opt']),
      ...(values.tmpfs.length === 0 ? {} : { Tmpfs: tmpfs }),
      UTSMode: values.uts,
      UsernsMode: values.userns,
      ShmSize: values['shm-size'],
      ...(Object.keys(values.sysctl).length === 0 ? {} : { Sysctls: values.sysctl }),
      ...(values.runtime === '' ? {} : { Runtime: values.runtime }),
      Isolation: '',
      CpuShares: values['cpu-shares'],
      Memory: values.memory,
      NanoCpus: values.cpus === '' ? 0 : nanoCpus(values.cpus),
      CgroupParent: values['cgroup-parent'],
      BlkioWeight: 0,
      BlkioWeightDevice: [],
      BlkioDeviceReadBps: [],
      BlkioDeviceWriteBps: [],
      BlkioDeviceReadIOps: [],
      BlkioDeviceWriteIOps: [],
      CpuPeriod: values['cpu-period'],
      CpuQuota: values['cpu-quota'],
      CpuRealtimePeriod: 0,
      CpuRealtimeRuntime: 0,
      CpusetCpus: values['cpuset-cpus'],
      CpusetMems: values['cpuset-mems'],
      Devices: values.device.map(deviceOf),
      DeviceCgroupRules: null,
      DeviceRequests: null,
      MemoryReservation: values['memory-reservation'],
      MemorySwap: values['memory-swap'],
      MemorySwappiness: values['memory-swappiness'],
      OomKillDisable: values['oom-kill-disable'],
      PidsLimit: values['pids-limit'],
      Ulimits: values.ulimit.map(parseUlimit),
      CpuCount: 0,
      CpuPercent: 0,
      IOMaximumIOps: 0,
      IOMaximumBandwidth: 0,
      ...(mounts.length === 0 ? {} : { Mounts: mounts }),
      MaskedPaths: null,
      ReadonlyPaths: null,
      ...(values.init === undefined ? {} : { Init: values.init }),
    },
    NetworkingConfig: { EndpointsConfig: net.endpoints },
  }
}
