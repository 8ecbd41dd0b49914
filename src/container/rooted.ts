/**
 * Opening a file below a directory that somebody else controls. A symlink in it must never lead out: absolute ones
 * start again at the root, `..` stops there. Each component is opened relative to the descriptor of its parent and
 * never followed by the kernel, so a process inside that swaps directories for links meanwhile wins nothing.
 */

import { constants } from 'node:fs'
import { open, readlink, type FileHandle } from 'node:fs/promises'

/** Missing in Node's constants (asm-generic/fcntl.h; the same on all of Node's Linux architectures). */
const O_PATH = 0o10_000_000
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const maximumLinks = 40
const absent = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/** The path of an open descriptor of this process; other processes of root can use it as well. */
export function descriptorPath(handle: FileHandle): string {
  return `/proc/${String(process.pid)}/fd/${String(handle.fd)}`
}

/** An O_PATH descriptor of what `path` names below `root`, links resolved; undefined if there is nothing. */
export async function openRooted(root: string, path: string): Promise<FileHandle | undefined> {
  const chain: FileHandle[] = [await open(root, O_PATH | O_RDONLY)]
  const pending = path.split('/')
  let links = 0
  try {
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (name === '' || name === '.') continue
      if (name === '..') {
        if (chain.length > 1) await chain.pop()?.close()
        continue
      }
      const parent = chain.at(-1)
      if (parent === undefined) return undefined
      const child = `${descriptorPath(parent)}/${name}`
      const next = await open(child, O_PATH | O_NOFOLLOW)
      chain.push(next)
      if (!(await next.stat()).isSymbolicLink()) continue
      if (++links > maximumLinks) return undefined
      await chain.pop()?.close()
      const target = await readlink(child)
      if (target.startsWith('/')) {
        for (const handle of chain.splice(1)) await handle.close()
      }
      pending.unshift(...target.split('/'))
    }
    return chain.pop()
  } catch (error) {
    if (absent.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  } finally {
    for (const handle of chain) await handle.close()
  }
}

/** The text of a regular file, '' if there is none. Throws if it is larger than `limit` bytes. */
export async function readRooted(root: string, path: string, limit: number): Promise<string> {
  const found = await openRooted(root, path)
  if (found === undefined) return ''
  let file: FileHandle | undefined
  try {
    if (!(await found.stat()).isFile()) return ''
    // Through the descriptor: opening the name again could meet something else by now.
    file = await open(descriptorPath(found), O_RDONLY | O_NONBLOCK)
    const { size } = await file.stat()
    if (size > limit) throw new Error(`${path} is larger than ${String(limit)} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file?.close()
    await found.close()
  }
}
