/** Questions about the engine that Docker's API does not know. Streams are one JSON object per line. */
import { fault } from '../../base/index.ts'
import { json, param, type Call, type Handler } from '../call.ts'
import type { Insight } from '../insight.ts'
import { lineStream } from '../lines.ts'
import type { Route } from '../router.ts'
import { get, post } from './table.ts'

function insightOf({ insight }: Call): Insight {
  if (insight === undefined) throw fault('unavailable', 'this server answers no questions about the engine')
  return insight
}

/** `?follow`, `?follow=1`, `?follow=true`. */
const isAsked = (call: Call, name: string): boolean => {
  const value = call.query.get(name)
  return value !== null && !['0', 'false'].includes(value)
}

/**
 * Sends what `follow` tells, one line each, until the client goes. `follow` gives the function that ends it; what it
 * throws is an ordinary error answer.
 */
async function streamOf(
  call: Call,
  follow: (tell: (value: object) => void) => () => void,
): Promise<undefined> {
  const { response, signal } = call
  const lines = lineStream(call)
  // What is told before the head is out waits for it.
  const early: object[] = []
  let tell = (value: object): void => void early.push(value)
  const end = follow(value => tell(value))
  try {
    response.setHeader('Content-Type', 'application/x-ndjson')
    response.writeHead(200)
    response.flushHeaders()
    tell = value => lines.write(JSON.stringify(value))
    for (const value of early) tell(value)
    await new Promise<void>(resolve => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
  } finally {
    end()
  }
  lines.end()
  return undefined
}

const picture: Handler = async call => {
  const insight = insightOf(call)
  if (!isAsked(call, 'follow')) {
    return json(200, await insight.picture())
  }
  return await streamOf(call, tell => insight.followPicture(tell))
}

/** The word of a question that has to be there. */
function asked(call: Call, name: string): string {
  const value = call.query.get(name) ?? ''
  if (value === '') throw fault('invalidParameter', `the parameter ${name} is missing`)
  return value
}

const explain: Handler = async call => {
  const question = { from: asked(call, 'from'), to: asked(call, 'to') }
  const insight = insightOf(call)
  return json(200, await (isAsked(call, 'verify') ? insight.verify(question) : insight.explain(question)))
}

const rules: Handler = async call => json(200, await insightOf(call).rules(param(call, 'id')))

const trace: Handler = async call => {
  const containers = asked(call, 'containers').split(',')
  const port = Number(call.query.get('port') ?? 0)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw fault('invalidParameter', 'the port is not one')
  const question = { containers, ...(port === 0 ? {} : { port }) }
  return await streamOf(call, tell => insightOf(call).trace(question, tell))
}

const doctor: Handler = async call => json(200, await insightOf(call).diagnose())

const fix: Handler = async call => {
  const checks = (call.query.get('checks') ?? '').split(',').filter(name => name !== '')
  return json(200, await insightOf(call).mend(checks))
}

/** What a reader of a capture may lag behind before blocks are left out: whole blocks, so that the file stays readable. */
const captureBacklog = 32 * 1024 * 1024

const capture: Handler = async call => {
  const { response, signal } = call
  const to = call.query.get('to')
  const question = { container: asked(call, 'container'), ...(to === null || to === '' ? {} : { to }) }
  const early: Uint8Array[] = []
  let write = (bytes: Uint8Array): void => void early.push(bytes)
  const end = await insightOf(call).capture(question, bytes => write(bytes))
  try {
    response.setHeader('Content-Type', 'application/octet-stream')
    response.writeHead(200)
    write = bytes => {
      if (response.destroyed || response.writableLength > captureBacklog) return
      response.write(bytes)
    }
    for (const bytes of early) write(bytes)
    await new Promise<void>(resolve => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
  } finally {
    end()
  }
  response.end()
  return undefined
}

export const insightRoutes: readonly Route<Handler>[] = [
  get('/linkspan/v1/capture', capture),
  get('/linkspan/v1/doctor', doctor),
  post('/linkspan/v1/doctor/fix', fix),
  get('/linkspan/v1/explain', explain),
  get('/linkspan/v1/containers/:id/rules', rules),
  get('/linkspan/v1/picture', picture),
  get('/linkspan/v1/trace', trace),
]
