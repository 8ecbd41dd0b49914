import { describe, expect, it } from 'vitest'
import { chooseRuntime, parseHardLimits, probeRuntime } from './probe.ts'

const both = { crun: '/usr/bin/crun', runc: '/usr/sbin/runc', hybrid: false, wanted: undefined }

describe('chooseRuntime', () => {
  it.each([
    ['crun where it fits', both, '/usr/bin/crun', /fastest/],
    ['runc on hybrid hierarchies', { ...both, hybrid: true }, '/usr/sbin/runc', /hybrid/],
    ['runc where crun is missing', { ...both, crun: undefined }, '/usr/sbin/runc', /not installed/],
    ['what the user asks for', { ...both, hybrid: true, wanted: 'crun' }, '/usr/bin/crun', /--runtime crun/],
    ['a path', { ...both, wanted: '/opt/youki' }, '/opt/youki', /--runtime \/opt\/youki/],
  ])('takes %s', (_, facts, path, reason) => {
    expect(chooseRuntime(facts)).toEqual({ path, reason: expect.stringMatching(reason) })
  })

  it.each([
    ['nothing', { ...both, crun: undefined, runc: undefined }, 'install the Debian package crun'],
    ['crun only, on hybrid', { ...both, runc: undefined, hybrid: true }, 'install the Debian package runc'],
    ['a missing wish', { ...both, runc: undefined, wanted: 'runc' }, 'install the Debian package runc'],
  ])('with %s it names the package', (_, facts, message) => {
    expect(() => chooseRuntime(facts)).toThrow(message)
  })
})

it('refuses a runtime that is not there', async () => {
  await expect(probeRuntime('/nowhere/runc')).rejects.toThrow('--runtime /nowhere/runc: no such program')
  await expect(probeRuntime('nowhere-runtime')).rejects.toThrow('not found in $PATH')
})

it('reads hard limits', () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 20000                files
Max realtime priority     0                    0
`
  expect([...parseHardLimits(text)]).toEqual([
    ['RLIMIT_CPU', Infinity],
    ['RLIMIT_NOFILE', 20000],
    ['RLIMIT_RTPRIO', 0],
  ])
})
