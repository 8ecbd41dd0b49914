/**
 * Volumes are not managed: `-v NAME:/PATH` makes one when a container first uses it. Lists are empty, look-ups are 404 in
 * Docker's words so that `docker inspect` moves on.
 */
import { fault } from '../../base/index.ts'
import { empty, json, param, type Handler } from '../call.ts'
import { flag } from '../query.ts'
import type { Route } from '../router.ts'
import { del, get, post, put } from './table.ts'

export const volumeRoutes: readonly Route<Handler>[] = [
  get('/volumes', () => json(200, { Volumes: [], Warnings: null })),
  post('/volumes/create', () => {
    throw fault(
      'notImplemented',
      'Linkspan does not manage volumes: -v NAME:/PATH makes one when a container first uses it',
    )
  }),
  post('/volumes/prune', () => json(200, { VolumesDeleted: [], SpaceReclaimed: 0 })),
  get('/volumes/*name', call => {
    throw fault('notFound', `get ${param(call, 'name')}: no such volume`)
  }),
  put('/volumes/*name', call => {
    throw fault('notFound', `get ${param(call, 'name')}: no such volume`)
  }),
  del('/volumes/*name', call => {
    if (flag(call.query, 'force')) return empty(204)
    throw fault('notFound', `get ${param(call, 'name')}: no such volume`)
  }),
]
