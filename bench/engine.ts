/**
 * Engines to be measured: ours and, where it can be had, dockerd. Each runs on a throw-away host of its own, on
 * directories of its own, with the busybox image; both are driven in the same way.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLab, type Lab } from '../src/lab/index.ts'
import { type ApiClient, openApi } from './api.ts'
import { openCpuGroup } from './cpu.ts'
import { must, run, type Output } from './run.ts'

/** Root of the repository, seen from the bundle in .cache/bench. */
export const root = new URL('../..', import.meta.url).pathname

const readyAttempts = 300
const stopMs = 15_000

export interface Engine {
  readonly name: string
  readonly lab: Lab
  readonly api: ApiClient
  /** Runs the docker command line against it; throws if that fails. */
  docker(...args: readonly string[]): Promise<string>
  /** As `docker`, whatever comes out. */
  tryDocker(...args: readonly string[]): Promise<Output>
  /** CPU time of the engine and its helpers so far, in ms; absent where it cannot be told. */
  readonly cpu?: () => number
  close(): Promise<void>
}

interface Launch {
  readonly name: string
  readonly directory: string
  readonly argv: (paths: Paths) => readonly string[]
  readonly path?: string
}

interface Paths {
  readonly socket: string
  readonly data: string
  readonly exec: string
  readonly pidfile: string
  readonly config: string
}

/** The engine of this checkout, or of another built one, to see what a change is worth. */
export function openLinkspan(directory: string, checkout = root, name = 'linkspan'): Promise<Engine> {
  return launch({
    name,
    directory,
    argv: ({ socket, data, exec, pidfile, config }) => [
      process.execPath,
      join(checkout, 'bin/linkspan'),
      'daemon',
      '--host',
      `unix://${socket}`,
      '--data-root',
      data,
      '--exec-root',
      exec,
      '--pidfile',
      pidfile,
      '--config-file',
      config,
      '--web',
      'off',
      '--log-level',
      'warn',
    ],
  })
}

/** Where dockerd can be had from: $DOCKERD_DIR with extracted packages in it, else $PATH. A sentence if nowhere. */
export function findDockerd(): { readonly path: string } | string {
  const given = process.env['DOCKERD_DIR']
  const own = process.env['PATH'] ?? ''
  const added =
    given === undefined
      ? []
      : ['usr/sbin', 'usr/bin', 'sbin', 'bin', '.'].map(each => join(given, each)).filter(existsSync)
  const directories = [...added, ...own.split(delimiter), '/usr/sbin', '/sbin']
  const lacking = ['dockerd', 'containerd', 'runc', 'iptables'].filter(
    program => !directories.some(each => existsSync(join(each, program))),
  )
  if (lacking.length === 0) return { path: directories.join(delimiter) }
  return given === undefined
    ? `dockerd left out: ${lacking.join(', ')} not in $PATH (DOCKERD_DIR names a directory with extracted packages)`
    : `dockerd left out: ${lacking.join(', ')} neither in ${given} nor in $PATH`
}

export function openDockerd(directory: string, path: string): Promise<Engine> {
  return launch({
    name: 'dockerd',
    directory,
    path,
    argv: ({ socket, data, exec, pidfile, config }) => [
      'dockerd',
      '--host',
      `unix://${socket}`,
      '--data-root',
      data,
      '--exec-root',
      exec,
      '--pidfile',
      pidfile,
      '--config-file',
      config,
      '--log-level',
      'warn',
    ],
  })
}

async function launch({ name, directory, argv, path }: Launch): Promise<Engine> {
  mkdirSync(directory, { recursive: true })
  const at = (file: string) => join(directory, file)
  const paths: Paths = {
    socket: at('s'),
    data: at('data'),
    exec: at('run'),
    pidfile: at('pid'),
    config: at('daemon.json'),
  }
  writeFileSync(paths.config, '{}\n')
  const lab = await createLab({ directory: at('lab') })
  const group = openCpuGroup(directory)
  const [command = '', ...args] = lab.argv('host', argv(paths))
  const [program = '', ...words] = group?.argv([command, ...args]) ?? [command, ...args]
  const log = openSync(at('log'), 'a')
  const daemon = spawn(program, words, {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...(path === undefined ? {} : { PATH: path }) },
  })
  closeSync(log)
  const env = { ...process.env, DOCKER_HOST: `unix://${paths.socket}`, DOCKER_CONFIG: at('client') }
  const api = openApi(paths.socket)
  const tryDocker = (...words: readonly string[]) => run(['docker', ...words], { env })
  const close = async () => {
    api.close()
    const { stdout } = await tryDocker('ps', '-aq')
    const ids = stdout.split('\n').filter(id => id !== '')
    if (ids.length > 0) await tryDocker('rm', '-f', ...ids)
    await stop(daemon)
    await lab.down()
    group?.remove()
  }
  try {
    await ready(daemon, async () => (await tryDocker('version')).code === 0, at('log'))
    await must(
      ['docker', 'import', '--change', 'CMD ["sh"]', join(directory, '../busybox.tar'), 'busybox:latest'],
      { env },
    )
  } catch (error) {
    await close()
    throw error
  }
  return {
    name,
    lab,
    api,
    docker: (...words) => must(['docker', ...words], { env }),
    tryDocker,
    ...(group === undefined ? {} : { cpu: () => group.used() }),
    close,
  }
}

async function ready(daemon: ChildProcess, answers: () => Promise<boolean>, log: string): Promise<void> {
  for (let attempt = 0; attempt < readyAttempts; attempt++) {
    if (daemon.exitCode !== null) break
    if (await answers()) return
    await sleep(100)
  }
  throw new Error(`the engine did not become ready:\n${readFileSync(log, 'utf8')}`)
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  const gone = new Promise(resolve => daemon.once('exit', resolve))
  daemon.kill('SIGTERM')
  const killer = setTimeout(() => daemon.kill('SIGKILL'), stopMs)
  await gone
  clearTimeout(killer)
}

/** The busybox image as an archive for `docker import`: the static busybox of the machine and its applets' names. */
export async function makeBusyboxArchive(directory: string): Promise<void> {
  const tree = join(directory, 'busybox')
  mkdirSync(join(tree, 'bin'), { recursive: true })
  for (const each of ['etc', 'root', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(tree, each))
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\n')
  const script =
    'cp "$(command -v busybox)" bin/busybox; for a in $(bin/busybox --list); do [ -e bin/$a ] || ln -s busybox bin/$a; done'
  await must(['sh', '-c', script], { cwd: tree })
  await must(['tar', '-cf', join(directory, 'busybox.tar'), '-C', tree, '.'])
}
