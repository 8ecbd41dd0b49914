/**
 * What Docker has and this engine does not: swarm, plugins, image builds, checkpoints, copying files. Every route
 * answers with one sentence and the status that Docker's clients understand.
 */
import { fault } from '../../base/index.ts'
import { json, param, type Handler } from '../call.ts'
import type { Route } from '../router.ts'
import { del, get, head, post, put } from './table.ts'

const absent =
  (sentence: string): Handler =>
  () => {
    throw fault('notImplemented', sentence)
  }

const noSwarm: Handler = () => {
  throw fault(
    'unavailable',
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  )
}

const noSwarmMode = absent('Linkspan has no swarm mode')
const noBuild = absent(
  'Linkspan does not build images: build them elsewhere and use "docker load" or "docker pull"',
)
const noPlugins = absent('Linkspan has no plugins')
const noCheckpoints = absent('Linkspan has no checkpoints')
const noCopy = absent('Linkspan does not copy files into or out of containers: use "docker exec" with tar')
const noCommit = absent('Linkspan does not make images from containers')

const every = (pattern: string, handler: Handler): readonly Route<Handler>[] => [
  get(pattern, handler),
  post(pattern, handler),
  put(pattern, handler),
  del(pattern, handler),
]

const swarmObjects = ['nodes', 'services', 'tasks', 'secrets', 'configs']

export const absentRoutes: readonly Route<Handler>[] = [
  get('/swarm', noSwarm),
  get('/swarm/unlockkey', noSwarm),
  post('/swarm/init', noSwarmMode),
  post('/swarm/join', noSwarmMode),
  post('/swarm/leave', noSwarm),
  post('/swarm/update', noSwarm),
  post('/swarm/unlock', noSwarm),
  ...swarmObjects.flatMap(name => [...every(`/${name}`, noSwarm), ...every(`/${name}/*rest`, noSwarm)]),

  get('/plugins', () => json(200, [])),
  // Where `docker inspect` looks last but one: it must go on.
  get('/plugins/*name/json', call => {
    throw fault('driverNotFound', param(call, 'name'))
  }),
  ...every('/plugins/*rest', noPlugins),

  post('/build', noBuild),
  // There is no build cache: pruning it removes nothing, and `docker system prune` goes on.
  post('/build/prune', () => json(200, { CachesDeleted: null, SpaceReclaimed: 0 })),
  post('/build/cancel', noBuild),
  post('/session', noBuild),
  post('/grpc', noBuild),
  post('/commit', noCommit),

  get('/distribution/*name', absent('Linkspan does not inspect registries: use "skopeo inspect"')),

  get('/containers/:id/checkpoints', noCheckpoints),
  post('/containers/:id/checkpoints', noCheckpoints),
  del('/containers/:id/checkpoints/:checkpoint', noCheckpoints),
  get('/containers/:id/archive', noCopy),
  put('/containers/:id/archive', noCopy),
  head('/containers/:id/archive', noCopy),
  get('/containers/:id/export', absent('Linkspan does not export containers')),
  get('/containers/:id/changes', absent('Linkspan does not compare a container with its image')),
  get('/containers/:id/attach/ws', absent('Linkspan attaches by upgraded connections, not by WebSockets')),
]
