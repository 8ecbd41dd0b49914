/** Starting, refusing to start, and stopping. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLab, type Lab } from '../src/lab/index.ts'
import { linkspanBinary, type Output, run } from './support/host.ts'

let lab: Lab
let directory: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ls-'))
  lab = await createLab({ directory: join(directory, 'lab') })
})
afterAll(async () => {
  await lab.down()
  rmSync(directory, { recursive: true, force: true })
})

function inLab(line: string): Promise<Output> {
  const [command = '', ...args] = lab.argv('host', ['sh', '-c', line])
  return run(command, args, process.env)
}

function daemonLine(flags: string): string {
  const paths = `--data-root ${directory}/data --exec-root ${directory}/run --pidfile ${directory}/pid`
  const socket = `--host unix://${directory}/docker.sock --config-file /dev/null`
  return `${process.execPath} ${linkspanBinary} daemon ${paths} ${socket} ${flags}`
}

const picture = 'ip -o link | cut -d: -f2; ip -o addr; ip route; nft list ruleset; sysctl net.ipv4.ip_forward'

it('refuses a docker0 that is somebody else’s, names --bridge, and touches nothing', async () => {
  await inLab(
    'ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up',
  )
  const before = await inLab(picture)
  const { stderr, code } = await inLab(`timeout 20 ${daemonLine('')}`)
  expect(code).toBe(1)
  expect(stderr.trim().split('\n')).toEqual([
    'linkspan: docker0 exists and belongs to another program (a running dockerd?); stop it, or give this engine a bridge of its own: --bridge NAME',
  ])
  expect(await inLab(picture)).toEqual(before)
  expect(existsSync(join(directory, 'pid'))).toBe(false)
})

it('lives beside it with a bridge of its own and the next free subnet', async () => {
  const line = `${daemonLine('--bridge ls0')} & pid=$!; for i in $(seq 100); do [ -S ${directory}/docker.sock ] && break; sleep 0.1; done
    ip -4 -o addr show ls0; kill $pid; wait $pid; echo exit $?`
  const { stdout } = await inLab(line)
  expect(stdout).toMatch(/ls0\s+inet 172\.18\.0\.1\/16/)
  expect(stdout).toContain('exit 0')
  await inLab('ip link del docker0; ip link del ls0; nft flush ruleset')
})

it('drops what it was not asked to forward when it switches forwarding on', async () => {
  const line = `sysctl -qw net.ipv4.ip_forward=0; ${daemonLine('')} & pid=$!; for i in $(seq 100); do [ -S ${directory}/docker.sock ] && break; sleep 0.1; done
    sysctl -n net.ipv4.ip_forward; nft list chain inet linkspan forward; kill $pid; wait $pid`
  const { stdout } = await inLab(line)
  expect(stdout).toMatch(/^1$/m)
  expect(stdout).toMatch(/^\s*meta nfproto ipv4 (counter .*)?drop/m)
})

it('says in one line that it needs root', async () => {
  const { stderr, code } = await run(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, linkspanBinary, 'daemon'],
    process.env,
  )
  expect(code).toBe(1)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toContain('run it as root')
})
