/**
 * `HostConfig` as inspect shows it: every key Docker has, in its order, with Docker's value where the container has
 * none; then whatever else the client sent, so that nothing is lost.
 */
import type { HostConfig } from '../../container/index.ts'
import { sorted } from './order.ts'

/** In Docker's order. `undefined` = the key is left out unless it is set. */
const defaults: Readonly<Record<string, unknown>> = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: 'json-file', Config: {} },
  NetworkMode: 'bridge',
  PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  Annotations: undefined,
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'private',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  StorageOpt: undefined,
  Tmpfs: undefined,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 67_108_864,
  Sysctls: undefined,
  Runtime: undefined,
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  Mounts: undefined,
  MaskedPaths: [
    '/proc/asound',
    '/proc/acpi',
    '/proc/kcore',
    '/proc/keys',
    '/proc/latency_stats',
    '/proc/timer_list',
    '/proc/timer_stats',
    '/proc/sched_debug',
    '/proc/scsi',
    '/sys/firmware',
  ],
  ReadonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  Init: undefined,
}

/** Values that clients send for "not set", and what Docker makes of them. */
function settled(key: string, value: unknown): unknown {
  if (key === 'CgroupnsMode' && value === '') return undefined
  if (key === 'MemorySwappiness' && value === -1) return undefined
  if (key === 'PidsLimit' && typeof value === 'number' && value <= 0) return undefined
  if (
    key === 'LogConfig' &&
    typeof value === 'object' &&
    value !== null &&
    'Type' in value &&
    value.Type === ''
  ) {
    return { ...value, Type: 'json-file' }
  }
  return value
}

const privilegedPaths = new Set(['MaskedPaths', 'ReadonlyPaths'])

/** `links`: legacy links as they are shown, `/child:/parent/alias`. */
export function hostConfigView(config: HostConfig, links: readonly string[]): Record<string, unknown> {
  const known = Object.entries(defaults).flatMap(([key, otherwise]): [string, unknown][] => {
    if (key === 'Links') return [[key, links.length === 0 ? null : links]]
    const own = settled(key, config[key])
    if (key === 'PortBindings') return [[key, sorted(config.PortBindings ?? {})]]
    if (own !== undefined && own !== null) return [[key, own]]
    if (config.Privileged && privilegedPaths.has(key)) return [[key, null]]
    return otherwise === undefined ? [] : [[key, otherwise]]
  })
  const others = Object.entries(config).filter(
    ([key, value]) => !Object.hasOwn(defaults, key) && value !== undefined && value !== null,
  )
  return Object.fromEntries([...known, ...others])
}
