/** Forms that show the command they equal, and the engine's own words when it refuses. */
import type { Signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { Refusal } from './api.ts'
import { say } from './words.ts'

/** Runs what a button asks for; what the engine says against it is shown. */
export async function attempt(failure: Signal<string>, job: () => Promise<void>): Promise<void> {
  failure.value = ''
  try {
    await job()
  } catch (error) {
    failure.value = error instanceof Refusal ? error.message : String(error)
  }
}

export function Failure({ text }: { readonly text: string }) {
  return text === '' ? null : (
    <p class="error" role="alert">
      {text}
    </p>
  )
}

interface FieldProps {
  readonly label: string
  readonly value: Signal<string>
  readonly optional?: boolean
  readonly placeholder?: string
}

export function Field({ label, value, optional = false, placeholder = '' }: FieldProps) {
  return (
    <label>
      {label}
      {optional ? ` (${say('optional')})` : ''}
      <input
        required={!optional}
        placeholder={placeholder}
        value={value.value}
        onInput={event => (value.value = event.currentTarget.value)}
      />
    </label>
  )
}

export function Check({ label, value }: { readonly label: string; readonly value: Signal<boolean> }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value.value}
        onInput={event => (value.value = event.currentTarget.checked)}
      />
      {label}
    </label>
  )
}

interface CommandFormProps {
  readonly id: string
  readonly title: string
  /** The command line that does the same. */
  readonly line: string
  readonly failure: string
  readonly onSubmit: () => void
  readonly children: ComponentChildren
}

export function CommandForm({ id, title, line, failure, onSubmit, children }: CommandFormProps) {
  return (
    <>
      <h2 id={id}>{title}</h2>
      <form
        class="card form"
        aria-labelledby={id}
        onSubmit={event => {
          event.preventDefault()
          onSubmit()
        }}
      >
        {children}
        <pre aria-label={say('sameCommand')}>$ {line}</pre>
        <Failure text={failure} />
      </form>
    </>
  )
}
