/** The Engine API without any client in between: requests as they are wanted, right or wrong. */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import type { TestHost } from './host.ts'

export interface Answer {
  readonly status: number
  readonly text: string
  /** The `message` of an error; '' where there is none. */
  readonly message: string
}

export interface Asked {
  /** Sent as it is; an object is sent as JSON. */
  readonly body?: unknown
  /** '' = no such header. Default application/json if there is a body. */
  readonly type?: string
}

export async function ask(host: TestHost, method: string, path: string, asked: Asked = {}): Promise<Answer> {
  const { body } = asked
  const payload =
    body === undefined
      ? undefined
      : typeof body === 'string' || Buffer.isBuffer(body)
        ? Buffer.from(body)
        : Buffer.from(JSON.stringify(body))
  const type = asked.type ?? (payload === undefined ? '' : 'application/json')
  const outgoing = request({
    socketPath: host.socket,
    method,
    path,
    agent: false,
    timeout: 20_000,
    headers: {
      ...(type === '' ? {} : { 'Content-Type': type }),
      ...(payload === undefined ? {} : { 'Content-Length': payload.length }),
    },
  })
  outgoing.once('timeout', () => outgoing.destroy(new Error(`${method} ${path} was not answered`)))
  const answered = new Promise<Answer>((resolve, reject) => {
    outgoing.once('error', reject)
    outgoing.once('response', response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text, message: messageIn(text) }),
      )
    })
  })
  outgoing.end(payload)
  return answered
}

function messageIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'message' in value ? String(value.message) : ''
  } catch {
    return ''
  }
}

/** Bytes on the socket, whatever they mean; gives what comes back until the engine closes, or 2 s of silence. */
export async function sendBytes(host: TestHost, bytes: string | Buffer, half = false): Promise<string> {
  const socket = connect(host.socket)
  await once(socket, 'connect')
  let text = ''
  socket.on('data', data => {
    text += data.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.setTimeout(2000, () => socket.destroy())
  const closed = once(socket, 'close')
  socket.write(bytes)
  if (half) socket.destroy()
  await closed
  return text
}

/** Everything that the API says of networks, containers and images, apart from what passes by itself. */
export async function apiState(host: TestHost): Promise<string> {
  const list = async (path: string, key: 'Id' | 'Name'): Promise<string[]> => {
    const { text } = await ask(host, 'GET', path)
    return (JSON.parse(text) as Record<string, string>[]).map(each => each[key] ?? '').sort()
  }
  const details = async (paths: readonly string[]): Promise<string[]> =>
    Promise.all(paths.map(async path => (await ask(host, 'GET', path)).text))
  const networks = await list('/networks', 'Id')
  const containers = await list('/containers/json?all=1', 'Id')
  const images = await list('/images/json', 'Id')
  return [
    ...(await details(networks.map(id => `/networks/${id}`))),
    ...(await details(containers.map(id => `/containers/${id}/json`))),
    ...(await details(images.map(id => `/images/${id}/json`))),
  ].join('')
}
