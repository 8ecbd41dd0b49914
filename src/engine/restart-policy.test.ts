import { describe, expect, it } from 'vitest'
import { type Ending, restartDelay } from './restart-policy.ts'

const ending: Ending = { exitCode: 1, stoppedByUser: false, ranMs: 50, restarts: 0, lastDelayMs: 0 }

describe('restartDelay', () => {
  it.each([
    ['no', 0, {}, undefined],
    ['always', 0, {}, 100],
    ['always', 0, { exitCode: 0 }, 100],
    ['always', 0, { stoppedByUser: true }, undefined],
    ['unless-stopped', 0, {}, 100],
    ['on-failure', 0, {}, 100],
    ['on-failure', 0, { exitCode: 0 }, undefined],
    ['on-failure', 3, { restarts: 2 }, 100],
    ['on-failure', 3, { restarts: 3 }, undefined],
    ['always', 0, { lastDelayMs: 100 }, 200],
    ['always', 0, { lastDelayMs: 50_000 }, 60_000],
    ['always', 0, { lastDelayMs: 50_000, ranMs: 10_000 }, 100],
  ] as const)('%s (at most %i) with %j → %s ms', (Name, MaximumRetryCount, fields, delay) => {
    expect(restartDelay({ Name, MaximumRetryCount }, { ...ending, ...fields })).toBe(delay)
  })
})
