/**
 * Acknowledgements: a negative errno or 0, the header of the message they answer, and (extended ACK, NLM_F_ACK_TLVS)
 * the kernel's own sentence. With NETLINK_CAP_ACK the rest of the request is not echoed.
 */

import { malformed } from '../error.ts'
import { Attributes, HEADER_LENGTH, NLMSG_DONE, NLMSG_ERROR, type Message } from './message.ts'

const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const NLMSGERR_ATTR_MSG = 1
const NLMSGERR_ATTR_MISS_TYPE = 5

export interface Acknowledgement {
  /** 0 = done. */
  readonly errno: number
  /** The kernel's explanation, '' if it gave none. */
  readonly detail: string
}

/** Reads NLMSG_ERROR and NLMSG_DONE; undefined for messages that carry data. */
export function readAcknowledgement(message: Message): Acknowledgement | undefined {
  if (message.type === NLMSG_DONE) {
    // The end of a dump carries the errno of the dump, on old kernels nothing.
    const errno = message.payload.length >= 4 ? -message.payload.readInt32LE(0) : 0
    return { errno: Math.max(0, errno), detail: explanation(message, 4) }
  }
  if (message.type !== NLMSG_ERROR) return undefined
  if (message.payload.length < 4 + HEADER_LENGTH) throw malformed('an acknowledgement without its header')
  const errno = -message.payload.readInt32LE(0)
  // The echoed request: its header only when capped (always so for success), else all of it.
  const capped = (message.flags & NLM_F_CAPPED) !== 0 || errno === 0
  const echoed = capped ? HEADER_LENGTH : message.payload.readUInt32LE(4)
  return { errno: Math.max(0, errno), detail: explanation(message, 4 + ((echoed + 3) & ~3)) }
}

function explanation(message: Message, offset: number): string {
  if ((message.flags & NLM_F_ACK_TLVS) === 0 || offset > message.payload.length) return ''
  const attributes = new Attributes(message.payload.subarray(offset))
  const text = attributes.text(NLMSGERR_ATTR_MSG)
  if (text !== undefined) return text
  const absent = attributes.u32(NLMSGERR_ATTR_MISS_TYPE)
  return absent === undefined ? '' : `attribute ${absent} is missing`
}
