/** Shorthands in which the route tables are written. */
import type { Handler } from '../call.ts'
import type { Method, Route } from '../router.ts'

const route =
  (method: Method) =>
  (pattern: string, handler: Handler): Route<Handler> => ({ method, pattern, handler })

export const get = route('GET')
export const head = route('HEAD')
export const post = route('POST')
export const put = route('PUT')
export const del = route('DELETE')
