import { defineConfig } from 'vitest/config'

/**
 * Two projects: `unit` stands beside its subject and needs at most root; `e2e` drives a built daemon inside a lab.
 *
 * The bounds are those of a hang, not of a slow machine: nothing is measured here. The continuous integration, which
 * may share its cores with others, tries a failed test once more and says so ("retry x1").
 */
const retry = process.env['CI'] === undefined ? 0 : 1

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'unit',
          pool: 'forks',
          include: ['src/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          retry,
        },
      },
      {
        test: {
          name: 'e2e',
          pool: 'forks',
          include: ['test/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          retry,
        },
      },
    ],
  },
})
