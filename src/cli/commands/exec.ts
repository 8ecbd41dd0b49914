/** `exec`: another process in a running container. */
import { defineCommand } from '../command.ts'
import { environmentOf } from '../create-body.ts'
import { Failure, describe } from '../failure.ts'
import { boolean, list, text } from '../flags.ts'
import { followSize, openSession, requireTerminal } from '../session.ts'
import { containerPath, type ContainerDetails } from '../wire.ts'
import { startStatus } from './run.ts'

export const exec = defineCommand({
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  flags: {
    detach: boolean('Detached mode: run command in the background', { short: 'd' }),
    'detach-keys': text('Override the key sequence for detaching a container'),
    env: list('Set environment variables', { short: 'e' }),
    'env-file': list('Read in a file of environment variables'),
    interactive: boolean('Keep STDIN open even if not attached', { short: 'i' }),
    privileged: boolean('Give extended privileges to the command'),
    tty: boolean('Allocate a pseudo-TTY', { short: 't' }),
    user: text('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: 'u' }),
    workdir: text('Working directory inside the container', { short: 'w' }),
  },
  minimum: 2,
  passThrough: true,
  examples: [
    ['linkspan exec web ip address', "The container's interfaces"],
    ['linkspan exec -it web sh', 'A shell beside the container’s own process'],
  ],
  run: async (context, values, args) => {
    const [container = '', ...command] = args
    // An unknown container is told before the terminal is touched.
    await context.client.json<ContainerDetails>('GET', containerPath(container, '/json'))
    const { detach, tty, interactive } = values
    if (!detach) requireTerminal(context, interactive, tty)
    const { rows, columns } = context.stdout
    const sized = tty && rows !== undefined && columns !== undefined
    const environment = environmentOf(values['env-file'], values.env, context.env)
    const { Id: id } = await context.client.json<{ Id: string }>('POST', containerPath(container, '/exec'), {
      body: {
        User: values.user,
        Privileged: values.privileged,
        Tty: tty,
        ...(sized ? { ConsoleSize: [rows, columns] } : {}),
        AttachStdin: interactive && !detach,
        AttachStderr: !detach,
        AttachStdout: !detach,
        DetachKeys: values['detach-keys'],
        Env: environment.length === 0 ? null : environment,
        WorkingDir: values.workdir,
        Cmd: command,
      },
    })
    const start = { Detach: detach, Tty: tty, ...(sized ? { ConsoleSize: [rows, columns] } : {}) }
    if (detach) {
      await context.client.json('POST', `/exec/${id}/start`, { body: start })
      return 0
    }
    return attachExec(context, id, start, { tty, interactive, detachKeys: values['detach-keys'] })
  },
})

async function attachExec(
  context: Parameters<typeof openSession>[0],
  id: string,
  start: Readonly<Record<string, unknown>>,
  options: { readonly tty: boolean; readonly interactive: boolean; readonly detachKeys: string },
): Promise<number> {
  let connection: Parameters<typeof openSession>[1]
  try {
    connection = await context.client.hijack(`/exec/${id}/start`, { body: start })
  } catch (error) {
    const status = startStatus(error instanceof Error ? error.message : '')
    throw new Failure(describe(error), status === 125 ? 1 : status, { cause: error })
  }
  const session = openSession(context, connection, {
    tty: options.tty,
    stdin: options.interactive,
    stdout: true,
    stderr: true,
    detachKeys: options.detachKeys,
  })
  const stopSize =
    options.tty && context.stdout.isTTY === true ? followSize(context, `/exec/${id}/resize`) : undefined
  try {
    if ((await session.ended) === 'detached') return 0
    const { ExitCode: exitCode, Running: running } = await context.client.json<{
      ExitCode: number | null
      Running: boolean
    }>('GET', `/exec/${id}/json`)
    return running ? 0 : (exitCode ?? 0)
  } finally {
    session.close()
    stopSize?.()
  }
}
