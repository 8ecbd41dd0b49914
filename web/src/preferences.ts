/** What the reader chose: language and theme, kept by the browser. */
import { effect, signal } from '@preact/signals'

export type Language = 'en' | 'zh'
export type Theme = 'auto' | 'light' | 'dark'

function stored<T extends string>(key: string, values: readonly T[], otherwise: T): T {
  const value = localStorage.getItem(key)
  return values.find(one => one === value) ?? otherwise
}

export const language = signal<Language>(
  stored('language', ['en', 'zh'], navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'),
)
export const theme = signal<Theme>(stored('theme', ['auto', 'light', 'dark'], 'auto'))

effect(() => {
  localStorage.setItem('language', language.value)
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en'
})
effect(() => {
  localStorage.setItem('theme', theme.value)
  document.documentElement.dataset['theme'] = theme.value
})
