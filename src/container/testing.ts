/** For tests: a throw-away data and exec root, a busybox image made on the spot, and specs with Docker's defaults. */

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { defaultConfig, defaultHostConfig } from './defaults.ts'
import { openImageStore } from './images.ts'
import type { ContainerConfig, ContainerSettings, HostConfig, Runtime, RunSpec } from './types.ts'

const busybox = '/bin/busybox'

/** Why containers cannot be run here; undefined if they can. */
export function whyNoContainers(): string | undefined {
  if (process.getuid?.() !== 0) return 'containers need root'
  const missing = ['conmon', 'runc', 'skopeo', 'umoci'].filter(name => !isInstalled(name))
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`
  try {
    accessSync(busybox)
    return undefined
  } catch {
    return 'busybox-static is not installed'
  }
}

function isInstalled(name: string): boolean {
  try {
    execFileSync('which', [name], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
    return true
  } catch {
    return false
  }
}

/** A root file system with busybox under all its names, as a tar. */
export function busyboxTree(): Readable {
  const tree = pack()
  for (const name of ['bin/', 'etc/', 'tmp/', 'data/']) tree.entry({ name, type: 'directory', mode: 0o755 })
  tree.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(busybox))
  for (const name of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (name !== 'busybox') tree.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })
  }
  tree.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/tmp:/bin/sh\n')
  tree.entry({ name: 'etc/group' }, 'root:x:0:\nweb:x:1001:\nlog:x:50:web\n')
  tree.entry({ name: 'data/seed' }, 'from the image\n')
  tree.entry({ name: 'plain', mode: 0o644 }, 'not a program')
  tree.finalize()
  return Readable.from(tree as AsyncIterable<Buffer>)
}

export interface Fixture {
  readonly settings: ContainerSettings
  readonly imageId: string
  /** A spec that runs `args` in the host's network, with changes. */
  spec(
    args: readonly string[],
    config?: Partial<ContainerConfig>,
    hostConfig?: Partial<HostConfig>,
    more?: Partial<RunSpec>,
  ): RunSpec
  /** Writes the three files, as the engine does before `create`. */
  prepare(runtime: Runtime, spec: RunSpec): Promise<void>
  remove(): void
}

export async function openFixture(runtime?: string): Promise<Fixture> {
  const root = mkdtempSync('/tmp/lsc-')
  const settings = {
    dataRoot: join(root, 'data'),
    execRoot: join(root, 'run'),
    runtime: runtime === undefined ? undefined : runtimeSetting(runtime, root),
  }
  const store = await openImageStore(settings)
  const { id: imageId } = await store.import(busyboxTree(), { changes: [], message: '' })
  return {
    settings,
    imageId,
    spec: (args, config, hostConfig, more) => containerSpec(imageId, args, config, hostConfig, more),
    prepare: async (runtime, { id }) => {
      const files = await runtime.files(id)
      writeFileSync(files.hosts, '127.0.0.1 localhost\n')
      writeFileSync(files.resolvConf, 'nameserver 192.0.2.1\n')
      writeFileSync(files.hostname, 'testhost\n')
    },
    remove: () => rmSync(root, { recursive: true }),
  }
}

/** A container of its own that runs `args`, with Docker's defaults and changes. */
export function containerSpec(
  imageId: string,
  args: readonly string[],
  config: Partial<ContainerConfig> = {},
  hostConfig: Partial<HostConfig> = {},
  more: Partial<RunSpec> = {},
): RunSpec {
  const id = randomBytes(32).toString('hex')
  return {
    id,
    name: `test-${id.slice(0, 6)}`,
    config: {
      ...defaultConfig,
      Hostname: 'testhost',
      Image: 'busybox',
      AttachStdout: true,
      AttachStderr: true,
      Cmd: args,
      ...config,
    },
    hostConfig: { ...defaultHostConfig, NetworkMode: 'host', ...hostConfig },
    imageId,
    hostname: 'testhost',
    env: ['PATH=/bin', 'HOSTNAME=testhost'],
    sysctls: {},
    ...more,
  }
}

/** Names for `openFixture`. */
export function runtimesToTest(): readonly string[] {
  return ['runc', 'crun'].filter(isInstalled)
}

/** What to pass as `runtime`; where crun refuses the host's cgroups, a wrapper that hides the second ones from it. */
function runtimeSetting(name: string, directory: string): string {
  const controllers = '/sys/fs/cgroup/unified/cgroup.controllers'
  const hybrid = existsSync(controllers) && readFileSync(controllers, 'utf8').trim() !== ''
  if (name !== 'crun' || !hybrid) return name
  const wrapper = join(directory, 'crun')
  const script = 'umount -l /sys/fs/cgroup/unified; exec crun "$@"'
  writeFileSync(wrapper, `#!/bin/sh\nexec unshare -m sh -c '${script}' crun "$@"\n`, { mode: 0o755 })
  return wrapper
}

/** Everything that should not be there once all containers (but `kept`, stopped) are removed. `ever`: all there were. */
export function leftovers(
  { settings }: Pick<Fixture, 'settings'>,
  ever: Iterable<string>,
  kept: readonly string[] = [],
): string[] {
  const { execRoot, dataRoot } = settings
  const list = (directory: string): string[] => readdirSync(directory).map(name => join(directory, name))
  const stopped = new Set(kept.flatMap(id => [join(execRoot, 'exits', id), join(dataRoot, 'containers', id)]))
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter(line => line.includes(execRoot))
  const processes = readdirSync('/proc').flatMap(pid => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return words.includes(execRoot) ? [words] : []
    } catch {
      return []
    }
  })
  const ids = [...ever]
  const cgroups = readdirSync('/sys/fs/cgroup').flatMap(hierarchy =>
    ids.map(id => join('/sys/fs/cgroup', hierarchy, 'linkspan', id)).filter(path => existsSync(path)),
  )
  return [
    ...['c', 'rt', 'x', 'exits'].flatMap(name => list(join(execRoot, name))),
    ...list(join(dataRoot, 'containers')),
    ...mounts,
    ...processes,
    ...cgroups,
  ].filter(path => !stopped.has(path))
}
