/** Images as the API shows them. */
import type { Image } from '../../engine/index.ts'
import { fullReference, type ImageConfig, parseReference } from '../../container/index.ts'
import { nanoseconds } from '../time.ts'
import type { ApiVersion } from '../version.ts'
import { present, sorted } from './order.ts'

const seconds = (rfc3339: string): number => Number(nanoseconds(rfc3339) / 1_000_000_000n)

/** Numbers that are counted only where they are asked for; -1 = not counted. */
export interface ImageUse {
  /** Containers made from it. */
  readonly containers: number
  /** Bytes shared with other images. Images are kept flattened: nothing is. */
  readonly shared: number
}

export const uncounted: ImageUse = { containers: -1, shared: -1 }

/** In the order of their full names, as Docker has them. */
function ordered(names: readonly string[]): readonly string[] {
  const full = new Map(names.map(name => [name, fullReference(parseReference(name))]))
  return [...names].sort((a, b) => ((full.get(a) ?? a) < (full.get(b) ?? b) ? -1 : 1))
}

/** One item of `GET /images/json`. */
export function imageSummary(
  image: Image,
  { containers, shared }: ImageUse,
  version: ApiVersion,
): Record<string, unknown> {
  return present({
    Containers: containers,
    Created: seconds(image.created),
    Id: image.id,
    Labels:
      image.config.Labels === undefined || image.config.Labels === null ? null : sorted(image.config.Labels),
    ParentId: '',
    RepoDigests: ordered(image.digests),
    RepoTags: ordered(image.tags),
    SharedSize: shared,
    Size: image.size,
    VirtualSize: version < 44 ? image.size : undefined,
  })
}

const filled = (value: unknown): unknown => {
  if (value === null || value === '') return undefined
  if (typeof value === 'object' && Object.keys(value).length === 0) return undefined
  return value
}

/** Since 1.50 only what is set; before, the whole of a container's configuration. */
function imageConfig(config: ImageConfig, version: ApiVersion): Record<string, unknown> {
  if (version >= 50) {
    return present({
      User: filled(config.User),
      ExposedPorts: filled(config.ExposedPorts),
      Env: filled(config.Env),
      Entrypoint: filled(config.Entrypoint),
      Cmd: filled(config.Cmd),
      Volumes: filled(config.Volumes),
      WorkingDir: filled(config.WorkingDir),
      Labels: filled(config.Labels),
      StopSignal: filled(config.StopSignal),
      Healthcheck: filled(config.Healthcheck),
      OnBuild: filled(config.OnBuild),
    })
  }
  return present({
    Hostname: '',
    Domainname: '',
    User: config.User ?? '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ExposedPorts: filled(config.ExposedPorts),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    Healthcheck: config.Healthcheck,
    Image: '',
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    StopSignal: config.StopSignal,
  })
}

/** `GET /images/{name}/json`. */
export function imageView(image: Image, version: ApiVersion): Record<string, unknown> {
  return present({
    Id: image.id,
    RepoTags: ordered(image.tags),
    RepoDigests: ordered(image.digests),
    Parent: '',
    Comment: image.comment,
    Created: image.created,
    DockerVersion: '',
    Author: image.author,
    Config: imageConfig(image.config, version),
    Architecture: image.architecture,
    Os: image.os,
    Size: image.size,
    VirtualSize: version < 44 ? image.size : undefined,
    GraphDriver: { Data: null, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: image.layers },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  })
}

/** `GET /images/{name}/history`: newest first. Only the image itself has an id; sizes of layers are not kept apart. */
export function historyView(image: Image): readonly Record<string, unknown>[] {
  const steps = [...image.history].reverse()
  const firstWithContent = steps.findIndex(step => !step.emptyLayer)
  return steps.map((step, index) => ({
    Comment: step.comment,
    Created: seconds(step.created),
    CreatedBy: step.createdBy,
    Id: index === 0 ? image.id : '<missing>',
    // The layers are kept flattened: the whole size stands with the newest that has content.
    Size: index === firstWithContent ? image.size : 0,
    Tags: index === 0 && image.tags.length > 0 ? ordered(image.tags) : null,
  }))
}
