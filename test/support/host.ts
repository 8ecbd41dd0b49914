/**
 * A throw-away host for end-to-end tests: a lab (host and internet joined by a veth), a built daemon running in its
 * host namespace on directories of its own, the unmodified docker command line as client. `close` checks that nothing
 * is left.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLab, type Lab } from '../../src/lab/index.ts'

const root = new URL('../..', import.meta.url).pathname
export const linkspanBinary = join(root, 'bin/linkspan')

/**
 * The docker command here is older than the one whose words tests hold ours against (28): Debian 12 has 20.10, which
 * is what the set-up can fetch. Tests of words are skipped then; tests of what happens are not.
 */
export const oldDocker =
  Number(/ (\d+)\./.exec(execFileSync('docker', ['--version'], { encoding: 'utf8' }))?.[1]) < 28
if (oldDocker) process.stderr.write('skipped: tests of the words of docker 28, this is an older one\n')

export interface Output {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** A program that goes on running beside the test. */
export interface Running {
  /** What it has printed so far, errors included. */
  readonly output: string
  kill(signal?: NodeJS.Signals): void
}

/** Who drives the daemon: the unmodified docker command line, or our own. */
export type ClientName = 'docker' | 'linkspan'

export class TestHost {
  readonly lab: Lab
  readonly directory: string
  readonly socket: string
  readonly #flags: readonly string[]
  readonly #client: ClientName
  #daemon: ChildProcess | undefined

  private constructor(lab: Lab, directory: string, flags: readonly string[], client: ClientName) {
    this.lab = lab
    this.directory = directory
    this.socket = join(directory, 'docker.sock')
    this.#flags = flags
    this.#client = client
  }

  /** A host with a daemon that has the busybox image. */
  static async open(flags: readonly string[] = [], client: ClientName = 'docker'): Promise<TestHost> {
    const directory = mkdtempSync(join(tmpdir(), 'ls-'))
    const lab = await createLab({ directory: join(directory, 'lab'), ipv6: true })
    const host = new TestHost(lab, directory, flags, client)
    try {
      await host.start()
      const imported = await host.shell(
        `${join(root, 'scripts/busybox-image')} | docker import --change 'CMD ["sh"]' - busybox:latest`,
      )
      if (imported.code !== 0) throw new Error(`importing busybox failed: ${imported.stderr}`)
    } catch (error) {
      await host.stop()
      await lab.down()
      throw error
    }
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

  /** The client side of linkspan itself. */
  linkspan(...args: readonly string[]): Promise<Output> {
    return run(process.execPath, [linkspanBinary, ...args], this.environment())
  }

  /** A client as a word of a shell line. */
  commandLine(client: ClientName): string {
    return client === 'docker' ? 'docker' : `${process.execPath} ${linkspanBinary}`
  }

  /** Runs the client that this host was opened with. */
  client(...args: readonly string[]): Promise<Output> {
    return this.#client === 'docker' ? this.docker(...args) : this.linkspan(...args)
  }

  /** As `client`, and fails the test if it fails. Gives its output without the last newline. */
  async ok(...args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await this.client(...args)
    if (code !== 0) throw new Error(`${this.#client} ${args.join(' ')} failed (${code}): ${stderr}${stdout}`)
    return stdout.trimEnd()
  }

  /** Starts a program in the host's namespace and leaves it running; `close` ends it. */
  spawn(command: string, args: readonly string[]): Running {
    const [program = '', ...words] = this.lab.argv('host', [command, ...args])
    const child = spawn(program, words, { env: this.environment(), stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString()
      })
    }
    return {
      get output() {
        return output
      },
      kill: signal => void child.kill(signal),
    }
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

  /**
   * Everything about the host that a command could change: links, addresses, routes, tables, sockets, switches, mounts,
   * namespaces, processes, directories. Left out is what
   * the kernel takes its time for: a bridge's carrier, and the addresses that links give themselves.
   */
  async dump(): Promise<string> {
    const { stdout } = await this.shell(
      `ip -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//; s/NO-CARRIER,//; s/,LOWER_UP//; s/ state [A-Z]*//' | sort
      ip -o addr | sed 's/^[0-9]*: //' | grep -v fe80: | sort
      ip -4 route show table all | sed 's/ linkdown//' | sort; ip -6 route show table all | grep -v fe80: | sort -u; ip rule
      nft -s list ruleset
      ss -Hlntu | awk '{print $1, $5}' | sort
      sysctl -a --pattern '^net.ipv[46].(ip_forward$|conf.(all|default|docker0|eth0).(forwarding|route_localnet|rp_filter))' 2>/dev/null`,
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
    const directories = ['data/containers', 'data/images', 'run/c', 'run/rt', 'run/exits'].flatMap(name =>
      readdirSync(join(this.directory, name)).map(entry => `${name}/${entry}`),
    )
    return [
      inOrder(stdout),
      ...mounts,
      ...namespaces.sort(),
      ...directories.sort(),
      ...this.processes(),
    ].join('\n')
  }

  /** Command lines of monitors and runtimes that serve this host's containers. */
  processes(): readonly string[] {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(pid => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        } catch {
          return ''
        }
      })
      .filter(line => /\b(conmon|crun|runc) /.test(line) && line.includes(this.directory))
      .sort()
  }

  /** The dump once nothing moves any more: three times the same. */
  async settled(): Promise<string> {
    let last = ''
    for (let same = 0, attempt = 0; same < 2 && attempt < 600; attempt++) {
      const now = await this.dump()
      same = now === last ? same + 1 : 0
      last = now
      await sleep(50)
    }
    return last
  }

  /** Waits until `dump` equals what it was: deletions run behind the answer. */
  async settlesTo(before: string): Promise<string> {
    let now = await this.dump()
    for (let attempt = 0; attempt < 600 && now !== before; attempt++) {
      await sleep(50)
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
    for (let attempt = 0; attempt < 1200; attempt++) {
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
      { env, timeout: 110_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
        resolve({ stdout, stderr, code })
      },
    )
    child.stdin?.end()
  })
}
