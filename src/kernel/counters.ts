/** Bytes and packets that went through each link of the namespace the process started in, as the kernel counts them. */
import { readFileSync } from 'node:fs'

export interface LinkCounters {
  readonly name: string
  /** What came in through the link; for a veth's host end that is what the container sent. */
  readonly receivedBytes: number
  readonly receivedPackets: number
  readonly sentBytes: number
  readonly sentPackets: number
}

/** One line per link: name, eight numbers of receiving, eight of sending; bytes and packets come first. */
export function parseCounters(text: string): readonly LinkCounters[] {
  return text.split('\n').flatMap(line => {
    const [, name, rest] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? []
    if (name === undefined || rest === undefined) return []
    const numbers = rest.split(/\s+/).map(Number)
    return {
      name,
      receivedBytes: numbers[0] ?? 0,
      receivedPackets: numbers[1] ?? 0,
      sentBytes: numbers[8] ?? 0,
      sentPackets: numbers[9] ?? 0,
    }
  })
}

/** A thousand links are read in about a millisecond; the main thread never leaves its namespace, so this is the host's. */
export function linkCounters(): readonly LinkCounters[] {
  return parseCounters(readFileSync('/proc/self/net/dev', 'utf8'))
}
