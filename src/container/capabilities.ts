/** Capability sets: Docker's defaults, `CapAdd`/`CapDrop`, and never more than the engine itself may give. */

import { fault } from '../base/index.ts'

/** By bit number (linux/capability.h). */
const names = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map(name => `CAP_${name}`)

const defaults = new Set(
  [
    'CHOWN',
    'DAC_OVERRIDE',
    'FSETID',
    'FOWNER',
    'MKNOD',
    'NET_RAW',
    'SETGID',
    'SETUID',
    'SETFCAP',
    'SETPCAP',
    'NET_BIND_SERVICE',
    'SYS_CHROOT',
    'KILL',
    'AUDIT_WRITE',
  ].map(name => `CAP_${name}`),
)

/** Capabilities in a mask as /proc/PID/status prints it (`000001fffeffffff`). */
export function capabilitiesOf(mask: string): ReadonlySet<string> {
  const bits = BigInt(`0x${mask}`)
  return new Set(names.filter((_, bit) => (bits & (1n << BigInt(bit))) !== 0n))
}

export interface CapabilityWish {
  readonly privileged: boolean
  readonly add: readonly string[]
  readonly drop: readonly string[]
}

/**
 * The capabilities of a container, in the kernel's order. Asking for one that the engine lacks (`bounding`) is not an
 * error: runtimes would refuse the whole container. An unknown name is `invalidParameter`, in Docker's words.
 */
export function effectiveCapabilities(wish: CapabilityWish, bounding: ReadonlySet<string>): string[] {
  const add = normalize('CapAdd', wish.add)
  const drop = normalize('CapDrop', wish.drop)
  const wanted = (name: string): boolean => {
    if (wish.privileged) return true
    if (add.has('ALL')) return !drop.has(name)
    if (drop.has('ALL')) return add.has(name)
    return add.has(name) || (defaults.has(name) && !drop.has(name))
  }
  return names.filter(name => bounding.has(name) && wanted(name))
}

function normalize(field: string, list: readonly string[]): ReadonlySet<string> {
  return new Set(
    list.map(one => {
      const upper = one.toUpperCase()
      if (upper === 'ALL') return upper
      const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
      if (!names.includes(name)) {
        throw fault('invalidParameter', `invalid ${field}: unknown capability: "${name}"`)
      }
      return name
    }),
  )
}
