/** `inspect`: everything the engine says of an object. */
import { defineCommand, type Command } from '../command.ts'
import type { Context } from '../context.ts'
import { describe, EngineError, Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { prepareInspect } from '../format.ts'

/** In the order in which a name is looked for. */
const kinds: Readonly<Record<string, (name: string) => string>> = {
  container: name => `/containers/${name}/json`,
  image: name => `/images/${name}/json`,
  network: name => `/networks/${name}`,
  volume: name => `/volumes/${name}`,
}

/** Kinds that docker knows and this engine has none of. */
const foreign = new Set(['config', 'node', 'plugin', 'secret', 'service', 'task'])

interface Options {
  readonly format: string
  readonly size: boolean
  /** '' = any kind. */
  readonly type: string
}

/** The first kind that has it; undefined if none has. Other errors than 404 are told as they are. */
async function find(
  context: Context,
  name: string,
  candidates: readonly string[],
  size: boolean,
): Promise<unknown> {
  for (const kind of candidates) {
    try {
      const query = kind === 'container' && size ? { size: true } : {}
      return await context.client.json('GET', kinds[kind]?.(encodeURIComponent(name)) ?? '', { query })
    } catch (error) {
      const absent = error instanceof EngineError && (error.status === 404 || error.status === 501)
      if (!absent || candidates.length === 1) throw error
    }
  }
  return undefined
}

async function inspectAll(context: Context, names: readonly string[], options: Options): Promise<number> {
  const render = prepareInspect(options.format)
  const candidates = options.type === '' ? Object.keys(kinds) : [options.type]
  const found: unknown[] = []
  const failures: string[] = []
  for (const name of names) {
    try {
      const object = await find(context, name, candidates, options.size)
      if (object === undefined) failures.push(`Error: No such object: ${name}`)
      else found.push(object)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      failures.push(describe(error))
    }
  }
  context.stdout.write(render(found))
  for (const failure of failures) context.warn(failure)
  return failures.length === 0 ? 0 : 1
}

export const inspect = defineCommand({
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  flags: {
    format: text("'json' or a Go template", { short: 'f' }),
    size: boolean('Display total file sizes if the type is container', { short: 's' }),
    type: text('Only inspect objects of the given type (container, image, network, volume)'),
  },
  minimum: 1,
  examples: [
    ["linkspan inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' web", 'Its address on one network'],
    ["linkspan inspect -f '{{json .NetworkSettings.Ports}}' web", 'Its published ports'],
  ],
  run: async (context, values, names) => {
    const { type } = values
    if (type !== '' && kinds[type] === undefined) {
      throw new Failure(
        foreign.has(type)
          ? `Error: this engine has no objects of type ${type}`
          : `${JSON.stringify(type)} is not a valid value for --type`,
      )
    }
    return inspectAll(context, names, values)
  },
})

function inspectOnly(type: 'container' | 'image'): Command {
  return defineCommand({
    usage: `[OPTIONS] ${type.toUpperCase()} [${type.toUpperCase()}...]`,
    flags: {
      format: text("'json' or a Go template", { short: 'f' }),
      size: boolean('Display total file sizes', { short: 's' }),
    },
    minimum: 1,
    run: async (context, values, names) => inspectAll(context, names, { ...values, type }),
  })
}

export const inspectContainer = inspectOnly('container')
export const inspectImage = inspectOnly('image')
