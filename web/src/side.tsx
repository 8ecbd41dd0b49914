/** Beside the picture: what is chosen, whom it reaches, or the hops of a path. */
import { useSignal } from '@preact/signals'
import { answer, chosen, type Explanation, reach } from './explain.ts'
import { command, quote } from './command.ts'
import { containersById, networksById, type PictureContainer, portTexts } from './picture.ts'
import { hashOf } from './place.ts'
import { question } from './question.ts'
import { say } from './words.ts'

export function Side({ onClose }: { readonly onClose: () => void }) {
  const asked = question.value
  const told = answer.value
  const container = chosen.value === undefined ? undefined : containersById.value.get(chosen.value)
  if (asked === undefined && container === undefined) {
    return (
      <aside class="panel">
        <p class="soft">{say('hint')}</p>
      </aside>
    )
  }
  return (
    <aside class="panel" aria-live="polite">
      <button type="button" class="plain close" onClick={onClose}>
        {say('close')}
      </button>
      {asked === undefined ? null : told.state === 'answered' ? (
        <Path explanation={told.explanation} title={`${asked.from} → ${asked.to}`} />
      ) : (
        <>
          <h2>
            {asked.from} → {asked.to}
          </h2>
          <p class={told.state === 'refused' ? 'error' : 'soft'}>
            {told.state === 'refused' ? told.message : say('asking')}
          </p>
        </>
      )}
      {asked === undefined && container !== undefined ? <About container={container} /> : null}
    </aside>
  )
}

const verdicts = {
  REACHABLE: ['reachable', 'good'],
  BLOCKED: ['blocked', 'bad'],
  UNKNOWN: ['unknown', 'warn'],
} as const

function Path({ explanation, title }: { readonly explanation: Explanation; readonly title: string }) {
  const [word, tone] = verdicts[explanation.Verdict]
  return (
    <>
      <h2>{title}</h2>
      <p class={`verdict ${tone}`}>
        {say(word)}
        {explanation.Hop === 0 ? '' : ` · ${say('atHop')} ${explanation.Hop}`}{' '}
        {explanation.Code === '' ? null : <span class="chip mono">{explanation.Code}</span>}
      </p>
      <ol class="hops">
        {explanation.Hops.map(hop => (
          <li key={hop.Number} data-number={hop.Number} class={hop.Passes ? '' : 'ends'}>
            <b>{hop.Label}</b>
            <span class="mono">{hop.Text}</span>
            {hop.Note === '' ? null : <code>{hop.Note}</code>}
          </li>
        ))}
      </ol>
      <dl>
        {explanation.Why === '' ? null : (
          <>
            <dt>{say('why')}</dt>
            <dd>{explanation.Why}</dd>
          </>
        )}
        {explanation.Fix === '' ? null : (
          <>
            <dt>{say('fix')}</dt>
            <dd>
              <code>{explanation.Fix}</code>
            </dd>
          </>
        )}
      </dl>
      {explanation.Also.map(also => (
        <p key={also.Text} class="warn">
          {also.Text} {also.Code === '' ? null : <span class="chip mono">{also.Code}</span>}
        </p>
      ))}
      {explanation.Unknown.map(text => (
        <p key={text} class="warn">
          {text}
        </p>
      ))}
      {explanation.Return === '' ? null : <p class="soft">{explanation.Return}</p>}
      <div class="buttons">
        <Copy />
        {explanation.From.Kind === 'container' ? (
          <a href={hashOf('captures', explanation.From.Name)}>{say('captures')}</a>
        ) : null}
      </div>
    </>
  )
}

function Copy() {
  const copied = useSignal(false)
  return (
    <button
      type="button"
      class="main"
      onClick={() => {
        void navigator.clipboard.writeText(command.value).then(() => (copied.value = true))
      }}
    >
      {copied.value ? say('copied') : say('copy')}
    </button>
  )
}

function About({ container }: { readonly container: PictureContainer }) {
  const ports = portTexts(container)
  const reached = reach.value
  return (
    <>
      <h2>{container.Name}</h2>
      <dl>
        <dt>{say('state')}</dt>
        <dd>{container.Status}</dd>
        <dt>{say('image')}</dt>
        <dd>{container.Image}</dd>
        {container.Endpoints.map(endpoint => (
          <>
            <dt key={`${endpoint.Id} name`}>{endpoint.Interface}</dt>
            <dd key={`${endpoint.Id} facts`} class="mono">
              {[endpoint.IPv4, endpoint.IPv6].filter(text => text !== '').join(' ')}
              <br />
              {endpoint.HostIndex}: {endpoint.HostInterface} ⇄ {endpoint.Index}: {endpoint.Interface}
              <br />
              {endpoint.Mac} · MTU {endpoint.Mtu}
              <br />
              {networksById.value.get(endpoint.NetworkId)?.Name}
            </dd>
          </>
        ))}
        {ports.length === 0 ? null : (
          <>
            <dt>{say('published')}</dt>
            <dd class="mono">{ports.join(' ')}</dd>
          </>
        )}
      </dl>
      <div class="buttons">
        <button type="button" onClick={() => (question.value = { from: container.Name, to: 'internet' })}>
          {say('toInternet')}
        </button>
        {ports.length === 0 ? null : (
          <button
            type="button"
            onClick={() => {
              const [port] = container.Ports
              question.value = { from: 'internet', to: `${container.Name}:${port?.ContainerFrom ?? ''}` }
            }}
          >
            {say('fromInternet')}
          </button>
        )}
        <a href={hashOf('names', container.Name)}>DNS</a>
        <a href={hashOf('trace', container.Name)}>{say('trace')}</a>
        <a href={hashOf('captures', container.Name)}>{say('captures')}</a>
      </div>
      <h3>{say('canReach')}</h3>
      {reached === undefined ? (
        <p class="soft">{say('asking')}</p>
      ) : reached.size === 0 ? (
        <p class="soft">{say('canReachNobody')}</p>
      ) : (
        <ul class="list">
          {[...reached].map(id => {
            const name = containersById.value.get(id)?.Name ?? id
            return (
              <li key={id}>
                <button
                  type="button"
                  class="plain"
                  onClick={() => (question.value = { from: container.Name, to: name })}
                >
                  {quote(name)}
                </button>
              </li>
            )
          })}
        </ul>
      )}
    </>
  )
}
