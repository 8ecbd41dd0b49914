/** Headless Chromium (Debian's) inside a lab's host, where 127.0.0.1 is the host's. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import type { TestHost } from './host.ts'

export const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

/** Its own services are unreachable here; without these it keeps trying. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The browser is started through a script that enters the lab first: the debugging pipe goes through it. */
export async function openBrowser(host: TestHost): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('chromium is not installed: scripts/setup --test does that')
  const home = join(host.directory, 'browser')
  mkdirSync(home, { recursive: true })
  const words = host.lab.argv('host', ['env', `HOME=${home}`, chromiumPath])
  const quoted = words.map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  const executablePath = join(home, 'chromium')
  writeFileSync(executablePath, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 })
  return await chromium.launch({ executablePath, headless: true, args: flags, timeout: 60_000 })
}
