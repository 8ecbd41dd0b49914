/** The commands that do one thing to each container named: stop, restart, kill, pause, unpause, rm, rename, wait, prune. */
import { defineCommand, type Command } from '../command.ts'
import { confirm } from '../confirm.ts'
import { forEachName } from '../each.ts'
import { describe, EngineError, Failure } from '../failure.ts'
import { boolean, filterQuery, filters, integer, text } from '../flags.ts'
import { humanSize } from '../units.ts'
import { containerPath, type WaitAnswer } from '../wire.ts'

const some = 'CONTAINER [CONTAINER...]'

function stopping(action: 'stop' | 'restart'): Command {
  return defineCommand({
    usage: `[OPTIONS] ${some}`,
    flags: {
      signal: text('Signal to send to the container', { short: 's' }),
      time: integer('Seconds to wait before killing the container', { initial: undefined, hidden: true }),
      timeout: integer('Seconds to wait before killing the container', { short: 't', initial: undefined }),
    },
    minimum: 1,
    run: async (context, values, names) =>
      forEachName(context, names, async name => {
        await context.client.json('POST', containerPath(name, `/${action}`), {
          query: {
            signal: values.signal === '' ? undefined : values.signal,
            t: values.timeout ?? values.time,
          },
        })
        return name
      }),
  })
}

export const stop = stopping('stop')
export const restart = stopping('restart')

export const kill = defineCommand({
  usage: `[OPTIONS] ${some}`,
  flags: { signal: text('Signal to send to the container', { short: 's' }) },
  minimum: 1,
  run: async (context, values, names) =>
    forEachName(context, names, async name => {
      const query = { signal: values.signal === '' ? undefined : values.signal }
      await context.client.json('POST', containerPath(name, '/kill'), { query })
      return name
    }),
})

function plain(action: 'pause' | 'unpause'): Command {
  return defineCommand({
    usage: some,
    flags: {},
    minimum: 1,
    run: async (context, _values, names) =>
      forEachName(context, names, async name => {
        await context.client.json('POST', containerPath(name, `/${action}`))
        return name
      }),
  })
}

export const pause = plain('pause')
export const unpause = plain('unpause')

export const rm = defineCommand({
  usage: `[OPTIONS] ${some}`,
  flags: {
    force: boolean('Force the removal of a running container (uses SIGKILL)', { short: 'f' }),
    link: boolean('Remove the specified link', { short: 'l' }),
    volumes: boolean('Remove anonymous volumes associated with the container', { short: 'v' }),
  },
  minimum: 1,
  run: async (context, values, names) =>
    forEachName(context, names, async name => {
      try {
        await context.client.json('DELETE', containerPath(name.replace(/^\/+/, '')), {
          query: { force: values.force, link: values.link, v: values.volumes },
        })
        return name
      } catch (error) {
        // With -f a container that is not there is as good as removed: it is told, but is no failure.
        if (!values.force || !(error instanceof EngineError) || error.status !== 404) throw error
        context.warn(`Error response from daemon: ${error.message}`)
        return undefined
      }
    }),
})

export const rename = defineCommand({
  usage: 'CONTAINER NEW_NAME',
  flags: {},
  minimum: 2,
  maximum: 2,
  run: async (context, _values, [container = '', name = '']) => {
    try {
      await context.client.json('POST', containerPath(container, '/rename'), { query: { name } })
    } catch (error) {
      if (error instanceof EngineError) context.warn(describe(error))
      throw new Failure(`Error: failed to rename container named ${container}`, 1, { cause: error })
    }
    return 0
  },
})

export const wait = defineCommand({
  usage: some,
  flags: {},
  minimum: 1,
  run: async (context, _values, names) =>
    forEachName(context, names, async name => {
      const answer = await context.client.json<WaitAnswer>('POST', containerPath(name, '/wait'))
      return String(answer.StatusCode)
    }),
})

export const prune = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    filter: filters('Provide filter values (e.g. "until=<timestamp>")'),
    force: boolean('Do not prompt for confirmation', { short: 'f' }),
  },
  minimum: 0,
  maximum: 0,
  run: async (context, values) => {
    if (!values.force && !(await confirm(context, 'WARNING! This will remove all stopped containers.')))
      return 1
    const answer = await context.client.json<{
      ContainersDeleted: readonly string[] | null
      SpaceReclaimed: number
    }>('POST', '/containers/prune', { query: { filters: filterQuery(values.filter) } })
    const removed = answer.ContainersDeleted ?? []
    if (removed.length > 0) context.stdout.write(`Deleted Containers:\n${removed.join('\n')}\n\n`)
    context.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
    return 0
  },
})
