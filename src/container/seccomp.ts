/**
 * Seccomp profiles: Docker's format (conditions on capabilities, architectures and kernel) → the runtime's format
 * (no conditions). Pure.
 */

import type { OciSeccomp } from './oci.ts'

interface ProfileConditions {
  readonly caps?: readonly string[]
  readonly arches?: readonly string[]
  /** `4.8` */
  readonly minKernel?: string
}

interface ProfileRule {
  readonly names?: readonly string[]
  readonly name?: string
  readonly action: string
  readonly errnoRet?: number
  readonly args?:
    | readonly {
        readonly index: number
        readonly value: number
        readonly valueTwo?: number
        readonly op: string
      }[]
    | null
  readonly includes?: ProfileConditions
  readonly excludes?: ProfileConditions
}

/** A profile file as Docker and podman read it; one without conditions is a runtime's own already. */
export interface SeccompProfile {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly archMap?: readonly {
    readonly architecture: string
    readonly subArchitectures: readonly string[] | null
  }[]
  readonly flags?: readonly string[]
  readonly syscalls: readonly ProfileRule[]
}

export interface SeccompFacts {
  /** As `process.arch`. */
  readonly arch: string
  /** As `os.release()`. */
  readonly kernel: string
  readonly capabilities: readonly string[]
}

const architectures: Readonly<Record<string, { readonly libseccomp: string; readonly go: string }>> = {
  x64: { libseccomp: 'SCMP_ARCH_X86_64', go: 'amd64' },
  arm64: { libseccomp: 'SCMP_ARCH_AARCH64', go: 'arm64' },
  arm: { libseccomp: 'SCMP_ARCH_ARM', go: 'arm' },
  ppc64: { libseccomp: 'SCMP_ARCH_PPC64LE', go: 'ppc64le' },
  s390x: { libseccomp: 'SCMP_ARCH_S390X', go: 's390x' },
  riscv64: { libseccomp: 'SCMP_ARCH_RISCV64', go: 'riscv64' },
}

/**
 * x32 is left out: kernels have it switched off, no distribution builds for it, and compiling the filter for it takes
 * 6 ms of every start. Its calls are refused all the same.
 */
function isUsed(architecture: string): boolean {
  return architecture !== 'SCMP_ARCH_X32'
}

/** Resolves the conditions of a profile for one container on this machine. */
export function resolveSeccomp(profile: SeccompProfile, facts: SeccompFacts): OciSeccomp {
  const own = architectures[facts.arch]
  const mapped = profile.archMap?.find(one => one.architecture === own?.libseccomp)
  const arches =
    profile.architectures ??
    (mapped === undefined ? [] : [mapped.architecture, ...(mapped.subArchitectures ?? [])].filter(isUsed))

  const holds = (conditions: ProfileConditions | undefined, empty: boolean): boolean => {
    const { caps = [], arches: list = [], minKernel } = conditions ?? {}
    if (caps.length === 0 && list.length === 0 && minKernel === undefined) return empty
    const byCaps = (cap: string): boolean => facts.capabilities.includes(cap)
    return empty
      ? caps.every(byCaps) &&
          (list.length === 0 || list.includes(own?.go ?? '')) &&
          (minKernel === undefined || atLeast(facts.kernel, minKernel))
      : caps.some(byCaps) ||
          list.includes(own?.go ?? '') ||
          (minKernel !== undefined && atLeast(facts.kernel, minKernel))
  }

  const syscalls = profile.syscalls
    .filter(rule => holds(rule.includes, true) && !holds(rule.excludes, false))
    .map(rule => ({
      names: rule.names ?? (rule.name === undefined ? [] : [rule.name]),
      action: rule.action,
      ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
      ...(rule.args === undefined || rule.args === null || rule.args.length === 0 ? {} : { args: rule.args }),
    }))
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(arches.length === 0 ? {} : { architectures: arches }),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    syscalls,
  }
}

function atLeast(kernel: string, minimum: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = minimum.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
