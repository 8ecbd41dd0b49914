/** `run` and `create`. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { defineCommand } from '../command.ts'
import { containerFlags } from '../container-flags.ts'
import type { Context } from '../context.ts'
import { createBody, type ContainerValues, type CreateBody } from '../create-body.ts'
import { EngineError, Failure, PlainFailure, describe } from '../failure.ts'
import { boolean, text } from '../flags.ts'
import { pullImage } from '../pulling.ts'
import { familiarReference, parseReference } from '../reference.ts'
import {
  attachQuery,
  followSize,
  openSession,
  proxySignals,
  requireTerminal,
  type Session,
} from '../session.ts'
import { containerPath, type WaitAnswer } from '../wire.ts'

const pullPolicies = new Set(['always', 'missing', 'never'])

/** Creates the container, pulling its image first where it is missing and may be pulled. Answers the id. */
async function createContainer(context: Context, values: ContainerValues, body: CreateBody): Promise<string> {
  if (!pullPolicies.has(values.pull)) {
    throw new Failure(`invalid pull option: '${values.pull}': must be one of "always", "missing" or "never"`)
  }
  const cidfile = values.cidfile === '' ? undefined : openCidfile(values.cidfile)
  const pull = async (): Promise<void> =>
    pullImage(context, parseReference(body.Image), {
      output: values.quiet ? undefined : context.stderr,
      platform: values.platform,
    })
  const create = async (): Promise<{ Id: string; Warnings: readonly string[] | null }> =>
    context.client.json('POST', '/containers/create', {
      query: {
        name: values.name === '' ? undefined : values.name,
        platform: values.platform === '' ? undefined : values.platform,
      },
      body,
    })
  if (values.pull === 'always') await pull()
  let created: Awaited<ReturnType<typeof create>>
  try {
    created = await create()
  } catch (error) {
    if (!isMissingImage(error) || values.pull !== 'missing') throw error
    context.warn(`Unable to find image '${familiarReference(parseReference(body.Image))}' locally`)
    await pull()
    created = await create()
  }
  for (const warning of created.Warnings ?? []) context.warn(`WARNING: ${warning}`)
  if (cidfile !== undefined) {
    writeSync(cidfile, created.Id)
    closeSync(cidfile)
  }
  return created.Id
}

function isMissingImage(error: unknown): boolean {
  return error instanceof EngineError && error.status === 404 && /\bimage\b/i.test(error.message)
}

function openCidfile(path: string): number {
  try {
    return openSync(path, 'wx')
  } catch (error) {
    throw new Failure(
      `container ID file found, make sure the other container isn't running or delete ${path}`,
      1,
      { cause: error },
    )
  }
}

/** Docker's statuses for a start that failed: 127 no such command, 126 not executable, else 125. */
export function startStatus(message: string): number {
  if (
    /executable file not found|no such file or directory|system cannot find the file specified/.test(message)
  )
    return 127
  if (/permission denied|is a directory/.test(message)) return 126
  return 125
}

function consoleSize(context: Context): readonly [number, number] {
  const { rows = 0, columns = 0 } = context.stdout
  return [rows, columns]
}

const runFlags = {
  ...containerFlags,
  detach: boolean('Run container in background and print container ID', { short: 'd' }),
  'detach-keys': text('Override the key sequence for detaching a container'),
  'sig-proxy': boolean('Proxy received signals to the process', { initial: true }),
}

export const run = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: runFlags,
  minimum: 1,
  passThrough: true,
  hintOnError: true,
  examples: [
    ['linkspan run -it --rm busybox', 'A shell in a container that is gone when you leave it'],
    [
      'linkspan run -d --name web -p 8080:80 busybox httpd -f -h /var/www',
      'A web server, reached on port 8080 of this host',
    ],
    [
      'linkspan run -d --name db --network shop --ip 172.30.0.9 busybox sleep 3600',
      'A fixed address on a network of your own',
    ],
    [
      'linkspan run --rm --network shop --network name=back,gw-priority=1 busybox ip route',
      'Two networks; the second has the default route',
    ],
  ],
  run: async (context, values, args) => {
    const [image = '', ...command] = args
    if (values.detach && values.attach.length > 0) {
      throw new PlainFailure('conflicting options: cannot specify both --attach and --detach')
    }
    const body = createBody(values, {
      image,
      command,
      detach: values.detach,
      env: context.env,
      consoleSize: consoleSize(context),
    })
    if (!values.detach) requireTerminal(context, body.AttachStdin, body.Tty)
    const id = await createContainer(context, values, body)
    if (values.detach) {
      await startOr(context, id, async () => undefined)
      context.print(id)
      return 0
    }
    return runAttached(context, values, body, id)
  },
})

async function startOr(context: Context, id: string, onFailure: () => Promise<void>): Promise<void> {
  try {
    await context.client.json('POST', containerPath(id, '/start'))
  } catch (error) {
    await onFailure()
    throw new Failure(describe(error), startStatus(error instanceof Error ? error.message : ''), {
      cause: error,
    })
  }
}

interface AttachedValues {
  readonly 'detach-keys': string
  readonly 'sig-proxy': boolean
}

/** Attach and wait come before start, so that nothing of a short life is missed. */
async function runAttached(
  context: Context,
  values: AttachedValues,
  body: CreateBody,
  id: string,
): Promise<number> {
  const stopProxy = values['sig-proxy'] && !body.Tty ? proxySignals(context, id) : undefined
  const streams = {
    tty: body.Tty,
    stdin: body.AttachStdin,
    stdout: body.AttachStdout,
    stderr: body.AttachStderr,
    detachKeys: values['detach-keys'],
  }
  let session: Session | undefined
  let stopSize: (() => void) | undefined
  try {
    const connection = await context.client.hijack(containerPath(id, '/attach'), {
      query: attachQuery(streams),
    })
    const waiting = await context.client.open('POST', containerPath(id, '/wait'), {
      query: { condition: body.HostConfig.AutoRemove ? 'removed' : 'next-exit' },
    })
    const opened = openSession(context, connection, streams)
    session = opened
    await startOr(context, id, async () => {
      opened.close()
      // With --rm the engine removes what could not start; its end is waited for, so that nothing is left behind us.
      if (body.HostConfig.AutoRemove) await exitStatus(waiting).catch(() => 0)
      else waiting.destroy()
    })
    if (body.Tty && context.stdout.isTTY === true)
      stopSize = followSize(context, containerPath(id, '/resize'))
    if ((await opened.ended) === 'detached') {
      waiting.destroy()
      return 0
    }
    return await exitStatus(waiting)
  } finally {
    session?.close()
    stopSize?.()
    stopProxy?.()
  }
}

async function exitStatus(answer: AsyncIterable<Buffer>): Promise<number> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const waited = JSON.parse(Buffer.concat(chunks).toString()) as WaitAnswer
  if (waited.Error !== undefined && waited.Error !== null) throw new Failure(waited.Error.Message, 125)
  return waited.StatusCode
}

export const create = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: containerFlags,
  minimum: 1,
  passThrough: true,
  hintOnError: true,
  examples: [
    [
      'linkspan create --name later --network shop busybox sleep 3600',
      'Made now, started later by linkspan start later',
    ],
  ],
  run: async (context, values, args) => {
    const [image = '', ...command] = args
    const body = createBody(values, {
      image,
      command,
      detach: false,
      env: context.env,
      consoleSize: consoleSize(context),
    })
    context.print(await createContainer(context, values, body))
    return 0
  },
})
