/** `Binds`, `Mounts`, `Tmpfs` and the image's volumes → what is to be mounted over the root file system. Pure. */

import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { fault } from '../base/index.ts'
import type { ContainerConfig, HostConfig } from './types.ts'

export type UserMount =
  | {
      /** A path of the host; `create`: made as a directory if it is not there. */
      readonly kind: 'bind'
      readonly source: string
      readonly create: boolean
      readonly target: string
      readonly readOnly: boolean
      readonly propagation: string
    }
  | {
      /** A directory kept by us; shared by name, or the container's own. Begins with what the image has there. */
      readonly kind: 'volume'
      readonly name: string
      readonly anonymous: boolean
      readonly copy: boolean
      readonly target: string
      readonly readOnly: boolean
    }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly options: readonly string[] }

const propagations = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'])
/** Labels, copying and consistency hints: nothing here has a use for them, and clients send them as a habit. */
const ignoredModes = new Set(['', 'z', 'Z', 'nocopy', 'cached', 'delegated', 'consistent'])

/** One entry per target. Throws `invalidParameter` in Docker's words. */
export function userMounts(config: ContainerConfig, hostConfig: HostConfig): readonly UserMount[] {
  const byTarget = new Map<string, UserMount>()
  const add = (mount: UserMount): void => {
    const { target } = mount
    if (byTarget.has(target)) throw fault('invalidParameter', `Duplicate mount point: ${target}`)
    byTarget.set(target, mount)
  }
  for (const bind of hostConfig.Binds ?? []) add(parseBind(bind))
  for (const mount of hostConfig.Mounts ?? []) add(parseMount(mount))
  for (const [target, options] of Object.entries(hostConfig.Tmpfs ?? {})) {
    add({ kind: 'tmpfs', target: absolute(target), options: options.split(',').filter(one => one !== '') })
  }
  // An image's volume yields to whatever the user mounts there.
  for (const path of Object.keys(config.Volumes ?? {})) {
    const target = absolute(path)
    if (!byTarget.has(target)) byTarget.set(target, anonymousVolume(target, false))
  }
  return [...byTarget.values()]
}

function parseBind(text: string): UserMount {
  const parts = text.split(':')
  if (parts.length > 3 || parts.some(part => part === '')) throw invalidVolume(text)
  if (parts.length === 1) return anonymousVolume(absolute(text), false)
  const [source = '', target = '', mode = ''] = parts
  let readOnly = false
  let propagation = 'rprivate'
  for (const one of mode.split(',')) {
    if (one === 'ro' || one === 'rw') readOnly = one === 'ro'
    else if (propagations.has(one)) propagation = one
    else if (!ignoredModes.has(one)) throw fault('invalidParameter', `invalid mode: ${mode}`)
  }
  const rest = { target: absolute(target), readOnly }
  if (source.startsWith('/')) {
    return { kind: 'bind', source: posix.normalize(source), create: true, propagation, ...rest }
  }
  return {
    kind: 'volume',
    name: volumeName(source),
    anonymous: false,
    copy: !mode.split(',').includes('nocopy'),
    ...rest,
  }
}

function parseMount(mount: NonNullable<HostConfig['Mounts']>[number]): UserMount {
  const target = absolute(mount.Target)
  const readOnly = mount.ReadOnly ?? false
  switch (mount.Type) {
    case 'bind': {
      if (mount.Source === undefined || !mount.Source.startsWith('/')) {
        throw fault(
          'invalidParameter',
          `invalid mount config for type "bind": invalid mount path: '${mount.Source ?? ''}' mount path must be absolute`,
        )
      }
      return {
        kind: 'bind',
        source: posix.normalize(mount.Source),
        create: mount.BindOptions?.CreateMountpoint ?? false,
        target,
        readOnly,
        propagation: mount.BindOptions?.Propagation || 'rprivate',
      }
    }
    case 'volume': {
      if (mount.Source === undefined || mount.Source === '') return anonymousVolume(target, readOnly)
      return {
        kind: 'volume',
        name: volumeName(mount.Source),
        anonymous: false,
        copy: mount.VolumeOptions?.NoCopy !== true,
        target,
        readOnly,
      }
    }
    case 'tmpfs': {
      const { SizeBytes, Mode } = mount.TmpfsOptions ?? {}
      return {
        kind: 'tmpfs',
        target,
        options: [
          ...(readOnly ? ['ro'] : []),
          ...(SizeBytes ? [`size=${String(SizeBytes)}`] : []),
          ...(Mode ? [`mode=${Mode.toString(8)}`] : []),
        ],
      }
    }
    default:
      throw fault('invalidParameter', `mount type "${mount.Type}" is not supported`)
  }
}

function anonymousVolume(target: string, readOnly: boolean): UserMount {
  // Named by its place, so that it is the same directory at every start of the container.
  const name = createHash('sha256').update(target).digest('hex').slice(0, 16)
  return { kind: 'volume', name, anonymous: true, copy: true, target, readOnly }
}

function volumeName(name: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw fault(
      'invalidParameter',
      `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  }
  return name
}

function absolute(target: string): string {
  if (!target.startsWith('/')) {
    throw fault('invalidParameter', `invalid mount path: '${target}' mount path must be absolute`)
  }
  const clean = posix.normalize(target).replace(/(.)\/$/, '$1')
  if (clean === '/') {
    throw fault('invalidParameter', `invalid specification: destination can't be '/'`)
  }
  return clean
}

function invalidVolume(text: string): Error {
  return fault('invalidParameter', `invalid volume specification: '${text}'`)
}
