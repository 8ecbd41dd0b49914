/** The Engine API as a client with one kept connection sees it. */
import { Agent, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface ApiClient {
  /** Throws on an answer of 400 and above. The body is JSON. */
  call(method: string, path: string, body?: unknown): Promise<Answer>
  close(): void
}

export function openApi(socketPath: string): ApiClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    call: (method, path, body) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body)
        const headers =
          text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
        const sent = request({ socketPath, agent, method, path: `/v1.41${path}`, headers }, answer => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            const received = Buffer.concat(chunks).toString()
            const status = answer.statusCode ?? 0
            if (status < 400) resolve({ status, body: received })
            else reject(new Error(`${method} ${path}: ${status} ${received.trim()}`))
          })
        })
        sent.on('error', reject)
        sent.end(text)
      }),
    close: () => agent.destroy(),
  }
}
