/**
 * CPU time of an engine and of everything it starts, by a control group of its own: forked helpers are in it, however
 * short they live. Containers are not: their runtime puts them into groups of theirs.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

export interface CpuGroup {
  /** A command line that runs `argv` inside, with the same pid. */
  argv(argv: readonly string[]): readonly string[]
  /** Consumed so far, in ms. */
  used(): number
  remove(): void
}

/** The group of an engine by its directory; undefined where there is no hierarchy that we could make one in. */
function groupPath(directory: string): string | undefined {
  const hierarchy = ['/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup'].find(path =>
    ['cpuacct.usage', 'cpu.stat'].some(file => existsSync(join(path, file))),
  )
  return hierarchy && join(hierarchy, `linkspan-bench${directory.replace(/\W+/g, '-')}`)
}

export function openCpuGroup(directory: string): CpuGroup | undefined {
  const path = groupPath(directory)
  if (path === undefined) return undefined
  mkdirSync(path, { recursive: true })
  const old = existsSync(join(path, 'cpuacct.usage'))
  return {
    argv: argv => ['sh', '-c', `echo 0 > ${join(path, 'cgroup.procs')}; exec "$@"`, 'sh', ...argv],
    used: () =>
      old
        ? Number(readFileSync(join(path, 'cpuacct.usage'), 'utf8')) / 1e6
        : Number(/usage_usec (\d+)/.exec(readFileSync(join(path, 'cpu.stat'), 'utf8'))?.[1] ?? 0) / 1e3,
    remove: () => removeCpuGroup(directory),
  }
}

/** Takes the group of an engine away once nobody is in it. */
export function removeCpuGroup(directory: string): void {
  const path = groupPath(directory)
  try {
    if (path !== undefined) rmdirSync(path)
  } catch {
    // It is gone, or somebody in it is still ending.
  }
}
