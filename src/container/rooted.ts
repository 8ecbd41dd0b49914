/**
 * Reading a file below a directory that somebody else controls. A symlink in it must never lead out: absolute ones
 * start again at the root, `..` stops there. Each component is opened relative to the descriptor of its parent and
 * never followed by the kernel, so a process inside that swaps directories for links meanwhile wins nothing.
 */

import { constants } from 'node:fs'
import { open, readlink, type FileHandle } from 'node:fs/promises'

/** Missing in Node's constants (asm-generic/fcntl.h; the same on all of Node's Linux architectures). */
const O_PATH = 0o10_000_000
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const maximumLinks = 40

/** The text of a regular file, '' if there is none. Throws if it is larger than `limit` bytes. */
export async function readRooted(root: string, path: string, limit: number): Promise<string> {
  const chain: FileHandle[] = [await open(root, O_PATH | O_RDONLY)]
  const current = (): string => `/proc/self/fd/${String(chain.at(-1)?.fd)}`
  const pending = path.split('/')
  let links = 0
  try {
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (name === '' || name === '.') continue
      if (name === '..') {
        if (chain.length > 1) await chain.pop()?.close()
        continue
      }
      const next = await open(`${current()}/${name}`, O_PATH | O_NOFOLLOW)
      chain.push(next)
      if (!(await next.stat()).isSymbolicLink()) continue
      if (++links > maximumLinks) return ''
      await chain.pop()?.close()
      const target = await readlink(`${current()}/${name}`)
      if (target.startsWith('/')) {
        for (const handle of chain.splice(1)) await handle.close()
      }
      pending.unshift(...target.split('/'))
    }
    const found = chain.at(-1)
    if (found === undefined || !(await found.stat()).isFile()) return ''
    // Through the descriptor: opening the name again could meet something else by now.
    const file = await open(current(), O_RDONLY | O_NONBLOCK)
    chain.push(file)
    const { size } = await file.stat()
    if (size > limit) throw new Error(`${path} is larger than ${String(limit)} bytes`)
    return await file.readFile('utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EINVAL') return ''
    throw error
  } finally {
    for (const handle of chain) await handle.close()
  }
}
