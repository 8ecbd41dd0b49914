/**
 * Docker's `Config` and `HostConfig` → the OCI runtime's config.json. Pure: everything about the host and the files
 * comes in as values.
 *
 * The set of mounts, masked and read-only paths, devices and capabilities is Docker's, because images rely on it.
 * Never asked for: capabilities beyond the engine's bounding set, limits beyond its hard limits. A runtime refuses
 * such a container, and CAP_SYS_RESOURCE is missing wherever the engine itself runs in a container.
 */

import { fault } from '../base/index.ts'
import { effectiveCapabilities } from './capabilities.ts'
import type { UserMount } from './mounts.ts'
import type {
  OciDevice,
  OciDeviceRule,
  OciLimit,
  OciMount,
  OciNamespace,
  OciProcess,
  OciResources,
  OciSeccomp,
  OciSpec,
} from './oci.ts'
import { resolveSeccomp, type SeccompProfile } from './seccomp.ts'
import type { ContainerFiles, ExecSpec, HostConfig, RunSpec } from './types.ts'
import type { UserIds } from './user.ts'

/** What the engine may give away, and what the machine is. Read once at start. */
export interface HostFacts {
  readonly bounding: ReadonlySet<string>
  /** The engine's hard limits by OCI name (`RLIMIT_NOFILE`); Infinity = none. */
  readonly hardLimits: ReadonlyMap<string, number>
  readonly oomScoreAdj: number
  readonly cgroupVersion: 1 | 2
  readonly systemdCgroup: boolean
  readonly seccomp: SeccompProfile | undefined
  /** `process.arch` and `os.release()`. */
  readonly arch: string
  readonly kernel: string
  /** A static init (tini, catatonit) for `--init`. */
  readonly init: string | undefined
}

/** A bind mount whose source exists. */
export type ReadyMount =
  | Extract<UserMount, { kind: 'tmpfs' }>
  | {
      readonly kind: 'bind'
      readonly source: string
      readonly target: string
      readonly readOnly: boolean
      readonly propagation: string
    }

/** A node made in the container, and what its device cgroup allows there: `rwm`. */
export interface DeviceGrant {
  readonly device: OciDevice
  readonly access: string
}

export interface SpecInput {
  readonly run: RunSpec
  readonly rootfs: string
  readonly files: ContainerFiles
  readonly user: UserIds
  readonly mounts: readonly ReadyMount[]
  /** Namespace files of the container whose pid or ipc namespace is joined. */
  readonly join: { readonly pid?: string; readonly ipc?: string }
  /** A directory of the host that becomes /dev/shm; absent = a tmpfs of its own. */
  readonly shm: string | undefined
  /** Nodes of the host that the user asked for (all of them if privileged), with their access in the device cgroup. */
  readonly devices: readonly DeviceGrant[]
}

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** null, zero, full, tty, urandom, random, console; the runtimes add ptmx and pts themselves. */
const defaultDeviceRules: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  ...[
    [1, 5],
    [1, 3],
    [1, 9],
    [1, 8],
    [5, 0],
    [5, 1],
  ].map(([major = 0, minor = 0]): OciDeviceRule => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
]

const initTarget = '/sbin/docker-init'

export function buildSpec(input: SpecInput, host: HostFacts): OciSpec {
  const { run } = input
  const { hostConfig } = run
  const security = securityOptions(hostConfig)
  const ownUts = run.hostname !== undefined && hostConfig.UTSMode !== 'host'
  const capabilities = capabilitiesFor(hostConfig, hostConfig.Privileged, host)
  const seccomp = seccompFor(hostConfig.Privileged, security, capabilities, host)
  const propagation = rootPropagation(input.mounts)
  return {
    ociVersion: '1.0.2',
    ...(ownUts ? { hostname: run.hostname ?? '' } : {}),
    process: mainProcess(input, host, capabilities, security.noNewPrivileges),
    root: { path: input.rootfs, readonly: hostConfig.ReadonlyRootfs },
    mounts: allMounts(input, host),
    linux: {
      cgroupsPath: host.systemdCgroup ? `system.slice:linkspan:${run.id}` : `/linkspan/${run.id}`,
      namespaces: namespaces(input, host, ownUts),
      sysctl: {
        ...(ownUts && run.config.Domainname !== '' ? { 'kernel.domainname': run.config.Domainname } : {}),
        ...run.sysctls,
      },
      devices: input.devices.map(({ device }) => device),
      resources: resources(input),
      maskedPaths: pathList(hostConfig, 'MaskedPaths', maskedPaths),
      readonlyPaths: pathList(hostConfig, 'ReadonlyPaths', readonlyPaths),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  }
}

/** The process of an exec: the container's own settings where the request says nothing. */
export function execProcess(spec: ExecSpec, container: RunSpec, user: UserIds, host: HostFacts): OciProcess {
  const { config, hostConfig } = container
  return {
    terminal: spec.tty,
    ...(spec.tty && spec.size !== undefined
      ? { consoleSize: { height: spec.size[0], width: spec.size[1] } }
      : {}),
    user,
    args: spec.args,
    env: mergeEnv(container.env, spec.tty ? ['TERM=xterm'] : [], spec.env),
    cwd: spec.workingDir || config.WorkingDir || '/',
    capabilities: capabilitySets(capabilitiesFor(hostConfig, hostConfig.Privileged || spec.privileged, host)),
    rlimits: rlimits(hostConfig, host),
    noNewPrivileges: securityOptions(hostConfig).noNewPrivileges,
  }
}

function mainProcess(
  input: SpecInput,
  host: HostFacts,
  capabilities: readonly string[],
  noNewPrivileges: boolean,
): OciProcess {
  const { run } = input
  const { config, hostConfig } = run
  const args = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
  if (args.length === 0) throw fault('noCommand')
  const size = hostConfig['ConsoleSize'] as readonly [number, number] | undefined
  return {
    terminal: config.Tty,
    ...(config.Tty && size !== undefined && size[0] > 0
      ? { consoleSize: { height: size[0], width: size[1] } }
      : {}),
    user: input.user,
    args: usesInit(run) ? [initTarget, '--', ...args] : args,
    env: run.env,
    cwd: config.WorkingDir || '/',
    capabilities: capabilitySets(capabilities),
    rlimits: rlimits(hostConfig, host),
    noNewPrivileges,
    // Lowering it below one's own takes CAP_SYS_RESOURCE.
    oomScoreAdj: host.bounding.has('CAP_SYS_RESOURCE')
      ? hostConfig.OomScoreAdj
      : Math.max(hostConfig.OomScoreAdj, host.oomScoreAdj),
  }
}

/** Whether an init stands before the container's program; it makes no sense in somebody else's pid namespace. */
function usesInit({ hostConfig }: RunSpec): boolean {
  return hostConfig.Init === true && hostConfig.PidMode === ''
}

function capabilitiesFor(hostConfig: HostConfig, privileged: boolean, host: HostFacts): string[] {
  return effectiveCapabilities(
    { privileged, add: hostConfig.CapAdd ?? [], drop: hostConfig.CapDrop ?? [] },
    host.bounding,
  )
}

function capabilitySets(list: readonly string[]): OciProcess['capabilities'] {
  return { bounding: list, effective: list, permitted: list }
}

/** Later lists win over earlier ones; a name without `=` takes the variable away. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  const merged = new Map<string, string>()
  for (const one of lists.flat()) {
    const [name = ''] = one.split('=', 1)
    if (one.includes('=')) merged.set(name, one)
    else merged.delete(name)
  }
  return [...merged.values()]
}

function rlimits(hostConfig: HostConfig, host: HostFacts): OciProcess['rlimits'] {
  const mayRaise = host.bounding.has('CAP_SYS_RESOURCE')
  return (hostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => {
    const type = `RLIMIT_${Name.toUpperCase()}`
    const most = mayRaise ? Infinity : (host.hardLimits.get(type) ?? Infinity)
    const clip = (value: number): OciLimit => {
      const wanted = Math.min(value < 0 ? Infinity : value, most)
      return wanted === Infinity ? 'RLIM_INFINITY' : wanted
    }
    return { type, soft: clip(Soft), hard: clip(Hard) }
  })
}

function namespaces(input: SpecInput, host: HostFacts, ownUts: boolean): OciNamespace[] {
  const { run, join } = input
  const { PidMode, IpcMode } = run.hostConfig
  const cgroupMode = run.hostConfig['CgroupnsMode']
  // As Docker does: with version 1 programs expect the host's paths, with version 2 a view of their own.
  const ownCgroup = cgroupMode === 'private' || (cgroupMode !== 'host' && host.cgroupVersion === 2)
  const list: (OciNamespace | undefined)[] = [
    { type: 'mount' },
    run.netnsPath === undefined ? undefined : { type: 'network', path: run.netnsPath },
    ownUts ? { type: 'uts' } : undefined,
    PidMode === 'host' ? undefined : { type: 'pid', ...(join.pid === undefined ? {} : { path: join.pid }) },
    IpcMode === 'host' ? undefined : { type: 'ipc', ...(join.ipc === undefined ? {} : { path: join.ipc }) },
    ownCgroup && !run.hostConfig.Privileged ? { type: 'cgroup' } : undefined,
  ]
  return list.filter(one => one !== undefined)
}

function allMounts(input: SpecInput, host: HostFacts): OciMount[] {
  const { run, files } = input
  const readWrite = run.hostConfig.Privileged
  const system: OciMount[] = [
    mount('/proc', 'proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', 'devpts', [
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      'gid=5',
    ]),
    mount('/sys', 'sysfs', 'sysfs', ['nosuid', 'noexec', 'nodev', readWrite ? 'rw' : 'ro']),
    mount('/sys/fs/cgroup', 'cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', readWrite ? 'rw' : 'ro']),
    mount('/dev/mqueue', 'mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
    ...sharedMemory(input),
  ]
  const ours: OciMount[] = [
    bind(files.resolvConf, '/etc/resolv.conf'),
    bind(files.hostname, '/etc/hostname'),
    bind(files.hosts, '/etc/hosts'),
    ...(usesInit(run) ? [bind(initProgram(host), initTarget, ['ro'])] : []),
  ]
  const users = input.mounts.map(one =>
    one.kind === 'tmpfs'
      ? mount(one.target, 'tmpfs', 'tmpfs', ['noexec', 'nosuid', 'nodev', ...one.options])
      : bind(one.source, one.target, [one.readOnly ? 'ro' : 'rw'], one.propagation),
  )
  // What the user mounts replaces ours at the same place, and the kernel's below it; our files come over a directory.
  const taken = (target: string): boolean => users.some(({ destination }) => target === destination)
  const below = (target: string): boolean =>
    users.some(({ destination }) => target.startsWith(`${destination}/`))
  return [
    ...system.filter(({ destination }) => !taken(destination) && !below(destination)),
    ...[...users, ...ours.filter(({ destination }) => !taken(destination))].sort(byDepth),
  ]
}

function byDepth(a: OciMount, b: OciMount): number {
  return a.destination.split('/').length - b.destination.split('/').length
}

function sharedMemory({ run, shm }: SpecInput): OciMount[] {
  if (shm !== undefined) return [bind(shm, '/dev/shm')]
  if (run.hostConfig.IpcMode === 'none') return []
  const size = `size=${String(run.hostConfig.ShmSize || 64 * 1024 * 1024)}`
  return [mount('/dev/shm', 'tmpfs', 'shm', ['nosuid', 'noexec', 'nodev', 'mode=1777', size])]
}

function initProgram(host: HostFacts): string {
  if (host.init !== undefined) return host.init
  throw fault('unavailable', 'no init program for --init found: install the Debian package tini')
}

function mount(destination: string, type: string, source: string, options: readonly string[]): OciMount {
  return { destination, type, source, options }
}

function bind(
  source: string,
  destination: string,
  options: readonly string[] = [],
  propagation = 'rprivate',
): OciMount {
  return mount(destination, 'bind', source, ['rbind', propagation, ...options])
}

function rootPropagation(mounts: readonly ReadyMount[]): string | undefined {
  const used = mounts.map(one => (one.kind === 'bind' ? one.propagation : ''))
  if (used.some(one => one.endsWith('shared'))) return 'shared'
  return used.some(one => one.endsWith('slave')) ? 'rslave' : undefined
}

function resources({ run, devices }: SpecInput): OciResources {
  const { hostConfig } = run
  const optional = (key: string): number => {
    const value = hostConfig[key]
    return typeof value === 'number' ? value : 0
  }
  const memory = {
    ...some('limit', hostConfig.Memory),
    ...some('reservation', optional('MemoryReservation')),
    ...some('swap', optional('MemorySwap')),
    ...(hostConfig['OomKillDisable'] === true ? { disableOOMKiller: true } : {}),
  }
  const period = hostConfig.CpuPeriod || 100_000
  const mems = hostConfig['CpusetMems']
  const cpu = {
    ...some('shares', hostConfig.CpuShares),
    ...(hostConfig.NanoCpus > 0
      ? { quota: Math.floor((hostConfig.NanoCpus * period) / 1e9), period }
      : { ...some('quota', hostConfig.CpuQuota), ...some('period', hostConfig.CpuPeriod) }),
    ...(hostConfig.CpusetCpus === '' ? {} : { cpus: hostConfig.CpusetCpus }),
    ...(typeof mems === 'string' && mems !== '' ? { mems } : {}),
  }
  const limit = hostConfig.PidsLimit ?? 0
  const rules: readonly OciDeviceRule[] = hostConfig.Privileged
    ? [{ allow: true, access: 'rwm' }]
    : [
        ...defaultDeviceRules,
        ...devices.map(({ device: { type, major, minor }, access }): OciDeviceRule => ({
          allow: true,
          type,
          major,
          minor,
          access,
        })),
        ...deviceRules(hostConfig['DeviceCgroupRules']),
      ]
  return {
    devices: rules,
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(limit > 0 ? { pids: { limit } } : {}),
  }
}

/** `c 10:229 rwm`, `a *:* rwm`. */
function deviceRules(value: unknown): OciDeviceRule[] {
  if (!Array.isArray(value)) return []
  return value.map((text: unknown) => {
    const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(String(text))
    if (match === null)
      throw fault('invalidParameter', `invalid device cgroup rule format: '${String(text)}'`)
    const [, type, major = '*', minor = '*', access = ''] = match
    return {
      allow: true,
      type: type === 'a' || type === 'b' ? type : 'c',
      ...(major === '*' ? {} : { major: Number(major) }),
      ...(minor === '*' ? {} : { minor: Number(minor) }),
      access,
    }
  })
}

function some<K extends string>(key: K, value: number): Partial<Record<K, number>> {
  return value === 0 ? {} : ({ [key]: value } as Partial<Record<K, number>>)
}

interface SecurityOptions {
  readonly noNewPrivileges: boolean
  /** undefined = the default profile, null = none. */
  readonly seccomp: SeccompProfile | null | undefined
}

/** `no-new-privileges`, `seccomp=unconfined`, `seccomp={…}`; labels and AppArmor have nothing here to act on. */
function securityOptions(hostConfig: HostConfig): SecurityOptions {
  let noNewPrivileges = false
  let seccomp: SeccompProfile | null | undefined
  for (const option of hostConfig.SecurityOpt ?? []) {
    const [key = ''] = option.split(/[=:]/, 1)
    const value = option.slice(key.length + 1)
    if (key === 'no-new-privileges') noNewPrivileges = value !== 'false'
    else if (key === 'seccomp') seccomp = value === 'unconfined' ? null : parseProfile(value)
    else if (key !== 'label' && key !== 'apparmor' && key !== 'systempaths') {
      throw fault('invalidParameter', `invalid --security-opt 2: "${option}"`)
    }
  }
  return { noNewPrivileges, seccomp }
}

function parseProfile(text: string): SeccompProfile | undefined {
  if (text === 'builtin') return undefined
  try {
    const value = JSON.parse(text) as Partial<SeccompProfile>
    if (typeof value.defaultAction !== 'string') throw new Error('defaultAction is missing')
    return { syscalls: [], ...value, defaultAction: value.defaultAction }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw fault('invalidParameter', `Decoding seccomp profile failed: ${why}`)
  }
}

function seccompFor(
  privileged: boolean,
  security: SecurityOptions,
  capabilities: readonly string[],
  host: HostFacts,
): OciSeccomp | undefined {
  const profile = security.seccomp ?? (security.seccomp === null || privileged ? undefined : host.seccomp)
  if (profile === undefined) return undefined
  return resolveSeccomp(profile, { arch: host.arch, kernel: host.kernel, capabilities })
}

function pathList(hostConfig: HostConfig, key: string, defaults: readonly string[]): readonly string[] {
  const value = hostConfig[key]
  if (Array.isArray(value)) return value.filter(one => typeof one === 'string')
  return hostConfig.Privileged || (hostConfig.SecurityOpt ?? []).includes('systempaths=unconfined')
    ? []
    : defaults
}
