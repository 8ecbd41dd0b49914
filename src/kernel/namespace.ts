/**
 * Network namespaces without a fork.
 *
 * A namespace belongs to a thread. Between entering and leaving nothing asynchronous may happen: libuv's pool lives in
 * another namespace, deferred binds and connects leak to the one we came from, and a thread born inside stays there for
 * ever. So the section takes a synchronous callback, and if the way back fails the process ends: everything it would
 * do from then on would happen to somebody else's network.
 *
 * `/proc/self` is the main thread's; a worker's own is `/proc/thread-self`.
 */

import { closeSync, openSync, unlinkSync } from 'node:fs'
import { attempt, call, failure } from './ffi.ts'
import { errnoNumber, KernelError, toKernelError } from './error.ts'
import { bindMount, unmountDetached } from './mount.ts'

const CLONE_NEWNET = 0x4000_0000
const OWN = '/proc/thread-self/ns/net'

let home: number | undefined
let inside = false

/** This thread's namespace, opened once; every visit returns to it. */
function homeDescriptor(): number {
  home ??= openSync(OWN, 'r')
  return home
}

/**
 * Runs `callback` inside a namespace: the path of its file, or an open descriptor of it. The callback must be
 * synchronous and must not enter another namespace. Costs about 10 µs with a path.
 */
export function inNamespace<T>(pathOrDescriptor: string | number, callback: () => T): T {
  if (inside) throw new Error('already inside a network namespace: visits do not nest')
  const back = homeDescriptor()
  const descriptor = typeof pathOrDescriptor === 'number' ? pathOrDescriptor : openNamespace(pathOrDescriptor)
  try {
    call(`enter network namespace ${String(pathOrDescriptor)}`, 'setns', descriptor, CLONE_NEWNET)
    inside = true
    try {
      const result = callback()
      if (result instanceof Promise) throw new Error('a visit to a network namespace must be synchronous')
      return result
    } finally {
      leave(back)
    }
  } finally {
    if (typeof pathOrDescriptor === 'string') closeSync(descriptor)
  }
}

function leave(back: number): void {
  inside = false
  if (attempt('setns', back, CLONE_NEWNET) !== 0) process.abort()
}

/** Opens a namespace's file; ENOENT if there is none. The caller closes it. */
export function openNamespace(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw toKernelError(error, `open network namespace ${path}`)
  }
}

/**
 * Makes a namespace and binds it to a new file at `path`. `prepare` runs inside, before anybody can see it; if it
 * throws, nothing is left.
 */
export function createNamespace<T>(path: string, prepare: () => T): T {
  if (inside) throw new Error('already inside a network namespace: visits do not nest')
  const back = homeDescriptor()
  try {
    closeSync(openSync(path, 'wx', 0o444))
  } catch (error) {
    throw toKernelError(error, `create network namespace ${path}`)
  }
  let mounted = false
  try {
    call(`create network namespace ${path}`, 'unshare', CLONE_NEWNET)
    inside = true
    try {
      bindMount(OWN, path)
      mounted = true
      return prepare()
    } finally {
      leave(back)
    }
  } catch (error) {
    if (mounted) unmountDetached(path)
    unlinkSync(path)
    throw error
  }
}

/**
 * Takes a namespace's name away; the kernel destroys it, its veths included, when the last process and socket in it
 * are gone. Absent ones are no error. Says whether there was one.
 */
export function deleteNamespace(path: string): boolean {
  // EINVAL: the file is there but nothing is mounted on it (a crash between the two steps).
  const result = unmountDetached(path)
  if (result < 0 && result !== -errnoNumber('ENOENT') && result !== -errnoNumber('EINVAL')) {
    throw failure(`delete network namespace ${path}`, 'umount2', -result)
  }
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    const fault = toKernelError(error, `delete network namespace ${path}`)
    if (fault.code === 'ENOENT') return false
    throw fault
  }
}

/** Moves this thread into a new, empty namespace for good. For tests and for the lab, never for the engine. */
export function unshareNetwork(): void {
  if (home !== undefined) {
    throw new KernelError({
      code: 'EBUSY',
      syscall: 'unshare',
      doing: 'leave the namespace of this thread',
      detail: 'visits from this thread already return to its first namespace',
    })
  }
  call('create a network namespace', 'unshare', CLONE_NEWNET)
}
