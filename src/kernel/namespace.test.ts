import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mountOverlay, unmount, unmountDetached } from './mount.ts'
import { createNamespace, deleteNamespace, inNamespace, openNamespace, unshareNetwork } from './namespace.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'
import { cannotRun, enterFreshNetwork, scratch, shell } from './testing.ts'

describe.skipIf(cannotRun !== '')('namespaces', () => {
  const place = scratch()
  const path = join(place.directory, 'one')
  const here = () => readlinkSync('/proc/thread-self/ns/net')

  beforeAll(enterFreshNetwork)
  afterAll(() => {
    deleteNamespace(path)
    place.remove()
  })

  test('one is made, visited by name and by descriptor, entered by others, deleted', () => {
    const home = here()
    const prepared = createNamespace(path, here)
    expect(prepared).not.toBe(home)
    expect(here()).toBe(home)
    expect(inNamespace(path, here)).toBe(prepared)
    const descriptor = openNamespace(path)
    expect(inNamespace(descriptor, here)).toBe(prepared)
    closeSync(descriptor)
    expect(shell('readlink /proc/self/ns/net', path).trim()).toBe(prepared)
    expect(deleteNamespace(path)).toBe(true)
    expect(existsSync(path)).toBe(false)
    expect(deleteNamespace(path)).toBe(false)
  })

  test('a name that is taken stays whose it was', () => {
    const first = createNamespace(path, here)
    expect(() => createNamespace(path, here)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
    expect(inNamespace(path, here)).toBe(first)
    deleteNamespace(path)
  })

  test('nothing is left when preparing fails', () => {
    const home = here()
    const fail = () => {
      throw new Error('on purpose')
    }
    expect(() => createNamespace(path, fail)).toThrow('on purpose')
    expect(here()).toBe(home)
    expect(existsSync(path)).toBe(false)
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(path)
  })

  test('a file on which nothing is mounted is deleted all the same', () => {
    writeFileSync(path, '')
    expect(deleteNamespace(path)).toBe(true)
  })

  test('a visit that throws comes back', () => {
    const home = here()
    createNamespace(path, () => undefined)
    expect(() =>
      inNamespace(path, () => {
        throw new Error('on purpose')
      }),
    ).toThrow('on purpose')
    expect(here()).toBe(home)
  })

  test('visits are synchronous, and do not nest', () => {
    const home = here()
    expect(() => inNamespace(path, async () => Promise.resolve())).toThrow('must be synchronous')
    expect(() => inNamespace(path, () => inNamespace(path, here))).toThrow('do not nest')
    expect(() => inNamespace(path, () => createNamespace(`${path}2`, here))).toThrow('do not nest')
    expect(here()).toBe(home)
    expect(() => unshareNetwork()).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  })

  test('what is no namespace is refused', () => {
    expect(() => inNamespace(join(place.directory, 'absent'), here)).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
    expect(() => inNamespace('/etc/passwd', here)).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'setns' }),
    )
  })

  test('visits leave no descriptors behind', () => {
    const open = () => readdirSync('/proc/self/fd').length
    inNamespace(path, here)
    const before = open()
    for (let visit = 0; visit < 20; visit++) inNamespace(path, here)
    expect(() => inNamespace('/etc/passwd', here)).toThrow()
    expect(open()).toBe(before)
  })

  test('a sysctl is the visited namespace’s', () => {
    writeSysctl('net/ipv4/ip_forward', '0')
    inNamespace(path, () => writeSysctl('net/ipv4/ip_forward', '1'))
    expect(readSysctl('net/ipv4/ip_forward')).toBe('0')
    expect(inNamespace(path, () => readSysctl('net/ipv4/ip_forward'))).toBe('1')
    expect(() => readSysctl('net/no/such')).toThrow(
      expect.objectContaining({ code: 'ENOENT', doing: 'read sysctl net/no/such' }),
    )
    expect(() => writeSysctl('net/ipv4/ip_forward', 'nonsense')).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    )
    for (const key of ['/etc/passwd', 'net/../../etc/passwd', '', 'net//ipv4']) {
      expect(() => readSysctl(key)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    }
  })
})

describe.skipIf(cannotRun !== '')('mounts', () => {
  test('an overlay shows the upper layer over the lower ones, whatever their paths', () => {
    const place = scratch()
    const directories = ['low:er', 'lo,wer\\2', 'up,per', 'work', 'target'].map(name =>
      join(place.directory, name),
    )
    for (const directory of directories) mkdirSync(directory)
    const [first = '', second = '', upper = '', work = '', target = ''] = directories
    writeFileSync(join(first, 'a'), 'first')
    writeFileSync(join(second, 'a'), 'second')
    writeFileSync(join(second, 'b'), 'second')
    mountOverlay({ target, lower: [first, second], upper, work })
    try {
      expect(readFileSync(join(target, 'a'), 'utf8')).toBe('first')
      expect(readFileSync(join(target, 'b'), 'utf8')).toBe('second')
      writeFileSync(join(target, 'c'), 'new')
      expect(readFileSync(join(upper, 'c'), 'utf8')).toBe('new')
      unmount(target)
      expect(readdirSync(target)).toEqual([])
      expect(() => unmount(target)).toThrow(expect.objectContaining({ code: 'EINVAL', syscall: 'umount2' }))
      expect(() => mountOverlay({ target, lower: [join(place.directory, 'absent')], upper, work })).toThrow(
        expect.objectContaining({ code: 'ENOENT', doing: `mount overlay on ${target}` }),
      )
    } finally {
      unmountDetached(target)
      place.remove()
    }
  })
})
