/** A resolver that is not ours, run inside a container's network namespace: many questions, one process. */
import type { Running, TestHost } from './host.ts'

export interface Question {
  readonly name: string
  readonly type?: string
  readonly tcp?: true
  /** UDP size to offer by EDNS. */
  readonly edns?: number
}

export interface Reply {
  /** `NOERROR`, `NXDOMAIN`, …; `TIMEOUT` if nothing came. */
  readonly code: string
  /** Addresses or names, in the order of the answer. */
  readonly data: readonly string[]
  readonly ttl: number | undefined
  readonly truncated: boolean
  /** The name as the answer repeats it. */
  readonly name: string
  /** Milliseconds. */
  readonly took: number
  readonly bytes: number
}

const modules = new URL('../../node_modules/dns-packet/index.js', import.meta.url).pathname

/** Waits at most twelve seconds for an answer, more than any server is given. */
const program = `
const { decode, encode, streamEncode, streamDecode, RECURSION_DESIRED } = require(${JSON.stringify(modules)})
const dgram = require('node:dgram'), net = require('node:net')
const [server, list] = [process.argv[1], JSON.parse(process.argv[2])]
const [address, port = '53'] = server.split('#')
const ask = ({ name, type = 'A', tcp, edns }, id) => new Promise(resolve => {
  const since = performance.now()
  const additionals = edns === undefined ? [] : [{ type: 'OPT', name: '.', udpPayloadSize: edns, flags: 0, options: [] }]
  const question = { type: 'query', id, flags: RECURSION_DESIRED, questions: [{ name, type, class: 'IN' }], additionals }
  const done = (packet, bytes = 0) => {
    clearTimeout(timer)
    socket.removeAllListeners(); socket.on('error', () => {})
    tcp ? socket.destroy() : socket.close()
    resolve(packet === undefined ? { code: 'TIMEOUT', data: [], truncated: false, name: '', took: performance.now() - since, bytes } : {
      code: packet.rcode, data: packet.answers.map(a => a.data), ttl: packet.answers[0]?.ttl, truncated: packet.flag_tc,
      name: packet.questions[0]?.name ?? '', took: performance.now() - since, bytes })
  }
  const timer = setTimeout(() => done(undefined), 12000)
  const socket = tcp ? net.connect(Number(port), address) : dgram.createSocket('udp4')
  socket.on('error', () => done(undefined))
  if (tcp) {
    let got = Buffer.alloc(0)
    socket.on('data', chunk => { got = Buffer.concat([got, chunk]); if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) done(streamDecode(got), got.length - 2) })
    socket.write(streamEncode(question))
  } else {
    socket.on('message', bytes => done(decode(bytes), bytes.length))
    socket.send(encode(question), Number(port), address)
  }
})
const main = async () => { const replies = []; for (const [i, q] of list.entries()) replies.push(await ask(q, i + 1)); process.stdout.write(JSON.stringify(replies)) }
main()
`

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Asks from inside a container. `server` may name a port: `127.0.0.11#53`. */
export async function askFrom(
  host: TestHost,
  container: string,
  questions: readonly Question[],
  server = '127.0.0.11',
): Promise<readonly Reply[]> {
  const pid = await host.ok('inspect', '-f', '{{.State.Pid}}', container)
  return await askIn(host, `nsenter -t ${pid} -n `, questions, server)
}

/** Asks from the host. */
export const askFromHost = (
  host: TestHost,
  questions: readonly Question[],
  server: string,
): Promise<readonly Reply[]> => askIn(host, '', questions, server)

async function askIn(
  host: TestHost,
  prefix: string,
  questions: readonly Question[],
  server: string,
): Promise<readonly Reply[]> {
  const words = [process.execPath, '-e', program, server, JSON.stringify(questions)]
  const { stdout, stderr } = await host.shell(`${prefix}${words.map(quoted).join(' ')}`)
  try {
    return JSON.parse(stdout) as readonly Reply[]
  } catch (error) {
    throw new Error(`asking failed: ${stderr}${stdout}`, { cause: error })
  }
}

const serverProgram = `
const { decode, encode } = require(${JSON.stringify(modules)})
const [answer] = process.argv.slice(1)
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (bytes, peer) => {
  const { id, questions } = decode(bytes)
  const answers = questions[0].type === 'A' ? [{ type: 'A', name: questions[0].name, ttl: 0, data: answer }] : []
  socket.send(encode({ type: 'response', id, flags: 0x8180, questions, answers }), peer.port, peer.address)
})
socket.bind(53, '0.0.0.0')
require('node:net').createServer(client => client.end('tcp is mine')).listen(53, '0.0.0.0')
`

/** A name server on every address of a container, UDP and TCP, that gives the same address for every name. */
export async function serveNames(host: TestHost, container: string, answer: string): Promise<Running> {
  const pid = await host.ok('inspect', '-f', '{{.State.Pid}}', container)
  return host.spawn('nsenter', ['-t', pid, '-n', process.execPath, '-e', serverProgram, answer])
}
