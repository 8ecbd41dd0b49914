import { expect, it } from 'vitest'
import { Alone } from './alone.ts'

it('lets one work at a time, the next after it, and one that failed is over', async () => {
  const alone = new Alone('a prune operation')
  let finish: () => void = () => undefined
  const first = alone.run(() => new Promise<void>(resolve => (finish = resolve)))
  await expect(alone.run(async () => 1)).rejects.toMatchObject({
    status: 409,
    message: 'a prune operation is already running',
  })
  finish()
  await first
  await expect(alone.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(alone.run(async () => 2)).resolves.toBe(2)
})
