/** For tests of this floor: a network of one's own, and what the usual tools say about it. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unmountDetached } from './mount.ts'
import { unshareNetwork } from './namespace.ts'
import type { KernelSettings } from './operation.ts'

/** '' when kernel tests can run here, else why they cannot. */
export const cannotRun = process.getuid?.() === 0 ? '' : 'needs root: makes network namespaces'
if (cannotRun !== '') process.stderr.write(`skipped: ${cannotRun}\n`)

/** Moves this test process into an empty network; nothing a test does after that touches the machine's. */
export function enterFreshNetwork(): void {
  unshareNetwork()
  shell('ip link set lo up')
}

/** Runs a command line here, or inside the namespace whose file is given. Fails if the command does. */
export function shell(command: string, namespace?: string): string {
  const [file, ...args] =
    namespace === undefined ? ['sh', '-c', command] : ['nsenter', `--net=${namespace}`, 'sh', '-c', command]
  const { status, stdout, stderr } = spawnSync(file ?? '', args, { encoding: 'utf8', timeout: 15_000 })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout
}

/** Everything of a network that a failed batch must not leave a trace in. */
export function dumpNetwork(namespace?: string): string {
  return [
    'ip -details link',
    'ip address',
    'ip route show table all',
    'ip -6 route show table all',
    'nft list ruleset',
    'cat /proc/sys/net/ipv4/ip_local_reserved_ports /proc/sys/net/ipv4/ip_forward',
    'ss -Hltun',
  ]
    .map(command => shell(command, namespace))
    .join('\n')
}

export interface Scratch {
  readonly directory: string
  readonly settings: KernelSettings
  remove(): void
}

/** A directory for namespace files, and settings that use it. */
export function scratch(overrides: Partial<KernelSettings> = {}): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'kernel-'))
  const netnsDirectory = join(directory, 'netns')
  return {
    directory,
    settings: {
      netnsDirectory,
      poolSize: 0,
      namespaceSysctls: { 'net/ipv4/ip_unprivileged_port_start': '0' },
      resolver: { address: '127.0.0.11', port: 10_053 },
      ...overrides,
    },
    remove: () => {
      // What a failing test left: nothing stays mounted on the machine.
      for (const name of existsSync(netnsDirectory) ? readdirSync(netnsDirectory) : []) {
        unmountDetached(join(netnsDirectory, name))
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
