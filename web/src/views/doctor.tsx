/** Doctor: what the host must have and be, checked when the view is opened and on demand. */
import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { read, Refusal, write } from '../api.ts'
import { command } from '../command.ts'
import { Failure } from '../form.tsx'
import { say } from '../words.ts'

interface Finding {
  readonly Check: string
  readonly Status: 'ok' | 'warning' | 'error'
  readonly Text: string
  readonly Fix: string
  readonly Mends: 'always' | 'named' | 'never'
}

interface Diagnosis {
  readonly Findings: readonly Finding[]
  readonly Warnings: number
  readonly Errors: number
}

const marks = { ok: ['✓', 'good'], warning: ['!', 'warn'], error: ['✗', 'bad'] } as const
const diagnosis = signal<Diagnosis | undefined>(undefined)

export function Doctor() {
  const failure = useSignal('')
  const busy = useSignal(false)
  command.value = 'linkspan doctor'
  const work = async (job: () => Promise<unknown>) => {
    busy.value = true
    failure.value = ''
    try {
      await job()
      diagnosis.value = await read<Diagnosis>('/linkspan/v1/doctor')
    } catch (error) {
      failure.value = error instanceof Refusal ? error.message : String(error)
    }
    busy.value = false
  }
  useEffect(() => void work(() => Promise.resolve()), [])
  const found = diagnosis.value
  const problems = found === undefined ? 0 : found.Warnings + found.Errors
  return (
    <div class="document">
      <h1>{say('doctor')}</h1>
      <p class="lead">{say('doctorLead')}</p>
      <p>
        <button type="button" disabled={busy.value} onClick={() => void work(() => Promise.resolve())}>
          {say('refresh')}
        </button>{' '}
        <span role="status" class={problems === 0 ? 'good' : 'warn'}>
          {found === undefined
            ? say('loading')
            : problems === 0
              ? say('allWell')
              : `${problems} ${say('problems')}`}
        </span>
      </p>
      <Failure text={failure.value} />
      <ul class="card findings">
        {(found?.Findings ?? []).map(finding => {
          const [mark, tone] = marks[finding.Status]
          return (
            <li key={`${finding.Check} ${finding.Text}`}>
              <b class={tone} aria-label={finding.Status}>
                {mark}
              </b>
              <span class="chip mono">{finding.Check}</span>
              <span>
                {finding.Text}
                {finding.Fix === '' ? null : <code>{finding.Fix}</code>}
              </span>
              {finding.Status === 'ok' || finding.Mends === 'never' ? null : (
                <button
                  type="button"
                  disabled={busy.value}
                  onClick={() =>
                    void work(() =>
                      write('POST', `/linkspan/v1/doctor/fix?checks=${encodeURIComponent(finding.Check)}`),
                    )
                  }
                >
                  {say('mend')}
                </button>
              )}
            </li>
          )
        })}
      </ul>
    </div>
  )
}
