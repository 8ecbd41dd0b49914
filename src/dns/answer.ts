/** Answers from the zone. No promise, and one small allocation per question: this is the path of every local name. */

import type { Id } from './types.ts'
import { emitAddresses, emitBadVersion, emitEmpty, emitPointer, type Asked, rcode, type } from './wire.ts'
import type { Zone } from './zone.ts'

const none: readonly Uint8Array[] = []

/**
 * Emits the answer to a sandbox's question into `out`, at most `limit` bytes, and gives its length; 0 if the zone has
 * nothing to say and the question is to be forwarded. A known name is answered for every type, empty where it has no
 * such record: a forwarded AAAA question for a name with an IPv4 address only would come back as "no such name".
 */
export function answer(
  zone: Zone,
  ttl: number,
  sandbox: Id,
  asked: Asked,
  out: Uint8Array,
  limit: number,
): number {
  const { query } = asked
  if (query.ednsVersion !== 0) return emitBadVersion(out, asked)
  if (!query.internet || query.name === undefined) return 0

  if (query.name.endsWith('.arpa')) {
    const pointer = zone.reverse(sandbox, query.name)
    if (pointer !== undefined) {
      const wanted = query.type === type.PTR || query.type === type.ANY
      return wanted && pointer !== null
        ? emitPointer(out, asked, pointer, ttl)
        : emitEmpty(out, asked, rcode.noError)
    }
  }

  const found = zone.lookup(sandbox, query.name)
  if (found !== undefined) {
    const ipv4 = query.type === type.A || query.type === type.ANY ? found.ipv4 : none
    const ipv6 = query.type === type.AAAA || query.type === type.ANY ? found.ipv6 : none
    const addresses = ipv6.length === 0 ? ipv4 : ipv4.length === 0 ? ipv6 : [...ipv4, ...ipv6]
    return emitAddresses(out, asked, addresses, ttl, limit)
  }

  // Who asks for `ndots` wants single labels completed from the search list: "nothing here" sends the client there.
  const single = query.labels === 1 && (query.type === type.A || query.type === type.AAAA)
  if (single && zone.sandbox(sandbox)?.ndotsSet === true) return emitEmpty(out, asked, rcode.noError)
  return 0
}
