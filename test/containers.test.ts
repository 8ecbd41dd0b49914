/** What people do with containers every day, through the docker command line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { spawn } from 'node:child_process'
import { TestHost } from './support/host.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
})
afterAll(async () => {
  await host?.close()
})

/** Runs a docker command on a terminal of its own (script(1)), types the input, gives everything it showed. */
async function onTerminal(
  line: string,
  input: string,
): Promise<{ readonly screen: string; readonly code: number }> {
  const child = spawn('script', ['-qefc', line, '/dev/null'], { env: host.environment() })
  let screen = ''
  child.stdout.on('data', (data: Buffer) => {
    screen += data.toString()
    if (input !== '' && /[#$] $/.test(screen)) {
      child.stdin.write(input)
      input = ''
    }
  })
  const code = await new Promise<number>(resolve => child.once('exit', status => resolve(status ?? 255)))
  return { screen, code }
}

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

  it('has a terminal with -it, with its size', async () => {
    const { screen, code } = await onTerminal(
      'stty rows 33 cols 99; docker run --rm -it busybox sh',
      'stty size; tty; exit 3\n',
    )
    expect(screen).toContain('33 99')
    expect(screen).toContain('/dev/pts/0')
    expect(code).toBe(3)
  })

  it.each([
    [['nosuch'], 127, 'executable file not found in $PATH'],
    [['/etc'], 126, 'permission denied'],
    [['/nosuch/file'], 127, 'no such file or directory'],
  ])('%j in an image ends with %i', async (command, code, text) => {
    const before = await host.dump()
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
      ...[
        'sh',
        '-c',
        'hostname; id -u; pwd; echo $A; touch /x 2>&1; cat /proc/self/status | grep NoNewPrivs',
      ],
    )
    expect(stdout.split('\n').slice(0, 5)).toEqual([
      'box.example',
      '1000',
      '/tmp',
      '1',
      'touch: /x: Permission denied',
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
    const { screen, code } = await onTerminal('docker exec -it box sh', 'tty; exit 4\n')
    expect(screen).toContain('/dev/pts/')
    expect(code).toBe(4)
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
  it('import, images, inspect, tag, rmi', async () => {
    expect(await host.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe('busybox:latest')
    await host.ok('tag', 'busybox', 'mine/box:1')
    expect(await host.ok('images', '-q', 'mine/box')).toBe(await host.ok('images', '-q', 'busybox'))
    expect(await host.ok('image', 'inspect', '-f', '{{json .Config.Cmd}}', 'mine/box:1')).toBe('["sh"]')
    expect(await host.ok('rmi', 'mine/box:1')).toBe('Untagged: mine/box:1')
    expect((await host.docker('rmi', 'nosuch')).stderr).toContain('No such image: nosuch:latest')
  })

  it('load takes what docker save writes', async () => {
    const archive = `${host.directory}/saved.tar`
    await host.shell(
      `mkdir -p ${host.directory}/empty && skopeo copy -q docker-archive:/dev/null oci:/dev/null 2>/dev/null; true`,
    )
    const made = await host.shell(`scripts/busybox-image --docker-archive loaded:1 > ${archive}`)
    expect(made.code).toBe(0)
    expect(await host.ok('load', '-i', archive)).toContain('Loaded image: loaded:1')
    expect(await host.ok('run', '--rm', 'loaded:1', 'echo', 'works')).toBe('works')
    expect(await host.ok('rmi', 'loaded:1')).toMatch(/Untagged: loaded:1\nDeleted: sha256:[0-9a-f]{64}/)
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
  it('version and info', async () => {
    expect(await host.ok('version', '--format', '{{.Server.APIVersion}} {{.Server.Platform.Name}}')).toMatch(
      /^1\.51 Linkspan/,
    )
    expect(await host.ok('info')).toMatch(/Containers: 0\n/)
  })

  it('events in docker’s order', async () => {
    const since = await host.shell('date +%s')
    await host.ok('run', '--rm', '--name', 'evented', 'busybox', 'true')
    const text = await host.ok(
      'events',
      '--since',
      since.stdout.trim(),
      '--until',
      '0s',
      '--format',
      '{{.Type}} {{.Action}}',
    )
    expect(text.split('\n')).toEqual([
      'container create',
      'container attach',
      'network connect',
      'container start',
      'container die',
      'network disconnect',
      'container destroy',
    ])
  })
})
