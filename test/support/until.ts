import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until a condition holds; throws after half a minute, which is that of a hang and not of a slow machine. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('what was waited for did not come about')
    await sleep(50)
  }
}
