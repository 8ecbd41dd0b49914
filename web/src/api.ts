/** The engine's API from the page: JSON, and streams of JSON lines. */

/** What the engine said no with. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const headers = { 'X-Linkspan-Page': '1', 'Content-Type': 'application/json' }

async function check(response: Response): Promise<Response> {
  if (response.ok) return response
  const text = await response.text()
  let message = text
  try {
    message = (JSON.parse(text) as { readonly message?: string }).message ?? text
  } catch {
    // Not JSON: shown as it is.
  }
  throw new Refusal(response.status, message)
}

export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await check(await fetch(path, signal === undefined ? {} : { signal }))
  return (await response.json()) as T
}

/** Sends a change; answers with the JSON that came back, undefined for none. */
export async function write<T>(
  method: 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T | undefined> {
  const response = await check(
    await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
  )
  const text = await response.text()
  return text === '' ? undefined : (JSON.parse(text) as T)
}

/** Calls `take` for every line of a stream; resolves when the engine ends it. */
export async function follow(
  path: string,
  take: (line: unknown) => void,
  signal: AbortSignal,
  body?: unknown,
): Promise<void> {
  const init =
    body === undefined ? { signal } : { signal, method: 'POST', headers, body: JSON.stringify(body) }
  const response = await check(await fetch(path, init))
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) return
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') take(JSON.parse(line))
  }
}
