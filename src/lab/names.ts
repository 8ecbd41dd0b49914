/** What the internet's DNS server answers: one name, and for everything else that there is no such name. */
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  type Answer,
  type Packet,
} from 'dns-packet'
import { internetAddress, internetAddress6, internetName } from './plan.ts'

const ttl = 60
const nxdomain = 3

const authority: Answer = {
  type: 'SOA',
  name: 'test',
  ttl,
  data: {
    mname: 'ns.example.test',
    rname: 'hostmaster.example.test',
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: ttl,
  },
}

/** The answer to one message; undefined for what is no question (it is not answered). */
export function answerName(message: Buffer, ipv6: boolean): Buffer | undefined {
  let question: Packet
  try {
    question = decode(message)
  } catch {
    return undefined
  }
  const [asked] = question.questions ?? []
  if (question.type !== 'query' || asked === undefined) return undefined
  const known = asked.name.toLowerCase() === internetName
  const answers: Answer[] = []
  if (known && asked.type === 'A') answers.push({ type: 'A', name: asked.name, ttl, data: internetAddress })
  if (known && asked.type === 'AAAA' && ipv6) {
    answers.push({ type: 'AAAA', name: asked.name, ttl, data: internetAddress6 })
  }
  const status = known ? 0 : nxdomain
  const desired = (question.flags ?? 0) & RECURSION_DESIRED
  return encode({
    type: 'response',
    ...(question.id === undefined ? {} : { id: question.id }),
    flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | desired | status,
    questions: [asked],
    answers,
    authorities: answers.length === 0 ? [authority] : [],
  })
}
