/** sd_notify(3) without its library: a datagram of text to the socket that systemd named in the environment. */
import { closeSync } from 'node:fs'
import { call } from './ffi.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_NOSIGNAL = 0x4000

/** Tells systemd `READY=1`, `STOPPING=1` and the like; nothing happens where no systemd listens. */
export function notifySystemd(state: string): void {
  const path = process.env['NOTIFY_SOCKET']
  if (path === undefined || path === '') return
  const doing = 'notify systemd'
  const fd = call(doing, 'socket', AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  try {
    // sun_path; an abstract name is written with @ for its leading zero byte.
    const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path)
    const address = Buffer.concat([Buffer.alloc(2), name])
    address.writeUInt16LE(AF_UNIX)
    const message = Buffer.from(state)
    call(doing, 'sendto', fd, message, message.length, MSG_NOSIGNAL, address, address.length)
  } finally {
    closeSync(fd)
  }
}
