/**
 * The daemon: opens the engine, lets the API in, and goes down cleanly. Containers outlive it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { type ApiAddress, type ApiServer, createApiServer, type PageOptions } from './api/index.ts'
import type { DaemonOptions, ListenAddress, WebOptions } from './daemon-options.ts'
import { openEngine } from './engine/index.ts'
import { createInsight } from './insight/index.ts'
import { notifySystemd } from './kernel/index.ts'
import { version } from './version.ts'

/** systemd hands sockets over from this descriptor on (sd_listen_fds(3)). */
const firstHandedFd = 3

/**
 * Runs until SIGTERM or SIGINT and resolves after a clean stop. Throws a sentence for the user if it cannot start.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error('the daemon makes network interfaces and containers: run it as root')
  }
  const log = pino(
    { level: options.debug ? 'debug' : options.logLevel },
    pino.destination({ dest: 2, sync: true }),
  )
  const stop = stopSignal()
  claimPidfile(options.pidfile)
  try {
    for (const warning of options.warnings) log.warn(warning)
    const failure = new AbortController()
    const engine = await openEngine(options, version, log, error => failure.abort(error))
    const api = createApiServer(engine, {
      log,
      group: options.group,
      insight: createInsight(engine),
      page: page(options.web),
    })
    try {
      const addresses = options.listen.flatMap(listenPlaces)
      const places = await Promise.all(addresses.map(address => listen(api, address)))
      const url = options.web?.atStart === true ? await api.visit() : undefined
      notifySystemd('READY=1')
      log.info({ version, firewall: engine.info().firewall, runtime: engine.info().runtime.name }, 'ready')
      process.stdout.write(`linkspan ${version} is ready on ${places.join(', ')}\n`)
      if (url !== undefined) process.stdout.write(`the page: ${url}\n`)
      const signal = await Promise.race([stop, whenAborted(failure.signal)])
      notifySystemd('STOPPING=1')
      log.info({ signal }, 'stopping; containers go on running')
    } finally {
      await within(options.shutdownTimeout, async () => {
        await api.close()
        await engine.close()
      }).catch((error: unknown) => {
        // What was answered is on disk, and the next start mends the rest: better than a unit that never stops.
        log.fatal({ err: error }, 'stopping took too long: ended all the same')
        rmSync(options.pidfile, { force: true })
        process.exit(1)
      })
    }
  } finally {
    rmSync(options.pidfile, { force: true })
  }
}

/** Runs a job that has so many seconds. */
async function within(seconds: number, job: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000)
  })
  try {
    await Promise.race([job(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** The page is built beside this program's own files. */
function page(web: WebOptions | undefined): PageOptions | undefined {
  if (web === undefined) return undefined
  const directory = fileURLToPath(new URL('web', import.meta.url))
  return { host: web.host, port: web.port, directory, anyPort: !web.atStart }
}

function listenPlaces(address: ListenAddress): readonly ApiAddress[] {
  if (address.kind !== 'systemd') return [address]
  const count = Number(process.env['LISTEN_FDS'] ?? '0')
  return Array.from({ length: count }, (_, index) => ({ kind: 'fd' as const, fd: firstHandedFd + index }))
}

/** Gives the place as clients write it in DOCKER_HOST. */
async function listen(api: ApiServer, address: ApiAddress): Promise<string> {
  const place = await api.listen(address)
  return place.startsWith('/') ? `unix://${place}` : `tcp://${place}`
}

/** Resolves with the first signal that asks the daemon to stop. A second one ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve(signal)
        process.once(signal, () => process.exit(1))
      })
    }
  })
}

/** Two daemons on one data root would destroy each other's state: the second one refuses to start. */
function claimPidfile(path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const other = Number(readIfThere(path))
  if (other > 0 && other !== process.pid && isDaemon(other)) {
    throw new Error(`a daemon runs already: process ${other} according to ${path}`)
  }
  writeFileSync(path, `${process.pid}\n`)
}

/** Rejects with the reason of the abort. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason instanceof Error ? signal.reason : new Error('the engine failed'))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

/** A pid can have been given to another program since: its command line tells. */
function isDaemon(pid: number): boolean {
  return readIfThere(`/proc/${pid}/cmdline`).includes('linkspan')
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
