/**
 * The C library as typed functions. koffi is loaded on the first call, not on import, so that the command line, which
 * imports much and calls little, starts fast.
 *
 * Facts this file lives by:
 * - A synchronous koffi call runs on the calling thread, so thread properties (network namespace, errno) are its own.
 * - `koffi.errno()` is valid directly after a synchronous call; nothing may come between.
 * - There is no ssize_t in koffi: int64_t.
 * - `load(null)` is the process itself: Node is linked against its C library, glibc or musl, whatever its file's name.
 */

import type * as koffiModule from 'koffi'
import { createRequire } from 'node:module'
import { KernelError, errnoName } from './error.ts'

type Koffi = typeof koffiModule

let loaded: Koffi | undefined

/** koffi itself, for callers that need `node.poll` or `address`. */
export function koffi(): Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as Koffi
  return loaded
}

const prototypes = {
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  bind: 'int bind(int, void *, uint32_t)',
  connect: 'int connect(int, void *, uint32_t)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, void *, void *, int)',
  shutdown: 'int shutdown(int, int)',
  getsockname: 'int getsockname(int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, void *, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  send: 'int64_t send(int, void *, size_t, int)',
  sendto: 'int64_t sendto(int, void *, size_t, int, void *, uint32_t)',
  recv: 'int64_t recv(int, void *, size_t, int)',
  recvmsg: 'int64_t recvmsg(int, void *, int)',
  pipe2: 'int pipe2(void *, int)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  prctl: 'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
  waitpid: 'int waitpid(int, void *, int)',
  fcntl: 'int fcntl(int, int, int)',
  setns: 'int setns(int, int)',
  unshare: 'int unshare(int)',
  mount: 'int mount(const char *, const char *, const char *, unsigned long, const char *)',
  umount2: 'int umount2(const char *, int)',
} as const

export type LibcFunction = keyof typeof prototypes

type Argument = number | string | Uint8Array | null
interface NativeFunction {
  (...args: readonly Argument[]): number
  /** Runs on a thread of libuv's pool; the last argument is the callback. */
  async(...args: readonly (Argument | ((error: Error | null, result: number) => void))[]): void
}

const functions = new Map<LibcFunction, NativeFunction>()

function native(name: LibcFunction): NativeFunction {
  const known = functions.get(name)
  if (known !== undefined) return known
  // A library handle is only a name for the process itself; koffi keeps the functions, not the handle, alive.
  const made = koffi().load(null).func(prototypes[name]) as unknown as NativeFunction
  functions.set(name, made)
  return made
}

/** Calls libc. Returns its result, or −errno where that is −1: for callers to whom some errors are answers. */
export function attempt(name: LibcFunction, ...args: readonly Argument[]): number {
  const result = native(name)(...args)
  return result === -1 ? -koffi().errno() : result
}

/**
 * Calls libc on a thread of libuv's pool, for the few calls in which the kernel takes its time. Only calls on
 * descriptors: the thread has the namespace the process started in. The errno of another thread is out of reach.
 */
export async function callBehind(name: LibcFunction, ...args: readonly Argument[]): Promise<number> {
  return new Promise((resolve, reject) => {
    native(name).async(...args, (error, result) => {
      if (error === null || error === undefined) resolve(result)
      else reject(error)
    })
  })
}

/** Calls libc and throws a `KernelError` that says `doing` if it fails. */
export function call(doing: string, name: LibcFunction, ...args: readonly Argument[]): number {
  const result = attempt(name, ...args)
  if (result < 0) throw failure(doing, name, -result)
  return result
}

export function failure(doing: string, syscall: string, errno: number, detail = ''): KernelError {
  return new KernelError({ code: errnoName(errno), syscall, doing, detail })
}
