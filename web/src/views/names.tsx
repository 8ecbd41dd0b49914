/** DNS: what a container can resolve, and its questions as they are answered. */
import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow, read, Refusal } from '../api.ts'
import { command, quote } from '../command.ts'
import { ContainerChoice, useContainer } from '../container-choice.tsx'
import { Failure } from '../form.tsx'
import { say } from '../words.ts'

interface Seen {
  readonly Resolver: string
  readonly Names: readonly {
    readonly Name: string
    readonly Network: string
    readonly Addresses: readonly string[]
    readonly Containers: readonly string[]
  }[]
}

interface Asked {
  readonly Time: string
  readonly Name: string
  readonly Type: string
  readonly From: string
  readonly Code: string
  readonly Answers: number
  readonly Milliseconds: number
}

const mostKept = 300
const seen = signal<Seen | undefined>(undefined)
const questions = signal<readonly Asked[]>([])

export function Names() {
  const failure = useSignal('')
  const container = useContainer()
  command.value = container === '' ? 'linkspan dns CONTAINER' : `linkspan dns --follow ${quote(container)}`
  useEffect(() => {
    seen.value = undefined
    questions.value = []
    failure.value = ''
    if (container === '') return undefined
    const stop = new AbortController()
    const path = `/linkspan/v1/containers/${encodeURIComponent(container)}/dns`
    const fail = (error: unknown) => {
      if (!stop.signal.aborted) failure.value = error instanceof Refusal ? error.message : String(error)
    }
    read<Seen>(path, stop.signal).then(value => (seen.value = value), fail)
    follow(
      `${path}/questions`,
      line => (questions.value = [line as Asked, ...questions.value].slice(0, mostKept)),
      stop.signal,
    ).catch(fail)
    return () => stop.abort()
  }, [container])
  return (
    <div class="document">
      <h1>DNS</h1>
      <p class="lead">{say('namesLead')}</p>
      <ContainerChoice view="names" container={container} />
      <Failure text={failure.value} />
      <h2>{say('canResolve')}</h2>
      <div class="card scroll">
        {seen.value === undefined || seen.value.Names.length === 0 ? (
          <p class="empty">{seen.value === undefined ? say('loading') : say('noNames')}</p>
        ) : (
          <table>
            <thead>
              <tr>
                <th scope="col">{say('name')}</th>
                <th scope="col">{say('network')}</th>
                <th scope="col">{say('address')}</th>
                <th scope="col">{say('container')}</th>
              </tr>
            </thead>
            <tbody>
              {seen.value.Names.map(name => (
                <tr key={`${name.Name} ${name.Network}`}>
                  <th scope="row">{name.Name}</th>
                  <td>{name.Network}</td>
                  <td class="mono">{name.Addresses.join(' ')}</td>
                  <td>{name.Containers.join(' ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
      <h2>{say('asked')}</h2>
      <div class="card scroll">
        {questions.value.length === 0 ? (
          <p class="empty">{say('waitingQuestions')}</p>
        ) : (
          <table class="log">
            <thead>
              <tr>
                <th scope="col">{say('time')}</th>
                <th scope="col">{say('asked')}</th>
                <th scope="col">{say('answer')}</th>
                <th scope="col">{say('answeredBy')}</th>
                <th scope="col" class="number">
                  ms
                </th>
              </tr>
            </thead>
            <tbody>
              {questions.value.map((asked, index) => (
                <tr key={`${asked.Time} ${index}`}>
                  <td>{asked.Time.slice(11, 23)}</td>
                  <td>
                    {asked.Type} {asked.Name}
                  </td>
                  <td class={asked.Code === 'NOERROR' ? '' : 'warn'}>
                    {asked.Code} {asked.Answers}
                  </td>
                  <td>{asked.From}</td>
                  <td class="number">{asked.Milliseconds}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  )
}
