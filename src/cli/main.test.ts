import { describe, expect, it } from 'vitest'
import { catalogue, type Entry } from './catalogue.ts'
import { parseHost, resolveHost } from './host.ts'
import { ps } from './commands/ps.ts'
import { run } from './commands/run.ts'
import { parseFlags } from './main.ts'
import { fakeEngine, linkspan } from './testing.ts'

function leaves(entries: readonly Entry[], path: readonly string[] = []): (readonly string[])[] {
  return entries.flatMap(entry =>
    entry.kind === 'group' ? leaves(entry.commands, [...path, entry.name]) : [[...path, entry.name]],
  )
}

describe('every command', () => {
  it.each(leaves(catalogue).map(path => [path.join(' '), path] as const))(
    '%s explains itself',
    async (title, path) => {
      const { status, stdout } = await linkspan([...path, '--help'])
      expect(status).toBe(0)
      expect(stdout).toMatch(new RegExp(`^Usage:  linkspan ${title}( |\n)`))
      for (const line of stdout.split('\n'))
        if (!line.startsWith('  linkspan') && !line.startsWith('  tar'))
          expect(line.length).toBeLessThanOrEqual(120)
    },
  )
})

describe('the command line', () => {
  it.each([[[]], [['--help']], [['help']]])('%j gives the overview', async words => {
    const { status, stdout } = await linkspan(words)
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {2}network +Manage networks$/m)
  })
  it('knows its version', async () =>
    expect((await linkspan(['--version'])).stdout).toMatch(/^linkspan \d+\.\d+\.\d+\n$/))
  it('proposes what may have been meant', async () =>
    expect((await linkspan(['netwrok'])).stderr).toContain("Did you mean 'linkspan network'?"))
  it('helps by both words', async () =>
    expect((await linkspan(['help', 'network', 'create'])).stdout).toBe(
      (await linkspan(['network', 'create', '--help'])).stdout,
    ))
  it('says where no engine is, in one line', async () => {
    expect(await linkspan(['-H', 'unix:///nowhere/x', 'ps'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Cannot connect to the Docker daemon at unix:///nowhere/x. Is the docker daemon running?\n',
    })
    expect((await linkspan(['-D', '-H', 'unix:///nowhere/x', 'ps'])).stderr).toContain('    at ')
  })
  it('completes names of commands, flags and what the engine has', async () => {
    const engine = await fakeEngine(({ path }) => {
      if (path === '/networks')
        return {
          body: [
            { Name: 'shop', Driver: 'bridge' },
            { Name: 'bridge', Driver: 'bridge' },
          ],
        }
      if (path.startsWith('/containers/json')) return { body: [{ Names: ['/web'], Status: 'Up 2 hours' }] }
      return undefined
    })
    const complete = async (...words: string[]): Promise<string> =>
      (await linkspan(['-H', engine.host, 'complete', '--', ...words])).stdout
    try {
      expect(await complete('net')).toBe('network\tManage networks\n:4\n')
      expect(await complete('network', 'inspect', 's')).toBe('shop\tbridge\n:4\n')
      expect(await complete('exec', '-it', '')).toBe('web\tUp 2 hours\n:4\n')
      expect(await complete('run', '--network', 'b')).toBe('bridge\tbridge\n:4\n')
      expect(await complete('ps', '--no')).toBe("--no-trunc\tDon't truncate output\n:4\n")
      expect(await complete('nosuch', '')).toBe(':4\n')
    } finally {
      await engine.close()
    }
  })
})

describe('flags', () => {
  const values = (command: typeof ps, ...words: string[]): Readonly<Record<string, unknown>> => {
    const parsed = parseFlags(command, words)
    if (parsed.kind !== 'values') throw new Error(parsed.kind === 'wrong' ? parsed.message : 'help')
    return { ...parsed.values, args: parsed.args }
  }
  it('are read as docker reads them', () => {
    expect(values(ps, '-aq', '--no-trunc=true', '-n', '5')).toMatchObject({
      all: true,
      quiet: true,
      'no-trunc': true,
      last: 5,
    })
    expect(values(ps, '--no-trunc=false')).toMatchObject({ 'no-trunc': false })
    expect(
      values(run, '-itp80:80', '-p', '1:1', '-e=A=1', '--sig-proxy=false', 'image', '-x', '--rm'),
    ).toMatchObject({
      interactive: true,
      tty: true,
      publish: ['80:80', '1:1'],
      env: ['A=1'],
      'sig-proxy': false,
      rm: false,
      args: ['image', '-x', '--rm'],
    })
    expect(values(run, '-h', 'name', '--', 'image', '--', 'x')).toMatchObject({
      hostname: 'name',
      args: ['image', '--', 'x'],
    })
    expect(values(run, '--name', '--rm', 'image')).toMatchObject({ name: '--rm', rm: false })
  })
  it.each([
    [ps, ['--nope'], 'unknown flag: --nope'],
    [ps, ['-n'], 'flag needs an argument: --last'],
    [
      ps,
      ['-n', 'x'],
      'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    [
      run,
      ['--rm=x', 'i'],
      'invalid argument "x" for "--rm" flag: strconv.ParseBool: parsing "x": invalid syntax',
    ],
  ])('are refused: %#', (command, words, message) => expect(() => values(command, ...words)).toThrow(message))
})

describe('the engine’s address', () => {
  it.each([
    ['unix:///a/b', { kind: 'unix', path: '/a/b' }],
    ['/a/b', { kind: 'unix', path: '/a/b' }],
    ['tcp://h:1', { kind: 'tcp', hostname: 'h', port: 1 }],
    ['tcp://[::1]:1', { kind: 'tcp', hostname: '::1', port: 1 }],
    ['h', { kind: 'tcp', hostname: 'h', port: 2375 }],
    [':99', { kind: 'tcp', hostname: '127.0.0.1', port: 99 }],
  ])('%s', (text, host) => expect(parseHost(text)).toMatchObject(host))
  it.each(['ssh://x', 'unix://', 'tcp://h:x'])('%s is none', text =>
    expect(() => parseHost(text)).toThrow('unable to parse docker host'),
  )
  it('is looked for in order', () => {
    const env = { LINKSPAN_HOST: 'unix:///l', DOCKER_HOST: 'unix:///d' }
    expect(resolveHost('unix:///f', env).text).toBe('unix:///f')
    expect(resolveHost(undefined, env).text).toBe('unix:///l')
    expect(resolveHost(undefined, { ...env, LINKSPAN_HOST: '' }).text).toBe('unix:///d')
    expect(resolveHost(undefined, {}).text).toBe('unix:///run/linkspan/docker.sock')
  })
})
