/**
 * Fields of set keys and map values as bytes, and nftables' data types, from which a dump is cut into fields again.
 * Fields of a concatenation are padded to four bytes each; a field that stands alone is not padded.
 */

import { checkInterfaceName, parseAddress } from '../address.ts'
import { KernelError, malformed } from '../error.ts'

const IFNAME_BYTES = 16
const protocols: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 }

function invalid(what: string, value: string): KernelError {
  return new KernelError({
    code: 'EINVAL',
    syscall: 'encode',
    doing: `use ${what} "${value}"`,
    detail: `not ${what}`,
  })
}

/** Encoders of single fields; unpadded, in network order. */
export const field = {
  ipv4(text: string): Uint8Array {
    const bytes = parseAddress(text)
    if (bytes.length !== 4) throw invalid('an IPv4 address', text)
    return bytes
  },
  ipv6(text: string): Uint8Array {
    const bytes = parseAddress(text)
    if (bytes.length !== 16) throw invalid('an IPv6 address', text)
    return bytes
  },
  /** Filled up with NULs to 16 bytes, as the kernel compares it. */
  ifname(name: string): Uint8Array {
    const bytes = Buffer.alloc(IFNAME_BYTES)
    bytes.write(checkInterfaceName(name))
    return bytes
  },
  /** `tcp`, `udp`, `sctp`, `icmp`, `ipv6-icmp`, or a number. */
  protocol(protocol: string | number): Uint8Array {
    const number = typeof protocol === 'number' ? protocol : (protocols[protocol] ?? -1)
    if (!Number.isInteger(number) || number < 0 || number > 255) throw invalid('a protocol', String(protocol))
    return Buffer.from([number])
  },
  port(port: number): Uint8Array {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid('a port', String(port))
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(port)
    return bytes
  },
} as const

const align = (length: number) => (length + 3) & ~3

/** The key or value made of these fields, as the kernel stores it. */
export function joinFields(fields: readonly Uint8Array[]): Buffer {
  const [only] = fields
  if (fields.length === 1 && only !== undefined) return Buffer.from(only)
  const joined = Buffer.alloc(fields.reduce((total, bytes) => total + align(bytes.length), 0))
  let offset = 0
  for (const bytes of fields) {
    joined.set(bytes, offset)
    offset += align(bytes.length)
  }
  return joined
}

/** The fields of a stored key or value, given their sizes. */
export function splitFields(joined: Buffer, sizes: readonly number[]): readonly Buffer[] {
  const [only] = sizes
  if (sizes.length === 1 && only !== undefined) return [joined.subarray(0, Math.min(only, joined.length))]
  let offset = 0
  return sizes.map(size => {
    if (offset + size > joined.length)
      throw malformed(`a key of ${joined.length} bytes with fields ${sizes.join()}`)
    const bytes = joined.subarray(offset, offset + size)
    offset += align(size)
    return bytes
  })
}

/** Bytes of nftables' own data types (its enum datatypes), as far as keys and values are made of them. */
const typeSizes: ReadonlyMap<number, number> = new Map([
  [2, 1], // nf_proto
  [7, 4], // ipv4_addr
  [8, 16], // ipv6_addr
  [9, 6], // ether_addr
  [10, 2], // ether_type
  [12, 1], // inet_proto
  [13, 2], // inet_service
  [14, 1], // icmp_type
  [19, 4], // mark
  [20, 4], // iface_index
  [26, 4], // ct_state
  [29, 1], // icmpv6_type
  [41, 16], // ifname
])

const TYPE_BITS = 6
const TYPE_MASK = 0x3f

/**
 * Field sizes from the data type nft notes with a set: six bits per field, the last field lowest. A type that is not
 * known stands for one field of the whole length.
 */
export function fieldSizes(type: number, length: number): readonly number[] {
  const sizes: number[] = []
  for (let rest = type; rest > 0; rest = Math.floor(rest / 2 ** TYPE_BITS)) {
    const size = typeSizes.get(rest & TYPE_MASK)
    if (size === undefined) return [length]
    sizes.unshift(size)
  }
  const total = sizes.length === 1 ? (sizes[0] ?? 0) : sizes.reduce((sum, size) => sum + align(size), 0)
  return sizes.length === 0 || total !== length ? [length] : sizes
}
