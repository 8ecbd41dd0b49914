/** The keys that leave a container's terminal without ending it: ctrl-p ctrl-q unless the user wants others. */
import { Failure } from './failure.ts'

/** `ctrl-p,ctrl-q` → bytes. A key is one character or `ctrl-` with a letter or one of `@ [ \ ] ^ _`. */
export function parseDetachKeys(text: string): Buffer {
  const bytes = text.split(',').map(key => {
    if (key.length === 1) return key.charCodeAt(0)
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1]
    if (control === undefined) throw new Failure(`invalid detach keys (${text}): Unknown character: '${key}'`)
    return control.toUpperCase().charCodeAt(0) - 64
  })
  return Buffer.from(bytes)
}

export interface DetachFilter {
  /** What of the input goes on to the container; `detached` once the keys were complete. */
  push(chunk: Buffer): { readonly data: Buffer; readonly detached: boolean }
}

/** Holds back the first keys of the sequence until it is clear whether the rest follows. */
export function createDetachFilter(keys: Buffer): DetachFilter {
  let matched = 0
  return {
    push: chunk => {
      const out: number[] = []
      for (const byte of chunk) {
        if (byte === keys[matched]) {
          matched += 1
          if (matched === keys.length) return { data: Buffer.from(out), detached: true }
          continue
        }
        out.push(...keys.subarray(0, matched))
        matched = byte === keys[0] ? 1 : 0
        if (matched === 0) out.push(byte)
      }
      return { data: Buffer.from(out), detached: false }
    },
  }
}
