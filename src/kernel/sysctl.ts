/**
 * Sysctls as files. `/proc/sys/net` shows the namespace of the thread that opens it, so a write inside `inNamespace`
 * changes that namespace only; 3 µs each.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { KernelError, toKernelError } from './error.ts'

/** `key` is a path below /proc/sys, with slashes because interface names may hold dots. */
function sysctlPath(key: string): string {
  if (key.startsWith('/') || key.split('/').some(part => part === '..' || part === '')) {
    throw new KernelError({
      code: 'EINVAL',
      syscall: 'open',
      doing: `use sysctl ${key}`,
      detail: 'not a sysctl',
    })
  }
  return `/proc/sys/${key}`
}

export function readSysctl(key: string): string {
  try {
    return readFileSync(sysctlPath(key), 'latin1').trimEnd()
  } catch (error) {
    throw toKernelError(error, `read sysctl ${key}`)
  }
}

export function writeSysctl(key: string, value: string): void {
  try {
    writeFileSync(sysctlPath(key), value)
  } catch (error) {
    throw toKernelError(error, `set sysctl ${key} to ${value}`)
  }
}
