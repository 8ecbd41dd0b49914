import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isAlive } from './process.ts'
import { openRuntime } from './runtime.ts'
import { leftovers, openFixture, runtimesToTest, whyNoContainers, type Fixture } from './testing.ts'
import type { ExecSpec, ExitStatus, LogOptions, Runtime, RunSpec } from './types.ts'

const reason = whyNoContainers()
if (reason !== undefined) process.stderr.write(`runtime: skipped, ${reason}\n`)

const everything: LogOptions = {
  follow: false,
  tail: undefined,
  since: undefined,
  until: undefined,
  stdout: true,
  stderr: true,
}

describe.each(reason === undefined ? runtimesToTest() : [])('runtime %s', name => {
  let fixture: Fixture
  let runtime: Runtime
  const exits = new Map<string, (exit: ExitStatus) => void>()
  const made: string[] = []
  /** Everything ever made here: cgroups are the one thing that other test runs have in the same place. */
  const ever = new Set<string>()

  async function open(): Promise<Runtime> {
    const opened = await openRuntime(fixture.settings)
    opened.onExit((id, exit) => exits.get(id)?.(exit))
    return opened
  }

  beforeAll(async () => {
    fixture = await openFixture(name)
    runtime = await open()
  })
  afterEach(async () => {
    for (const id of made.splice(0)) {
      await runtime.kill(id, 9)
      await expect
        .poll(() =>
          runtime.remove(id).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
    }
    expect(leftovers(fixture, ever)).toEqual([])
  })
  afterAll(async () => {
    await runtime.close()
    fixture.remove()
  })

  interface Run {
    readonly spec: RunSpec
    readonly pid: number
    readonly startTime: number
    readonly output: { stdout: string; stderr: string }
    readonly ended: Promise<void>
    readonly exit: Promise<ExitStatus>
  }

  async function create(spec: RunSpec): Promise<Run> {
    made.push(spec.id)
    ever.add(spec.id)
    await fixture.prepare(runtime, spec)
    const output = { stdout: '', stderr: '' }
    const exit = new Promise<ExitStatus>(resolve => exits.set(spec.id, resolve))
    const ended = new Promise<void>(resolve => {
      runtime.subscribe(spec.id, chunk => {
        if (chunk === 'end') return resolve()
        output[chunk.stream] += chunk.data.toString()
      })
    })
    const process = await runtime.create(spec)
    return { spec, ...process, output, ended, exit }
  }

  async function start(spec: RunSpec): Promise<Run> {
    const run = await create(spec)
    await runtime.start(spec.id)
    return run
  }

  const sh = (script: string): string[] => ['sh', '-c', script]

  async function log(id: string, options: Partial<LogOptions> = {}): Promise<string[]> {
    const lines: string[] = []
    for await (const line of runtime.logs(id, { ...everything, ...options })) {
      lines.push(`${line.stream}:${line.data.toString()}`)
    }
    return lines
  }

  it('says which runtime it uses and why', () => {
    expect(runtime.info.name).toBe(name)
    expect(runtime.info.reason).toContain('--runtime')
    expect(runtime.info.version).toMatch(/^\d/)
    expect(runtime.info.conmonVersion).toMatch(/^\d/)
  })

  it('brings all output in order, fifty times of fifty', async () => {
    const script =
      'i=0; while [ $i -lt 40 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done; echo last; exit 7'
    const expected = Array.from({ length: 40 }, (_, i) => i)
    for (let round = 0; round < 50; round++) {
      const run = await start(fixture.spec(sh(script)))
      const { exitCode } = await run.exit
      await run.ended
      expect(run.output.stdout).toBe(`${expected.map(i => `out ${String(i)}\n`).join('')}last\n`)
      expect(run.output.stderr).toBe(expected.map(i => `err ${String(i)}\n`).join(''))
      expect(exitCode).toBe(7)
      await runtime.remove(run.spec.id)
      made.pop()
    }
  }, 120_000)

  it('brings much output whole, and the log has it too', async () => {
    const run = await start(fixture.spec(sh('seq 1 200000')))
    expect((await run.exit).exitCode).toBe(0)
    const lines = run.output.stdout.split('\n')
    expect(lines).toHaveLength(200_001)
    expect(lines[199_999]).toBe('200000')
    expect(await log(run.spec.id, { tail: 2 })).toEqual(['stdout:199999\n', 'stdout:200000\n'])
  })

  it.each([
    ['exit 0', 0],
    ['exit 3', 3],
    ['sh -c "kill -9 \\$\\$"; exit $?', 137],
  ])('exit code of %s is %i', async (script, code) => {
    const run = await start(fixture.spec(sh(script)))
    const exit = await run.exit
    expect(exit).toMatchObject({ exitCode: code, oomKilled: false })
    expect(exit.finishedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  })

  it('has unmounted the root file system when it tells the exit', async () => {
    const run = await start(fixture.spec(['true']))
    await run.exit
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(run.spec.id.slice(0, 12))
  })

  it('keeps what was written for the next start, and appends to the log', async () => {
    const spec = fixture.spec(sh('cat /tmp/note 2>/dev/null; echo again >> /tmp/note; echo done'))
    const first = await start(spec)
    await first.exit
    const second = await start(spec)
    await second.exit
    expect(second.output.stdout).toBe('again\ndone\n')
    expect(await log(spec.id)).toEqual(['stdout:done\n', 'stdout:again\n', 'stdout:done\n'])
    made.pop()
  })

  it.each([
    [
      'nothere',
      127,
      /runc create failed: unable to start container process: exec: "nothere": executable file not found in \$PATH: unknown$/,
    ],
    ['/nothere', 127, /exec: "\/nothere": stat \/nothere: no such file or directory: unknown$/],
    ['/plain', 126, /exec: "\/plain": permission denied: unknown$/],
  ])('refuses to run %s in Docker’s words and leaves nothing', async (program, _, message) => {
    const spec = fixture.spec([program])
    await expect(create(spec)).rejects.toMatchObject({ status: 400, message: expect.stringMatching(message) })
    expect(leftovers(fixture, ever, [spec.id])).toEqual([])
  })

  it('gives the container Docker’s surroundings', async () => {
    const script = [
      'id -u; id -g; id -G',
      'pwd; hostname; cat /etc/hostname /etc/resolv.conf',
      'grep CapEff /proc/self/status',
      'grep Seccomp: /proc/self/status',
      'touch /proc/sys/kernel/hostname 2>/dev/null && echo writable',
      'df -k /dev/shm | tail -1 | awk "{print \\$2}"',
      'cat /proc/kcore | wc -c',
      'test -c /dev/null && test -c /dev/tty && ls -d /dev/mqueue /dev/pts /sys/fs/cgroup',
    ].join('; ')
    const run = await start(
      fixture.spec(sh(script), { User: 'web', WorkingDir: '/tmp' }, { ShmSize: 1024 * 1024 }),
    )
    await run.exit
    expect(run.output.stdout.split('\n')).toEqual([
      '1000',
      '1001',
      '1001 50',
      '/tmp',
      'testhost',
      'testhost',
      'nameserver 192.0.2.1',
      'CapEff:\t0000000000000000',
      'Seccomp:\t2',
      '1024',
      '0',
      '/dev/mqueue',
      '/dev/pts',
      '/sys/fs/cgroup',
      '',
    ])
  })

  it('mounts binds, tmpfs and volumes', async () => {
    const host = join(fixture.settings.dataRoot, 'host')
    const script =
      'ls -A /data; cat /named/seed; touch /ro/x 2>/dev/null || echo read-only; touch /mnt/made /data/more; df /t | tail -1 | awk "{print \\$1}"'
    const spec = fixture.spec(
      sh(script),
      { Volumes: { '/data': {} } },
      { Binds: [`${host}:/mnt`, `${host}:/ro:ro`, 'shared:/named'], Tmpfs: { '/t': 'size=1m' } },
    )
    const run = await start(spec)
    await run.exit
    expect(run.output.stdout).toBe('seed\nread-only\ntmpfs\n')
    expect(run.output.stderr).toBe("cat: can't open '/named/seed': No such file or directory\n")
    expect(readdirSync(host)).toEqual(['made'])
    const again = await start(fixture.spec(['ls', '/named'], {}, { Binds: ['shared:/named'] }))
    await again.exit
    const second = await start(spec)
    await second.exit
    expect(second.output.stdout).toContain('more\nseed\n')
    made.pop()
  })

  it('keeps limits, capabilities and a read-only root', async () => {
    const script =
      'ulimit -n; grep CapEff /proc/self/status; touch /x 2>/dev/null || echo read-only; cat /proc/self/oom_score_adj'
    const run = await start(
      fixture.spec(
        sh(script),
        {},
        {
          Ulimits: [{ Name: 'nofile', Soft: 512, Hard: 999_999_999 }],
          CapDrop: ['ALL'],
          CapAdd: ['NET_RAW'],
          ReadonlyRootfs: true,
          OomScoreAdj: 100,
          Memory: 64 * 1024 * 1024,
          PidsLimit: 50,
          NanoCpus: 500_000_000,
        },
      ),
    )
    expect((await run.exit).exitCode).toBe(0)
    expect(run.output.stdout).toBe('512\nCapEff:\t0000000000002000\nread-only\n100\n')
  })

  it('gives privileged containers devices and writable kernel files', async () => {
    const run = await start(
      fixture.spec(
        sh('grep Seccomp: /proc/self/status; test -w /proc/sys/kernel && ls /dev | wc -l'),
        {},
        { Privileged: true },
      ),
    )
    expect((await run.exit).exitCode).toBe(0)
    expect(run.output.stdout).toMatch(/^Seccomp:\t0\n\d{2,}\n$/)
  })

  it('joins another container’s pid and ipc namespaces by name', async () => {
    const donor = await start(
      fixture.spec(sh('echo x > /dev/shm/mark; exec sleep 60'), {}, { IpcMode: 'shareable' }),
    )
    const term = `container:${donor.spec.name}`
    await expect
      .poll(async () => {
        const guest = await start(
          fixture.spec(
            sh('cat /dev/shm/mark; ps | grep -c "[s]leep 60"'),
            {},
            { PidMode: term, IpcMode: term },
          ),
        )
        await guest.exit
        return guest.output.stdout
      })
      .toBe('x\n1\n')
  })

  it('kills by signal, waits for nothing that is gone', async () => {
    const run = await start(
      fixture.spec(sh('trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done')),
    )
    await expect.poll(() => run.output.stdout).toBe('ready\n')
    await runtime.kill(run.spec.id, 15)
    expect((await run.exit).exitCode).toBe(5)
    expect(run.output.stdout).toBe('ready\nbye\n')
    await runtime.kill(run.spec.id, 9)
  })

  it('tells when memory ran out', async () => {
    const run = await start(
      fixture.spec(
        sh('x=x; while :; do x=$x$x$x; done'),
        {},
        { Memory: 16 * 1024 * 1024, MemorySwap: 16 * 1024 * 1024 },
      ),
    )
    expect(await run.exit).toMatchObject({ exitCode: 137, oomKilled: true })
  })

  it('pauses and resumes, and a paused one can be killed', async () => {
    const run = await start(fixture.spec(sh('while :; do echo tick; sleep 0.02; done')))
    await expect.poll(() => run.output.stdout).toContain('tick')
    await runtime.pause(run.spec.id)
    const before = run.output.stdout
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(run.output.stdout).toBe(before)
    await runtime.resume(run.spec.id)
    await expect.poll(() => run.output.stdout.length).toBeGreaterThan(before.length)
    await runtime.pause(run.spec.id)
    await runtime.kill(run.spec.id, 9)
    expect((await run.exit).exitCode).toBe(137)
  })

  it('passes stdin, and its end', async () => {
    const run = await start(fixture.spec(['cat'], { OpenStdin: true, StdinOnce: true }))
    const text = 'x'.repeat(300_000)
    await runtime.writeStdin(run.spec.id, Buffer.from(text))
    runtime.closeStdin(run.spec.id)
    expect((await run.exit).exitCode).toBe(0)
    expect(run.output.stdout).toBe(text)
  })

  it('has a terminal that takes input and sizes', async () => {
    // A resize goes through conmon's control pipe, which answers nothing: the container looks until it has come.
    const script =
      'stty size; until [ "$(stty size)" = "44 120" ]; do sleep 0.02; done; read line; echo "got $line"'
    const run = await create(
      fixture.spec(sh(script), { Tty: true, OpenStdin: true }, { ConsoleSize: [33, 101] }),
    )
    await runtime.start(run.spec.id)
    await expect.poll(() => run.output.stdout).toBe('33 101\r\n')
    await runtime.resize(run.spec.id, 44, 120)
    await runtime.writeStdin(run.spec.id, Buffer.from('word\n'))
    await run.exit
    expect(run.output.stdout).toBe('33 101\r\nword\r\ngot word\r\n')
    expect(run.output.stderr).toBe('')
  })

  it('follows a log from the first line to the last', async () => {
    const run = await create(fixture.spec(sh('echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three')))
    const following = log(run.spec.id, { follow: true })
    await runtime.start(run.spec.id)
    expect(await following).toEqual(['stdout:one\n', 'stderr:two\n', 'stdout:three'])
    await run.exit
    expect(await log(run.spec.id, { follow: true })).toEqual(['stdout:one\n', 'stderr:two\n', 'stdout:three'])
  })

  it('lists its processes', async () => {
    const run = await start(fixture.spec(sh('sleep 60 & sleep 61 & wait')))
    await expect.poll(() => runtime.processes(run.spec.id).then(list => list.length)).toBe(3)
    expect(await runtime.processes(run.spec.id)).toContain(run.pid)
  })

  describe('exec', () => {
    const execSpec = (args: readonly string[], more: Partial<ExecSpec> = {}): ExecSpec => ({
      id: `${Math.random().toString(16).slice(2).padEnd(14, '0')}${'0'.repeat(50)}`,
      args,
      env: [],
      tty: false,
      stdin: false,
      user: '',
      workingDir: '',
      privileged: false,
      detach: false,
      ...more,
    })

    const sleeper = async (): Promise<Run> => {
      const run = await start(fixture.spec(['sleep', '60'], {}, {}, { env: ['PATH=/bin', 'A=1', 'B=2'] }))
      return run
    }

    async function collect(run: Run, spec: ExecSpec, input?: string) {
      const process = await runtime.exec(run.spec.id, spec, run.spec)
      const output = { stdout: '', stderr: '' }
      process.stdout.on('data', (data: Buffer) => (output.stdout += data.toString()))
      process.stderr?.on('data', (data: Buffer) => (output.stderr += data.toString()))
      if (input !== undefined) process.stdin?.end(input)
      const exitCode = await process.exited
      return { exitCode, ...output }
    }

    it('runs with streams of its own, twenty times of twenty', async () => {
      const run = await sleeper()
      for (let round = 0; round < 20; round++) {
        const result = await collect(
          run,
          execSpec(sh('echo out; echo err > /dev/stderr; seq 1 5000; exit 9')),
        )
        expect(result.exitCode).toBe(9)
        expect(result.stderr).toBe('err\n')
        expect(result.stdout.split('\n')).toHaveLength(5002)
      }
    }, 60_000)

    it('passes stdin and its end', async () => {
      const run = await sleeper()
      const text = 'y'.repeat(200_000)
      expect(await collect(run, execSpec(['cat'], { stdin: true }), text)).toEqual({
        exitCode: 0,
        stdout: text,
        stderr: '',
      })
    })

    it('takes user, directory and environment', async () => {
      const run = await sleeper()
      const spec = execSpec(sh('id -u; id -g; pwd; echo $A$B$C'), {
        user: 'web:log',
        workingDir: '/etc',
        env: ['B=3', 'C=4'],
      })
      expect((await collect(run, spec)).stdout).toBe('1000\n50\n/etc\n134\n')
    })

    it('is privileged when asked to be', async () => {
      const run = await sleeper()
      const [plain, privileged] = await Promise.all([
        collect(run, execSpec(['grep', 'CapEff', '/proc/self/status'])),
        collect(run, execSpec(['grep', 'CapEff', '/proc/self/status'], { privileged: true })),
      ])
      expect(plain.stdout).toContain('00000000a80425fb')
      expect(privileged.stdout).toMatch(/000001ff/)
    })

    it('has a terminal, input and sizes', async () => {
      const run = await sleeper()
      const process = await runtime.exec(
        run.spec.id,
        execSpec(sh('tty; stty size; read a; stty size; echo "got $a"; seq 1 3000; exit 4'), {
          tty: true,
          stdin: true,
          size: [30, 90],
        }),
        run.spec,
      )
      let output = ''
      process.stdout.on('data', (data: Buffer) => (output += data.toString()))
      await expect.poll(() => output).toBe('/dev/pts/0\r\n30 90\r\n')
      process.resize(40, 100)
      await expect
        .poll(async () => {
          const probe = await collect(run, execSpec(sh('stty size < /dev/pts/0')))
          return probe.stdout
        })
        .toBe('40 100\n')
      process.stdin?.write('word\n')
      expect(await process.exited).toBe(4)
      expect(output).toContain('word\r\n40 100\r\ngot word\r\n1\r\n')
      expect(output.endsWith('\r\n3000\r\n')).toBe(true)
    })

    it.each([
      [
        'nothere',
        /^OCI runtime exec failed: exec failed: unable to start container process: exec: "nothere": executable file not found in \$PATH: unknown$/,
      ],
      ['/plain', /exec: "\/plain": permission denied: unknown$/],
    ])('says why %s cannot run', async (program, message) => {
      const run = await sleeper()
      for (const tty of [false, true]) {
        await expect(runtime.exec(run.spec.id, execSpec([program], { tty }), run.spec)).rejects.toMatchObject(
          {
            status: 400,
            message: expect.stringMatching(message),
          },
        )
      }
    })

    it('ends when a background child keeps the pipe, and when the container is killed', async () => {
      const run = await sleeper()
      expect(await collect(run, execSpec(sh('sleep 60 & echo started')))).toMatchObject({
        exitCode: 0,
        stdout: 'started\n',
      })
      const forever = await runtime.exec(run.spec.id, execSpec(['sleep', '60']), run.spec)
      await runtime.kill(run.spec.id, 9)
      expect(await forever.exited).toBe(137)
    })

    it('waits for a client that reads slowly', async () => {
      const run = await sleeper()
      const process = await runtime.exec(run.spec.id, execSpec(sh('seq 1 30000')), run.spec)
      process.stderr?.resume()
      process.stdout.once('data', () => process.stdout.pause())
      let output = ''
      process.stdout.on('data', (data: Buffer) => (output += data.toString()))
      setTimeout(() => process.stdout.resume(), 2500)
      expect(await process.exited).toBe(0)
      expect(output.endsWith('\n30000\n')).toBe(true)
    })

    it('runs detached: nobody reads, and the output stops nothing', async () => {
      const run = await sleeper()
      for (const tty of [false, true]) {
        const process = await runtime.exec(
          run.spec.id,
          execSpec(sh('seq 1 100000; exit 3'), { tty, detach: true }),
          run.spec,
        )
        expect(await process.exited).toBe(3)
      }
    })

    it('is refused where nothing runs', async () => {
      const spec = fixture.spec(['true'])
      await expect(runtime.exec(spec.id, execSpec(['true']), spec)).rejects.toMatchObject({ status: 409 })
    })
  })

  describe('after a restart of the engine', () => {
    it('takes up what runs: output, stdin, exit', async () => {
      const run = await start(
        fixture.spec(sh('echo before; read x; echo "after $x"; exit 6'), { OpenStdin: true }),
      )
      await expect.poll(() => run.output.stdout).toBe('before\n')
      await runtime.close()
      runtime = await open()
      await runtime.sweep(new Set([run.spec.id]))
      const process = { pid: run.pid, startTime: run.startTime }
      let output = ''
      runtime.subscribe(run.spec.id, chunk => (output += chunk === 'end' ? '' : chunk.data.toString()))
      expect(await runtime.adopt(run.spec.id, process, false)).toEqual(process)
      await runtime.writeStdin(run.spec.id, Buffer.from('here\n'))
      expect((await run.exit).exitCode).toBe(6)
      expect(output).toBe('after here\n')
      expect(await log(run.spec.id)).toEqual(['stdout:before\n', 'stdout:after here\n'])
    })

    it('learns of an exit that came meanwhile', async () => {
      const run = await start(fixture.spec(sh('read x; exit 8'), { OpenStdin: true, StdinOnce: true }))
      // Closing the attach socket ends the stdin of a container with StdinOnce, as its client is gone, too.
      await runtime.close()
      await expect.poll(() => existsSync(join(fixture.settings.execRoot, 'exits', run.spec.id))).toBe(true)
      runtime = await open()
      expect(await runtime.adopt(run.spec.id, run, false)).toMatchObject({ exitCode: 8 })
      expect(leftovers(fixture, ever, [run.spec.id])).toEqual([])
    })

    it('starts what was created, clears what nobody knows, ends what has lost its monitor', async () => {
      const created = await create(fixture.spec(sh('echo started; sleep 60')))
      const unknown = await start(fixture.spec(['sleep', '60']))
      const orphan = await start(fixture.spec(['sleep', '60']))
      await runtime.close()
      process.kill(
        Number(
          readFileSync(
            join(fixture.settings.execRoot, 'c', orphan.spec.id.slice(0, 12), 'conmon.pid'),
            'utf8',
          ),
        ),
        9,
      )
      runtime = await open()
      await runtime.sweep(new Set([created.spec.id, orphan.spec.id]))
      expect(await isAlive(unknown)).toBe(false)
      expect(await runtime.adopt(orphan.spec.id, orphan, false)).toMatchObject({ exitCode: 137 })
      expect(await isAlive(orphan)).toBe(false)
      expect(await runtime.adopt(created.spec.id, created, false)).toMatchObject({ pid: created.pid })
      await expect.poll(() => log(created.spec.id)).toEqual(['stdout:started\n'])
    })

    it('says 255 for what nobody knows any more', async () => {
      const spec = fixture.spec(['true'])
      expect(await runtime.adopt(spec.id, { pid: 2 ** 22 - 1, startTime: 1 }, false)).toMatchObject({
        exitCode: 255,
      })
    })

    it('discards a run that was not noted', async () => {
      const run = await start(fixture.spec(['sleep', '60']))
      await runtime.close()
      runtime = await open()
      await runtime.discard(run.spec.id)
      expect(await isAlive(run)).toBe(false)
      expect(leftovers(fixture, ever, [run.spec.id])).toEqual([])
    })
  })

  it('discards what was created and is not to start, and tells nobody of an exit', async () => {
    const created = await create(fixture.spec(['sleep', '60']))
    let told = false
    void created.exit.then(() => (told = true))
    await runtime.discard(created.spec.id)
    expect(await isAlive(created)).toBe(false)
    expect(leftovers(fixture, ever, [created.spec.id])).toEqual([])
    expect(told).toBe(false)
    expect(await isAlive(await start(created.spec))).toBe(true)
  })

  it('ends a container whose conmon was killed', async () => {
    const run = await start(fixture.spec(['sleep', '60']))
    process.kill(
      Number(
        readFileSync(join(fixture.settings.execRoot, 'c', run.spec.id.slice(0, 12), 'conmon.pid'), 'utf8'),
      ),
      9,
    )
    expect((await run.exit).exitCode).toBe(137)
    expect(await isAlive(run)).toBe(false)
  })
})
