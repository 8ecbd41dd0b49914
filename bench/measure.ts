/**
 * Measuring in alternation: each round runs every case once, so that whatever else the machine does in that second
 * hits all of them alike. What is told is a median; the spread is told with it, and the ratio is the ratio of medians.
 */

export interface Case {
  readonly name: string
  /** Not timed. */
  readonly before?: () => unknown
  /** What is timed. A number it answers is the sample instead, in ms: for what knows its own time better. */
  readonly run: () => unknown
  /** Not timed; also after a failure. */
  readonly after?: () => unknown
  /** CPU time consumed so far by whoever does the work, in ms. */
  readonly cpu?: () => number
}

export interface Samples {
  readonly name: string
  readonly wall: readonly number[]
  /** Empty where it was not asked for. */
  readonly cpu: readonly number[]
}

export interface Plan {
  readonly rounds: number
  /** Rounds that are run before and forgotten. */
  readonly warmup?: number
  /** Ends the measuring between two samples. */
  readonly signal: AbortSignal
}

export async function alternate(cases: readonly Case[], plan: Plan): Promise<readonly Samples[]> {
  const { rounds, warmup = 1, signal } = plan
  const wall = cases.map((): number[] => [])
  const cpu = cases.map((): number[] => [])
  for (let round = -warmup; round < rounds; round++) {
    for (const [position, one] of cases.entries()) {
      signal.throwIfAborted()
      const sample = await take(one)
      if (round < 0) continue
      wall[position]?.push(sample.wall)
      if (sample.cpu !== undefined) cpu[position]?.push(sample.cpu)
    }
  }
  return cases.map(({ name }, position) => ({ name, wall: wall[position] ?? [], cpu: cpu[position] ?? [] }))
}

async function take(one: Case): Promise<{ readonly wall: number; readonly cpu: number | undefined }> {
  await one.before?.()
  try {
    const cpuBefore = one.cpu?.()
    const from = performance.now()
    const told = await one.run()
    const wall = typeof told === 'number' ? told : performance.now() - from
    return { wall, cpu: cpuBefore === undefined ? undefined : (one.cpu?.() ?? 0) - cpuBefore }
  } finally {
    await one.after?.()
  }
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
