/**
 * The built page: a handful of files below `dist/web`, read once and kept in memory, compressed in advance. Names under
 * `assets/` carry a hash of their content, so browsers may keep them for good.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface PageFile {
  readonly type: string
  readonly bytes: Buffer
  readonly gzip: Buffer
  readonly etag: string
  /** Its name changes with its content. */
  readonly immutable: boolean
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** By path as the browser asks for it: `/`, `/assets/index-AbC.js`. Empty where the page was not built. */
export function readPage(directory: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of namesBelow(directory)) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const bytes = readFileSync(join(directory, name))
    const file = {
      type,
      bytes,
      gzip: gzipSync(bytes, { level: 9 }),
      etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
      immutable: name.startsWith('assets/'),
    }
    files.set(name === 'index.html' ? '/' : `/${name}`, file)
  }
  return files
}

function namesBelow(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
  } catch {
    return []
  }
}
