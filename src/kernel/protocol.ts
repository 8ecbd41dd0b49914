/** What the client and its worker say to each other: calls by number, answered with a value or an error. */

import type { KernelErrorFields } from './error.ts'
import type { Kernel, KernelSettings } from './operation.ts'

export type KernelMethod = keyof Kernel

/** Handed over when the worker is made. */
export interface WorkerSettings {
  readonly settings: KernelSettings
}

export interface CallMessage {
  readonly id: number
  readonly method: KernelMethod
  readonly args: readonly unknown[]
}

export type AnswerMessage =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: KernelErrorFields }

/** The worker's first message: it is ready, or it could not start. */
export const READY = 0
