/** `inspect`: everything the engine says of an object. */
import { defineCommand, type Command } from '../command.ts'
import type { Context } from '../context.ts'
import { EngineError, Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { printInspected } from '../format.ts'

/** In the order in which a name is looked for. */
const kinds: Readonly<Record<string, (name: string) => string>> = {
  container: name => `/containers/${name}/json`,
  image: name => `/images/${name}/json`,
  network: name => `/networks/${name}`,
  volume: name => `/volumes/${name}`,
}

/** Kinds that docker knows and this engine has none of. */
const foreign = new Set(['config', 'node', 'plugin', 'secret', 'service', 'task'])
const typeList = [...Object.keys(kinds), ...foreign]
  .sort()
  .map(kind => JSON.stringify(kind))
  .join(', ')

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

function inspectAll(context: Context, names: readonly string[], options: Options): Promise<number> {
  const candidates = options.type === '' ? Object.keys(kinds) : [options.type]
  return printInspected(context, names, options.format, name => find(context, name, candidates, options.size))
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
          : `unknown type: ${JSON.stringify(type)}: must be one of ${typeList}`,
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
