/** The parts of the Engine API's answers that commands read. Everything else is passed through as it came. */

export interface Port {
  readonly IP?: string
  readonly PrivatePort: number
  readonly PublicPort?: number
  readonly Type: string
}

export interface ContainerSummary {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  readonly Created: number
  readonly Ports: readonly Port[]
  readonly Labels: Readonly<Record<string, string>> | null
  readonly State: string
  readonly Status: string
  readonly SizeRw?: number
  readonly SizeRootFs?: number
  readonly NetworkSettings?: { readonly Networks?: Readonly<Record<string, unknown>> | null }
  readonly Mounts?: readonly {
    readonly Name?: string
    readonly Source?: string
    readonly Type?: string
    readonly Driver?: string
  }[]
}

export interface ContainerDetails {
  readonly Id: string
  readonly Name: string
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean; readonly StdinOnce: boolean }
  readonly HostConfig: { readonly AutoRemove: boolean }
  readonly State: {
    readonly Running: boolean
    readonly Paused: boolean
    readonly Restarting: boolean
    readonly ExitCode: number
    readonly Error: string
  }
  readonly NetworkSettings: {
    readonly Ports: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
    > | null
  }
}

export interface NetworkSummary {
  readonly Name: string
  readonly Id: string
  readonly Created: string
  readonly Scope: string
  readonly Driver: string
  readonly EnableIPv4?: boolean
  readonly EnableIPv6: boolean
  readonly Internal: boolean
  readonly Labels: Readonly<Record<string, string>> | null
  /** Only if asked for, and of this engine. */
  readonly Status?: {
    readonly IPAM: {
      readonly Subnets: Readonly<
        Record<string, { readonly IPsInUse: number; readonly DynamicIPsAvailable: number }>
      >
    }
  }
}

export interface ImageSummary {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  readonly Created: number
  readonly Size: number
  readonly SharedSize?: number
  readonly Containers?: number
}

export interface WaitAnswer {
  readonly StatusCode: number
  readonly Error?: { readonly Message: string } | null
}

/** Path of one container, its name or id percent-encoded. */
export const containerPath = (name: string, rest = ''): string =>
  `/containers/${encodeURIComponent(name)}${rest}`
