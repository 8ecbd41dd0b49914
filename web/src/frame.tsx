/** The frame around every view: where one is, the typed question, language and theme; the text twin at the foot. */
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { command } from './command.ts'
import { watch } from './feed.ts'
import { connection } from './picture.ts'
import { hashOf, place, views, type View } from './place.ts'
import { language, theme, type Theme } from './preferences.ts'
import { parseQuestion, question } from './question.ts'
import { say } from './words.ts'
import { Captures } from './views/captures.tsx'
import { Doctor } from './views/doctor.tsx'
import { Names } from './views/names.tsx'
import { Networks } from './views/networks.tsx'
import { Topology } from './views/topology.tsx'
import { Trace } from './views/trace.tsx'

const components: Readonly<Record<View, ComponentType>> = {
  topology: Topology,
  networks: Networks,
  trace: Trace,
  captures: Captures,
  names: Names,
  doctor: Doctor,
}

export function Frame() {
  useEffect(() => watch(), [])
  const { view } = place.value
  const Open = components[view]
  return (
    <>
      <header class="head">
        <span class="brand">
          <svg viewBox="0 0 24 24" fill="none" stroke-width="2.4" stroke-linecap="round" aria-hidden="true">
            <path d="M3 18h18M6 18V9M12 18V5M18 18V9" />
          </svg>
          Linkspan
        </span>
        <nav class="tabs" aria-label={say('views')}>
          {views.map(one => (
            <a key={one} href={hashOf(one)} aria-current={one === view ? 'page' : undefined}>
              {say(one)}
            </a>
          ))}
        </nav>
        <Question />
        <span class="end">
          <button
            type="button"
            class="plain"
            lang={language.value === 'zh' ? 'en' : 'zh-CN'}
            onClick={() => (language.value = language.value === 'zh' ? 'en' : 'zh')}
          >
            {language.value === 'zh' ? 'English' : '中文'}
          </button>
          <select
            aria-label={say('theme')}
            value={theme.value}
            onInput={event => (theme.value = event.currentTarget.value as Theme)}
          >
            <option value="auto">{say('themeAuto')}</option>
            <option value="light">{say('themeLight')}</option>
            <option value="dark">{say('themeDark')}</option>
          </select>
          <Connection />
        </span>
      </header>
      <main class="view" aria-label={say(view)}>
        <Open />
      </main>
      <Foot />
    </>
  )
}

function Question() {
  const text = useSignal(question.value === undefined ? '' : `${question.value.from} → ${question.value.to}`)
  return (
    <form
      class="question"
      role="search"
      onSubmit={event => {
        event.preventDefault()
        const asked = parseQuestion(text.value)
        if (asked === undefined) return
        question.value = asked
        location.hash = hashOf('topology')
      }}
    >
      <input
        type="search"
        aria-label={say('question')}
        placeholder={say('question')}
        value={text.value}
        onInput={event => (text.value = event.currentTarget.value)}
      />
    </form>
  )
}

function Connection() {
  const state = connection.value
  const text = state === 'live' ? say('live') : state === 'lost' ? say('lost') : say('sessionOver')
  return (
    <span class={`live${state === 'live' ? '' : ' off'}`} role="status">
      {text}
    </span>
  )
}

function Foot() {
  return (
    <footer class="foot">
      <span>{say('sameCommand')}:</span>
      <code>$ {command.value}</code>
    </footer>
  )
}
