import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { cgroupDirectory } from './cgroup.ts'
import { eventually, isAlive, observeProcess, parseStat, signalProcess } from './process.ts'

describe('parseStat', () => {
  const rest = `S ${Array.from({ length: 18 }, (_, i) => String(i)).join(' ')} 4242 7`
  it.each([
    ['12 (sh) ', 12],
    ['13 (a) b (c)) ', 13],
    ['14 (S 1 2 3) ', 14],
  ])('%j', (head, pid) => {
    expect(parseStat(head + rest)).toEqual({ pid, startTime: 4242 })
  })
  it.each(['', '12 (sh', `12 (sh) Z${rest.slice(1)}`])('is nothing for %j', text => {
    expect(parseStat(text)).toBeUndefined()
  })
})

it('tells a process from a later one with its pid', async () => {
  const child = spawn('sleep', ['60'])
  const seen = await observeProcess(child.pid ?? 0)
  expect(seen?.pid).toBe(child.pid)
  if (seen === undefined) return
  expect(await isAlive(seen)).toBe(true)
  expect(await isAlive({ ...seen, startTime: seen.startTime - 1 })).toBe(false)
  expect(signalProcess(seen.pid, 9)).toBe(true)
  expect(await eventually(async () => !(await isAlive(seen)), 2000)).toBe(true)
  expect(await eventually(() => !signalProcess(seen.pid, 9), 2000)).toBe(true)
  expect(await eventually(() => false, 1)).toBe(false)
})

it.each([
  ['9:name=systemd:/x\n8:pids:/linkspan/1\n0::/y\n', 'pids', '/sys/fs/cgroup/pids/linkspan/1'],
  ['4:cpu,cpuacct:/a\n', 'cpu', '/sys/fs/cgroup/cpu,cpuacct/a'],
  ['0::/linkspan/2\n', 'pids', '/sys/fs/cgroup/linkspan/2'],
  ['', 'pids', undefined],
])('cgroup of %j', (text, controller, expected) => {
  expect(cgroupDirectory(text, controller)).toBe(expected)
})
