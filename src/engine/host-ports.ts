/** What the host says about its ports: the range that ephemeral ones come from, and whether it has IPv6. */
import { existsSync, readFileSync } from 'node:fs'
import { type PortCursor, RangeSet } from '../network/index.ts'

/** RFC 6335's dynamic range, if the kernel's cannot be read. */
const fallback = [49_153, 65_535] as const

export class HostPorts {
  readonly #ephemeral = readPortRange()
  /** The next free choice is made after the last one: a freed number rests before it is given out again. */
  cursor: PortCursor = {}
  /** Ports that a foreign program holds, found out when binding them failed. */
  #busy = RangeSet.empty

  /** Choices are made around this port from now on. */
  avoid(port: number): void {
    this.#busy = this.#busy.add(BigInt(port), BigInt(port))
  }

  /** Foreign programs come and go: a new command looks afresh. */
  forget(): void {
    this.#busy = RangeSet.empty
  }

  allocation() {
    return {
      ephemeral: this.#ephemeral,
      reserved: readReservedPorts(),
      busy: this.#busy,
      cursor: this.cursor,
      hostHasIPv6: existsSync('/proc/net/if_inet6'),
    }
  }
}

function readPortRange(): readonly [number, number] {
  try {
    const [from, to] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
      .trim()
      .split(/\s+/)
      .map(Number)
    return from === undefined || to === undefined ? fallback : [from, to]
  } catch {
    return fallback
  }
}

/** The kernel writes `8080,9000-9010`. */
function readReservedPorts(): RangeSet {
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_reserved_ports', 'utf8').trim()
  const ranges = text === '' ? [] : text.split(',').map(part => part.split('-').map(BigInt))
  return ranges.reduce((set, [from = 0n, to = from]) => set.add(from, to), RangeSet.empty)
}
