/**
 * The records that join the network side and the container side. Everything the engine knows is in these and in the
 * records of `src/network/types.ts`; what `inspect` shows is derived from them, there is no second copy.
 */
import type { ContainerConfig, HostConfig, RunningProcess, StoredImage } from '../container/index.ts'
import type { EndpointRequest, Id } from '../network/index.ts'

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

export interface ContainerState {
  readonly status: ContainerStatus
  /** While it runs or is paused. */
  readonly process?: RunningProcess | undefined
  readonly exitCode: number
  readonly oomKilled: boolean
  /** Why the last start failed, as the client was told; '' otherwise. */
  readonly error: string
  /** RFC 3339 with nanoseconds; `0001-01-01T00:00:00Z` = never. */
  readonly startedAt: string
  readonly finishedAt: string
}

/** A time that did not come yet, as Go writes its zero time. */
export const never = '0001-01-01T00:00:00Z'

/** It has a process. */
export function isUp({ state }: Container): boolean {
  return state.status === 'running' || state.status === 'paused'
}

/** What a container is configured to be connected to: it is connected when it starts. */
export interface Membership {
  /** Network name or id as the user typed it, until it is resolved at start. */
  readonly network: string
  /** Id of the network it was resolved to; '' before the first start. */
  readonly networkId: Id
  readonly request: EndpointRequest
}

export interface Container {
  readonly id: Id
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  /** Reference as the user typed it. */
  readonly image: string
  /** `sha256:…` of the image it was made from. */
  readonly imageId: string
  readonly config: ContainerConfig
  readonly hostConfig: HostConfig
  /** In the order in which interfaces are made: eth0 first. */
  readonly memberships: readonly Membership[]
  readonly state: ContainerState
  readonly restartCount: number
  /** The user stopped it: restart policies `unless-stopped` and `always` hold still. */
  readonly stoppedByUser: boolean
  /** Legacy links on the default bridge: alias → container id. */
  readonly links: Readonly<Record<string, Id>>
}

export interface Image extends StoredImage {
  /** Familiar references: `busybox:latest`, `localhost:5000/web:1`. */
  readonly tags: readonly string[]
  /** `busybox@sha256:…`. */
  readonly digests: readonly string[]
}

export interface Exec {
  readonly id: Id
  readonly containerId: Id
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly tty: boolean
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  readonly detachKeys: string
  readonly user: string
  readonly workingDir: string
  readonly privileged: boolean
  readonly running: boolean
  readonly exitCode: number | null
  readonly pid: number
}
