/** The parts of the OCI runtime specification's config.json that are written here. */

export interface OciUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
}

/** RLIM_INFINITY is 2⁶⁴−1, which no JavaScript number can hold; `serializeOci` writes it out. */
export type OciLimit = number | 'RLIM_INFINITY'

export interface OciProcess {
  readonly terminal: boolean
  readonly consoleSize?: { readonly height: number; readonly width: number }
  readonly user: OciUser
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: Readonly<
    Partial<Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', readonly string[]>>
  >
  readonly rlimits: readonly { readonly type: string; readonly soft: OciLimit; readonly hard: OciLimit }[]
  readonly noNewPrivileges: boolean
  readonly oomScoreAdj?: number
}

export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

export interface OciDevice {
  readonly path: string
  readonly type: 'b' | 'c'
  readonly major: number
  readonly minor: number
  readonly fileMode: number
  readonly uid: number
  readonly gid: number
}

export interface OciDeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'b' | 'c'
  readonly major?: number
  readonly minor?: number
  readonly access: string
}

export interface OciResources {
  readonly devices: readonly OciDeviceRule[]
  readonly memory?: {
    readonly limit?: number
    readonly reservation?: number
    readonly swap?: number
    readonly swappiness?: number
    readonly disableOOMKiller?: boolean
  }
  readonly cpu?: {
    readonly shares?: number
    readonly quota?: number
    readonly period?: number
    readonly cpus?: string
    readonly mems?: string
  }
  readonly pids?: { readonly limit: number }
}

export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly syscalls: readonly {
    readonly names: readonly string[]
    readonly action: string
    readonly errnoRet?: number
    readonly args?: readonly {
      readonly index: number
      readonly value: number
      readonly valueTwo?: number
      readonly op: string
    }[]
  }[]
}

export interface OciNamespace {
  readonly type: 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'cgroup'
  readonly path?: string
}

export interface OciSpec {
  readonly ociVersion: string
  readonly hostname?: string
  readonly process: OciProcess
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly mounts: readonly OciMount[]
  readonly linux: {
    readonly cgroupsPath: string
    readonly namespaces: readonly OciNamespace[]
    readonly sysctl: Readonly<Record<string, string>>
    readonly devices: readonly OciDevice[]
    readonly resources: OciResources
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly rootfsPropagation?: string
    readonly seccomp?: OciSeccomp
  }
}

/** JSON as the runtimes read it: limits without bound become 2⁶⁴−1. */
export function serializeOci(value: OciSpec | OciProcess): string {
  // A quote inside a JSON string is always escaped, so this cannot hit anything but the two keys themselves.
  return JSON.stringify(value).replaceAll(/"(soft|hard)":"RLIM_INFINITY"/g, '"$1":18446744073709551615')
}
