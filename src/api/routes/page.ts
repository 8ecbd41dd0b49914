/** The way to the page: who may use the socket may have a look. */
import { json, type Handler } from '../call.ts'
import type { Route } from '../router.ts'
import { tokenPath } from '../web/index.ts'
import { post } from './table.ts'

export const pageRoutes: readonly Route<Handler>[] = [
  post(tokenPath, async call => json(201, { Url: await call.visit() })),
]
