/** Trace: real packets of a container, hop by hop, while the view is open and has been started. */
import { signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { follow, Refusal } from '../api.ts'
import { command, quote } from '../command.ts'
import { ContainerChoice, useContainer } from '../container-choice.tsx'
import { Failure } from '../form.tsx'
import { say } from '../words.ts'

interface PacketEnd {
  readonly Name: string
  readonly Port: number
}

interface Packet {
  readonly Type: 'packet'
  readonly Time: string
  readonly Protocol: string
  readonly Flags: string
  readonly From: PacketEnd
  readonly To: PacketEnd
  readonly Verdict: string
  readonly Path: readonly string[]
  readonly Steps: readonly { readonly Table: string; readonly Chain: string; readonly Rule: string }[]
  readonly Note: string
}

const mostKept = 300
const packets = signal<readonly Packet[]>([])

const endText = ({ Name, Port }: PacketEnd): string => (Port === 0 ? Name : `${Name}:${Port}`)

export function Trace() {
  const container = useContainer()
  const running = useSignal(false)
  const failure = useSignal('')
  const stop = useRef<AbortController | undefined>(undefined)
  command.value = `linkspan trace ${container === '' ? 'CONTAINER' : quote(container)}`
  const end = () => {
    stop.current?.abort()
    running.value = false
  }
  useEffect(() => end, [container])
  const start = () => {
    const controller = new AbortController()
    stop.current = controller
    packets.value = []
    failure.value = ''
    running.value = true
    follow(
      `/linkspan/v1/trace?${new URLSearchParams({ containers: container }).toString()}`,
      line => {
        const message = line as { readonly Type: string }
        if (message.Type === 'packet') packets.value = [line as Packet, ...packets.value].slice(0, mostKept)
      },
      controller.signal,
    ).catch((error: unknown) => {
      if (controller.signal.aborted) return
      running.value = false
      failure.value = error instanceof Refusal ? error.message : String(error)
    })
  }
  return (
    <div class="document">
      <h1>{say('trace')}</h1>
      <p class="lead">{say('traceLead')}</p>
      <p>
        <ContainerChoice view="trace" container={container} />{' '}
        <button
          type="button"
          class="main"
          disabled={container === ''}
          onClick={() => (running.value ? end() : start())}
        >
          {running.value ? say('stop') : say('start')}
        </button>
      </p>
      <Failure text={failure.value} />
      <div class="card scroll">
        {packets.value.length === 0 ? (
          <p class="empty">{running.value ? say('waiting') : ''}</p>
        ) : (
          <table class="log">
            <thead>
              <tr>
                <th scope="col">{say('time')}</th>
                <th scope="col">{say('packet')}</th>
                <th scope="col">{say('way')}</th>
              </tr>
            </thead>
            <tbody>
              {packets.value.map((packet, index) => (
                <tr key={`${packet.Time} ${index}`}>
                  <td>{packet.Time.slice(11, 23)}</td>
                  <td>
                    {endText(packet.From)} → {endText(packet.To)} {packet.Flags || packet.Protocol}
                  </td>
                  <td class={packet.Verdict === 'DROPPED' ? 'bad' : ''}>
                    {packet.Path.join(' ▸ ')}
                    {packet.Verdict === 'DROPPED'
                      ? ` DROPPED ${packet.Steps.at(-1)?.Chain ?? ''}: ${packet.Steps.at(-1)?.Rule ?? ''}`
                      : ''}{' '}
                    {packet.Note}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  )
}
