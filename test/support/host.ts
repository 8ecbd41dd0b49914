/**
 * A throw-away host for end-to-end tests: a lab (host and internet joined by a veth), a built daemon running in its
 * host namespace on directories of its own, the unmodified docker command line as client. `close` checks that nothing
 * is left.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLab, type Lab } from '../../src/lab/index.ts'

const root = new URL('../..', import.meta.url).pathname
export const linkspanBinary = join(root, 'bin/linkspan')

export interface Output {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

export class TestHost {
  readonly lab: Lab
  readonly directory: string
  readonly socket: string
  readonly #flags: readonly string[]
  #daemon: ChildProcess | undefined

  private constructor(lab: Lab, directory: string, flags: readonly string[]) {
    this.lab = lab
    this.directory = directory
    this.socket = join(directory, 'docker.sock')
    this.#flags = flags
  }

  /** A host with a daemon that has the busybox image. */
  static async open(flags: readonly string[] = []): Promise<TestHost> {
    const directory = mkdtempSync(join(tmpdir(), 'ls-'))
    const lab = await createLab({ directory: join(directory, 'lab'), ipv6: true })
    const host = new TestHost(lab, directory, flags)
    await host.start()
    const imported = await host.shell(
      `${join(root, 'scripts/busybox-image')} | docker import --change 'CMD ["sh"]' - busybox:latest`,
    )
    if (imported.code !== 0) throw new Error(`importing busybox failed: ${imported.stderr}`)
    return host
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0
  }

  /** Starts the daemon and waits until it answers. */
  async start(extra: readonly string[] = []): Promise<void> {
    const log = openSync(join(this.directory, 'daemon.log'), 'a')
    const argv = [
      process.execPath,
      linkspanBinary,
      'daemon',
      '--host',
      `unix://${this.socket}`,
      '--data-root',
      join(this.directory, 'data'),
      '--exec-root',
      join(this.directory, 'run'),
      '--pidfile',
      join(this.directory, 'daemon.pid'),
      '--config-file',
      '/dev/null',
      '--web',
      'off',
      ...this.#flags,
      ...extra,
    ]
    const [command = '', ...args] = this.lab.argv('host', argv)
    this.#daemon = spawn(command, args, { stdio: ['ignore', log, log] })
    await this.#ready(this.#daemon)
  }

  /** Ends the daemon with a signal and waits until it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const daemon = this.#daemon
    if (daemon === undefined || daemon.exitCode !== null) return daemon?.exitCode ?? 0
    const gone = new Promise<number | null>(resolve => daemon.once('exit', code => resolve(code)))
    daemon.kill(signal)
    return await gone
  }

  /** Runs the docker command line against the daemon. */
  docker(...args: readonly string[]): Promise<Output> {
    return run('docker', args, this.environment())
  }

  /** As `docker`, and fails the test if it fails. Gives its output without the last newline. */
  async ok(...args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await this.docker(...args)
    if (code !== 0) throw new Error(`docker ${args.join(' ')} failed (${code}): ${stderr}${stdout}`)
    return stdout.trimEnd()
  }

  /** The client side of linkspan itself. */
  linkspan(...args: readonly string[]): Promise<Output> {
    return run(process.execPath, [linkspanBinary, ...args], this.environment())
  }

  /** A shell line in the host's namespace, with the docker command line pointed at the daemon. */
  shell(line: string): Promise<Output> {
    const [command = '', ...args] = this.lab.argv('host', ['sh', '-c', line])
    return run(command, args, this.environment())
  }

  /** A shell line out in the internet. */
  internet(line: string): Promise<Output> {
    const [command = '', ...args] = this.lab.argv('internet', ['sh', '-c', line])
    return run(command, args, this.environment())
  }

  async inspect<T>(...args: readonly string[]): Promise<T> {
    const [first] = JSON.parse(await this.ok(...args)) as T[]
    if (first === undefined) throw new Error(`docker ${args.join(' ')} found nothing`)
    return first
  }

  environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      DOCKER_HOST: `unix://${this.socket}`,
      DOCKER_CONFIG: join(this.directory, 'docker'),
    }
  }

  log(): string {
    return readFileSync(join(this.directory, 'daemon.log'), 'utf8')
  }

  /** Everything about the host that a command could change: links, addresses, tables, mounts, namespaces. */
  async dump(): Promise<string> {
    const { stdout } = await this.shell(
      `ip -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//' | sort; ip -o addr | sed 's/^[0-9]*: //; s/ tentative//' | sort; ip route | sort; nft list ruleset; ss -Hlntu | awk '{print $1, $5}' | sort`,
    )
    const files = readdirSync(join(this.directory, 'run/netns'))
    const free = files.filter(name => name.endsWith('.free')).map(name => name.slice(0, -'.free'.length))
    const namespaces = files.filter(name => !name.endsWith('.free') && !free.includes(name))
    // The daemon mounts in the lab's own mount namespace.
    const mounts = (await this.shell('cat /proc/self/mountinfo')).stdout
      .split('\n')
      .filter(line => line.includes(this.directory) && !free.some(name => line.includes(`/netns/${name} `)))
      .map(line => line.split(' ').slice(3, 6).join(' '))
      .sort()
    const containers = readdirSync(join(this.directory, 'data/containers'))
    return [inOrder(stdout), ...mounts, ...namespaces.sort(), ...containers.sort()].join('\n')
  }

  /** Waits until `dump` equals what it was: deletions run behind the answer. */
  async settlesTo(before: string): Promise<string> {
    let now = await this.dump()
    for (let attempt = 0; attempt < 50 && now !== before; attempt++) {
      await sleep(100)
      now = await this.dump()
    }
    return now
  }

  /** Removes everything; throws if something of the run is left. */
  async close(): Promise<void> {
    const ids = await this.docker('ps', '-aq')
    if (ids.stdout.trim() !== '') await this.docker('rm', '-f', ...ids.stdout.trim().split('\n'))
    const code = await this.stop()
    await this.lab.down()
    const left = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter(line => line.includes(this.directory))
    const log = this.log()
    rmSync(this.directory, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`mounts are left:\n${left.join('\n')}`)
    if (code !== 0) throw new Error(`the daemon ended with ${code}:\n${log}`)
  }

  async #ready(daemon: ChildProcess): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (daemon.exitCode !== null) throw new Error(`the daemon ended at once:\n${this.log()}`)
      if (existsSync(this.socket) && (await this.docker('version')).code === 0) return
      await sleep(50)
    }
    throw new Error(`the daemon did not become ready:\n${this.log()}`)
  }
}

/** The kernel lists the elements of a set in no order that means anything. */
function inOrder(text: string): string {
  return text.replaceAll(/elements = \{([^}]*)\}/g, (_, list: string) =>
    list
      .split(',')
      .map(element => element.trim())
      .sort()
      .join(', '),
  )
}

export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Output> {
  return new Promise(resolve => {
    const child = execFile(
      command,
      [...args],
      { env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
        resolve({ stdout, stderr, code })
      },
    )
    child.stdin?.end()
  })
}
