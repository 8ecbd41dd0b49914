/**
 * Request bodies: bounded reading, JSON rules, and the checks of the wire schemas turned into the words of Go's
 * decoder. Bad input is always a 400.
 *
 * Rules kept from Docker: a body that is not empty needs `Content-Type: application/json` (parameters allowed); an empty
 * one needs none; unknown fields are ignored; only one JSON value may be in the body.
 */
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import { fault } from '../base/index.ts'

/** More than any honest request: a container with thousands of ports and labels stays below a megabyte. */
export const maximumBody = 8 * 1024 * 1024

/** What of a request the body rules look at. */
export interface BodySource {
  readonly headers: {
    readonly 'content-type'?: string | undefined
    readonly 'content-length'?: string | undefined
  }
  readonly body: Readable
}

async function readAll(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop must not destroy the connection: the refusal still has to be written to it.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maximumBody) throw fault('invalidParameter', 'http: request body too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function checkContentType(type: string | undefined): void {
  const media = (type ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (media !== 'application/json') throw fault('unsupportedContentType', type ?? '')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    if (message.includes('after JSON')) throw fault('unexpectedContentAfterJson')
    if (message.includes('end of JSON')) throw fault('invalidJson', 'unexpected EOF')
    const token = /^Unexpected token '?(.+?)'?(,| in JSON)/s.exec(message)?.[1]
    throw fault(
      'invalidJson',
      token === undefined
        ? 'invalid character in JSON text'
        : `invalid character '${token}' looking for beginning of value`,
    )
  }
}

function goKind(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

const goTypes: Readonly<Record<string, string>> = {
  string: 'string',
  boolean: 'bool',
  number: 'float64',
  int: 'int64',
  array: '[]string',
  record: 'map[string]string',
  object: 'struct',
}

/** The first complaint of a schema as Go's decoder would say it. `name` is the request's type, `NetworkConnect`. */
function complaint(name: string, error: z.core.$ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return `invalid ${name}`
  const expected = issue.code === 'invalid_type' ? issue.expected : undefined
  if (expected === undefined) return issue.message
  const target =
    issue.path.length === 0
      ? `value of type ${name}`
      : `struct field ${name}.${issue.path.map(String).join('.')}`
  const type = issue.path.length === 0 ? '' : ` of type ${goTypes[expected] ?? expected}`
  return `json: cannot unmarshal ${goKind(issue.input)} into Go ${target}${type}`
}

/** Checks a JSON value against a wire schema. Throws invalidJson. */
export function check<S extends z.ZodType>(schema: S, name: string, value: unknown): z.output<S> {
  // `reportInput`: the message names the kind of value that came.
  const result = schema.safeParse(value, { reportInput: true })
  if (!result.success) throw fault('invalidJson', complaint(name, result.error))
  return result.data
}

/**
 * Reads and checks a JSON body. An empty body is refused unless `emptyMeans` says what it stands for.
 */
export async function readJson<S extends z.ZodType>(
  source: BodySource,
  schema: S,
  name: string,
  emptyMeans?: unknown,
): Promise<z.output<S>> {
  const bytes = await readAll(source.body)
  if (bytes.length === 0) {
    if (emptyMeans !== undefined) return check(schema, name, emptyMeans)
    throw fault('invalidJson', 'got EOF while reading request body')
  }
  checkContentType(source.headers['content-type'])
  // A null body is Go's zero value: the fields are checked as if none had been sent.
  return check(schema, name, parse(bytes.toString('utf8')) ?? {})
}
