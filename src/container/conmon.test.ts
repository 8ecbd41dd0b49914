import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { conmonArguments, conmonPid, launchConmon, type ConmonLaunch } from './conmon.ts'
import { findProgram } from './probe.ts'
import { eventually } from './process.ts'

const launch: ConmonLaunch = {
  conmon: '/usr/bin/conmon',
  runtime: { name: 'runc', path: '/usr/sbin/runc' },
  runtimeState: '/run/x/rt',
  systemdCgroup: false,
  id: 'i',
  name: 'n',
  bundle: '/run/x/c/i',
  exits: '/run/x/exits',
  log: '/data/log',
  terminal: false,
  stdin: false,
  leaveStdinOpen: false,
  program: 'app',
  timeoutMs: 300,
}

describe('conmonArguments', () => {
  it.each([
    ['nothing more', {}, ['--full-attach', '--no-new-keyring', '--no-sync-log']],
    ['a terminal', { terminal: true, leaveStdinOpen: true }, ['--terminal', '--leave-stdin-open']],
    ['stdin', { stdin: true }, ['--stdin']],
    ['systemd', { systemdCgroup: true }, ['--systemd-cgroup']],
    ['no log', { log: undefined }, ['none']],
  ])('%s', (_, change, expected) => {
    const given = conmonArguments({ ...launch, ...change })
    const flags = ['--terminal', '--stdin', '--leave-stdin-open', '--systemd-cgroup', 'none']
    expect(given).toEqual(expect.arrayContaining(expected))
    expect(given.filter(word => flags.includes(word) && !expected.includes(word))).toEqual([])
    expect(given).toContain('--root=/run/x/rt')
  })
})

describe('launchConmon', async () => {
  const conmon = await findProgram('conmon')
  let directory = ''
  let bundle = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'conmon-'))
    bundle = join(directory, 'bundle')
    mkdirSync(bundle)
    mkdirSync(join(directory, 'exits'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  /** A runtime that is a shell script. */
  const withRuntime = (script: string): ConmonLaunch => {
    const path = join(directory, 'runtime')
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return {
      ...launch,
      conmon: conmon ?? '',
      runtime: { name: 'runc', path },
      bundle,
      exits: join(directory, 'exits'),
      log: join(directory, 'log'),
    }
  }
  const running = (): string[] =>
    readdirSync('/proc').filter(pid => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory)
      } catch {
        return false
      }
    })

  it.runIf(conmon !== undefined)('gives up on a runtime that hangs, and ends it', async () => {
    const started = launchConmon(withRuntime('exec sleep 1000 # $@'))
    await expect(started).rejects.toThrow('runc did not create the container within 0.3 s')
    expect(await eventually(async () => (await conmonPid(bundle)) === undefined, 2000)).toBe(true)
    expect(await eventually(() => running().length === 0, 2000)).toBe(true)
  })

  it.runIf(conmon !== undefined)('passes on what the runtime says', async () => {
    const script = `echo 'time="t" level=error msg="runc create failed: no space left on device"' >&2; exit 1`
    await expect(launchConmon(withRuntime(script))).rejects.toMatchObject({
      status: 500,
      message: expect.stringMatching(/runc create failed: no space left on device: unknown$/),
    })
  })

  it('fails where there is no conmon', async () => {
    await expect(launchConmon({ ...withRuntime('true'), conmon: join(directory, 'none') })).rejects.toThrow(
      'ENOENT',
    )
  })
})
