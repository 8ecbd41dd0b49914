/** What /version and /info tell of the machine. Read once: none of it changes while the engine runs. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { arch, availableParallelism, hostname, machine, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

export interface HostFacts {
  readonly kernel: string
  /** Name of the distribution, `Debian GNU/Linux 12 (bookworm)`. */
  readonly system: string
  readonly systemVersion: string
  /** In Go's words: amd64, arm64. */
  readonly goArchitecture: string
  /** In the kernel's words: x86_64, aarch64. */
  readonly machine: string
  readonly hostname: string
  readonly cpus: number
  readonly memory: number
  readonly cgroupVersion: '1' | '2'
  readonly cgroupDriver: 'systemd' | 'cgroupfs'
  /** There is a profile of allowed system calls, which containers then get. */
  readonly seccomp: boolean
  /** RFC 3339: when this program's file was made. */
  readonly buildTime: string
  readonly nodeVersion: string
}

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

function osRelease(): ReadonlyMap<string, string> {
  let text = ''
  try {
    text = readFileSync('/etc/os-release', 'utf8')
  } catch {
    // A machine without the file is nameless.
  }
  return new Map(
    text
      .split('\n')
      .map(line => /^(\w+)="?(.*?)"?$/.exec(line))
      .filter(match => match !== null)
      .map(match => [match[1] ?? '', match[2] ?? '']),
  )
}

function read(): HostFacts {
  const distribution = osRelease()
  return {
    kernel: release(),
    system: distribution.get('PRETTY_NAME') ?? 'Linux',
    systemVersion: distribution.get('VERSION_ID') ?? '',
    goArchitecture: goArchitectures[arch()] ?? arch(),
    machine: machine(),
    hostname: hostname(),
    cpus: availableParallelism(),
    memory: totalmem(),
    cgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
    cgroupDriver: existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs',
    seccomp: existsSync('/usr/share/containers/seccomp.json'),
    buildTime: statSync(fileURLToPath(import.meta.url)).mtime.toISOString(),
    nodeVersion: process.version,
  }
}

let facts: HostFacts | undefined

export function hostFacts(): HostFacts {
  facts ??= read()
  return facts
}
