import { describe, expect, it } from 'vitest'
import { capabilitiesOf } from './capabilities.ts'
import { buildSpec, execProcess, mergeEnv, type HostFacts, type SpecInput } from './spec.ts'
import { serializeOci } from './oci.ts'
import { containerSpec } from './testing.ts'
import type { ContainerConfig, ExecSpec, HostConfig, RunSpec } from './types.ts'

const host: HostFacts = {
  bounding: capabilitiesOf('000001fffeffffff'),
  hardLimits: new Map([
    ['RLIMIT_NOFILE', 20_000],
    ['RLIMIT_CORE', Infinity],
  ]),
  oomScoreAdj: -500,
  cgroupVersion: 2,
  systemdCgroup: false,
  seccomp: { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] },
  arch: 'x64',
  kernel: '6.1.0-13-amd64',
  init: '/usr/bin/tini-static',
}

function build(
  config: Partial<ContainerConfig> = {},
  hostConfig: Partial<HostConfig> = {},
  more: Partial<RunSpec> = {},
  input: Partial<SpecInput> = {},
  facts: Partial<HostFacts> = {},
) {
  const run = containerSpec('sha256:1', ['app'], config, hostConfig, more)
  const spec = buildSpec(
    {
      run,
      rootfs: '/root',
      files: { hosts: '/f/hosts', resolvConf: '/f/resolv', hostname: '/f/hostname' },
      user: { uid: 1, gid: 2, additionalGids: [2] },
      mounts: [],
      join: {},
      shm: undefined,
      devices: [],
      ...input,
    },
    { ...host, ...facts },
  )
  return { spec, id: run.id }
}

const namespaces = (result: ReturnType<typeof build>): string[] =>
  result.spec.linux.namespaces.map(({ type, path }) => (path === undefined ? type : `${type}=${path}`))
const mountAt = (result: ReturnType<typeof build>, destination: string) =>
  result.spec.mounts.filter(one => one.destination === destination)

describe('process', () => {
  it('runs entrypoint and command as the user, in the directory, with the environment', () => {
    const { spec } = build(
      { Entrypoint: ['/entry', '-x'], Cmd: ['a', 'b'], WorkingDir: '/srv', Tty: true },
      { ConsoleSize: [24, 80] },
      { env: ['PATH=/bin', 'A=1'] },
    )
    expect(spec.process).toMatchObject({
      args: ['/entry', '-x', 'a', 'b'],
      cwd: '/srv',
      env: ['PATH=/bin', 'A=1'],
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      user: { uid: 1, gid: 2, additionalGids: [2] },
      noNewPrivileges: false,
    })
  })

  it('refuses an empty command', () => {
    expect(() => build({ Cmd: [] })).toThrow('no command specified')
  })

  it('puts an init before the command', () => {
    const { spec } = build({}, { Init: true })
    expect(spec.process.args).toEqual(['/sbin/docker-init', '--', 'app'])
    expect(spec.mounts).toContainEqual(
      expect.objectContaining({ destination: '/sbin/docker-init', source: '/usr/bin/tini-static' }),
    )
    expect(() => build({}, { Init: true }, {}, {}, { init: undefined })).toThrow(
      'install the Debian package tini',
    )
    expect(build({}, { Init: true, PidMode: 'host' }).spec.process.args).toEqual(['app'])
  })

  it('asks for no limit and no score beyond what the engine may give', () => {
    const Ulimits = [
      { Name: 'nofile', Soft: 1024, Hard: 1_000_000 },
      { Name: 'core', Soft: -1, Hard: -1 },
    ]
    const { process } = build({}, { Ulimits, OomScoreAdj: -900 }).spec
    expect(process.rlimits).toEqual([
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 20_000 },
      { type: 'RLIMIT_CORE', soft: 'RLIM_INFINITY', hard: 'RLIM_INFINITY' },
    ])
    expect(process.oomScoreAdj).toBe(-500)
    const able = build(
      {},
      { Ulimits, OomScoreAdj: -900 },
      {},
      {},
      { bounding: capabilitiesOf('000001ffffffffff') },
    )
    expect(able.spec.process.rlimits[0]).toEqual({ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1_000_000 })
    expect(able.spec.process.oomScoreAdj).toBe(-900)
  })

  it('writes unlimited as the kernel says it, whatever else a string may hold', () => {
    const env = ['A="soft":"RLIM_INFINITY"']
    const { spec } = build({}, { Ulimits: [{ Name: 'core', Soft: 0, Hard: -1 }] }, { env })
    const text = serializeOci(spec)
    expect(text).toContain('"hard":18446744073709551615')
    expect(JSON.parse(text)).toMatchObject({ process: { env } })
  })
})

describe('namespaces', () => {
  it.each([
    ['by default', {}, {}, ['mount', 'network=/ns', 'uts', 'pid', 'ipc', 'cgroup'], { netnsPath: '/ns' }],
    ['host network', {}, {}, ['mount', 'uts', 'pid', 'ipc', 'cgroup'], {}],
    ['host modes', { PidMode: 'host', IpcMode: 'host', UTSMode: 'host' }, {}, ['mount', 'cgroup'], {}],
    [
      'joined ones',
      { PidMode: 'container:x', IpcMode: 'container:x' },
      { join: { pid: '/p', ipc: '/i' } },
      ['mount', 'uts', 'pid=/p', 'ipc=/i', 'cgroup'],
      {},
    ],
    ['host cgroup', { CgroupnsMode: 'host' }, {}, ['mount', 'uts', 'pid', 'ipc'], {}],
  ])('%s', (_, hostConfig, input, expected, more) => {
    expect(namespaces(build({}, hostConfig, more, input))).toEqual(expected)
  })

  it('keeps the host’s cgroup paths on version 1, as Docker does', () => {
    expect(namespaces(build({}, {}, {}, {}, { cgroupVersion: 1 }))).not.toContain('cgroup')
  })

  it('sets names only where they are the container’s own', () => {
    const named = build({ Domainname: 'example.org' }).spec
    expect(named.hostname).toBe('testhost')
    expect(named.linux.sysctl).toEqual({ 'kernel.domainname': 'example.org' })
    const shared = build(
      { Domainname: 'example.org' },
      { UTSMode: 'host' },
      { sysctls: { 'net.core.somaxconn': '9' } },
    ).spec
    expect(shared.hostname).toBeUndefined()
    expect(shared.linux.sysctl).toEqual({ 'net.core.somaxconn': '9' })
  })
})

describe('mounts', () => {
  it('has Docker’s own, /sys and cgroups read-only', () => {
    const result = build()
    expect(result.spec.mounts.map(one => one.destination)).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/sys',
      '/sys/fs/cgroup',
      '/dev/mqueue',
      '/dev/shm',
      '/etc/resolv.conf',
      '/etc/hostname',
      '/etc/hosts',
    ])
    expect(mountAt(result, '/sys')[0]?.options).toContain('ro')
    expect(mountAt(build({}, { Privileged: true }), '/sys')[0]?.options).toContain('rw')
  })

  it.each([
    ['of its own', {}, undefined, [expect.objectContaining({ type: 'tmpfs' })]],
    ['none', { IpcMode: 'none' }, undefined, []],
    [
      'shared',
      { IpcMode: 'shareable' },
      '/b/shm',
      [expect.objectContaining({ source: '/b/shm', type: 'bind' })],
    ],
  ])('shared memory: %s', (_, hostConfig, shm, expected) => {
    expect(mountAt(build({}, hostConfig, {}, { shm }), '/dev/shm')).toEqual(expected)
  })

  it('lets users replace what is ours, and puts our files over their directories', () => {
    const bind = (target: string) => ({
      kind: 'bind' as const,
      source: '/s',
      target,
      readOnly: true,
      propagation: 'rslave',
    })
    const result = build(
      {},
      {},
      {},
      {
        mounts: [
          bind('/etc/hosts'),
          bind('/etc'),
          bind('/dev'),
          { kind: 'tmpfs', target: '/run', options: ['size=1k'] },
        ],
      },
    )
    const order = result.spec.mounts.map(one => `${one.source}:${one.destination}`)
    expect(order).toEqual([
      'proc:/proc',
      'sysfs:/sys',
      'cgroup:/sys/fs/cgroup',
      '/s:/etc',
      '/s:/dev',
      'tmpfs:/run',
      '/s:/etc/hosts',
      '/f/resolv:/etc/resolv.conf',
      '/f/hostname:/etc/hostname',
    ])
    expect(mountAt(result, '/etc')[0]?.options).toEqual(['rbind', 'rslave', 'ro'])
    expect(mountAt(result, '/run')[0]?.options).toEqual(['noexec', 'nosuid', 'nodev', 'size=1k'])
    expect(result.spec.linux.rootfsPropagation).toBe('rslave')
  })
})

describe('security', () => {
  it('hides the kernel’s files, unless told otherwise', () => {
    expect(build().spec.linux.maskedPaths).toContain('/proc/kcore')
    expect(build().spec.linux.readonlyPaths).toContain('/proc/sys')
    expect(build({}, { MaskedPaths: ['/x'], ReadonlyPaths: [] }).spec.linux).toMatchObject({
      maskedPaths: ['/x'],
      readonlyPaths: [],
    })
    for (const hostConfig of [{ Privileged: true }, { SecurityOpt: ['systempaths=unconfined'] }]) {
      expect(build({}, hostConfig).spec.linux).toMatchObject({ maskedPaths: [], readonlyPaths: [] })
    }
  })

  it.each([
    ['the default profile', {}, ['read']],
    ['unconfined', { SecurityOpt: ['seccomp=unconfined'] }, undefined],
    ['privileged', { Privileged: true }, undefined],
    [
      'a profile of the user',
      {
        SecurityOpt: [
          'seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_KILL"}]}',
        ],
      },
      ['mkdir'],
    ],
  ])('seccomp: %s', (_, hostConfig, names) => {
    expect(build({}, hostConfig).spec.linux.seccomp?.syscalls.flatMap(rule => rule.names)).toEqual(names)
  })

  it.each([
    ['seccomp={', 'Decoding seccomp profile failed'],
    ['seccomp={}', 'defaultAction is missing'],
    ['colour=blue', 'invalid --security-opt'],
  ])('refuses %s', (option, message) => {
    expect(() => build({}, { SecurityOpt: [option] })).toThrow(message)
  })

  it('takes privileges away and gives them', () => {
    const { process, root } = build({}, { SecurityOpt: ['no-new-privileges'], ReadonlyRootfs: true }).spec
    expect(process.noNewPrivileges).toBe(true)
    expect(root.readonly).toBe(true)
    expect(process.capabilities.effective).toHaveLength(14)
    expect(build({}, { Privileged: true }).spec.process.capabilities.bounding).toHaveLength(40)
  })
})

describe('resources', () => {
  it('are absent where nothing is asked for', () => {
    const { resources } = build().spec.linux
    expect(Object.keys(resources)).toEqual(['devices'])
  })

  it('limits memory, processors and processes', () => {
    const { resources } = build(
      {},
      {
        Memory: 100,
        MemorySwap: -1,
        NanoCpus: 1_500_000_000,
        CpusetCpus: '0-1',
        CpuShares: 512,
        PidsLimit: 10,
      },
    ).spec.linux
    expect(resources).toMatchObject({
      memory: { limit: 100, swap: -1 },
      cpu: { shares: 512, quota: 150_000, period: 100_000, cpus: '0-1' },
      pids: { limit: 10 },
    })
  })

  it('allows the devices that are named', () => {
    const device = {
      path: '/dev/fuse',
      type: 'c' as const,
      major: 10,
      minor: 229,
      fileMode: 0o666,
      uid: 0,
      gid: 0,
    }
    const { linux } = build(
      {},
      { DeviceCgroupRules: ['b 8:* r'] },
      {},
      { devices: [{ device, access: 'rw' }] },
    ).spec
    expect(linux.devices).toEqual([device])
    expect(linux.resources.devices[0]).toEqual({ allow: false, access: 'rwm' })
    expect(linux.resources.devices.slice(-2)).toEqual([
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
      { allow: true, type: 'b', major: 8, access: 'r' },
    ])
    expect(build({}, { Privileged: true }).spec.linux.resources.devices).toEqual([
      { allow: true, access: 'rwm' },
    ])
    expect(() => build({}, { DeviceCgroupRules: ['x'] })).toThrow('invalid device cgroup rule format')
  })

  it('has a cgroup named by the id', () => {
    const plain = build()
    expect(plain.spec.linux.cgroupsPath).toBe(`/linkspan/${plain.id}`)
    const systemd = build({}, {}, {}, {}, { systemdCgroup: true })
    expect(systemd.spec.linux.cgroupsPath).toBe(`system.slice:linkspan:${systemd.id}`)
  })
})

describe('execProcess', () => {
  const exec: ExecSpec = {
    id: 'e',
    args: ['x'],
    env: ['B=2'],
    tty: true,
    stdin: false,
    user: '',
    workingDir: '',
    privileged: false,
    detach: false,
    size: [10, 20],
  }
  const user = { uid: 0, gid: 0, additionalGids: [0] }
  const container = containerSpec('sha256:1', ['app'], { WorkingDir: '/srv' }, {}, { env: ['A=1', 'B=1'] })

  it('takes from the container what the request leaves open', () => {
    expect(execProcess(exec, container, user, host)).toMatchObject({
      args: ['x'],
      cwd: '/srv',
      env: ['A=1', 'B=2', 'TERM=xterm'],
      terminal: true,
      consoleSize: { height: 10, width: 20 },
    })
    expect(execProcess({ ...exec, workingDir: '/tmp' }, container, user, host).cwd).toBe('/tmp')
  })

  it('is privileged only when asked to be', () => {
    expect(execProcess(exec, container, user, host).capabilities.effective).toHaveLength(14)
    expect(
      execProcess({ ...exec, privileged: true }, container, user, host).capabilities.effective,
    ).toHaveLength(40)
  })

  it('merges environments: later wins, a bare name removes', () => {
    expect(mergeEnv(['A=1', 'B=2', 'C=3'], ['B=x=y'], ['C', 'D='])).toEqual(['A=1', 'B=x=y', 'D='])
  })
})
