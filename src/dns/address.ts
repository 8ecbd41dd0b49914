/** Addresses as DNS has them: bytes in A and AAAA records, and names below in-addr.arpa and ip6.arpa for PTR. */

import { isIPv4, isIPv6 } from 'node:net'

/** Four or sixteen bytes in network order; undefined if the text is no address. A zone (`%eth0`) is left off. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  if (!isIPv6(text)) return undefined
  // isIPv6 has checked the form: eight groups, or fewer around one `::`, the last two perhaps dotted.
  const [plain = ''] = text.split('%')
  const [head = '', tail] = plain.split('::')
  const front = groupBytes(head)
  const back = tail === undefined ? [] : groupBytes(tail)
  const bytes = new Uint8Array(16)
  bytes.set(front)
  bytes.set(back, 16 - back.length)
  return bytes
}

function groupBytes(groups: string): number[] {
  if (groups === '') return []
  return groups.split(':').flatMap(group => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

/** `2.0.18.172.in-addr.arpa` and its like for IPv6: in lower case, without a trailing dot. */
export function reverseName(address: Uint8Array): string {
  const bytes = [...address].reverse()
  if (bytes.length === 4) return `${bytes.join('.')}.in-addr.arpa`
  return `${bytes.map(byte => `${(byte & 15).toString(16)}.${(byte >> 4).toString(16)}`).join('.')}.ip6.arpa`
}
