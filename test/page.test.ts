/** The page in a real browser, served by a real engine. */
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser } from './support/browser.ts'
import { TestHost } from './support/host.ts'
import { until } from './support/until.ts'

let host: TestHost
let browser: Browser
let page: Page
const complaints: string[] = []

/** Generous: a loaded machine takes its time to draw. */
const patience = { timeout: 30_000 }

async function enter(into: Page): Promise<void> {
  const { stdout } = await host.linkspan('ui')
  await into.goto(stdout.trim(), patience)
}

beforeAll(async () => {
  // The address is taken: the page moves on to another port.
  host = await TestHost.open(['--web', '', '--mend=false'])
  await host.ok('network', 'create', 'shop')
  await host.ok('network', 'create', '--internal', 'vault')
  await host.ok('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'httpd', '-f', '-h', '/var/www')
  await host.ok('run', '-d', '--name', 'api', '--network', 'shop', 'busybox', 'sleep', '600')
  await host.ok('run', '-d', '--name', 'db', '--network', 'vault', 'busybox', 'sleep', '600')
  await host.ok('network', 'connect', 'vault', 'api')
  browser = await openBrowser(host)
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1440, height: 900 } })
  page = await context.newPage()
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  await enter(page)
})
afterAll(async () => {
  await browser.close()
  await host.close()
})

const box = (name: string) => page.locator(`.box[data-name=${JSON.stringify(name)}]`)

async function facts(container: string): Promise<{ readonly host: number; readonly inside: number }> {
  const line = await host.ok('exec', container, 'ip', '-o', 'link', 'show', 'eth0')
  const [, inside = '', outside = ''] = /^(\d+): eth0@if(\d+)/.exec(line) ?? []
  return { host: Number(outside), inside: Number(inside) }
}

describe('the topology', () => {
  it('shows every bridge as a rail, every container as a box, and both ifindexes on the cable', async () => {
    await box('db').waitFor(patience)
    const text = await page.locator('.canvas svg').innerHTML()
    for (const name of ['bridge', 'shop', 'vault', 'docker0', '172.17.0.0/16', '8080→80'])
      expect(text).toContain(name)
    const { host: outside, inside } = await facts('web')
    expect(text).toContain(`${outside} ⇄ ${inside}`)
    // The internal network has a stub and comes last.
    expect(await page.locator('.rail text.name').allTextContents()).toEqual(['bridge', 'shop', 'vault'])
    expect(await page.locator('.rail .stub').count()).toBe(1)
  })

  it('follows what happens: a container appears, a cable grows and goes, a container leaves', async () => {
    await host.ok('run', '-d', '--name', 'late', '--network', 'shop', 'busybox', 'sleep', '600')
    await box('late').waitFor(patience)
    const cables = page.locator('.cable')
    const before = await cables.count()
    await host.ok('network', 'connect', 'vault', 'late')
    await until(async () => (await cables.count()) === before + 1)
    await host.ok('network', 'disconnect', 'vault', 'late')
    await until(async () => (await cables.count()) === before)
    await host.ok('rm', '-f', 'late')
    await box('late').waitFor({ ...patience, state: 'detached' })
  })

  it('shows rates', async () => {
    await host.shell('docker exec -d web ping -i 0.05 -s 8000 -w 20 172.17.0.1')
    await page
      .locator('.cable-label', { hasText: /[kM]?B\/s/ })
      .first()
      .waitFor(patience)
  })

  it('lights whom a container reaches, by click and by keyboard', async () => {
    await box('api').click()
    await page.locator('.panel .list li', { hasText: 'db' }).waitFor(patience)
    await page.locator('.box.dim[data-name=web]').waitFor(patience)
    expect(await box('db').getAttribute('class')).not.toContain('dim')
    expect(await page.locator('.foot code').textContent()).toContain('linkspan rules api')
    await page.keyboard.press('Escape')
    await page
      .locator('.box.dim')
      .first()
      .waitFor({ ...patience, state: 'detached' })
    await box('db').focus()
    await page.keyboard.press('Enter')
    await page.locator('.box[data-name=db][aria-pressed=true]').waitFor(patience)
    await page.keyboard.press('Escape')
  })

  it('draws the path between two, hop by hop, and says why it ends', async () => {
    await box('api').click()
    await box('web').click()
    await page.locator('.verdict', { hasText: 'Blocked' }).waitFor(patience)
    expect(await page.locator('.panel').textContent()).toContain('NET_ISOLATED')
    expect(await page.locator('.walk .path').count()).toBeGreaterThan(0)
    expect(await page.locator('.foot code').textContent()).toBe('$ linkspan explain api web')
    await page.keyboard.press('Escape')
  })

  it('answers what is typed', async () => {
    await page.getByRole('searchbox').fill('internet → web:80')
    await page.keyboard.press('Enter')
    await page.locator('.verdict', { hasText: 'Reachable' }).waitFor(patience)
    const hops = await page.locator('.hops li').count()
    expect(hops).toBeGreaterThan(3)
    expect(await page.locator('.hops').textContent()).toContain('172.17.0.2:80')
    await page.getByRole('searchbox').fill('api -> nosuch')
    await page.keyboard.press('Enter')
    await page
      .locator('.panel', { hasText: 'NO_SUCH_NAME' })
      .or(page.locator('.panel .error'))
      .first()
      .waitFor(patience)
    await page.locator('.panel .close').click()
  })

  it('has a text twin', async () => {
    await page.getByRole('button', { name: 'The picture as text' }).click()
    const text = await page.locator('.text-picture').textContent()
    expect(text).toContain('api')
    expect(text).toContain('172.17.0.2/16')
    await page.getByRole('button', { name: 'The picture as text' }).click()
  })
})

describe('the networks', () => {
  it('are listed with their use, and made, connected and removed by forms that show the command', async () => {
    await page.getByRole('link', { name: 'Networks' }).click()
    const create = page.getByRole('form', { name: 'Create a network' })
    await create.getByLabel('Name').fill('made')
    await create.getByLabel(/^Subnet/).fill('172.17.0.0/24')
    expect(await create.locator('pre').textContent()).toBe(
      '$ docker network create --subnet 172.17.0.0/24 made',
    )
    await create.getByRole('button', { name: 'Create' }).click()
    await create.getByRole('alert').filter({ hasText: 'overlaps' }).waitFor(patience)
    await create.getByLabel(/^Subnet/).fill('10.77.0.0/24')
    await create.getByRole('button', { name: 'Create' }).click()
    const row = page.getByRole('row', { name: /made/ })
    await row.waitFor(patience)
    expect(await host.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'made')).toBe(
      '10.77.0.0/24',
    )

    const connect = page.getByRole('form', { name: 'Connect a container' })
    await connect.getByLabel('Network').selectOption('made')
    await connect.getByLabel('Container').fill('api')
    await connect.getByLabel(/^Aliases/).fill('backend')
    expect(await connect.locator('pre').textContent()).toBe(
      '$ docker network connect --alias backend made api',
    )
    await connect.getByRole('button', { name: 'Connect', exact: true }).click()
    await row.filter({ hasText: 'api' }).waitFor(patience)
    expect(await host.ok('exec', 'api', 'ip', 'a')).toContain('10.77.0.2')
    await connect.getByRole('button', { name: 'Disconnect' }).click()
    await row.filter({ hasText: 'api' }).waitFor({ ...patience, state: 'detached' })
    await page.getByRole('button', { name: 'Remove made' }).click()
    await row.waitFor({ ...patience, state: 'detached' })
    expect(await host.ok('network', 'ls', '--format', '{{.Name}}')).not.toContain('made')
  })
})

describe('DNS', () => {
  it('lists names and shows questions as they are answered', async () => {
    await page.goto(`${new URL(page.url()).origin}/#/names/api`)
    await page.getByRole('row', { name: /^api shop/ }).waitFor(patience)
    await host.ok('exec', 'api', 'nslookup', '-type=a', 'db')
    await page
      .getByRole('row', { name: /A db NOERROR 1 zone/ })
      .first()
      .waitFor(patience)
  })
})

describe('the other views', () => {
  it('trace shows real packets, in names, and stops', async () => {
    await page.goto(`${new URL(page.url()).origin}/#/trace/web`)
    await page.getByRole('button', { name: 'Start' }).click()
    await until(async () => {
      await host.internet('curl -s -m 5 http://10.10.101.105:8080/')
      return (await page.getByRole('row', { name: /→ web:80/ }).count()) > 0
    })
    await page.getByRole('button', { name: 'Stop' }).click()
  })

  it('captures give a file that is a pcapng', async () => {
    await page.goto(`${new URL(page.url()).origin}/#/captures/web`)
    await page.getByLabel('Seconds').fill('1')
    const [download] = await Promise.all([
      page.waitForEvent('download', patience),
      page.getByRole('button', { name: 'Capture and download' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('web.pcapng')
    const bytes = readFileSync(await download.path())
    // The section header block (pcapng, section 4.1).
    expect(bytes.readUInt32BE(0)).toBe(0x0a0d0d0a)
  })

  it('the doctor says what it found, and mends', async () => {
    await host.shell('ip link set docker0 down')
    await page.goto(`${new URL(page.url()).origin}/#/doctor`)
    const finding = page
      .locator('.findings li', { hasText: 'docker0' })
      .filter({ has: page.getByRole('button') })
    await finding.first().waitFor(patience)
    await finding.first().getByRole('button', { name: 'Mend' }).click()
    await until(async () => (await host.shell('ip -o link show docker0')).stdout.includes(',UP'))
  })
})

describe('whoever looks', () => {
  it('has both themes and both languages, and keeps them', async () => {
    const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    await page.getByLabel('Theme').selectOption('dark')
    const dark = await background()
    await page.getByLabel('Theme').selectOption('light')
    expect(await background()).not.toBe(dark)
    await page.getByRole('button', { name: '中文' }).click()
    await page.getByRole('link', { name: '网络' }).waitFor(patience)
    expect(await page.evaluate<string>('document.documentElement.lang')).toBe('zh-CN')
    await page.reload(patience)
    await page.getByRole('link', { name: '网络' }).waitFor(patience)
    await page.getByRole('button', { name: 'English' }).click()
    await page.getByRole('link', { name: 'Networks' }).waitFor(patience)
  })

  it('comes in by the token only', async () => {
    const stranger = await browser.newContext()
    const other = await stranger.newPage()
    const answer = await other.goto(new URL(page.url()).origin, patience)
    expect(answer?.status()).toBe(401)
    await stranger.close()
  })

  it('sees no error in the console', () => {
    expect(complaints.filter(text => !text.startsWith('Failed to load resource'))).toEqual([])
  })
})
