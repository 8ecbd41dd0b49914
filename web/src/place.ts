/** Which view is open, kept in the address: `#/trace/web`. */
import { signal } from '@preact/signals'
import type { Word } from './words.ts'

export const views = [
  'topology',
  'networks',
  'trace',
  'captures',
  'names',
  'doctor',
] as const satisfies readonly Word[]
export type View = (typeof views)[number]

export interface Place {
  readonly view: View
  /** What the view is about: a container, a question. */
  readonly about: string
}

export function parsePlace(hash: string): Place {
  const [, name = '', ...rest] = hash.replace(/^#/, '').split('/')
  const view = views.find(one => one === name) ?? 'topology'
  return { view, about: decodeURIComponent(rest.join('/')) }
}

export const hashOf = (view: View, about = ''): string =>
  `#/${view}${about === '' ? '' : `/${encodeURIComponent(about)}`}`

export const place = signal<Place>(parsePlace(location.hash))
addEventListener('hashchange', () => {
  place.value = parsePlace(location.hash)
})

export function go(view: View, about = ''): void {
  location.hash = hashOf(view, about)
}
