/** Taking single ports out of what a container publishes, where one record stands for a run of them. */
import type { Protocol, PublishedPort } from '../types.ts'
import type { HostBinding } from './bindings.ts'
import { parseContainerPort } from './bindings.ts'

type Bindings = Readonly<Record<string, readonly HostBinding[]>>

/** Which published port is meant: `8080:80/tcp`, on every address or on one. */
export interface PortMeant {
  /** `80/tcp` */
  readonly key: string
  /** '' = whichever. */
  readonly hostIp: string
  /** 0 = whichever. */
  readonly hostPort: number
}

/** The records without the ports meant, runs cut in two where need be; the same list if none of them is published. */
export function withoutPort(ports: readonly PublishedPort[], meant: PortMeant): readonly PublishedPort[] {
  const { protocol, from: containerPort } = parseContainerPort(meant.key)
  let found = false
  const left = ports.flatMap((port): readonly PublishedPort[] => {
    const hostPort = port.hostFrom + containerPort - port.containerFrom
    const inside = hostPort >= port.hostFrom && hostPort <= port.hostTo
    const asked =
      port.protocol === protocol &&
      inside &&
      (meant.hostPort === 0 || meant.hostPort === hostPort) &&
      (meant.hostIp === '' || meant.hostIp === port.hostIp)
    if (!asked) return [port]
    found = true
    return [
      ...(hostPort > port.hostFrom ? [{ ...port, hostTo: hostPort - 1 }] : []),
      ...(hostPort < port.hostTo
        ? [{ ...port, hostFrom: hostPort + 1, containerFrom: containerPort + 1 }]
        : []),
    ]
  })
  return found ? left : ports
}

/** The records of one host port, on every address, cut out of the runs they are part of. */
export function singlePorts(
  ports: readonly PublishedPort[],
  hostPort: number,
  protocol: Protocol,
): readonly PublishedPort[] {
  return ports
    .filter(port => port.protocol === protocol && port.hostFrom <= hostPort && hostPort <= port.hostTo)
    .map(port => ({
      ...port,
      hostFrom: hostPort,
      hostTo: hostPort,
      containerFrom: port.containerFrom + hostPort - port.hostFrom,
    }))
}

/** What was asked for with what is asked for now; a binding that is there already is there once. */
export function mergeBindings(before: Bindings, added: Bindings): Bindings {
  const merged: Record<string, readonly HostBinding[]> = { ...before }
  for (const [key, bindings] of Object.entries(added)) {
    const known = merged[key] ?? []
    merged[key] = [...known, ...bindings.filter(binding => !known.some(one => sameBinding(one, binding)))]
  }
  return merged
}

/** What was asked for, without a port. A port whose last binding goes is not asked for any more. */
export function dropBinding(before: Bindings, meant: PortMeant): Bindings {
  const kept = (before[meant.key] ?? []).filter(({ HostIp = '', HostPort = '' }) => {
    const samePort = meant.hostPort === 0 || HostPort === String(meant.hostPort) || HostPort === ''
    const sameAddress = meant.hostIp === '' || HostIp === '' || HostIp === meant.hostIp
    return !(samePort && sameAddress)
  })
  const { [meant.key]: _, ...others } = before
  return kept.length === 0 ? others : { ...others, [meant.key]: kept }
}

const sameBinding = (a: HostBinding, b: HostBinding): boolean =>
  (a.HostIp ?? '') === (b.HostIp ?? '') &&
  (a.HostPort ?? '') === (b.HostPort ?? '') &&
  (a.HostPort ?? '') !== ''
