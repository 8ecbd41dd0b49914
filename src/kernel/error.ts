/**
 * The one error of this floor. It says what was being tried, which call or message the kernel refused, the errno's
 * name (so that callers can map it) and, where the kernel gave one, its own explanation (netlink's extended ACK).
 * It crosses the worker's boundary as a plain value, because structured clones lose the class.
 */

import { constants } from 'node:os'

/** Sentences as strerror(3) has them, for the errors that network set-up really meets. */
const sentences: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EAFNOSUPPORT: 'address family not supported',
  EAGAIN: 'timed out',
  EBADMSG: 'malformed message',
  EBUSY: 'device or resource busy',
  ECONNREFUSED: 'connection refused',
  EEXIST: 'already exists',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files',
  EMSGSIZE: 'message too long',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  ENFILE: 'too many open files in system',
  ENOBUFS: 'no buffer space available',
  ENODEV: 'no such device',
  ENOENT: 'no such file or directory',
  ENOMEM: 'cannot allocate memory',
  ENOSPC: 'no space left on device',
  ENOTCONN: 'not connected',
  EOPNOTSUPP: 'operation not supported',
  ENOTSUP: 'operation not supported',
  EPERM: 'operation not permitted',
  EPROTONOSUPPORT: 'protocol not supported',
  ERANGE: 'numerical result out of range',
  ESRCH: 'no such process or object',
  EXFULL: 'exchange full',
}

/** errno names that Node's table lacks. */
const missing: Readonly<Record<number, string>> = { 54: 'EXFULL', 16: 'EBUSY' }

const names = new Map<number, string>()
for (const [name, number] of Object.entries(constants.errno)) {
  // ENOTSUP and EOPNOTSUPP, EAGAIN and EWOULDBLOCK share a number: the first name is kept, except where it is odd.
  if (!names.has(number)) names.set(number, name)
}
for (const [number, name] of Object.entries(missing)) names.set(Number(number), name)
names.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')

const numbers = new Map<string, number>([...names].map(([number, name]) => [name, number]))

export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${String(errno)}`
}

export function errnoNumber(name: string): number {
  return numbers.get(name) ?? 0
}

/** What `KernelError` is made of; plain, so that it can be posted between threads. */
export interface KernelErrorFields {
  /** The errno's name: EEXIST, EXFULL, EADDRINUSE, … */
  readonly code: string
  /** The system call or netlink message that failed: `bind`, `RTM_NEWLINK`. */
  readonly syscall: string
  /** What was being tried, in words: `create veth veth12ab34c`. */
  readonly doing: string
  /** The kernel's own explanation or a detail of ours; '' if there is none. */
  readonly detail: string
  /** Position in the batch of the operation that failed. */
  readonly position?: number | undefined
  /** The port that was taken, for EADDRINUSE of a reservation. */
  readonly port?: number | undefined
  /** What else went wrong while the batch was being undone; empty in all but the strangest cases. */
  readonly rollback?: readonly string[] | undefined
}

export class KernelError extends Error {
  override readonly name = 'KernelError'
  readonly code: string
  readonly syscall: string
  readonly doing: string
  readonly detail: string
  readonly position: number | undefined
  readonly port: number | undefined
  readonly rollback: readonly string[]

  constructor(fields: KernelErrorFields, options?: ErrorOptions) {
    const sentence = sentences[fields.code] ?? fields.code
    const text = fields.detail === '' ? sentence : `${sentence}: ${fields.detail}`
    super(`${fields.doing}: ${text} (${fields.syscall}: ${fields.code})`, options)
    this.code = fields.code
    this.syscall = fields.syscall
    this.doing = fields.doing
    this.detail = fields.detail
    this.position = fields.position
    this.port = fields.port
    this.rollback = fields.rollback ?? []
  }

  /** The same error with more known about it. */
  with(more: Partial<KernelErrorFields>): KernelError {
    return new KernelError({ ...this.fields(), ...more }, { cause: this.cause })
  }

  fields(): KernelErrorFields {
    return {
      code: this.code,
      syscall: this.syscall,
      doing: this.doing,
      detail: this.detail,
      position: this.position,
      port: this.port,
      rollback: this.rollback,
    }
  }
}

/** A message of the kernel (or of a fuzzer) that is not what it should be. */
export function malformed(what: string): KernelError {
  return new KernelError({ code: 'EBADMSG', syscall: 'parse', doing: 'read a message', detail: what })
}

/** Any error as a `KernelError`; Node's own file errors have `code` and `syscall` already. */
export function toKernelError(error: unknown, doing: string): KernelError {
  if (error instanceof KernelError) return error
  const node = error as Partial<NodeJS.ErrnoException>
  return new KernelError(
    {
      code: typeof node.code === 'string' ? node.code : 'EIO',
      syscall: typeof node.syscall === 'string' ? node.syscall : 'unknown',
      doing,
      detail: error instanceof Error ? error.message : String(error),
    },
    { cause: error },
  )
}
