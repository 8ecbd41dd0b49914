/** What the engine says of a question, and whom a chosen container reaches. */
import { effect, signal, untracked } from '@preact/signals'
import { read, Refusal } from './api.ts'
import { containersById, picture } from './picture.ts'
import { question, type Question } from './question.ts'

export interface Hop {
  readonly Number: number
  readonly Kind: string
  readonly Label: string
  readonly Text: string
  readonly Note: string
  readonly Passes: boolean
  readonly Container: string
  readonly Network: string
}

export interface End {
  readonly Kind: 'container' | 'host' | 'outside'
  readonly Name: string
  readonly Id: string
}

export interface Explanation {
  readonly From: End
  readonly To: End
  readonly Protocol: string
  readonly Verdict: 'REACHABLE' | 'BLOCKED' | 'UNKNOWN'
  readonly Code: string
  readonly Hop: number
  readonly Why: string
  readonly Fix: string
  readonly Also: readonly { readonly Code: string; readonly Text: string }[]
  readonly Hops: readonly Hop[]
  readonly Return: string
  readonly Unknown: readonly string[]
}

export type Answer =
  | { readonly state: 'none' }
  | { readonly state: 'asking' }
  | { readonly state: 'answered'; readonly explanation: Explanation }
  | { readonly state: 'refused'; readonly message: string }

export const answer = signal<Answer>({ state: 'none' })
/** The container that was clicked, and the containers that it reaches; undefined: nobody is chosen. */
export const chosen = signal<string | undefined>(undefined)
export const reach = signal<ReadonlySet<string> | undefined>(undefined)

const explain = async ({ from, to }: Question, signal: AbortSignal): Promise<Explanation> =>
  await read<Explanation>(`/linkspan/v1/explain?${new URLSearchParams({ from, to }).toString()}`, signal)

effect(() => {
  const asked = question.value
  if (asked === undefined) {
    answer.value = { state: 'none' }
    return undefined
  }
  const stop = new AbortController()
  answer.value = { state: 'asking' }
  explain(asked, stop.signal).then(
    explanation => (answer.value = { state: 'answered', explanation }),
    (error: unknown) => {
      if (stop.signal.aborted) return
      const message = error instanceof Refusal ? error.message : String(error)
      answer.value = { state: 'refused', message }
    },
  )
  return () => stop.abort()
})

/** Beyond these many candidates only the neighbours on its own networks are asked for. */
const mostAsked = 60
const together = 6

effect(() => {
  const from = chosen.value
  reach.value = undefined
  if (from === undefined) return undefined
  const stop = new AbortController()
  void untracked(() => findReach(from, stop.signal))
  return () => stop.abort()
})

async function findReach(from: string, signal: AbortSignal): Promise<void> {
  const own = containersById.value.get(from)
  if (own === undefined) return
  const networks = new Set(own.Endpoints.map(endpoint => endpoint.NetworkId))
  const others = (picture.value?.Containers ?? []).filter(
    container => container.Id !== from && container.Endpoints.length > 0,
  )
  const neighbours = others.filter(container =>
    container.Endpoints.some(endpoint => networks.has(endpoint.NetworkId)),
  )
  const candidates = (others.length > mostAsked ? neighbours : others).slice(0, mostAsked)
  const found = new Set<string>()
  for (let start = 0; start < candidates.length && !signal.aborted; start += together) {
    const some = candidates.slice(start, start + together)
    const answers = await Promise.all(
      some.map(async ({ Id, Name }) => {
        const told = await explain({ from: own.Name, to: Name }, signal).catch(() => undefined)
        return told?.Verdict === 'REACHABLE' ? Id : undefined
      }),
    )
    for (const id of answers) if (id !== undefined) found.add(id)
    if (!signal.aborted) reach.value = new Set(found)
  }
  if (!signal.aborted) reach.value = new Set(found)
}
