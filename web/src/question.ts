/** "Can FROM reach TO?", as typed or clicked, and what the engine answered. */
import { signal } from '@preact/signals'

export interface Question {
  readonly from: string
  /** `postgres:5432/tcp`, as `linkspan explain` takes it. */
  readonly to: string
}

export const question = signal<Question | undefined>(undefined)

/** `api → postgres:5432`, `api -> postgres:5432`, `api postgres:5432`; undefined if it is none of these. */
export function parseQuestion(text: string): Question | undefined {
  const [from = '', to = '', ...rest] = text
    .trim()
    .split(/\s*(?:→|->|>|\s)\s*/)
    .filter(word => word !== '')
  return from === '' || to === '' || rest.length > 0 ? undefined : { from, to }
}
