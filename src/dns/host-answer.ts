/**
 * Answers for the host itself: every container is `NAME.NETWORK.linkspan`, whichever networks there are. What is not
 * below that domain is refused, so that whoever asks here by mistake goes on to a server that knows.
 */
import { type Asked, emitAddresses, emitBadVersion, emitEmpty, emitPointer, rcode, type } from './wire.ts'
import type { Zone } from './zone.ts'

export const hostDomain = 'linkspan'

const none: readonly Uint8Array[] = []

/** Emits the answer into `out`, at most `limit` bytes, and gives its length. */
export function answerHost(zone: Zone, ttl: number, asked: Asked, out: Uint8Array, limit: number): number {
  const { query } = asked
  if (query.ednsVersion !== 0) return emitBadVersion(out, asked)
  const { name } = query
  if (!query.internet || name === undefined) return emitEmpty(out, asked, rcode.refused)
  if (name.endsWith('.arpa')) {
    const pointer = zone.reverseAnywhere(name, hostDomain)
    if (pointer === undefined) return emitEmpty(out, asked, rcode.refused)
    return query.type === type.PTR || query.type === type.ANY
      ? emitPointer(out, asked, pointer, ttl)
      : emitEmpty(out, asked, rcode.noError)
  }
  if (name === hostDomain) return emitEmpty(out, asked, rcode.noError)
  if (!name.endsWith(`.${hostDomain}`)) return emitEmpty(out, asked, rcode.refused)
  const found = zone.lookupAnywhere(name.slice(0, -hostDomain.length - 1))
  if (found === undefined) return emitEmpty(out, asked, rcode.nameError)
  // A network's own name is the parent of its containers' names: it exists (RFC 8020), and has no records.
  if (found === 'network') return emitEmpty(out, asked, rcode.noError)
  const ipv4 = query.type === type.A || query.type === type.ANY ? found.ipv4 : none
  const ipv6 = query.type === type.AAAA || query.type === type.ANY ? found.ipv6 : none
  return emitAddresses(out, asked, [...ipv4, ...ipv6], ttl, limit)
}
