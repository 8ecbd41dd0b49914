/** Addresses between text and bytes. Text that is not an address is refused with EINVAL before the kernel sees it. */

import { isIPv4, isIPv6 } from 'node:net'
import { KernelError, malformed } from './error.ts'

function refused(what: string, text: string): KernelError {
  return new KernelError({
    code: 'EINVAL',
    syscall: 'parse',
    doing: `use ${what} "${text}"`,
    detail: `not ${what}`,
  })
}

/** `172.17.0.2` or `fd00::2` as 4 or 16 bytes in network order. */
export function parseAddress(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number))
  // A zone (fe80::1%eth0) is no part of the address.
  if (!isIPv6(text) || text.includes('%')) throw refused('an IP address', text)
  let groups = text
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number)
    groups = `${text.slice(0, dotted.index)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  }
  const [head = '', tail] = groups.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const bytes = Buffer.alloc(16)
  for (const [position, group] of left.entries()) bytes.writeUInt16BE(parseInt(group, 16), position * 2)
  for (const [position, group] of right.entries()) {
    bytes.writeUInt16BE(parseInt(group, 16), 16 - (right.length - position) * 2)
  }
  return bytes
}

/** 4 or 16 bytes as text; IPv6 in the canonical form of RFC 5952. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw malformed(`an address of ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  const groups = Array.from({ length: 8 }, (_, position) => view.getUint16(position * 2))
  const mapped = groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff
  if (mapped) return `::ffff:${bytes.subarray(12).join('.')}`
  const { start, length } = longestZeros(groups)
  const hex = groups.map(group => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let run = 0
  for (const [position, group] of groups.entries()) {
    run = group === 0 ? run + 1 : 0
    if (run > best.length) best = { start: position - run + 1, length: run }
  }
  return best
}

export interface ParsedCidr {
  readonly family: 4 | 6
  readonly address: Buffer
  readonly length: number
}

/** `172.17.0.2/16`; without a length the address alone. */
export function parseCidr(text: string): ParsedCidr {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  const bits = address.length * 8
  const suffix = slash === -1 ? String(bits) : text.slice(slash + 1)
  const length = Number(suffix)
  if (!/^\d{1,3}$/.test(suffix) || length > bits) throw refused('a prefix', text)
  return { family: address.length === 4 ? 4 : 6, address, length }
}

export function formatCidr(address: Uint8Array, length: number): string {
  return `${formatAddress(address)}/${length}`
}

/** The last address of an IPv4 subnet; undefined where there is none (/31, /32). */
export function broadcastAddress({ family, address, length }: ParsedCidr): Buffer | undefined {
  if (family === 6 || length > 30) return undefined
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE((address.readUInt32BE(0) | (0xffff_ffff >>> length)) >>> 0)
  return bytes
}

export function isLinkLocal(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 169 && address[1] === 254
  return address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80
}

/** `02:42:ac:11:00:02` as 6 bytes. */
export function parseMac(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw refused('a MAC address', text)
  return Buffer.from(text.replaceAll(':', ''), 'hex')
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(':')
}

/** Interface names as the kernel allows them: 1 to 15 bytes without slash, colon or white space; not `.` or `..`. */
export function checkInterfaceName(name: string): string {
  const length = Buffer.byteLength(name)
  if (length < 1 || length > 15 || /[/:\s\0]/.test(name) || name === '.' || name === '..') {
    throw refused('an interface name', name)
  }
  return name
}
