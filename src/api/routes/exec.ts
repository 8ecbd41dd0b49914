/** Running a further process in a container: create, start, inspect, resize. */
import { Fault, fault } from '../../base/index.ts'
import type { ExecProcess } from '../../container/index.ts'
import type { Engine, Exec } from '../../engine/index.ts'
import { readJson } from '../body.ts'
import { empty, json, param, type Call, type Handler } from '../call.ts'
import type { Route } from '../router.ts'
import { finish, frame, multiplexedStream, pumpExec, rawStream } from '../stream.ts'
import { execCreate, execStart } from '../wire/container.ts'
import { resizeTo } from './resize.ts'
import { get, post } from './table.ts'

async function create(call: Call) {
  const body = await readJson(call, execCreate, 'ExecOptions')
  const args = body.Cmd ?? []
  if (args.length === 0) throw fault('invalidParameter', 'No exec command specified')
  const container = call.engine.state.findContainer(param(call, 'id'))
  const id = await call.engine.createExec(container.id, {
    args,
    env: body.Env ?? [],
    tty: body.Tty ?? false,
    attachStdin: body.AttachStdin ?? false,
    attachStdout: body.AttachStdout ?? false,
    attachStderr: body.AttachStderr ?? false,
    detachKeys: body.DetachKeys ?? '',
    user: body.User ?? '',
    workingDir: body.WorkingDir ?? '',
    privileged: body.Privileged ?? false,
  })
  return json(201, { Id: id })
}

/** Faults of the request itself; what the runtime says about the command goes into the stream instead. */
const isRefusal = (error: unknown): boolean => error instanceof Fault && [404, 409].includes(error.status)

/**
 * Docker answers with the stream before it tries the command: a command that cannot be run is a line of its output,
 * and the exit code (126, 127) is read with inspect afterwards.
 */
async function start(call: Call) {
  const { engine } = call
  const id = param(call, 'id')
  const body = await readJson(call, execStart, 'ExecStartOptions', {})
  const exec = engine.exec(id)
  const detach = body.Detach ?? false
  const tty = exec.tty
  const [rows, columns] = body.ConsoleSize ?? []
  const size = tty && rows !== undefined && columns !== undefined ? ([rows, columns] as const) : undefined
  if (detach) {
    await startDetached(engine, id, tty)
    return empty(200)
  }
  const type = tty || call.version < 42 ? rawStream : multiplexedStream
  let process: ExecProcess
  try {
    process = await engine.startExec(id, { detach, tty, size })
  } catch (error) {
    if (isRefusal(error)) throw error
    const hijacked = call.hijack(type)
    const text = Buffer.from(`${error instanceof Error ? error.message : String(error)}\r\n`)
    hijacked.output.write(tty ? text : frame('stdout', text))
    finish(hijacked)
    return undefined
  }
  await pumpExec(
    call.hijack(type),
    process,
    { tty, stdout: exec.attachStdout, stderr: exec.attachStderr },
    call.signal,
  )
  return undefined
}

/** Nobody reads the output of a detached process: it is thrown away so that the process never blocks on it. */
async function startDetached(engine: Engine, id: string, tty: boolean): Promise<void> {
  const process = await engine.startExec(id, { detach: true, tty, size: undefined })
  for (const stream of [process.stdout, process.stderr]) {
    stream?.on('error', () => undefined)
    stream?.resume()
  }
  process.stdin?.on('error', () => undefined)
  process.stdin?.end()
  // A failure of supervision is told by inspect.
  process.exited.catch(() => undefined)
}

function execView(exec: Exec): Record<string, unknown> {
  const [entrypoint = '', ...args] = exec.args
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: exec.tty,
      entrypoint,
      arguments: args,
      privileged: exec.privileged,
      ...(exec.user === '' ? {} : { user: exec.user }),
    },
    OpenStdin: exec.attachStdin,
    OpenStderr: exec.attachStderr,
    OpenStdout: exec.attachStdout,
    CanRemove: false,
    ContainerID: exec.containerId,
    DetachKeys: exec.detachKeys,
    Pid: exec.pid,
  }
}

export const execRoutes: readonly Route<Handler>[] = [
  post('/containers/:id/exec', create),
  post('/exec/:id/start', start),
  post('/exec/:id/resize', async call => {
    const id = param(call, 'id')
    await resizeTo(call, async (rows, columns) => call.engine.resizeExec(id, rows, columns))
    return empty(200)
  }),
  get('/exec/:id/json', call => json(200, execView(call.engine.exec(param(call, 'id'))))),
]
