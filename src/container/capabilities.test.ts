import { describe, expect, it } from 'vitest'
import { capabilitiesOf, effectiveCapabilities } from './capabilities.ts'

const all = capabilitiesOf('000001ffffffffff')
const without = capabilitiesOf('000001fffeffffff')
const wish = { privileged: false, add: [], drop: [] }

describe('capabilitiesOf', () => {
  it('reads the kernel mask', () => {
    expect(all.size).toBe(41)
    expect([...capabilitiesOf('3000')]).toEqual(['CAP_NET_ADMIN', 'CAP_NET_RAW'])
    expect(without.has('CAP_SYS_RESOURCE')).toBe(false)
    expect(without.size).toBe(40)
  })
})

describe('effectiveCapabilities', () => {
  it('gives the fourteen defaults of Docker', () => {
    const list = effectiveCapabilities(wish, all)
    expect(list).toHaveLength(14)
    expect(list).toContain('CAP_NET_RAW')
    expect(list).not.toContain('CAP_NET_ADMIN')
  })

  it.each([
    ['adds, whatever the spelling', { add: ['net_admin', 'CAP_SYS_TIME'] }, 16],
    ['drops', { drop: ['NET_RAW', 'cap_kill'] }, 12],
    ['drops all', { drop: ['ALL'] }, 0],
    ['drops all but', { add: ['NET_RAW'], drop: ['all'] }, 1],
    ['adds all', { add: ['ALL'] }, 41],
    ['adds all but', { add: ['all'], drop: ['SYS_ADMIN', 'MKNOD'] }, 39],
    ['an explicit addition beats a drop', { add: ['NET_RAW'], drop: ['NET_RAW'] }, 14],
    ['privileged ignores drops', { privileged: true, drop: ['ALL'] }, 41],
  ])('%s', (_, change, count) => {
    expect(effectiveCapabilities({ ...wish, ...change }, all)).toHaveLength(count)
  })

  it('never exceeds what the engine has', () => {
    const list = effectiveCapabilities({ ...wish, privileged: true }, without)
    expect(list).toHaveLength(40)
    expect(effectiveCapabilities({ ...wish, add: ['SYS_RESOURCE'] }, without)).toHaveLength(14)
  })

  it.each([
    ['CapAdd', { add: ['NET_ADMN'] }],
    ['CapDrop', { drop: ['NET_ADMN'] }],
  ])('refuses unknown names in %s', (field, change) => {
    expect(() => effectiveCapabilities({ ...wish, ...change }, all)).toThrow(
      expect.objectContaining({
        status: 400,
        message: `invalid ${field}: unknown capability: "CAP_NET_ADMN"`,
      }),
    )
  })
})
