/** Bodies of the container and exec endpoints. What the engine acts on is typed; the rest of HostConfig passes through. */
import { z } from 'zod'
import { bool, command, field, int, openStruct, set, struct, text, textMap, texts } from './go.ts'
import { endpointSettings } from './network.ts'

const portBinding = struct({
  HostIp: text,
  // Some clients send the port as a number; Docker refuses that, and so do we: the type is checked.
  HostPort: text,
})

export const portBindings = field(
  z.record(
    z.string(),
    z
      .array(portBinding.nullable())
      .nullable()
      .transform(list => (list ?? []).map(one => one ?? { HostIp: undefined, HostPort: undefined })),
  ),
)

export const restartPolicy = struct({ Name: text, MaximumRetryCount: int })

const hostConfig = openStruct({
  Binds: texts,
  NetworkMode: text,
  PortBindings: portBindings,
  PublishAllPorts: bool,
  RestartPolicy: field(restartPolicy),
  AutoRemove: bool,
  CapAdd: command,
  CapDrop: command,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  Links: texts,
  Privileged: bool,
  ReadonlyRootfs: bool,
  SecurityOpt: texts,
  Tmpfs: textMap,
  Sysctls: textMap,
  ShmSize: int,
  PidMode: text,
  IpcMode: text,
  UTSMode: text,
  Memory: int,
  NanoCpus: int,
  CpuShares: int,
  CpuQuota: int,
  CpuPeriod: int,
  CpusetCpus: text,
  PidsLimit: int,
  Ulimits: field(
    z.array(
      struct({ Name: text, Soft: int, Hard: int }).transform(one => ({
        Name: one.Name ?? '',
        Soft: one.Soft ?? 0,
        Hard: one.Hard ?? 0,
      })),
    ),
  ),
  OomScoreAdj: int,
  Init: bool,
  Devices: field(
    z.array(
      struct({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text }).transform(one => ({
        PathOnHost: one.PathOnHost ?? '',
        PathInContainer: one.PathInContainer ?? '',
        CgroupPermissions: one.CgroupPermissions ?? '',
      })),
    ),
  ),
  Mounts: field(
    z.array(
      openStruct({ Type: text, Source: text, Target: text, ReadOnly: bool }).transform(
        ({ Type, Source, Target, ReadOnly, ...others }) => ({
          ...others,
          Type: Type ?? '',
          Target: Target ?? '',
          ...(Source === undefined ? {} : { Source }),
          ...(ReadOnly === undefined ? {} : { ReadOnly }),
        }),
      ),
    ),
  ),
})

export const containerCreate = struct({
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: set,
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: texts,
  Cmd: command,
  Healthcheck: field(z.record(z.string(), z.unknown())),
  Image: text,
  Volumes: set,
  WorkingDir: text,
  Entrypoint: command,
  MacAddress: text,
  OnBuild: texts,
  Labels: textMap,
  StopSignal: text,
  StopTimeout: int,
  HostConfig: field(hostConfig),
  NetworkingConfig: field(
    struct({ EndpointsConfig: field(z.record(z.string(), endpointSettings.nullable())) }),
  ),
})
export type ContainerCreate = z.output<typeof containerCreate>

export const containerUpdate = openStruct({ RestartPolicy: field(restartPolicy) })

export const execCreate = struct({
  User: text,
  Privileged: bool,
  Tty: bool,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  DetachKeys: text,
  Env: texts,
  WorkingDir: text,
  Cmd: texts,
})

export const execStart = struct({
  Detach: bool,
  Tty: bool,
  ConsoleSize: field(z.array(z.int().nonnegative())),
})
