/**
 * Addresses, prefixes and MACs: text to number and back.
 *
 * Text is read strictly. `127.1`, octal octets, zone ids and surrounding space are refused, because inet_aton-style
 * leniency lets two programs read one text as two addresses. Text is written canonically (dotted quad, RFC 5952), so
 * canonical texts are equal exactly when their addresses are.
 */
import { Address4, Address6 } from 'ip-address'
import type { Family } from './types.ts'

/** `value` is the address as an unsigned number of 32 or 128 bits. */
export interface Address {
  readonly family: Family
  readonly value: bigint
}

/** `base` has no bits beyond `length`. */
export interface Prefix {
  readonly family: Family
  readonly base: bigint
  readonly length: number
}

export interface ParsedPrefix extends Prefix {
  /** True if the text named an address inside the prefix rather than its first one (`10.0.0.1/8`). */
  readonly hostBits: boolean
}

export const bitsOf = (family: Family): number => (family === 4 ? 32 : 128)

export function parseAddress(text: string): Address | undefined {
  if (text.includes('/') || text.includes('%')) return undefined
  if (text.includes(':')) {
    return Address6.isValid(text) ? { family: 6, value: new Address6(text).bigInt() } : undefined
  }
  return Address4.isValid(text) ? { family: 4, value: new Address4(text).bigInt() } : undefined
}

const formatIPv4 = (value: bigint): string => {
  const bits = Number(value)
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`
}

/** The longest run of at least two zero groups, the first of equals (RFC 5952 §4.2). */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let at = 0; at <= groups.length; at++) {
    if (groups[at] === 0) continue
    if (at - start > best.length) best = { start, length: at - start }
    start = at + 1
  }
  return best.length > 1 ? best : { start: 0, length: 0 }
}

function formatIPv6(value: bigint): string {
  // IPv4-mapped addresses are written with their dotted quad (RFC 5952 §5).
  if (value >> 32n === 0xffffn) return `::ffff:${formatIPv4(value & 0xffffffffn)}`
  const groups = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(112 - 16 * at)) & 0xffffn))
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map(group => group.toString(16))
      .join(':')
  const zeros = longestZeroRun(groups)
  if (zeros.length === 0) return hex(0, 8)
  return `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length, 8)}`
}

export function formatAddress(address: Address): string {
  return address.family === 4 ? formatIPv4(address.value) : formatIPv6(address.value)
}

/** The canonical spelling of an address, if `text` is one. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text)
  return address === undefined ? undefined : formatAddress(address)
}

const hostMask = (family: Family, length: number): bigint => (1n << BigInt(bitsOf(family) - length)) - 1n

/** The prefix of `length` bits that `address` lies in. */
export function prefixAround(address: Address, length: number): Prefix {
  return {
    family: address.family,
    base: address.value & ~hostMask(address.family, length),
    length,
  }
}

/** Reads `address/length`; bits beyond the length are cleared and reported. */
export function parsePrefix(text: string): ParsedPrefix | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = parseAddress(text.slice(0, slash))
  const digits = text.slice(slash + 1)
  if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(digits)) return undefined
  const length = Number(digits)
  if (length > bitsOf(address.family)) return undefined
  const prefix = prefixAround(address, length)
  return { ...prefix, hostBits: prefix.base !== address.value }
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress({ family: prefix.family, value: prefix.base })}/${prefix.length}`
}

/** First and last address of a prefix, both inside it. */
export function prefixRange(prefix: Prefix): [first: bigint, last: bigint] {
  return [prefix.base, prefix.base | hostMask(prefix.family, prefix.length)]
}

export function contains(prefix: Prefix, address: Address): boolean {
  return (
    prefix.family === address.family &&
    (address.value & ~hostMask(prefix.family, prefix.length)) === prefix.base
  )
}

export function overlaps(left: Prefix, right: Prefix): boolean {
  if (left.family !== right.family) return false
  const [wide, narrow] = left.length <= right.length ? [left, right] : [right, left]
  return contains(wide, { family: narrow.family, value: narrow.base })
}

/** `172.17.0.2/16`: an address with the length of the subnet it is used in. */
export function addressWithLength(address: Address, prefix: Prefix): string {
  return `${formatAddress(address)}/${prefix.length}`
}

/** `172.17.0.2/16` → `172.17.0.2`; text without a length is returned as it is. */
export function stripLength(text: string): string {
  const slash = text.indexOf('/')
  return slash < 0 ? text : text.slice(0, slash)
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n
}

const macForms = [
  /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{2}(?:-[0-9a-f]{2}){5}$/,
  /^[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}$/,
]

const formatMac = (digits: string): string => (digits.match(/../g) ?? []).join(':')

/** Reads the three usual forms of a 48-bit MAC and gives `02:42:ac:11:00:02`. */
export function parseMac(text: string): string | undefined {
  const lower = text.toLowerCase()
  if (!macForms.some(form => form.test(lower))) return undefined
  return formatMac(lower.replaceAll(/[^0-9a-f]/g, ''))
}

/** As `parseMac`, for one that an interface can have: not a group's (IEEE 802: bit 0 of the first byte), not all zeros. */
export function parseInterfaceMac(text: string): string | undefined {
  const mac = parseMac(text)
  const isGroup = (Number.parseInt(mac?.slice(0, 2) ?? '', 16) & 1) === 1
  return isGroup || mac === '00:00:00:00:00:00' ? undefined : mac
}

/** 02:42 and the four bytes of the address: a reused address keeps its MAC, so neighbours' caches stay right. */
export function macOfIPv4(value: bigint): string {
  return formatMac(`0242${value.toString(16).padStart(8, '0')}`)
}

/** Makes six random bytes a locally administered unicast MAC (IEEE 802: bit 1 of the first byte set, bit 0 clear). */
export function macFromBytes(bytes: Uint8Array): string {
  const first = ((bytes[0] ?? 0) & 0xfc) | 0x02
  const rest = Array.from({ length: 5 }, (_, at) => bytes[at + 1] ?? 0)
  return formatMac([first, ...rest].map(byte => byte.toString(16).padStart(2, '0')).join(''))
}
