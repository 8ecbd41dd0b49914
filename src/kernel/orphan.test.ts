import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { inheritOrphans, orphanExit } from './orphan.ts'

/** Runs a shell that leaves a child behind; answers with the child's pid. */
async function orphan(script: string): Promise<number> {
  const parent = spawn('sh', ['-c', `sh -c '${script}' >/dev/null & echo $!`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  parent.stdout.on('data', (data: Buffer) => (text += data.toString()))
  await new Promise(resolve => parent.once('close', resolve))
  return Number(text)
}

/** How a child that a shell leaves behind ends. */
async function exitOf(script: string): Promise<number | undefined> {
  const { exit } = await inheritOrphans(async () => ({ exit: orphanExit(await orphan(script)) }))
  return exit
}

test.each([
  ['sleep 0.1; exit 0', 0],
  ['sleep 0.1; exit 9', 9],
  ['sleep 0.1; kill -9 $$', 137],
])('an inherited process ends: %s', async (script, code) => {
  expect(await exitOf(script)).toBe(code)
})

test('one that ends long before it is asked for', async () => {
  const code = await inheritOrphans(async () => {
    const pid = await orphan('sleep 0.05; exit 6')
    await delay(300)
    return { exit: orphanExit(pid) }
  })
  expect(await code.exit).toBe(6)
})

test('many at once, beside children of Node', async () => {
  const codes = Array.from({ length: 20 }, (_, code) => code)
  const exits = codes.map(code => exitOf(`sleep 0.05; exit ${code}`))
  const child = spawn('sh', ['-c', 'sleep 0.05; exit 5'])
  const ended = new Promise(resolve => child.once('exit', resolve))
  expect(await Promise.all(exits)).toEqual(codes)
  expect(await ended).toBe(5)
})

test('others are nobody’s business', async () => {
  expect(await orphanExit(1)).toBeUndefined()
  const pid = await orphan('sleep 0.1')
  expect(await orphanExit(pid)).toBeUndefined()
})

test('a child nobody hears of is waited for, and children of Node are left to Node', async () => {
  const pid = await inheritOrphans(() => orphan('sleep 0.1'))
  const codes = Array.from({ length: 20 }, async (_, code) => {
    const child = spawn('sh', ['-c', `sleep 0.1; exit ${code}`])
    return new Promise(resolve => child.once('exit', resolve))
  })
  expect(await Promise.all(codes)).toEqual(Array.from({ length: 20 }, (_, code) => code))
  await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false)
})
