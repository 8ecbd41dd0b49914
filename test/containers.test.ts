/** What people do with containers every day, through the docker command line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeFileSync } from 'node:fs'
import { oldDocker, TestHost } from './support/host.ts'
import { busyboxLayer, layer, writeArchive } from './support/images.ts'
import { ctrlP, ctrlQ, Terminal } from './support/terminal.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
})
afterAll(async () => {
  await host?.close()
})

const onTerminal = (line: string, size?: readonly [number, number]): Terminal =>
  new Terminal(line, host.environment(), size)

describe('run', () => {
  it('gives output and exit code', async () => {
    const { stdout, stderr, code } = await host.docker(
      'run',
      '--rm',
      'busybox',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 7',
    )
    expect([stdout, stderr, code]).toEqual(['out\n', 'err\n', 7])
    expect(await host.ok('ps', '-aq')).toBe('')
  })

  it('loses nothing of much output', async () => {
    const { stdout } = await host.docker('run', '--rm', 'busybox', 'seq', '1', '200000')
    expect(stdout.length).toBe(1288895)
  })

  it('passes stdin on and ends with it', async () => {
    const { stdout } = await host.shell('printf "one\\ntwo\\n" | docker run --rm -i busybox cat')
    expect(stdout).toBe('one\ntwo\n')
  })

  it('has a terminal with -it, with its size, and ends with the exit code', async () => {
    const terminal = onTerminal('docker run --rm -it busybox sh', [33, 99])
    await terminal.prompt()
    terminal.press('stty size; tty\n')
    await terminal.shows(/^33 99\n\/dev\/pts\/0\n/m)
    await terminal.prompt()
    terminal.press('exit 3\n')
    expect(await terminal.ends()).toBe(3)
    expect(await host.ok('ps', '-aq')).toBe('')
  })

  it('follows the size of the window', async () => {
    const terminal = onTerminal('docker run --rm -it busybox sh', [20, 70])
    await terminal.prompt()
    terminal.resize(41, 121)
    // It gets there by a request of the client's, some time.
    terminal.press('until [ "$(stty size)" = "41 121" ]; do sleep 0.05; done; echo changed\n')
    await terminal.shows(/^changed\n/m)
    await terminal.prompt()
    terminal.press('exit\n')
    expect(await terminal.ends()).toBe(0)
  })

  it('is left with ctrl-p ctrl-q, goes on, and is taken up again with attach', async () => {
    const terminal = onTerminal('docker run -it --name left busybox sh; echo status $?')
    await terminal.prompt()
    terminal.press('word=kept\n')
    await terminal.prompt()
    terminal.press(ctrlP + ctrlQ)
    await terminal.shows(/status 0\n/)
    expect(await terminal.ends()).toBe(0)
    expect(await host.ok('inspect', '-f', '{{.State.Status}}', 'left')).toBe('running')
    const again = onTerminal('docker attach left')
    await again.shows(/pts/)
    again.press('\necho $word\n')
    await again.shows(/^kept\n/m)
    again.press('exit 5\n')
    expect(await again.ends()).toBe(5)
    await host.ok('rm', 'left')
  })

  it('passes ctrl-c to the container as a key', async () => {
    const terminal = onTerminal('docker run --rm -it busybox sh')
    await terminal.prompt()
    terminal.press('echo ready; cat\n')
    await terminal.shows(/^ready\n/m)
    terminal.press('echoed\n')
    await terminal.shows(/echoed\nechoed\n/)
    terminal.press('\u0003')
    await terminal.prompt()
    terminal.press('exit $?\n')
    expect(await terminal.ends()).toBe(130)
  })

  it.each([
    [['nosuch'], 127, 'executable file not found in $PATH'],
    [['/etc'], 126, 'permission denied'],
    [['/nosuch/file'], 127, 'no such file or directory'],
  ])('%j in an image ends with %i', async (command, code, text) => {
    const before = await host.settled()
    const found = await host.docker('run', '--rm', 'busybox', ...command)
    expect(found.code).toBe(code)
    expect(found.stderr).toContain(text)
    expect(await host.settlesTo(before)).toBe(before)
  })

  it('takes name, hostname, user, workdir, environment, labels and read-only', async () => {
    const { stdout } = await host.docker(
      ...'run --rm --name full --hostname box.example --user 1000:1000 -w /tmp -e A=1 --label l=v --read-only busybox'.split(
        ' ',
      ),
      'sh',
      '-c',
      'hostname; id -u; pwd; echo $A; touch /x 2>&1',
    )
    expect(stdout.trimEnd().split('\n')).toEqual([
      'box.example',
      '1000',
      '/tmp',
      '1',
      'touch: /x: Read-only file system',
    ])
  })

  it('refuses a name that is taken', async () => {
    await host.ok('create', '--name', 'taken', 'busybox', 'true')
    const { stderr, code } = await host.docker('create', '--name', 'taken', 'busybox', 'true')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /Conflict\. The container name "\/taken" is already in use by container "[0-9a-f]{64}"/,
    )
    await host.ok('rm', 'taken')
  })
})

describe('a running container', () => {
  beforeAll(async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'box',
      'busybox',
      'sh',
      '-c',
      'echo started; trap "echo bye; exit 0" TERM; while :; do sleep 0.1; done',
    )
  })

  it('exec gives output and exit codes, with and without a terminal', async () => {
    expect(await host.ok('exec', 'box', 'echo', 'hi')).toBe('hi')
    expect((await host.docker('exec', 'box', 'sh', '-c', 'exit 9')).code).toBe(9)
    expect((await host.docker('exec', 'box', 'nosuch')).code).toBe(127)
    expect(await host.ok('exec', '-e', 'B=2', '-w', '/tmp', 'box', 'sh', '-c', 'echo $B; pwd')).toBe(
      '2\n/tmp',
    )
    const terminal = onTerminal('docker exec -it box sh', [12, 34])
    await terminal.prompt()
    terminal.press('tty; stty size\n')
    await terminal.shows(/^\/dev\/pts\/\d+\n12 34\n/m)
    await terminal.prompt()
    terminal.press('exit 4\n')
    expect(await terminal.ends()).toBe(4)
    expect((await host.shell('echo piped | docker exec -i box cat')).stdout).toBe('piped\n')
  })

  it('inspect, ps and top describe it', async () => {
    expect(
      await host.ok('inspect', '-f', '{{.State.Status}} {{.State.Running}} {{.Config.Image}}', 'box'),
    ).toBe('running true busybox')
    expect(await host.ok('ps', '--format', '{{.Names}} {{.Image}} {{.Command}} {{.Status}}')).toMatch(
      /^box busybox "sh -c 'echo started…" Up /,
    )
    expect(await host.ok('top', 'box')).toMatch(/^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD\n/)
  })

  it('can be renamed, paused and unpaused', async () => {
    await host.ok('rename', 'box', 'crate')
    expect((await host.docker('inspect', 'box')).code).toBe(1)
    await host.ok('pause', 'crate')
    expect(await host.ok('ps', '--format', '{{.Status}}')).toContain('(Paused)')
    expect((await host.docker('exec', 'crate', 'true')).stderr).toContain('is paused')
    await host.ok('unpause', 'crate')
    await host.ok('rename', 'crate', 'box')
  })

  it('stop asks first, logs keep what was said, start and kill work', async () => {
    await host.ok('stop', 'box')
    expect(await host.ok('logs', 'box')).toBe('started\nbye')
    expect(await host.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'box')).toBe('exited 0')
    await host.ok('start', 'box')
    await host.ok('kill', 'box')
    expect(await host.ok('wait', 'box')).toBe('137')
    expect(await host.ok('logs', '--tail', '1', 'box')).toBe('started')
    expect((await host.docker('kill', 'box')).stderr).toContain('is not running')
    await host.ok('rm', 'box')
    expect((await host.docker('rm', 'box')).stderr).toContain('No such container: box')
  })

  it('logs -f follows until the end', async () => {
    await host.ok(
      'run',
      '-d',
      '--name',
      'talker',
      'busybox',
      'sh',
      '-c',
      'for i in 1 2 3; do echo $i; sleep 0.3; done',
    )
    expect(await host.ok('logs', '-f', 'talker')).toBe('1\n2\n3')
    expect(await host.ok('logs', '-t', '--tail', '1', 'talker')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z 3$/)
    await host.ok('rm', 'talker')
  })

  it('rm needs -f while it runs', async () => {
    await host.ok('run', '-d', '--name', 'busy', 'busybox', 'sleep', '100')
    expect((await host.docker('rm', 'busy')).stderr).toContain(
      'container is running: stop the container before removing or force remove',
    )
    expect(await host.ok('rm', '-f', 'busy')).toBe('busy')
  })
})

describe('images', () => {
  it.skipIf(oldDocker)('import, images, inspect, tag, rmi', async () => {
    expect(await host.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe('busybox:latest')
    await host.ok('tag', 'busybox', 'mine/box:1')
    expect(await host.ok('images', '-q', 'mine/box')).toBe(await host.ok('images', '-q', 'busybox'))
    expect(await host.ok('image', 'inspect', '-f', '{{json .Config.Cmd}}', 'mine/box:1')).toBe('["sh"]')
    expect(await host.ok('rmi', 'mine/box:1')).toBe('Untagged: mine/box:1')
    expect((await host.docker('rmi', 'nosuch')).stderr).toContain('No such image: nosuch:latest')
  })

  it('load takes what docker save writes', async () => {
    const archive = await writeArchive(`${host.directory}/one.tar`, {
      layers: [await busyboxLayer()],
      tags: ['loaded:1', 'loaded:2'],
    })
    expect(await host.ok('load', '-i', archive)).toBe('Loaded image: loaded:1\nLoaded image: loaded:2')
    expect(await host.ok('run', '--rm', 'loaded:1', 'echo', 'works')).toBe('works')
    expect(await host.ok('rmi', 'loaded:1')).toBe('Untagged: loaded:1')
    expect(await host.ok('rmi', 'loaded:2')).toMatch(/^Untagged: loaded:2\nDeleted: sha256:[0-9a-f]{64}/)
  })

  it('upper layers change, hide and replace what lower ones have', async () => {
    const lower = await layer({
      'opt/a': 'lower a',
      'opt/b': 'lower b',
      'opt/dir/': null,
      'opt/dir/old': 'old',
      'opt/link': { link: 'a' },
    })
    const upper = await layer({
      'opt/a': 'upper a',
      'opt/.wh.b': '',
      'opt/dir/': null,
      'opt/dir/.wh..wh..opq': '',
      'opt/dir/new': 'new',
    })
    const archive = await writeArchive(`${host.directory}/three.tar`, {
      layers: [await busyboxLayer(), lower, upper],
      tags: ['layered:1'],
      config: {
        Cmd: ['sh', '-c', 'cat /opt/link; echo; ls /opt /opt/dir; id -u; echo $GREETING; pwd'],
        Env: ['PATH=/bin', 'GREETING=hello'],
        User: '33',
        WorkingDir: '/var',
      },
    })
    await host.ok('load', '-q', '-i', archive)
    expect((await host.ok('run', '--rm', 'layered:1')).split('\n')).toEqual([
      'upper a',
      '/opt:',
      'a',
      'dir',
      'link',
      '',
      '/opt/dir:',
      'new',
      '33',
      'hello',
      '/var',
    ])
    await host.ok('rmi', 'layered:1')
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no archive', Buffer.from('this is no archive '.repeat(100))],
  ])('load refuses %s', async (_, data) => {
    const before = await host.settled()
    writeFileSync(`${host.directory}/bad.tar`, data)
    const { code, stderr } = await host.docker('load', '-i', `${host.directory}/bad.tar`)
    expect(code).toBe(1)
    expect(stderr).not.toContain('panic')
    expect(await host.settlesTo(before)).toBe(before)
    expect(await host.ok('images', '-q', 'bad')).toBe('')
  })

  it('does not remove an image that a container uses', async () => {
    await host.ok('create', '--name', 'user', 'busybox', 'true')
    const { stderr } = await host.docker('rmi', 'busybox')
    expect(stderr).toMatch(
      /conflict: unable to remove repository reference "busybox" \(must force\) - container [0-9a-f]{12} is using its referenced image/,
    )
    await host.ok('rm', 'user')
  })
})

describe('the engine tells', () => {
  it.skipIf(oldDocker)('version and info', async () => {
    expect(await host.ok('version', '--format', '{{.Server.APIVersion}} {{.Server.Platform.Name}}')).toMatch(
      /^1\.51 Linkspan/,
    )
    const info = await host.ok('info')
    expect(info).toMatch(/^ Containers: 0\n {2}Running: 0\n {2}Paused: 0\n {2}Stopped: 0\n Images: 1$/m)
    expect(info).toMatch(/^ Server Version: \d+\.\d+\.\d+$/m)
    expect(info).toMatch(/^ {2}Network: bridge host null/m)
    expect(info).toContain(`Docker Root Dir: ${host.directory}/data`)
    expect(info).toContain('Live Restore Enabled: true')
    expect(
      await host.ok(
        'info',
        '--format',
        '{{.FirewallBackend.Driver}} {{.IPv4Forwarding}} {{.Swarm.LocalNodeState}}',
      ),
    ).toBe('nftables true inactive')
  })
})
