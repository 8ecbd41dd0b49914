/** The first packet of a flow, as far as rules can see it: what explain leads through routes and rules, never sends. */
import { parseAddress } from '../network/index.ts'

export type FlowProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp'

export interface Packet {
  readonly family: 4 | 6
  readonly protocol: FlowProtocol
  readonly source: string
  readonly destination: string
  /** Of icmp both are 0. */
  readonly sourcePort: number
  readonly destinationPort: number
  /** Link it came in by; '' = made on this host. */
  readonly from: string
  /** Link it goes out by; '' = not known yet, or delivered here. */
  readonly to: string
  /** Its connection is translated: of destination, of source. */
  readonly translated: { readonly destination: boolean; readonly source: boolean }
}

const numbers = { tcp: 6, udp: 17, sctp: 132 } as const

export function protocolNumber({ protocol, family }: Pick<Packet, 'protocol' | 'family'>): number {
  return protocol === 'icmp' ? (family === 4 ? 1 : 58) : numbers[protocol]
}

export function addressBytes(text: string): Buffer {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`malformed address ${text}`)
  return Buffer.from(address.value.toString(16).padStart(address.family === 4 ? 8 : 32, '0'), 'hex')
}

export function networkHeader(packet: Packet): Buffer {
  const source = addressBytes(packet.source)
  const destination = addressBytes(packet.destination)
  if (packet.family === 4) {
    const header = Buffer.alloc(20)
    header.writeUInt8(0x45, 0)
    header.writeUInt16BE(60, 2)
    header.writeUInt16BE(0x4000, 6)
    header.writeUInt8(64, 8)
    header.writeUInt8(protocolNumber(packet), 9)
    source.copy(header, 12)
    destination.copy(header, 16)
    return header
  }
  const header = Buffer.alloc(40)
  header.writeUInt8(0x60, 0)
  header.writeUInt16BE(40, 4)
  header.writeUInt8(protocolNumber(packet), 6)
  header.writeUInt8(64, 7)
  source.copy(header, 8)
  destination.copy(header, 24)
  return header
}

/** What opens a flow: a SYN, a datagram, an echo request. */
export function transportHeader(packet: Packet): Buffer {
  if (packet.protocol === 'icmp') return Buffer.from([packet.family === 4 ? 8 : 128, 0, 0, 0, 0, 1, 0, 1])
  const header = Buffer.alloc(packet.protocol === 'tcp' ? 20 : packet.protocol === 'udp' ? 8 : 12)
  header.writeUInt16BE(packet.sourcePort, 0)
  header.writeUInt16BE(packet.destinationPort, 2)
  if (packet.protocol === 'tcp') {
    header.writeUInt8(0x50, 12)
    header.writeUInt8(0x02, 13)
  }
  return header
}

/** `10.0.0.1:80`, `[fd00::1]:80`; without port for icmp. */
export function endText(address: string, port: number): string {
  if (port === 0) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
