/** What the engine's thread and the resolver's thread say to each other. */

import type { Id, ResolverSettings, WatchedQuestion, ZoneChange } from './types.ts'
import type { ResolverTuning } from './resolver.ts'

export interface WorkerSettings {
  readonly settings: ResolverSettings
  readonly tuning: ResolverTuning | undefined
}

export type Call =
  | { readonly call: 'update'; readonly changes: readonly ZoneChange[] }
  | {
      readonly call: 'listen'
      readonly sandbox: Id
      readonly sockets: { readonly udp: number; readonly tcp: number }
    }
  | { readonly call: 'unlisten'; readonly sandbox: Id }
  | { readonly call: 'watch'; readonly sandbox: Id; readonly on: boolean }
  | { readonly call: 'close' }

/** To the resolver. An `opened` answers the `open` of the same number, with a socket or what went wrong. */
export type ToWorker =
  | { readonly kind: 'call'; readonly number: number; readonly call: Call }
  | { readonly kind: 'opened'; readonly number: number; readonly fd: number }
  | { readonly kind: 'notOpened'; readonly number: number; readonly error: Error }

/** From the resolver. */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'asked'; readonly questions: readonly WatchedQuestion[] }
  | { readonly kind: 'done'; readonly number: number }
  | { readonly kind: 'failed'; readonly number: number; readonly error: Error }
  | {
      readonly kind: 'open'
      readonly number: number
      readonly sandbox: Id
      readonly family: 4 | 6
      readonly type: 'udp' | 'tcp'
    }
