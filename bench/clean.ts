/** Takes away what a run left that was ended by force: its labs with all that lives in them, its namespaces' mounts. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { unmountDetached } from '../src/kernel/index.ts'
import { removeLab } from '../src/lab/index.ts'

const directory = process.env['LINKSPAN_BENCH_DIR']
if (directory !== undefined && existsSync(directory)) {
  for (const engine of readdirSync(directory)) {
    const lab = join(directory, engine, 'lab')
    if (existsSync(lab)) await removeLab(lab)
  }
  const namespaces = join(directory, 'netns')
  for (const name of existsSync(namespaces) ? readdirSync(namespaces) : [])
    unmountDetached(join(namespaces, name))
  rmSync(directory, { recursive: true, force: true })
}
