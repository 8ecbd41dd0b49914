import { defineConfig } from 'rolldown'

/**
 * One file per entry with shared chunks: the command line starts fast because sub-commands are imported lazily,
 * and each worker thread is an entry of its own. Native modules stay outside: they load their binaries by path.
 */
export default defineConfig({
  input: {
    cli: 'src/cli/main.ts',
    daemon: 'src/daemon.ts',
    'kernel-worker': 'src/kernel/worker.ts',
    'dns-worker': 'src/dns/worker.ts',
    'lab-server': 'src/lab/server.ts',
  },
  platform: 'node',
  external: ['koffi', 'lmdb', /^node:/],
  output: { dir: 'dist', format: 'esm', cleanDir: true, chunkFileNames: '[name]-[hash].js' },
})
