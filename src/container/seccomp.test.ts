import { describe, expect, it } from 'vitest'
import { resolveSeccomp, type SeccompProfile } from './seccomp.ts'

const allow = 'SCMP_ACT_ALLOW'
const profile: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 38,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
  ],
  syscalls: [
    { names: ['always'], action: allow, args: [], includes: {}, excludes: {} },
    { names: ['admin'], action: allow, includes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['not-admin'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, excludes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['both'], action: allow, includes: { caps: ['CAP_SYS_ADMIN', 'CAP_BPF'] } },
    { names: ['amd'], action: allow, includes: { arches: ['amd64', 'x32'] } },
    { names: ['not-arm'], action: allow, excludes: { arches: ['arm64'] } },
    { names: ['new'], action: allow, includes: { minKernel: '5.10' } },
    { name: 'single', action: allow, args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] },
  ],
}

const names = (arch: string, kernel: string, capabilities: readonly string[]): string[] =>
  resolveSeccomp(profile, { arch, kernel, capabilities }).syscalls.flatMap(rule => rule.names)

describe('resolveSeccomp', () => {
  it.each([
    ['x64', '5.9.1', [], ['always', 'not-admin', 'amd', 'not-arm', 'single']],
    ['x64', '5.10.0-rc1', ['CAP_SYS_ADMIN'], ['always', 'admin', 'amd', 'not-arm', 'new', 'single']],
    ['arm64', '6.1.0', ['CAP_SYS_ADMIN', 'CAP_BPF'], ['always', 'admin', 'both', 'new', 'single']],
  ])('%s %s %j', (arch, kernel, capabilities, expected) => {
    expect(names(arch, kernel, capabilities)).toEqual(expected)
  })

  it('keeps actions, error numbers and arguments', () => {
    const result = resolveSeccomp(profile, { arch: 'x64', kernel: '4.0', capabilities: [] })
    expect(result).toMatchObject({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    })
    expect(result.syscalls).toContainEqual({ names: ['not-admin'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 })
    expect(result.syscalls.at(-1)?.args).toEqual([{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }])
    expect(result.syscalls[0]).toEqual({ names: ['always'], action: allow })
  })
})
