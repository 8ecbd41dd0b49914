/** `/version` and `/info`. The CLI prints blanks for what is missing here, so everything it prints is given. */
import type { EngineInfo, StateView } from '../../engine/index.ts'
import type { HostFacts } from '../host-facts.ts'
import { dockerVersion, newest, oldest, versionText, type ApiVersion } from '../version.ts'
import { present } from './order.ts'

export function versionView(info: EngineInfo, host: HostFacts): Record<string, unknown> {
  const own = `linkspan-${info.version}`
  const runtime = {
    Name: info.runtime.name,
    Version: info.runtime.version,
    Details: { Path: info.runtime.path },
  }
  return {
    Platform: { Name: 'Linkspan Engine' },
    Components: [
      {
        Name: 'Engine',
        Version: dockerVersion,
        Details: {
          ApiVersion: versionText(newest),
          Arch: host.goArchitecture,
          BuildTime: host.buildTime,
          Experimental: 'false',
          GitCommit: own,
          GoVersion: `none (Node ${host.nodeVersion})`,
          KernelVersion: host.kernel,
          MinAPIVersion: versionText(oldest),
          Os: 'linux',
        },
      },
      { Name: 'linkspan', Version: info.version, Details: { GitCommit: own } },
      { Name: 'conmon', Version: info.runtime.conmonVersion, Details: {} },
      runtime,
    ],
    Version: dockerVersion,
    ApiVersion: versionText(newest),
    MinAPIVersion: versionText(oldest),
    GitCommit: own,
    GoVersion: `none (Node ${host.nodeVersion})`,
    Os: 'linux',
    Arch: host.goArchitecture,
    KernelVersion: host.kernel,
    BuildTime: host.buildTime,
  }
}

function count(state: StateView, ...statuses: readonly string[]): number {
  let found = 0
  for (const container of state.containers.values()) if (statuses.includes(container.state.status)) found++
  return found
}

const noCommit = { ID: '', Expected: '' }

const noSwarm = {
  NodeID: '',
  NodeAddr: '',
  LocalNodeState: 'inactive',
  ControlAvailable: false,
  Error: '',
  RemoteManagers: null,
}

export function infoView(
  state: StateView,
  info: EngineInfo,
  host: HostFacts,
  version: ApiVersion,
): Record<string, unknown> {
  const { runtime, firewall } = info
  return present({
    ID: info.id,
    Containers: state.containers.size,
    ContainersRunning: count(state, 'running', 'restarting'),
    ContainersPaused: count(state, 'paused'),
    ContainersStopped: count(state, 'created', 'exited', 'dead', 'removing'),
    Images: state.images.size,
    Driver: 'overlay2',
    DriverStatus: [['Images', 'flattened, one lower directory each']],
    Plugins: {
      Volume: [],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: info.ipForwarding,
    // Always false here, as in Docker 28; gone from 1.50.
    BridgeNfIptables: version < 50 ? false : undefined,
    BridgeNfIp6tables: version < 50 ? false : undefined,
    Debug: false,
    NFd: -1,
    OomKillDisable: false,
    NGoroutines: -1,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: host.cgroupDriver,
    CgroupVersion: host.cgroupVersion,
    NEventsListener: 0,
    KernelVersion: host.kernel,
    OperatingSystem: host.system,
    OSVersion: host.systemVersion,
    OSType: 'linux',
    Architecture: host.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: {
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
      InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8'],
      IndexConfigs: {
        'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true },
      },
      Mirrors: null,
    },
    NCPU: host.cpus,
    MemTotal: host.memory,
    GenericResources: null,
    DockerRootDir: info.dataRoot,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: host.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: dockerVersion,
    Runtimes: { [runtime.name]: { path: runtime.path } },
    DefaultRuntime: runtime.name,
    Swarm: noSwarm,
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: '',
    ContainerdCommit: noCommit,
    RuncCommit: { ID: runtime.version, Expected: runtime.version },
    InitCommit: noCommit,
    SecurityOptions: host.seccomp ? ['name=seccomp,profile=builtin'] : [],
    DefaultAddressPools:
      info.defaultAddressPools.length === 0
        ? undefined
        : info.defaultAddressPools.map(pool => ({ Base: pool.base, Size: pool.size })),
    FirewallBackend:
      version >= 49 ? { Driver: firewall.driver, Info: [['Reason', firewall.reason]] } : undefined,
    CDISpecDirs: [],
    Warnings: info.warnings.length === 0 ? null : info.warnings,
  })
}
