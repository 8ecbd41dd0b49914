/** What `docker events` tells, in docker's order. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestHost } from './support/host.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
})
afterAll(async () => {
  await host?.close()
})

/** Now, as `docker events` takes it. Durations do not do: the command line cuts them to whole seconds. */
async function now(): Promise<string> {
  return (await host.shell('date +%s.%N')).stdout.trim()
}

/** What is told of a command, as `type action` lines (or in another format), filters applied. */
async function eventsOf(
  command: () => Promise<unknown>,
  filters: readonly string[] = [],
  format = '{{.Type}} {{.Action}}',
): Promise<readonly string[]> {
  const since = await now()
  await command()
  const until = await now()
  const flags = filters.flatMap(filter => ['--filter', filter])
  const text = await host.ok('events', '--since', since, '--until', until, ...flags, '--format', format)
  return text === '' ? [] : text.split('\n')
}

const sleeper = (name: string, ...flags: readonly string[]): Promise<string> =>
  host.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '1000')

describe('a container', () => {
  it('that runs to its end', async () => {
    expect(await eventsOf(() => host.ok('run', '--rm', '--name', 'short', 'busybox', 'true'))).toEqual([
      'container create',
      'container attach',
      'network connect',
      'container start',
      'container die',
      'network disconnect',
      'container destroy',
    ])
  })

  it('that is started, renamed, paused, stopped, started again, killed and removed', async () => {
    expect(await eventsOf(() => sleeper('box'))).toEqual([
      'container create',
      'network connect',
      'container start',
    ])
    expect(await eventsOf(() => host.ok('rename', 'box', 'crate'))).toEqual(['container rename'])
    expect(await eventsOf(() => host.ok('pause', 'crate'))).toEqual(['container pause'])
    expect(await eventsOf(() => host.ok('unpause', 'crate'))).toEqual(['container unpause'])
    expect(await eventsOf(() => host.ok('stop', '-t', '0', 'crate'))).toEqual([
      'container kill',
      'container kill',
      'container die',
      'network disconnect',
      'container stop',
    ])
    expect(await eventsOf(() => host.ok('start', 'crate'))).toEqual(['network connect', 'container start'])
    expect(
      await eventsOf(async () => {
        await host.ok('kill', 'crate')
        await host.ok('wait', 'crate')
      }),
    ).toEqual(['container kill', 'container die', 'network disconnect'])
    expect(await eventsOf(() => host.ok('rm', 'crate'))).toEqual(['container destroy'])
  })

  it('that is restarted', async () => {
    await sleeper('again')
    expect(await eventsOf(() => host.ok('restart', '-t', '0', 'again'))).toEqual([
      'container kill',
      'container kill',
      'container die',
      'network disconnect',
      'container stop',
      'network connect',
      'container start',
      'container restart',
    ])
    expect(await eventsOf(() => host.ok('rm', '-f', 'again'))).toEqual([
      'container kill',
      'container die',
      'network disconnect',
      'container destroy',
    ])
  })

  it('in which something is executed', async () => {
    await sleeper('box')
    expect(await eventsOf(() => host.docker('exec', 'box', 'sh', '-c', 'exit 3'), [], '{{.Action}}')).toEqual(
      ['exec_create: sh -c exit 3', 'exec_start: sh -c exit 3', 'exec_die'],
    )
    await host.ok('rm', '-f', 'box')
  })

  it('whose command is not there: no connection is told that nobody ever had (docker tells one and takes it back)', async () => {
    expect(await eventsOf(() => host.docker('run', '--rm', 'busybox', 'nosuch'))).toEqual([
      'container create',
      'container attach',
      'container destroy',
    ])
  })
})

describe('a network', () => {
  it('that is created, connected, disconnected and removed', async () => {
    await sleeper('box')
    const id = await host.ok('inspect', '-f', '{{.Id}}', 'box')
    const format =
      '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}} {{.Actor.Attributes.container}}'
    expect(await eventsOf(() => host.ok('network', 'create', 'shop'), [], format)).toEqual([
      'create shop bridge <no value>',
    ])
    expect(await eventsOf(() => host.ok('network', 'connect', 'shop', 'box'), [], format)).toEqual([
      `connect shop bridge ${id}`,
    ])
    expect(await eventsOf(() => host.ok('network', 'disconnect', 'shop', 'box'), [], format)).toEqual([
      `disconnect shop bridge ${id}`,
    ])
    expect(await eventsOf(() => host.ok('network', 'rm', 'shop'), [], format)).toEqual([
      'destroy shop bridge <no value>',
    ])
    await host.ok('rm', '-f', 'box')
  })

  it('that is pruned', async () => {
    await host.ok('network', 'create', 'idle')
    expect(await eventsOf(() => host.ok('network', 'prune', '-f'))).toEqual([
      'network destroy',
      'network prune',
    ])
  })

  it('host and none tell of containers, too', async () => {
    for (const network of ['host', 'none']) {
      expect(
        await eventsOf(
          () => host.ok('run', '--rm', '--network', network, 'busybox', 'true'),
          ['type=network'],
          '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}',
        ),
      ).toEqual(
        ['connect', 'disconnect'].map(
          action => `${action} ${network} ${network === 'none' ? 'null' : 'host'}`,
        ),
      )
    }
  })

  it('a container that does not run is connected silently', async () => {
    await host.ok('create', '--name', 'idle', 'busybox')
    await host.ok('network', 'create', 'shop')
    expect(
      await eventsOf(async () => {
        await host.ok('network', 'connect', 'shop', 'idle')
        await host.ok('network', 'disconnect', 'shop', 'idle')
      }),
    ).toEqual([])
    await host.ok('network', 'rm', 'shop')
    await host.ok('rm', 'idle')
  })

  it('what fails tells nothing', async () => {
    await sleeper('box')
    expect(
      await eventsOf(async () => {
        await host.docker('network', 'create', 'bridge')
        await host.docker('network', 'create', '--subnet', '172.17.0.0/24', 'overlap')
        await host.docker('network', 'connect', 'nosuch', 'box')
        await host.docker('network', 'rm', 'nosuch')
        await host.docker('rm', 'box')
      }),
    ).toEqual([])
    await host.ok('rm', '-f', 'box')
  })
})

describe('an image', () => {
  it('that is tagged and untagged', async () => {
    expect(
      await eventsOf(
        async () => {
          await host.ok('tag', 'busybox', 'mine:1')
          await host.ok('rmi', 'mine:1')
        },
        [],
        '{{.Type}} {{.Action}}',
      ),
    ).toEqual(['image tag', 'image untag'])
  })
})

describe('filters', () => {
  it.each([
    [['type=network'], ['network connect', 'network disconnect']],
    [['type=container', 'event=start'], ['container start']],
    [
      ['event=start', 'event=die'],
      ['container start', 'container die'],
    ],
    [
      ['container=seen'],
      ['container create', 'container attach', 'container start', 'container die', 'container destroy'],
    ],
    [['network=bridge'], ['network connect', 'network disconnect']],
    [['label=colour=red', 'event=create'], ['container create']],
    [['label=colour=blue'], []],
    [['image=busybox', 'event=destroy'], ['container destroy']],
    [['container=other'], []],
  ])('%j', async (filters, expected) => {
    expect(
      await eventsOf(
        () => host.ok('run', '--rm', '--name', 'seen', '--label', 'colour=red', 'busybox', 'true'),
        filters,
      ),
    ).toEqual(expected)
  })

  it('refuses filters it does not know', async () => {
    const { code, stderr } = await host.docker('events', '--until', '0s', '--filter', 'nosuch=1')
    expect([code, stderr]).toEqual([1, "Error response from daemon: invalid filter 'nosuch'\n"])
  })
})

describe('a reader', () => {
  it('that waits sees what happens, as it happens', async () => {
    const soon = String(Number(await now()) + 3600)
    const reader = host.spawn('docker', ['events', '--until', soon, '--format', '{{.Action}}'])
    // Nobody says when a reader listens: something happens until it is seen.
    for (let attempt = 0; attempt < 100 && !reader.output.includes('create'); attempt++) {
      await host.ok('network', 'create', 'blink')
      await host.ok('network', 'rm', 'blink')
    }
    expect(reader.output).toContain('create\n')
    reader.kill()
  })

  it('the line of an event has time, type, action, id and sorted attributes', async () => {
    const since = await now()
    await host.ok('network', 'create', 'line')
    const line = await host.ok('events', '--since', since, '--until', await now())
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S+ network create [0-9a-f]{64} \(name=line, type=bridge\)$/,
    )
    await host.ok('network', 'rm', 'line')
  })
})
