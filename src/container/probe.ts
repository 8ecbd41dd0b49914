/**
 * Which programs there are and which runtime fits this host. The choice is a pure function of what was found, and it
 * says why.
 *
 * - crun is preferred: half the time and a tenth of the memory of runc.
 * - crun refuses hybrid hierarchies, where version 1 is mounted and version 2 has controllers too.
 * - On systemd hosts the runtime must ask systemd for the cgroup, or systemd takes it away again.
 */

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { fault } from '../base/index.ts'
import { capabilitiesOf } from './capabilities.ts'
import type { SeccompProfile } from './seccomp.ts'
import type { HostFacts } from './spec.ts'
import type { RuntimeInfo } from './types.ts'
import { release } from 'node:os'

const run = promisify(execFile)

/** Debian package of each program. */
const packages = {
  conmon: 'conmon',
  crun: 'crun',
  runc: 'runc',
  skopeo: 'skopeo',
  umoci: 'umoci',
} as const

export type Program = keyof typeof packages

/** A runtime's place: `$PATH` first, then where distributions put them; a daemon's PATH may lack the sbin directories. */
export async function findProgram(name: string): Promise<string | undefined> {
  const directories = [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
    '/usr/libexec/podman',
  ]
  for (const directory of new Set(directories)) {
    if (!directory.startsWith('/')) continue
    const path = join(directory, name)
    if (await isExecutable(path)) return path
  }
  return undefined
}

/** The program's path, or a fault that names the package to install. */
export async function requireProgram(name: Program): Promise<string> {
  const path = await findProgram(name)
  if (path === undefined) throw missing(name)
  return path
}

function missing(name: Program): Error {
  return fault('unavailable', `${name} not found in $PATH: install the Debian package ${packages[name]}`)
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface RuntimeFacts {
  readonly crun: string | undefined
  readonly runc: string | undefined
  /** Version 1 hierarchies are mounted and version 2 has controllers besides. */
  readonly hybrid: boolean
  /** crun, runc or a path, if the user forces one. */
  readonly wanted: string | undefined
}

export interface RuntimeChoice {
  readonly path: string
  readonly reason: string
}

/** Chooses the runtime; throws a fault that names the package if nothing fits. */
export function chooseRuntime({ crun, runc, hybrid, wanted }: RuntimeFacts): RuntimeChoice {
  if (wanted !== undefined) {
    const path = wanted === 'crun' ? crun : wanted === 'runc' ? runc : wanted
    if (path === undefined) throw missing(wanted === 'crun' ? 'crun' : 'runc')
    return { path, reason: `asked for by --runtime ${wanted}` }
  }
  if (crun !== undefined && !hybrid) {
    return { path: crun, reason: 'crun is the fastest runtime and fits this host' }
  }
  if (runc !== undefined) {
    const reason = hybrid
      ? 'crun refuses hybrid cgroups (/sys/fs/cgroup/unified has controllers)'
      : 'crun is not installed'
    return { path: runc, reason }
  }
  if (crun === undefined) throw missing('crun')
  throw fault(
    'unavailable',
    'crun refuses hybrid cgroups (/sys/fs/cgroup/unified has controllers): install the Debian package runc',
  )
}

/** What runs containers here: programs found, runtime chosen. */
export async function probeRuntime(
  wanted: string | undefined,
): Promise<RuntimeInfo & { readonly conmonPath: string }> {
  if (wanted?.includes('/') === true && !(await isExecutable(wanted))) {
    throw fault('unavailable', `--runtime ${wanted}: no such program`)
  }
  const named = wanted === undefined || wanted === 'crun' || wanted === 'runc' || wanted.includes('/')
  const other = named ? wanted : await findProgram(wanted)
  if (!named && other === undefined) {
    throw fault('unavailable', `--runtime ${wanted}: not found in $PATH`)
  }
  const [conmonPath, crun, runc, controllers] = await Promise.all([
    requireProgram('conmon'),
    findProgram('crun'),
    findProgram('runc'),
    readText('/sys/fs/cgroup/unified/cgroup.controllers'),
  ])
  const choice = chooseRuntime({ crun, runc, hybrid: controllers.trim() !== '', wanted: other })
  const [conmon, runtime] = await Promise.all([versionOf(conmonPath), versionOf(choice.path)])
  return {
    // What it says it is, not what its file is called: the name decides how its messages are read.
    name: runtime.name,
    path: choice.path,
    version: runtime.version,
    reason: choice.reason,
    conmonPath,
    conmonVersion: conmon.version,
  }
}

/** `runc version 1.1.5+ds1` → `runc`, `1.1.5+ds1` */
async function versionOf(path: string): Promise<{ readonly name: string; readonly version: string }> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 })
    const [, name = basename(path), version = ''] = /^(\S+) version:? (\S+)/.exec(stdout) ?? []
    return { name, version }
  } catch (error) {
    throw fault(
      'unavailable',
      `${path} does not work: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

const limitNames: Readonly<Record<string, string>> = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max address space': 'RLIMIT_AS',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
}

/** Hard limits in the text of /proc/PID/limits. */
export function parseHardLimits(text: string): ReadonlyMap<string, number> {
  const limits = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^(Max [a-z ]+?) {2,}(\S+) +(\S+)/.exec(line)
    const name = limitNames[match?.[1] ?? '']
    if (name === undefined || match === null) continue
    limits.set(name, match[3] === 'unlimited' ? Infinity : Number(match[3]))
  }
  return limits
}

/** The machine and what this process may give away. */
export async function probeHost(): Promise<HostFacts> {
  const [status, limits, oom, profile, unified, systemd, init] = await Promise.all([
    readText('/proc/self/status'),
    readText('/proc/self/limits'),
    readText('/proc/self/oom_score_adj'),
    readText('/usr/share/containers/seccomp.json'),
    readText('/sys/fs/cgroup/cgroup.controllers'),
    exists('/run/systemd/system'),
    findInit(),
  ])
  return {
    bounding: capabilitiesOf(/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'),
    hardLimits: parseHardLimits(limits),
    oomScoreAdj: Number(oom.trim()),
    cgroupVersion: unified === '' ? 1 : 2,
    systemdCgroup: systemd,
    seccomp: profile === '' ? undefined : (JSON.parse(profile) as SeccompProfile),
    arch: process.arch,
    kernel: release(),
    init,
  }
}

async function findInit(): Promise<string | undefined> {
  for (const name of ['docker-init', 'tini-static', 'catatonit']) {
    const path = await findProgram(name)
    if (path !== undefined) return path
  }
  return undefined
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** '' if it cannot be read. */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return ''
  }
}
