/**
 * A process in a running container, by `RUNTIME exec --detach`: the runtime goes as soon as the process runs, and this
 * engine inherits it, waits for it and has its streams: real pipes, or the terminal that comes through the console
 * socket. In the foreground runc would stay (12 MB each), copy every byte, refuse a console socket, and wait for
 * background children that keep a pipe open.
 */

import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { Readable, type Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import {
  inheritOrphans,
  listenForDescriptor,
  openPipe,
  orphanExit,
  TerminalStream,
  type DescriptorListener,
} from '../kernel/index.ts'
import { runtimeFault } from './messages.ts'
import { serializeOci, type OciProcess } from './oci.ts'
import type { ExecProcess, ExecSpec, Id } from './types.ts'

/** How long a pipe may stay open and silent after the process ended; a background child may hold it for ever. */
const lastOutputMs = 2000

export interface ExecLaunch {
  readonly runtime: { readonly name: string; readonly path: string }
  /** Options that stand before the runtime's command. */
  readonly runtimeOptions: readonly string[]
  /** Directory for the files of this start. */
  readonly directory: string
  readonly containerId: Id
  readonly spec: ExecSpec
  readonly process: OciProcess
}

interface Streams {
  readonly stdin: Duplex | undefined
  readonly stdout: Readable
  readonly stderr: Readable | undefined
}

/** Starts the process; it runs when this resolves. What the runtime refuses is a fault in Docker's words. */
export async function startExec(launch: ExecLaunch): Promise<ExecProcess> {
  const { spec, directory } = launch
  const file = (kind: string): string => join(directory, `${spec.id.slice(0, 12)}.${kind}`)
  try {
    await writeFile(file('json'), serializeOci(launch.process), { mode: 0o600 })
    const start: Start = async (stdio, more) => {
      const options = [...launch.runtimeOptions, `--log=${file('log')}`, '--log-format=json']
      const command = ['exec', '--detach', '--process', file('json'), '--pid-file', file('pid'), ...more]
      const started = await inheritOrphans(async () => {
        const args = [...options, ...command, launch.containerId]
        if ((await runToEnd(launch.runtime.path, args, stdio)) !== 0) return undefined
        const pid = Number(await readFile(file('pid'), 'utf8'))
        // Now, because it may have ended already. Not ours: the runtime kept it, and nobody knows how it ended.
        return { pid, exit: orphanExit(pid).then(code => code ?? 255) }
      })
      if (started !== undefined) return started
      const message = await readFile(file('log'), 'utf8').catch(() => '')
      throw runtimeFault('exec', launch.runtime.name, spec.args[0] ?? '', message)
    }
    if (spec.tty) return await startOnTerminal(spec, file('tty'), start)
    return spec.detach ? await startDetached(start) : await startOnPipes(spec, start)
  } finally {
    await Promise.all(['json', 'pid', 'log'].map(kind => rm(file(kind), { force: true })))
  }
}

type Stdio = readonly (number | 'ignore')[]
type Start = (stdio: Stdio, more: readonly string[]) => Promise<Started>

interface Started {
  readonly pid: number
  readonly exit: Promise<number>
}

/** Nobody will ever read what it prints. */
async function startDetached(start: Start): Promise<ExecProcess> {
  const { pid, exit } = await start(['ignore', 'ignore', 'ignore'], [])
  const streams = { stdin: undefined, stdout: Readable.from([]), stderr: Readable.from([]) }
  return { pid, ...streams, resize: () => undefined, exited: whenExited(exit, streams) }
}

async function startOnPipes(spec: ExecSpec, start: Start): Promise<ExecProcess> {
  const input = spec.stdin ? openPipe() : undefined
  const output = openPipe()
  const errors = openPipe()
  const streams = {
    stdin: input === undefined ? undefined : new Socket({ fd: input.write, readable: false, writable: true }),
    stdout: new Socket({ fd: output.read, readable: true, writable: false }),
    stderr: new Socket({ fd: errors.read, readable: true, writable: false }),
  }
  // The process may end, or close its stdin, before it has read everything.
  streams.stdin?.on('error', () => undefined)
  try {
    const { pid, exit } = await start([input?.read ?? 'ignore', output.write, errors.write], [])
    return { pid, ...streams, resize: () => undefined, exited: whenExited(exit, streams) }
  } catch (error) {
    destroy(streams)
    throw error
  } finally {
    for (const descriptor of [input?.read, output.write, errors.write]) {
      if (descriptor !== undefined) closeSync(descriptor)
    }
  }
}

async function startOnTerminal(spec: ExecSpec, socket: string, start: Start): Promise<ExecProcess> {
  const listener = listenForDescriptor(socket)
  listener.descriptor.catch(() => undefined)
  try {
    const { pid, exit } = await start(['ignore', 'ignore', 'ignore'], ['--tty', '--console-socket', socket])
    const terminal = new TerminalStream(await listener.descriptor)
    terminal.on('error', () => undefined)
    if (spec.size !== undefined) terminal.resize(...spec.size)
    if (spec.detach) terminal.resume()
    const streams = { stdin: spec.stdin ? terminal : undefined, stdout: terminal, stderr: undefined }
    return {
      pid,
      ...streams,
      resize: (rows, columns) => terminal.resize(rows, columns),
      exited: whenExited(exit, streams),
    }
  } catch (error) {
    await closeListener(listener)
    throw error
  }
}

/** The terminal may have come although the runtime failed afterwards. */
async function closeListener(listener: DescriptorListener): Promise<void> {
  listener.close()
  await listener.descriptor.then(closeSync, () => undefined)
}

async function runToEnd(program: string, args: readonly string[], stdio: Stdio): Promise<number | null> {
  const child = spawn(program, args, {
    stdio: [...stdio],
    detached: true,
    env: { PATH: process.env['PATH'] },
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
}

async function whenExited(exit: Promise<number>, streams: Streams): Promise<number> {
  const outputs = [streams.stdout, streams.stderr].filter(one => one !== undefined)
  const read = Promise.allSettled(outputs.map(one => finished(one, { writable: false }))).then(
    () => 'read' as const,
  )
  const code = await exit
  let state
  do {
    // A client that reads slowly gets everything; it is the process's own children that are not waited for.
    state = await Promise.race([read, delay(lastOutputMs, 'silent' as const, { ref: false })])
  } while (state !== 'read' && !outputs.every(isDrained))
  destroy(streams)
  return code
}

function isDrained(stream: Readable): boolean {
  return (
    stream.destroyed ||
    stream.readableEnded ||
    (stream.readableFlowing !== false && stream.readableLength === 0)
  )
}

function destroy({ stdin, stdout, stderr }: Streams): void {
  for (const one of [stdin, stdout, stderr]) one?.destroy()
}
