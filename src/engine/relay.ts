/**
 * Published ports where the kernel cannot translate: IPv6 clients of a container that has only IPv4, and ::1, which no
 * rule can lead to another interface (IPv6 has no route_localnet). The engine's own process carries these, on the very
 * sockets that hold the ports; everything else never comes here, because it is translated before it reaches a socket.
 *
 * The price: the container sees the host's address instead of the client's, and bytes pass through this process.
 */
import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from 'node:dgram'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { RelayObject } from '../network/index.ts'
import type { Log } from './log.ts'

/** A datagram flow without traffic for this long is forgotten (RFC 4787 REQ-5 asks for two minutes at least). */
const flowIdleMs = 120_000
/** Flows that one port keeps; the oldest goes when there are more. */
const maximumFlows = 1024

export interface Relay {
  close(): void
}

/** Serves a run of ports on their sockets, which it takes over: `sockets[n]` is port `hostFrom + n`. */
export function openRelay(object: RelayObject, sockets: readonly number[], log: Log): Relay {
  const parts = sockets.map((fd, index) => {
    const target: Target = { address: object.target, port: object.targetFrom + index }
    return object.protocol === 'udp' ? relayDatagrams(fd, target, log) : relayStreams(fd, target, log)
  })
  return {
    close: () => {
      for (const part of parts) part.close()
    },
  }
}

interface Target {
  readonly address: string
  readonly port: number
}

function relayStreams(fd: number, { address, port }: Target, log: Log): Relay {
  const open = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => {
    const upstream = connect({ host: address, port, allowHalfOpen: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      // pipe() passes an end on as an end: half-closed connections stay half-closed.
      socket.pipe(other)
      socket.on('error', error => {
        log.debug({ err: error, address, port }, 'a relayed connection ended')
        other.destroy()
      })
      socket.on('close', () => {
        open.delete(socket)
        if (!socket.readableEnded) other.destroy()
      })
    }
    client.resume()
  })
  server.on('error', error => log.warn({ err: error, address, port }, 'relaying a published port failed'))
  server.listen({ fd })
  return {
    close: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

interface Flow {
  readonly upstream: DatagramSocket
  lastUsed: number
}

function relayDatagrams(fd: number, { address, port }: Target, log: Log): Relay {
  const listener = createSocket({ type: 'udp6' })
  const flows = new Map<string, Flow>()
  const drop = (key: string, flow: Flow) => {
    flows.delete(key)
    flow.upstream.close()
  }
  const open = (key: string, client: RemoteInfo): Flow => {
    const [oldest] = flows
    if (oldest !== undefined && flows.size >= maximumFlows) drop(...oldest)
    const upstream = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const flow: Flow = { upstream, lastUsed: Date.now() }
    upstream.on('message', reply => {
      flow.lastUsed = Date.now()
      listener.send(reply, client.port, client.address)
    })
    upstream.on('error', error => {
      log.debug({ err: error, address, port }, 'a relayed flow ended')
      if (flows.get(key) === flow) drop(key, flow)
    })
    flows.set(key, flow)
    return flow
  }
  listener.on('message', (message, client) => {
    const key = `${client.address} ${client.port}`
    const flow = flows.get(key) ?? open(key, client)
    flow.lastUsed = Date.now()
    flow.upstream.send(message, port, address)
  })
  listener.on('error', error => log.warn({ err: error, address, port }, 'relaying a published port failed'))
  listener.bind({ fd })
  const sweep = setInterval(() => {
    const idleSince = Date.now() - flowIdleMs
    for (const [key, flow] of flows) if (flow.lastUsed < idleSince) drop(key, flow)
  }, flowIdleMs / 4).unref()
  return {
    close: () => {
      clearInterval(sweep)
      listener.close()
      for (const [key, flow] of flows) drop(key, flow)
    },
  }
}
