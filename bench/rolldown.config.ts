import { defineConfig } from 'rolldown'

/** Node 20 does not run TypeScript: the bench is bundled, beside what it measures. */
export default defineConfig({
  input: { main: 'bench/main.ts', clean: 'bench/clean.ts' },
  platform: 'node',
  external: ['koffi', 'lmdb', /^node:/],
  output: { dir: '.cache/bench', format: 'esm', cleanDir: true },
})
