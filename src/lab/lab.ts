/**
 * A throw-away host with an internet of its own: two network namespaces joined by a veth, so that an engine can be run
 * and looked at without touching the machine's network. Everything lives in one directory; several labs may exist.
 *
 * The host has a mount namespace as well, entered by everybody who enters the host: its own /etc/resolv.conf and /sys.
 * What is mounted in the lab is seen in the lab only, and ends with it.
 */
import { execFile, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unmountDetached } from '../kernel/index.ts'
import { directoryScript, files, gatewayScript, hostScript, internetScript, resolvConf } from './plan.ts'
import { endAll, namespaceOf, startTimeOf } from './process.ts'

export type Place = 'host' | 'internet'

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Given to the command's standard input. */
  readonly input?: string
  /** Default one minute; then the command is ended. */
  readonly timeoutMs?: number
}

export interface ExecResult {
  /** 255 if it was ended by a signal or could not be started. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Lab {
  readonly directory: string
  /** Files to enter the network namespaces by. */
  readonly host: { readonly path: string }
  readonly internet: { readonly path: string }
  /** The command line that runs `argv` there, without a process in between: its pid is the command's. */
  argv(place: Place, argv: readonly string[]): readonly string[]
  exec(place: Place, argv: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** Ends what runs in the lab and removes it. Nothing is left; a second call does nothing. */
  down(): Promise<void>
}

export interface LabSettings {
  /** Made if it is not there; removed by `down` if it is empty then. */
  readonly directory: string
  /** IPv6 addresses beside the IPv4 ones. */
  readonly ipv6?: boolean
}

const defaultTimeoutMs = 60_000
/** How long the servers may take until they listen, and processes to end when asked. */
const startTimeoutMs = 10_000
const graceMs = 3_000

function run(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [command = '', ...args] = argv
  return new Promise(done => {
    const child = execFile(
      command,
      args,
      {
        timeout: options.timeoutMs ?? defaultTimeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        ...(options.env === undefined ? {} : { env: options.env }),
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
        done({ code, stdout, stderr })
      },
    )
    // A command that does not read its input closes it under our hands.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}

async function must(doing: string, argv: readonly string[]): Promise<void> {
  const { code, stderr } = await run(argv)
  if (code !== 0) throw new Error(`${doing}: ${stderr.trim()}`)
}

/** The servers' program: beside this file once built; tests that run from the sources use the built one. */
function serverProgram(): string {
  const candidates = ['./lab-server.js', '../../dist/lab-server.js'].map(path =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  const found = candidates.find(existsSync)
  if (found === undefined) throw new Error('the lab is not built; run "npm run build"')
  return found
}

/** True while the process that wrote the file lives. */
function serverRuns(directory: string): boolean {
  try {
    const [pid, startTime] = readFileSync(join(directory, files.server), 'utf8').trim().split(' ')
    return startTime !== undefined && startTimeOf(Number(pid)) === startTime
  } catch {
    return false
  }
}

/** Starts the servers and waits until they listen. They outlive this process. */
async function startServer(directory: string, ipv6: boolean): Promise<void> {
  const log = openSync(join(directory, files.log), 'a')
  const [command = '', ...args] = enter(directory, 'internet', [
    process.execPath,
    serverProgram(),
    join(directory, files.server),
    ipv6 ? 'ipv6' : 'ipv4',
  ])
  const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', log], cwd: '/' })
  closeSync(log)
  await new Promise<void>((done, fail) => {
    const timer = setTimeout(() => fail(new Error('the lab’s servers do not start')), startTimeoutMs)
    const settle = (action: () => void): void => {
      clearTimeout(timer)
      action()
    }
    child.once('error', error => settle(() => fail(error)))
    child.once('exit', () =>
      settle(() =>
        fail(
          new Error(`the lab’s servers ended at once:\n${readFileSync(join(directory, files.log), 'utf8')}`),
        ),
      ),
    )
    child.stdout?.once('data', () => settle(done))
  })
  child.stdout?.destroy()
  child.removeAllListeners()
  child.unref()
}

function enter(directory: string, place: Place, argv: readonly string[]): readonly string[] {
  if (place === 'internet') return ['nsenter', `--net=${join(directory, files.internetNet)}`, '--', ...argv]
  const namespaces = [
    `--net=${join(directory, files.hostNet)}`,
    `--mount=${join(directory, files.hostMounts)}`,
  ]
  // Entering a mount namespace moves to its root: go back to where the caller is.
  return ['nsenter', ...namespaces, '--', 'env', '-C', process.cwd(), ...argv]
}

/** The namespaces' identities. Only what is mounted is one: the inode of a plain file could be anybody's. */
function identities(directory: string): ReadonlySet<string> {
  const kinds = [
    [files.hostNet, 'net'],
    [files.internetNet, 'net'],
    [files.hostMounts, 'mnt'],
  ] as const
  const found = kinds
    .map(([name, kind]) => [join(directory, name), kind] as const)
    .filter(([path]) => isMountPoint(path))
    .map(([path, kind]) => namespaceOf(path, kind))
  return new Set(found.filter(name => name !== undefined))
}

function isMountPoint(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some(line => unescapeMount(line.split(' ')[4] ?? '') === path)
}

function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** Ends what runs in the lab and takes it away, whatever of it is there. */
export async function removeLab(path: string): Promise<void> {
  const directory = resolve(path)
  const namespaces = [files.hostMounts, files.hostNet, files.internetNet].map(name => join(directory, name))
  if (namespaces.some(isMountPoint)) await endAll(identities(directory), graceMs)
  for (const path of namespaces) while (isMountPoint(path) && unmountDetached(path) === 0);
  while (isMountPoint(directory) && unmountDetached(directory) === 0);
  for (const name of Object.values(files)) {
    if (name === files.oldSys) {
      if (existsSync(join(directory, name))) rmdirSync(join(directory, name))
    } else rmSync(join(directory, name), { force: true })
  }
  if (existsSync(directory)) {
    try {
      rmdirSync(directory)
    } catch {
      // Somebody keeps other things there.
    }
  }
}

function handle(directory: string): Lab {
  return {
    directory,
    host: { path: join(directory, files.hostNet) },
    internet: { path: join(directory, files.internetNet) },
    argv: (place, argv) => enter(directory, place, argv),
    exec: (place, argv, options) => run(enter(directory, place, argv), options),
    down: () => removeLab(directory),
  }
}

/** True if both ends are there and know their addresses: what a crash left half-built is not. */
async function isWhole(directory: string): Promise<boolean> {
  const names = [files.hostMounts, files.hostNet, files.internetNet]
  if (!names.every(name => isMountPoint(join(directory, name)))) return false
  const results = await Promise.all(
    (['host', 'internet'] as const).map(place =>
      run(enter(directory, place, ['ip', '-brief', 'address', 'show', 'up', 'dev', 'eth0'])),
    ),
  )
  return results.every(({ code, stdout }) => code === 0 && /10\.10\.101\.(?:105|254)\/24/.test(stdout))
}

async function build(directory: string, ipv6: boolean): Promise<void> {
  mkdirSync(directory, { recursive: true })
  await must('mount the lab’s directory on itself', ['sh', '-c', directoryScript(directory)])
  const at = (name: string): string => join(directory, name)
  for (const name of [files.hostNet, files.hostMounts, files.internetNet]) writeFileSync(at(name), '')
  writeFileSync(at(files.resolvConf), resolvConf)
  await must('make the internet', [
    'unshare',
    `--net=${at(files.internetNet)}`,
    'sh',
    '-c',
    internetScript(ipv6),
  ])
  await must('make the host', [
    'unshare',
    `--net=${at(files.hostNet)}`,
    `--mount=${at(files.hostMounts)}`,
    '--propagation=slave',
    'sh',
    '-c',
    hostScript(directory, ipv6),
  ])
  await must('join the internet to the host', enter(directory, 'internet', ['sh', '-c', gatewayScript(ipv6)]))
}

/** Builds the lab, or makes one that is there whole again: a lab that works is left as it is. */
export async function createLab(settings: LabSettings): Promise<Lab> {
  if (process.getuid?.() !== 0) throw new Error('a lab is made of network namespaces: run it as root')
  const directory = resolve(settings.directory)
  const ipv6 = settings.ipv6 ?? false
  try {
    if (!(await isWhole(directory))) {
      await removeLab(directory)
      await build(directory, ipv6)
    }
    if (!serverRuns(directory)) await startServer(directory, ipv6)
  } catch (error) {
    await removeLab(directory)
    throw error
  }
  return handle(directory)
}

/** A lab that was built before; undefined if there is none. */
export function openLab(directory: string): Lab | undefined {
  const path = resolve(directory)
  return isMountPoint(join(path, files.hostNet)) ? handle(path) : undefined
}
