/** Published ports as the API shows them: the engine keeps runs of ports, clients want one entry per port. */
import type { PublishedPort } from '../../network/index.ts'

export interface SinglePort {
  readonly protocol: string
  readonly hostIp: string
  readonly hostPort: number
  readonly containerPort: number
}

/** Sorted by container port, protocol, IPv4 before IPv6. */
export function singlePorts(ports: readonly PublishedPort[]): readonly SinglePort[] {
  return ports
    .flatMap(run =>
      Array.from({ length: run.hostTo - run.hostFrom + 1 }, (_, index) => ({
        protocol: run.protocol,
        hostIp: run.hostIp,
        hostPort: run.hostFrom + index,
        containerPort: run.containerFrom + index,
      })),
    )
    .sort(
      (a, b) =>
        a.containerPort - b.containerPort ||
        a.protocol.localeCompare(b.protocol) ||
        Number(a.hostIp.includes(':')) - Number(b.hostIp.includes(':')) ||
        a.hostPort - b.hostPort,
    )
}

/** `80/tcp` → its parts; a missing protocol is tcp. Undefined if it is no port. */
export function parsePort(text: string): { readonly port: number; readonly protocol: string } | undefined {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text)
  if (match === null || Number(match[1]) > 65535) return undefined
  return { port: Number(match[1]), protocol: match[2]?.toLowerCase() ?? 'tcp' }
}
