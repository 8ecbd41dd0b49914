/** `images`, `pull`, `load`, `import`, `tag`, `rmi`. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { describe, EngineError, Failure } from '../failure.ts'
import { boolean, filterQuery, filters, list, text } from '../flags.ts'
import { prepareList, type Listing } from '../format.ts'
import { showProgress, type ProgressLine } from '../progress.ts'
import { pullImage } from '../pulling.ts'
import { familiarName, familiarReference, parseReference } from '../reference.ts'
import { goTime, humanDuration, humanSize, shortId } from '../units.ts'
import type { ImageSummary } from '../wire.ts'

const none = '<none>'

/** One line of `images`: an image under one of its names. */
interface ImageRow {
  readonly image: ImageSummary
  readonly repository: string
  readonly tag: string
  readonly digest: string
}

function familiar(name: string): string {
  return name.replace(/^docker\.io\/(?:library\/)?/, '')
}

/** An image appears once per tag; without tags once per digest; without either once, nameless. */
function rowsOf(image: ImageSummary, digests: boolean): ImageRow[] {
  const split = (name: string, mark: string): readonly [string, string] => {
    const at = name.lastIndexOf(mark)
    return [familiar(name.slice(0, at)), name.slice(at + 1)]
  }
  const byRepository = new Map((image.RepoDigests ?? []).map(item => split(item, '@')))
  const tags = (image.RepoTags ?? []).filter(tag => tag !== '<none>:<none>')
  if (tags.length === 0) {
    const [repository = none, digest = none] = [...byRepository][0] ?? []
    return [{ image, repository: digests || repository !== none ? repository : none, tag: none, digest }]
  }
  return tags.map(item => {
    const [repository, tag] = split(item, ':')
    return { image, repository, tag, digest: byRepository.get(repository) ?? none }
  })
}

const sizeText = (bytes: number | undefined): string =>
  bytes === undefined || bytes < 0 ? 'N/A' : humanSize(bytes, 3)

const imageListing: Listing<ImageRow> = {
  typeName: '*formatter.imageContext',
  quiet: 'ID',
  table: ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size'],
  columns: [
    { name: 'ID', title: 'IMAGE ID', value: ({ image }, { full }) => (full ? image.Id : shortId(image.Id)) },
    { name: 'Repository', title: 'REPOSITORY', value: row => row.repository },
    { name: 'Tag', title: 'TAG', value: row => row.tag },
    { name: 'Digest', title: 'DIGEST', value: row => row.digest },
    {
      name: 'CreatedSince',
      title: 'CREATED',
      value: ({ image }, { now }) =>
        image.Created <= 0 ? 'N/A' : `${humanDuration(now - image.Created * 1000)} ago`,
    },
    { name: 'CreatedAt', title: 'CREATED AT', value: ({ image }) => goTime(image.Created) },
    { name: 'Size', title: 'SIZE', value: ({ image }) => sizeText(image.Size) },
    {
      name: 'Containers',
      title: 'CONTAINERS',
      value: ({ image: { Containers: count = -1 } }) => (count === -1 ? 'N/A' : String(count)),
    },
    { name: 'VirtualSize', title: 'SIZE', value: ({ image }) => sizeText(image.Size) },
    { name: 'SharedSize', title: 'SHARED SIZE', value: ({ image }) => sizeText(image.SharedSize) },
    {
      name: 'UniqueSize',
      title: 'UNIQUE SIZE',
      value: ({ image: { Size: size, SharedSize: shared = -1 } }) =>
        shared === -1 ? 'N/A' : sizeText(size - shared),
    },
  ],
}

export const images = defineCommand({
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  flags: {
    all: boolean('Show all images (default hides intermediate images)', { short: 'a' }),
    digests: boolean('Show digests'),
    filter: filters('Filter output based on conditions provided', { short: 'f' }),
    format: text("'table', 'json', 'table TEMPLATE' or a Go template"),
    'no-trunc': boolean("Don't truncate output"),
    quiet: boolean('Only show image IDs', { short: 'q' }),
  },
  minimum: 0,
  maximum: 1,
  run: async (context, values, [name]) => {
    const asked =
      name === undefined ? values.filter : { ...values.filter, reference: { [name]: true as const } }
    const table = values.digests
      ? ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size']
      : imageListing.table
    const render = prepareList(
      { ...imageListing, table },
      {
        format: values.format,
        quiet: values.quiet,
        full: values['no-trunc'],
        now: context.now(),
      },
    )
    const found = await context.client.json<readonly ImageSummary[]>('GET', '/images/json', {
      query: { all: values.all, filters: filterQuery(asked) },
    })
    context.stdout.write(render(found.flatMap(image => rowsOf(image, values.digests))))
    return 0
  },
})

export const pull = defineCommand({
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  flags: {
    'all-tags': boolean('Download all tagged images in the repository', { short: 'a' }),
    platform: text('Set platform if server is multi-platform capable'),
    quiet: boolean('Suppress verbose output', { short: 'q' }),
  },
  minimum: 1,
  maximum: 1,
  run: async (context, values, [name = '']) => {
    const reference = parseReference(name)
    const named = reference.tag !== undefined || reference.digest !== undefined
    if (values['all-tags'] && named) throw new Failure("tag can't be used with --all-tags/-a")
    if (!values['all-tags'] && !named && !values.quiet) context.print('Using default tag: latest')
    await pullImage(context, reference, {
      output: values.quiet ? undefined : context.stdout,
      platform: values.platform,
      allTags: values['all-tags'],
    })
    const tail = values['all-tags'] ? '' : familiarReference(reference).slice(familiarName(reference).length)
    context.print(`${reference.domain}/${reference.path}${tail}`)
    return 0
  },
})

/** Standard input if it is no terminal, or a file; a missing one is told before the engine is asked. */
async function inputOf(context: Context, path: string): Promise<Readable> {
  if (path === '-' || path === '') return context.stdin
  try {
    await stat(path)
  } catch (error) {
    throw new Failure(`open ${path}: no such file or directory`, 1, { cause: error })
  }
  return createReadStream(path)
}

export const load = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    input: text('Read from tar archive file, instead of STDIN', { short: 'i' }),
    platform: text('Load only the given platform variant'),
    quiet: boolean('Suppress the load output', { short: 'q' }),
  },
  minimum: 0,
  maximum: 0,
  examples: [['linkspan load -i web.tar', 'An archive written by docker save']],
  run: async (context, values) => {
    if (values.input === '' && context.stdin.isTTY === true)
      throw new Failure('requested load from stdin, but stdin is empty')
    const messages = context.client.stream<ProgressLine>('POST', '/images/load', {
      // Bars are for a terminal only.
      query: { quiet: values.quiet || context.stdout.isTTY !== true },
      upload: await inputOf(context, values.input),
      headers: { 'Content-Type': 'application/x-tar' },
    })
    await showProgress(messages, context.stdout)
    return 0
  },
})

export const importImage = defineCommand({
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  flags: {
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Set commit message for imported image', { short: 'm' }),
    platform: text('Set platform if server is multi-platform capable'),
  },
  minimum: 1,
  maximum: 2,
  examples: [
    [
      'tar -C rootfs -c . | linkspan import --change \'CMD ["sh"]\' - mine:latest',
      'A root file system of your own',
    ],
  ],
  run: async (context, values, [source = '', name]) => {
    const remote = /^https?:\/\//.test(source)
    const query = new URLSearchParams()
    for (const change of values.change) query.append('changes', change)
    query.set('fromSrc', remote ? source : '-')
    if (values.message !== '') query.set('message', values.message)
    if (values.platform !== '') query.set('platform', values.platform)
    if (name !== undefined) {
      parseReference(name)
      query.set('repo', name)
    }
    const upload = remote
      ? {}
      : { upload: await inputOf(context, source), headers: { 'Content-Type': 'text/plain' } }
    const messages = context.client.stream<ProgressLine>('POST', `/images/create?${query.toString()}`, upload)
    await showProgress(messages, context.stdout)
    return 0
  },
})

function tagReference(text: string): ReturnType<typeof parseReference> {
  try {
    return parseReference(text)
  } catch (error) {
    const why = describe(error)
    throw new Failure(
      `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${why}`,
      1,
      { cause: error },
    )
  }
}

export const tag = defineCommand({
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  flags: {},
  minimum: 2,
  maximum: 2,
  run: async (context, _values, [source = '', target = '']) => {
    const reference = tagReference(target)
    if (reference.digest !== undefined) throw new Failure('refusing to create a tag with a digest reference')
    await context.client.json('POST', `/images/${encodeURIComponent(source)}/tag`, {
      query: {
        repo: `${reference.domain}/${reference.path}`,
        tag: reference.tag ?? 'latest',
      },
    })
    return 0
  },
})

export const rmi = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: {
    force: boolean('Force removal of the image', { short: 'f' }),
    'no-prune': boolean('Do not delete untagged parents'),
  },
  minimum: 1,
  run: async (context, values, names) => {
    const failures: string[] = []
    let onlyMissing = true
    for (const name of names) {
      try {
        const gone = await context.client.json<readonly { Untagged?: string; Deleted?: string }[]>(
          'DELETE',
          `/images/${encodeURIComponent(name)}`,
          { query: { force: values.force, noprune: values['no-prune'] } },
        )
        for (const { Deleted: deleted, Untagged: untagged } of gone) {
          context.print(deleted === undefined ? `Untagged: ${untagged ?? ''}` : `Deleted: ${deleted}`)
        }
      } catch (error) {
        if (!(error instanceof EngineError) || error.status !== 404) onlyMissing = false
        failures.push(describe(error))
      }
    }
    for (const failure of failures) context.warn(failure)
    return failures.length === 0 || (values.force && onlyMissing) ? 0 : 1
  },
})
