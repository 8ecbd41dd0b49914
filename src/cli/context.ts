/** What a command may touch of the world outside: handed in, so that tests can run commands in one process. */
import { homedir } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { Client } from './client.ts'
import { resolveHost } from './host.ts'

/** Standard input as far as commands use it: a terminal has raw mode. */
export type Input = Readable & {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

export type Output = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** Signals that reach this process; `process` itself, or a stand-in. */
export interface SignalSource {
  on(event: string, listener: (signal: NodeJS.Signals) => void): unknown
  off(event: string, listener: (signal: NodeJS.Signals) => void): unknown
}

export interface World {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly signals: SignalSource
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Context extends World {
  readonly debug: boolean
  /** The engine; made at first use. */
  readonly client: Client
  /** A line on standard output. */
  print(line: string): void
  /** A line on standard error. */
  warn(line: string): void
}

export function createContext(
  world: World,
  options: { readonly host?: string; readonly debug: boolean },
): Context {
  let client: Client | undefined
  return {
    ...world,
    debug: options.debug,
    get client() {
      client ??= new Client(resolveHost(options.host, world.env))
      return client
    },
    print: line => void world.stdout.write(`${line}\n`),
    warn: line => void world.stderr.write(`${line}\n`),
  }
}

/** The process's own world. */
export const processWorld: World = {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  now: Date.now,
}

/** `~/.docker/config.json`, where registry credentials and the detach keys are kept. */
export function configPath(env: World['env']): string {
  return `${env.DOCKER_CONFIG ?? `${env.HOME ?? homedir()}/.docker`}/config.json`
}
