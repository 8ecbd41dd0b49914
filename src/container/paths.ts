/**
 * Where everything of a container lies. What must be short (sockets) or must not survive a reboot is below execRoot,
 * named by the first twelve digits of the id; what belongs to the container for good is below dataRoot.
 *
 *     execRoot/c/<12>/        bundle: config.json, container.json, pid, conmon.pid, attach, ctl; rootfs/ and shm/ mounted
 *     execRoot/exits/<64>     exit code, written by conmon; stays until the container is started again or removed
 *     execRoot/rt/            the OCI runtime's own state
 *     execRoot/x/             files of an exec while it starts
 *     dataRoot/containers/<64>/  upper/, work/, log, hosts, resolv.conf, hostname, volumes/
 *     dataRoot/volumes/<name>/   named volumes
 *     dataRoot/images/<64>/rootfs/
 */

import { join } from 'node:path'
import { fault } from '../base/index.ts'
import type { ContainerFiles, ContainerSettings, Id } from './types.ts'

/** A unix socket's path with its final zero. */
const sunPath = 108
const longestSocket = '/c/0123456789ab/attach'

export class Paths {
  readonly #data: string
  readonly #exec: string
  readonly bundles: string
  readonly exits: string
  readonly runtimeState: string
  readonly execs: string
  readonly containers: string
  readonly volumes: string

  constructor(settings: ContainerSettings) {
    this.#data = settings.dataRoot
    this.#exec = settings.execRoot
    if (Buffer.byteLength(this.#exec + longestSocket) >= sunPath) {
      throw fault(
        'invalidParameter',
        `--exec-root ${this.#exec} is too long: a socket's path has ${String(sunPath - 1)} bytes`,
      )
    }
    this.bundles = join(this.#exec, 'c')
    this.exits = join(this.#exec, 'exits')
    this.runtimeState = join(this.#exec, 'rt')
    this.execs = join(this.#exec, 'x')
    this.containers = join(this.#data, 'containers')
    this.volumes = join(this.#data, 'volumes')
  }

  bundle(id: Id): string {
    return join(this.bundles, shortId(id))
  }

  exit(id: Id): string {
    return join(this.exits, id)
  }

  container(id: Id): string {
    return join(this.containers, id)
  }

  log(id: Id): string {
    return join(this.container(id), 'log')
  }

  files(id: Id): ContainerFiles {
    const directory = this.container(id)
    return {
      hosts: join(directory, 'hosts'),
      resolvConf: join(directory, 'resolv.conf'),
      hostname: join(directory, 'hostname'),
    }
  }

  /** The lower directory of an image. */
  imageRootfs(imageId: string): string {
    return join(this.#data, 'images', imageId.replace(/^sha256:/, ''), 'rootfs')
  }
}

export function shortId(id: Id): string {
  return id.slice(0, 12)
}
