/**
 * A container's root: the image's tree below, the container's own directory on top, joined by overlayfs at
 * `bundle/rootfs`. Volumes are plain directories, filled with what the image has at their place when they are new.
 */

import { execFile } from 'node:child_process'
import { access, chmod, chown, mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fault, wrapFault } from '../base/index.ts'
import { KernelError, mount, mountOverlay, unmount, unmountDetached } from '../kernel/index.ts'
import type { UserMount } from './mounts.ts'
import type { OciDevice } from './oci.ts'
import type { Paths } from './paths.ts'
import { descriptorPath, openRooted } from './rooted.ts'
import type { DeviceGrant, ReadyMount } from './spec.ts'
import type { HostConfig, RunSpec } from './types.ts'

const run = promisify(execFile)

/** Mounts the root file system of a container; answers with the path. */
export async function mountRootfs(paths: Paths, spec: RunSpec): Promise<string> {
  const lower = paths.imageRootfs(spec.imageId)
  const target = join(paths.bundle(spec.id), 'rootfs')
  const upper = join(paths.container(spec.id), 'upper')
  const work = join(paths.container(spec.id), 'work')
  const image = await stat(lower).catch(() => undefined)
  if (image === undefined) throw fault('imageNotFound', spec.config.Image || spec.imageId)
  await mkdir(target)
  await makeOnce(upper, async directory => {
    // The upper directory is what the container sees as its root's owner and mode.
    await chown(directory, image.uid, image.gid)
    await chmod(directory, image.mode & 0o7777)
  })
  await mkdir(work, { recursive: true })
  try {
    mountOverlay({ target, lower: [lower], upper, work })
  } catch (error) {
    throw wrapFault('mounting the root file system failed', error)
  }
  return target
}

/** A tmpfs on the host that several containers see as /dev/shm. */
export async function mountSharedMemory(path: string, size: number): Promise<void> {
  await mkdir(path)
  mount({
    source: 'shm',
    target: path,
    type: 'tmpfs',
    data: `mode=1777,size=${String(size || 64 * 1024 * 1024)}`,
  })
}

/** Takes a mount and its mount point away; absent ones are no error. */
export async function removeMount(path: string): Promise<void> {
  try {
    unmount(path)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    // Somebody's process stands in it: out of the tree at once, gone with the last user. EINVAL, ENOENT: nothing there.
    if (error.code === 'EBUSY') unmountDetached(path)
    else if (error.code !== 'EINVAL' && error.code !== 'ENOENT') throw error
  }
  try {
    // Never recursive: if it still were a mount, this fails instead of emptying the container.
    await rmdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** Makes the sources of all mounts exist. */
export async function prepareMounts(
  paths: Paths,
  spec: RunSpec,
  rootfs: string,
  mounts: readonly UserMount[],
): Promise<readonly ReadyMount[]> {
  const ready: ReadyMount[] = []
  for (const one of mounts) {
    if (one.kind === 'tmpfs') {
      ready.push(one)
    } else if (one.kind === 'bind') {
      await requireSource(one)
      const { source, target, readOnly, propagation } = one
      ready.push({ kind: 'bind', source, target, readOnly, propagation })
    } else {
      const parent = one.anonymous ? join(paths.container(spec.id), 'volumes') : paths.volumes
      const source = join(parent, one.name)
      await prepareVolume(source, rootfs, one)
      ready.push({
        kind: 'bind',
        source,
        target: one.target,
        readOnly: one.readOnly,
        propagation: 'rprivate',
      })
    }
  }
  return ready
}

async function requireSource({ source, create }: Extract<UserMount, { kind: 'bind' }>): Promise<void> {
  if (create) {
    // An existing file is as good as a directory.
    await access(source).catch(() => mkdir(source, { recursive: true }))
    return
  }
  await access(source).catch(() => {
    throw fault(
      'invalidParameter',
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    )
  })
}

async function prepareVolume(
  source: string,
  rootfs: string,
  volume: Extract<UserMount, { kind: 'volume' }>,
): Promise<void> {
  await makeOnce(source, async directory => {
    const original = volume.copy ? await openRooted(rootfs, volume.target) : undefined
    try {
      if (original === undefined || !(await original.stat()).isDirectory()) return
      await run('cp', ['--archive', `${descriptorPath(original)}/.`, directory])
    } finally {
      await original?.close()
    }
  })
}

/** Makes a directory, whole with what `fill` puts there, or not at all; one that is there is left alone. */
async function makeOnce(path: string, fill: (directory: string) => Promise<void>): Promise<void> {
  if (
    await access(path).then(
      () => true,
      () => false,
    )
  )
    return
  const draft = `${path}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { recursive: true })
  await fill(draft)
  await rename(draft, path)
}

/** The device nodes a container gets beyond the standard ones: what the user names, or all if privileged. */
export async function gatherDevices(hostConfig: HostConfig): Promise<readonly DeviceGrant[]> {
  if (hostConfig.Privileged) return allDevices('/dev')
  const wanted = hostConfig.Devices ?? []
  return Promise.all(
    wanted.map(async ({ PathOnHost, PathInContainer, CgroupPermissions }) => {
      const device = await deviceAt(PathOnHost, PathInContainer || PathOnHost).catch(() => undefined)
      if (device === undefined) {
        throw fault(
          'invalidParameter',
          `error gathering device information while adding custom device "${PathOnHost}": not a device node`,
        )
      }
      return { device, access: CgroupPermissions || 'rwm' }
    }),
  )
}

/** Mounted afresh in every container, or meaningless there. */
const ownDevices = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  'console',
  'ptmx',
  'null',
  'zero',
  'full',
  'random',
  'urandom',
  'tty',
])

async function allDevices(directory: string): Promise<DeviceGrant[]> {
  const found: DeviceGrant[] = []
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (directory === '/dev' && ownDevices.has(entry.name)) continue
    if (entry.isDirectory()) {
      found.push(...(await allDevices(path)))
    } else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      // It may vanish meanwhile.
      const device = await deviceAt(path, path).catch(() => undefined)
      if (device !== undefined) found.push({ device, access: 'rwm' })
    }
  }
  return found
}

async function deviceAt(source: string, path: string): Promise<OciDevice | undefined> {
  const node = await stat(source)
  if (!node.isCharacterDevice() && !node.isBlockDevice()) return undefined
  // The C library's dev_t: minor in bits 0–7 and 20–31, major in 8–19.
  const { rdev } = node
  return {
    path,
    type: node.isBlockDevice() ? 'b' : 'c',
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    fileMode: node.mode & 0o777,
    uid: node.uid,
    gid: node.gid,
  }
}
