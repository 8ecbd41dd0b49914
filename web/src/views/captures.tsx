/** Captures: packets of a container's way for some seconds, as a file that Wireshark opens. */
import { useSignal } from '@preact/signals'
import { command, quote } from '../command.ts'
import { ContainerChoice, useContainer } from '../container-choice.tsx'
import { Failure } from '../form.tsx'
import { say } from '../words.ts'

/** Larger files are for the command line, which writes to disk as it goes. */
const mostBytes = 64 * 1024 * 1024

/** Reads until the time is over and gives what came; the engine ends the capture when its reader goes. */
async function record(path: string, seconds: number): Promise<Blob> {
  const stop = new AbortController()
  const response = await fetch(path, { signal: stop.signal })
  if (!response.ok) throw new Error(((await response.json()) as { readonly message: string }).message)
  const timer = setTimeout(() => stop.abort(), seconds * 1000)
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  try {
    const reader = response.body?.getReader()
    if (reader === undefined) throw new Error('the engine sent nothing')
    for (let part = await reader.read(); !part.done && size < mostBytes; part = await reader.read()) {
      chunks.push(part.value)
      size += part.value.length
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
    stop.abort()
  }
  return new Blob(chunks, { type: 'application/octet-stream' })
}

function save(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

export function Captures() {
  const container = useContainer()
  const to = useSignal('')
  const seconds = useSignal('5')
  const busy = useSignal(false)
  const failure = useSignal('')
  const way = to.value === '' ? '' : ` --path ${quote(to.value)}`
  command.value = `linkspan capture ${container === '' ? 'CONTAINER' : quote(container)}${way} -w capture.pcapng`
  const capture = async () => {
    busy.value = true
    failure.value = ''
    const query = new URLSearchParams({ container, ...(to.value === '' ? {} : { to: to.value }) })
    try {
      const file = await record(`/linkspan/v1/capture?${query.toString()}`, Number(seconds.value))
      save(file, `${container}.pcapng`)
    } catch (error) {
      failure.value = error instanceof Error ? error.message : String(error)
    }
    busy.value = false
  }
  return (
    <div class="document">
      <h1>{say('captures')}</h1>
      <p class="lead">{say('capturesLead')}</p>
      <form
        class="card form"
        onSubmit={event => {
          event.preventDefault()
          void capture()
        }}
      >
        <ContainerChoice view="captures" container={container} />
        <label>
          {say('pathTo')} ({say('optional')})
          <input
            placeholder="db:5432"
            value={to.value}
            onInput={event => (to.value = event.currentTarget.value)}
          />
        </label>
        <label>
          {say('seconds')}
          <input
            type="number"
            min="1"
            max="600"
            required
            value={seconds.value}
            onInput={event => (seconds.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={busy.value || container === ''}>
          {busy.value ? say('capturing') : say('download')}
        </button>
        <Failure text={failure.value} />
      </form>
    </div>
  )
}
