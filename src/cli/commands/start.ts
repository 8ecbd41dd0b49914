/** `start` and `attach`. */
import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { describe, Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { attachQuery, followSize, openSession, proxySignals, requireTerminal } from '../session.ts'
import { containerPath, type ContainerDetails, type WaitAnswer } from '../wire.ts'

export const start = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: {
    attach: boolean('Attach STDOUT/STDERR and forward signals', { short: 'a' }),
    'detach-keys': text('Override the key sequence for detaching a container'),
    interactive: boolean("Attach container's STDIN", { short: 'i' }),
  },
  minimum: 1,
  run: async (context, values, names) => {
    if (values.attach || values.interactive) {
      if (names.length > 1) throw new Failure('you cannot start and attach multiple containers at once')
      return startAttached(context, names[0] ?? '', values.interactive, values['detach-keys'])
    }
    const failed: string[] = []
    for (const name of names) {
      try {
        await context.client.json('POST', containerPath(name, '/start'))
        context.print(name)
      } catch (error) {
        context.warn(describe(error))
        failed.push(name)
      }
    }
    if (failed.length > 0) throw new Failure(`Error: failed to start containers: ${failed.join(', ')}`)
    return 0
  },
})

async function details(context: Context, name: string): Promise<ContainerDetails> {
  return context.client.json<ContainerDetails>('GET', containerPath(name, '/json'))
}

async function startAttached(
  context: Context,
  name: string,
  interactive: boolean,
  detachKeys: string,
): Promise<number> {
  const { Id: id, Config: config, HostConfig: hostConfig, State: state } = await details(context, name)
  requireTerminal(context, interactive && config.OpenStdin, config.Tty)
  const streams = {
    tty: config.Tty,
    stdin: interactive && config.OpenStdin,
    stdout: true,
    stderr: true,
    detachKeys,
  }
  const stopProxy = config.Tty ? undefined : proxySignals(context, id)
  const connection = await context.client.hijack(containerPath(id, '/attach'), {
    query: attachQuery(streams),
  })
  const session = openSession(context, connection, streams)
  let stopSize: (() => void) | undefined
  try {
    // Waiting for the next exit of what runs already would miss this one; of what does not run yet it is right.
    const answer = await context.client.open('POST', containerPath(id, '/wait'), {
      query: { condition: hostConfig.AutoRemove ? 'removed' : state.Running ? 'not-running' : 'next-exit' },
    })
    try {
      await context.client.json('POST', containerPath(id, '/start'))
    } catch (error) {
      answer.destroy()
      throw error
    }
    if (config.Tty && context.stdout.isTTY === true)
      stopSize = followSize(context, containerPath(id, '/resize'))
    if ((await session.ended) === 'detached') {
      answer.destroy()
      return 0
    }
    const chunks: Buffer[] = []
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
    return (JSON.parse(Buffer.concat(chunks).toString()) as WaitAnswer).StatusCode
  } finally {
    session.close()
    stopSize?.()
    stopProxy?.()
  }
}

export const attach = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  flags: {
    'detach-keys': text('Override the key sequence for detaching a container'),
    'no-stdin': boolean('Do not attach STDIN'),
    'sig-proxy': boolean('Proxy all received signals to the process', { initial: true }),
  },
  minimum: 1,
  maximum: 1,
  examples: [['linkspan attach shell', 'Back to its terminal; leave with ctrl-p ctrl-q']],
  run: async (context, values, [name = '']) => {
    const { Id: id, Config: config, State: state } = await details(context, name)
    if (!state.Running) throw new Failure('You cannot attach to a stopped container, start it first')
    if (state.Paused) throw new Failure('You cannot attach to a paused container, unpause it first')
    if (state.Restarting)
      throw new Failure('You cannot attach to a restarting container, wait until it is running')
    const stdin = !values['no-stdin'] && config.OpenStdin
    requireTerminal(context, stdin, config.Tty)
    const streams = { tty: config.Tty, stdin, stdout: true, stderr: true, detachKeys: values['detach-keys'] }
    const waiting = await context.client.open('POST', containerPath(id, '/wait'))
    const connection = await context.client.hijack(containerPath(id, '/attach'), {
      query: attachQuery(streams),
    })
    const stopProxy = values['sig-proxy'] && !config.Tty ? proxySignals(context, id) : undefined
    const session = openSession(context, connection, streams)
    const stopSize =
      config.Tty && context.stdout.isTTY === true
        ? followSize(context, containerPath(id, '/resize'))
        : undefined
    try {
      if ((await session.ended) === 'detached') {
        waiting.destroy()
        return 0
      }
      const chunks: Buffer[] = []
      for await (const chunk of waiting as AsyncIterable<Buffer>) chunks.push(chunk)
      return (JSON.parse(Buffer.concat(chunks).toString()) as WaitAnswer).StatusCode
    } finally {
      session.close()
      stopSize?.()
      stopProxy?.()
    }
  },
})
