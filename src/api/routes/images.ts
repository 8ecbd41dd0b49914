/** The image endpoints. The engine keeps images flattened and moves them with skopeo; it neither builds nor pushes. */
import { fault } from '../../base/index.ts'
import type { Image, StateView } from '../../engine/index.ts'
import type { RegistryAuth } from '../../container/index.ts'
import { check } from '../body.ts'
import { empty, json, param, type Call, type Handler } from '../call.ts'
import { labelled, parseFilters, pruneFilter, singleBoolean, type Filters } from '../filters.ts'
import { withProgress } from '../lines.ts'
import { flag } from '../query.ts'
import type { Route } from '../router.ts'
import { nanoseconds, nowNanoseconds, parseTime } from '../time.ts'
import { historyView, imageSummary, imageView, uncounted } from '../view/image.ts'
import { registryAuth } from '../wire/image.ts'
import { del, get, post } from './table.ts'

const listKeys = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until']

const escapeRegExp = (text: string): string => text.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)

/** Docker's `reference` filter: a shell pattern on `name` or `name:tag`; `*` does not cross slashes. */
function referenceMatches(wanted: string, reference: string): boolean {
  const source = escapeRegExp(wanted).replaceAll('*', '[^/]*').replaceAll('?', '[^/]')
  const expression = new RegExp(`^(?:${source})$`)
  const name = reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  return [reference, name].some(one => expression.test(one))
}

function imageSelector(filters: Filters, state: StateView): (image: Image) => boolean {
  const dangling = singleBoolean(filters, 'dangling')
  const timeOf = (key: string): bigint | undefined => {
    const term = filters.get(key)?.[0]
    return term === undefined ? undefined : nanoseconds(state.findImage(term).created)
  }
  const until = filters.get('until')?.[0]
  const limit = until === undefined ? undefined : parseTime(until, nowNanoseconds())
  const before = timeOf('before')
  const since = timeOf('since')
  const references = filters.get('reference')
  return image => {
    const created = nanoseconds(image.created)
    const named = [...image.tags, ...image.digests]
    return (
      (dangling === undefined || dangling === (image.tags.length === 0)) &&
      labelled(filters, image.config.Labels ?? {}) &&
      (before === undefined || created < before) &&
      (since === undefined || created > since) &&
      (limit === undefined || created < limit) &&
      (references?.some(wanted => named.some(one => referenceMatches(wanted, one))) ?? true)
    )
  }
}

/** Only the tags that a `reference` filter asked for are shown. */
function shown(image: Image, filters: Filters): Image {
  const references = filters.get('reference')
  if (references === undefined) return image
  return {
    ...image,
    tags: image.tags.filter(tag => references.some(wanted => referenceMatches(wanted, tag))),
  }
}

export function imageSummaries(state: StateView, version: number): readonly Record<string, unknown>[] {
  const users = new Map<string, number>()
  for (const container of state.containers.values()) {
    users.set(container.imageId, (users.get(container.imageId) ?? 0) + 1)
  }
  return [...state.images.values()].map(image =>
    imageSummary(image, { containers: users.get(image.id) ?? 0, shared: 0 }, version),
  )
}

function list({ engine, query, version }: Call) {
  const filters = parseFilters(query.get('filters'), listKeys)
  const old = query.get('filter') ?? ''
  const all = old === '' ? filters : new Map([...filters, ['reference', [old]] as const])
  const selects = imageSelector(all, engine.state)
  const use = flag(query, 'shared-size') ? { ...uncounted, shared: 0 } : uncounted
  const images = [...engine.state.images.values()]
    .filter(image => selects(image))
    .sort((a, b) => Number(nanoseconds(b.created) - nanoseconds(a.created)))
  return json(
    200,
    images.map(image => imageSummary(shown(image, all), use, version)),
  )
}

/** The header in which clients send credentials: base64url of a JSON object. Nonsense means no credentials. */
function authOf(header: string | string[] | undefined): RegistryAuth | undefined {
  if (typeof header !== 'string' || header === '') return undefined
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
  const auth = check(registryAuth, 'AuthConfig', value ?? {})
  const some = (text: string | undefined): text is string => text !== undefined && text !== ''
  if (!some(auth.username) && !some(auth.identitytoken)) return undefined
  return {
    ...(some(auth.username) ? { username: auth.username } : {}),
    ...(some(auth.password) ? { password: auth.password } : {}),
    ...(some(auth.identitytoken) ? { identityToken: auth.identitytoken } : {}),
  }
}

/** `name` and `tag` of a query as one reference; the tag may be a digest. */
function joinReference(name: string, tag: string): string {
  if (tag === '') return name
  return tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`
}

async function importTree(call: Call, source: string): Promise<undefined> {
  const { engine, query } = call
  if (source !== '-') {
    throw fault('notImplemented', 'Linkspan imports from the request only: fetch the archive and pipe it in')
  }
  const reference = joinReference(query.get('repo') ?? '', query.get('tag') ?? '')
  const changes = query.getAll('changes')
  return withProgress(call, async progress => {
    const message = query.get('message') ?? ''
    progress({ status: await engine.importImage(call.body, reference, { changes, message }) })
  })
}

async function create(call: Call): Promise<undefined> {
  const { engine, query } = call
  const source = query.get('fromSrc') ?? ''
  if (source !== '') return importTree(call, source)
  const image = query.get('fromImage') ?? ''
  if (image === '') throw fault('invalidParameter', 'invalid reference format')
  const reference = joinReference(image, query.get('tag') ?? '')
  const auth = authOf(call.headers['x-registry-auth'])
  return withProgress(call, async progress => engine.pullImage(reference, auth, progress))
}

async function load(call: Call): Promise<undefined> {
  const quiet = flag(call.query, 'quiet')
  return withProgress(call, async progress => {
    const loaded = await call.engine.loadImages(call.body, message => {
      if (!quiet) progress(message)
    })
    for (const name of loaded) {
      progress({
        stream: name.startsWith('sha256:') ? `Loaded image ID: ${name}\n` : `Loaded image: ${name}\n`,
      })
    }
  })
}

async function tag(call: Call) {
  const { query } = call
  const repository = query.get('repo') ?? ''
  if (repository === '') throw fault('invalidParameter', 'invalid reference format')
  await call.engine.tagImage(param(call, 'name'), joinReference(repository, query.get('tag') ?? ''))
  return empty(201)
}

type Removal = { readonly untagged?: string; readonly deleted?: string }

const removals = (lines: readonly Removal[]) =>
  lines.map(({ untagged, deleted }) => ({
    ...(untagged === undefined ? {} : { Untagged: untagged }),
    ...(deleted === undefined ? {} : { Deleted: deleted }),
  }))

async function remove(call: Call) {
  const force = flag(call.query, 'force')
  return json(200, removals(await call.engine.removeImage(param(call, 'name'), { force })))
}

async function prune({ engine, query }: Call) {
  pruneFilter(query.get('filters'), ['dangling'])
  const before = totalSize(engine.state)
  const lines = await engine.pruneImages()
  return json(200, {
    ImagesDeleted: lines.length === 0 ? null : removals(lines),
    SpaceReclaimed: Math.max(0, before - totalSize(engine.state)),
  })
}

export function totalSize(state: StateView): number {
  let size = 0
  for (const image of state.images.values()) size += image.size
  return size
}

const absent =
  (sentence: string): Handler =>
  () => {
    throw fault('notImplemented', sentence)
  }
const noSave = absent('Linkspan does not save images: copy them from their registry with skopeo')

export const imageRoutes: readonly Route<Handler>[] = [
  get('/images/json', list),
  get('/images/search', absent('Linkspan does not search registries')),
  get('/images/get', noSave),
  post('/images/create', create),
  post('/images/load', load),
  post('/images/prune', prune),
  get('/images/*name/json', call =>
    json(200, imageView(call.engine.state.findImage(param(call, 'name')), call.version)),
  ),
  get('/images/*name/history', call =>
    json(200, historyView(call.engine.state.findImage(param(call, 'name')))),
  ),
  get('/images/*name/get', noSave),
  post('/images/*name/push', absent('Linkspan does not push images: use skopeo')),
  post('/images/*name/tag', tag),
  del('/images/*name', remove),
]
