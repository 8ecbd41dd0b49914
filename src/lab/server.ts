/**
 * The internet's servers, one process: HTTP on port 80 that greets each client by its address, DNS on port 53. It runs
 * in the internet's namespace until it gets SIGTERM. Arguments: the file for its process id, and `ipv6` if asked for.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer, isIPv6, type Socket } from 'node:net'
import { answerName } from './names.ts'
import { nameServers } from './plan.ts'
import { startTimeOf } from './process.ts'

const dnsPort = 53
const httpPort = 80
/** An idle DNS client is cut off after this. */
const idleMs = 5_000

/** An IPv4 client of a socket for both families shows as ::ffff:a.b.c.d. */
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '')

async function serveHttp(ipv6: boolean): Promise<void> {
  const server = createHttpServer((request, response) => {
    const { localAddress, remoteAddress } = request.socket
    response.setHeader('Content-Type', 'text/plain')
    response.end(`hello from ${plain(localAddress)}, you are ${plain(remoteAddress)}\n`)
  })
  server.listen(httpPort, ipv6 ? '::' : '0.0.0.0')
  await once(server, 'listening')
}

async function serveUdp(address: string, ipv6: boolean): Promise<void> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  socket.on('message', (message, { port, address: client }) => {
    const answer = answerName(message, ipv6)
    if (answer !== undefined) socket.send(answer, port, client)
  })
  // A client that went away reports itself as an error of the socket; there is nothing to do about it.
  socket.bind(dnsPort, address)
  await once(socket, 'listening')
  socket.on('error', () => undefined)
}

/** Messages on a stream: two bytes of length before each. */
function readMessages(socket: Socket, ipv6: boolean): void {
  let pending = Buffer.alloc(0)
  socket.setTimeout(idleMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const length = pending.readUInt16BE(0)
      const answer = answerName(pending.subarray(2, 2 + length), ipv6)
      pending = pending.subarray(2 + length)
      if (answer === undefined) continue
      const head = Buffer.alloc(2)
      head.writeUInt16BE(answer.length)
      socket.write(Buffer.concat([head, answer]))
    }
  })
}

async function serveTcp(address: string, ipv6: boolean): Promise<void> {
  const server = createTcpServer(socket => readMessages(socket, ipv6))
  server.listen(dnsPort, address)
  await once(server, 'listening')
}

const [pidfile = '', family] = process.argv.slice(2)
const ipv6 = family === 'ipv6'
await serveHttp(ipv6)
for (const address of nameServers(ipv6)) {
  await serveUdp(address, ipv6)
  await serveTcp(address, ipv6)
}
process.once('SIGTERM', () => process.exit(0))
writeFileSync(pidfile, `${process.pid} ${startTimeOf(process.pid) ?? ''}\n`)
process.stdout.write('ready\n')
