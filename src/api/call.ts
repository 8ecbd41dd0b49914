/** One request on its way through a handler, and the answers a handler can give. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Engine } from '../engine/index.ts'
import type { Insight } from './insight.ts'
import type { Hijacked } from './stream.ts'
import type { ApiVersion } from './version.ts'

/** What the server tells of its doings. A pino logger fits. */
export interface ApiLog {
  debug(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

export interface Call {
  readonly engine: Engine
  /** Absent where nobody answers questions about the engine. */
  readonly insight: Insight | undefined
  readonly log: ApiLog
  readonly version: ApiVersion
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** Aborted when the client is gone or the server closes; `closing` tells which. */
  readonly signal: AbortSignal
  readonly closing: () => boolean
  /** Address at which the page can be opened once. */
  readonly visit: () => Promise<string>
  /** Head is prepared (status 200, the common headers); handlers that stream write to it. */
  readonly response: ServerResponse
  /** Takes the connection out of HTTP's hands after writing the head of the answer. */
  hijack(contentType: string): Hijacked
}

/** A whole answer. `json` is text already: views with 64-bit numbers write their own. */
export interface Answer {
  readonly status: number
  readonly json?: string
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Undefined = the handler has answered by itself (streams). */
export type Handler = (call: Call) => Promise<Answer | undefined> | Answer | undefined

export const json = (status: number, value: unknown): Answer => ({ status, json: JSON.stringify(value) })
export const empty = (status: number): Answer => ({ status })

/** A path parameter that the route's pattern guarantees. */
export const param = (call: Call, name: string): string => call.params[name] ?? ''
