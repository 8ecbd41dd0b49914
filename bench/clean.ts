/**
 * Takes away what a run left that was ended by force: its labs with all that lives in them, its control groups,
 * its namespaces' mounts.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { removeCgroups } from '../src/container/cgroup.ts'
import { unmountDetached } from '../src/kernel/index.ts'
import { removeLab } from '../src/lab/index.ts'
import { removeCpuGroup } from './cpu.ts'

const directory = process.env['LINKSPAN_BENCH_DIR']
if (directory !== undefined && existsSync(directory)) {
  for (const engine of readdirSync(directory)) {
    const at = (name: string) => join(directory, engine, name)
    if (!existsSync(at('lab'))) continue
    await removeLab(at('lab'))
    const containers = at('data/containers')
    for (const id of existsSync(containers) ? readdirSync(containers) : []) await removeCgroups(id)
    removeCpuGroup(join(directory, engine))
  }
  const namespaces = join(directory, 'netns')
  for (const name of existsSync(namespaces) ? readdirSync(namespaces) : [])
    unmountDetached(join(namespaces, name))
  rmSync(directory, { recursive: true, force: true })
}
