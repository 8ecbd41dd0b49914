import { describe, expect, it } from 'vitest'
import { userMounts } from './mounts.ts'
import { containerSpec } from './testing.ts'
import type { HostConfig } from './types.ts'

function mountsOf(hostConfig: Partial<HostConfig>, volumes: readonly string[] = []) {
  const Volumes = Object.fromEntries(volumes.map(path => [path, {}]))
  const spec = containerSpec('sha256:1', ['app'], { Volumes }, hostConfig)
  return userMounts(spec.config, spec.hostConfig)
}

describe('userMounts', () => {
  it.each([
    [
      '/a:/b',
      { kind: 'bind', source: '/a', create: true, target: '/b', readOnly: false, propagation: 'rprivate' },
    ],
    ['/a/../c:/b/:ro', { kind: 'bind', source: '/c', target: '/b', readOnly: true }],
    ['/a:/b:rw,z,rshared', { kind: 'bind', readOnly: false, propagation: 'rshared' }],
    [
      'data:/b',
      { kind: 'volume', name: 'data', anonymous: false, copy: true, target: '/b', readOnly: false },
    ],
    ['data:/b:nocopy,ro', { kind: 'volume', copy: false, readOnly: true }],
    ['/b', { kind: 'volume', anonymous: true, copy: true, target: '/b' }],
  ])('bind %s', (bind, expected) => {
    expect(mountsOf({ Binds: [bind] })).toEqual([expect.objectContaining(expected)])
  })

  it.each([
    [
      { Type: 'bind', Source: '/a', Target: '/b' },
      { kind: 'bind', create: false, propagation: 'rprivate' },
    ],
    [
      {
        Type: 'bind',
        Source: '/a',
        Target: '/b',
        ReadOnly: true,
        BindOptions: { Propagation: 'rslave', CreateMountpoint: true },
      },
      { kind: 'bind', create: true, readOnly: true, propagation: 'rslave' },
    ],
    [
      { Type: 'volume', Source: 'data', Target: '/b', VolumeOptions: { NoCopy: true } },
      { kind: 'volume', copy: false },
    ],
    [
      { Type: 'volume', Target: '/b' },
      { kind: 'volume', anonymous: true },
    ],
    [
      { Type: 'tmpfs', Target: '/b', TmpfsOptions: { SizeBytes: 1024, Mode: 0o1777 } },
      { kind: 'tmpfs', target: '/b', options: ['size=1024', 'mode=1777'] },
    ],
  ])('mount %j', (mount, expected) => {
    expect(mountsOf({ Mounts: [mount] })).toEqual([expect.objectContaining(expected)])
  })

  it('gives an image’s volume the same directory each time, unless the user mounts there', () => {
    const [first] = mountsOf({}, ['/data'])
    expect(first).toEqual(mountsOf({}, ['/data/'])[0])
    expect(first).not.toEqual(mountsOf({}, ['/other'])[0])
    expect(mountsOf({ Binds: ['/a:/data'] }, ['/data'])).toEqual([expect.objectContaining({ kind: 'bind' })])
  })

  it('reads tmpfs options', () => {
    expect(mountsOf({ Tmpfs: { '/run': 'rw,size=1m', '/tmp': '' } })).toEqual([
      { kind: 'tmpfs', target: '/run', options: ['rw', 'size=1m'] },
      { kind: 'tmpfs', target: '/tmp', options: [] },
    ])
  })

  it.each([
    [{ Binds: ['a:b:c:d'] }, "invalid volume specification: 'a:b:c:d'"],
    [{ Binds: ['/a:'] }, "invalid volume specification: '/a:'"],
    [{ Binds: ['/a:b'] }, "invalid mount path: 'b' mount path must be absolute"],
    [{ Binds: ['/a:/'] }, "invalid specification: destination can't be '/'"],
    [{ Binds: ['/a:/b:fast'] }, 'invalid mode: fast'],
    [{ Binds: ['./a:/b'] }, 'includes invalid characters for a local volume name'],
    [{ Binds: ['/a:/b', '/c:/b'] }, 'Duplicate mount point: /b'],
    [{ Mounts: [{ Type: 'bind', Source: 'a', Target: '/b' }] }, 'mount path must be absolute'],
    [{ Mounts: [{ Type: 'npipe', Target: '/b' }] }, 'mount type "npipe" is not supported'],
  ])('refuses %j', (hostConfig, message) => {
    expect(() => mountsOf(hostConfig)).toThrow(message)
  })
})
