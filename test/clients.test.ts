/** Every line given to docker and to linkspan against one engine: the same words, on the same stream, the same status. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { oldDocker, TestHost, type ClientName, type Output } from './support/host.ts'
import { Terminal } from './support/terminal.ts'

let host: TestHost

beforeAll(async () => {
  host = await TestHost.open()
  await host.ok(...words('network create --label tier=front shop'))
  await host.ok(...words('network create --subnet 10.77.0.0/24 --gateway 10.77.0.254 --internal back'))
  await host.ok(
    ...words(
      'run -d --name web -p 8080:80 -p 127.0.0.1:5353:53/udp --network shop --label a=b -e X=y busybox',
    ),
    'sh',
    '-c',
    'echo out one; echo err one >&2; echo out two; exec sleep 3600',
  )
  await host.ok(...words('run -d --name db --network back --ip 10.77.0.10 busybox sleep 3600'))
  await host.ok(...words('run -d --name many -p 9000-9003:9000-9003 -P --expose 7000 busybox sleep 3600'))
  await host.ok(...words('network connect --alias store shop db'))
  await host.ok(
    ...words('create --name idle --restart unless-stopped busybox echo "a long command line that is cut"'),
  )
  await host.client('run', '--name', 'failed', 'busybox', 'sh', '-c', 'exit 3')
  await host.ok(...words('tag busybox mine/box:1'))
})
afterAll(async () => {
  await host?.close()
})

/** A command line's words; quoted ones may hold spaces. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
}

/** Ids by the order in which they appear, names that the engine made up, our own name as docker's. */
function normal({ stdout, stderr, code }: Output): Output {
  const seen: string[] = []
  const text = (raw: string): string =>
    raw
      .replaceAll('linkspan', 'docker')
      .replaceAll(/on endpoint [a-z]+_[a-z]+ /g, 'on endpoint <random name> ')
      .replaceAll(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, id => {
        const short = id.slice(0, 12)
        if (!seen.includes(short)) seen.push(short)
        return `<id ${seen.indexOf(short)}>`
      })
  return { stdout: text(stdout), stderr: text(stderr), code }
}

async function by(client: ClientName, line: string): Promise<Output> {
  return normal(await host[client](...words(line)))
}

/** Between two calls a second may pass, and `Up 9 seconds` is another word then: it is tried again. */
async function expectSame(line: string): Promise<Output> {
  for (let attempt = 0; ; attempt++) {
    const docker = await by('docker', line)
    const linkspan = await by('linkspan', line)
    if (JSON.stringify(docker) !== JSON.stringify(linkspan) && attempt < 20) continue
    expect(linkspan).toEqual(docker)
    return docker
  }
}

describe.skipIf(oldDocker)('what is only asked', () => {
  it.each(
    `
    network ls
    network ls -q
    network ls --no-trunc
    network ls --filter driver=bridge
    network ls --filter name=sho --format '{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}'
    network ls --format json
    network ls --format 'table {{.ID}}\t{{.Name}}'
    network ls --filter nosuch=1
    network ls --filter type=custom -q
    network inspect bridge
    network inspect shop back
    network inspect host none
    network inspect -f '{{.Id}} {{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}' shop
    network inspect -f '{{json .Containers}}' shop
    network inspect -f '{{len .Containers}} {{.Internal}} {{.Labels}}' back
    network inspect nosuch
    network inspect shop nosuch
    network inspect -f '{{.Nosuch}}' shop
    network inspect -f '{{.Name' shop
    ps
    ps -a
    ps -q
    ps -aq --no-trunc
    ps -a --no-trunc
    ps -n 2
    ps -l
    ps -as
    ps -a --filter name=web
    ps -a --filter status=exited --format '{{.Names}} {{.Status}} {{.Ports}}'
    ps -a --filter network=shop --format '{{.Names}}'
    ps --filter publish=8080 -q
    ps -a --format '{{.ID}} {{.Image}} {{.Command}} {{.Names}} {{.Networks}} {{.State}} {{.Labels}} {{.Mounts}} {{.LocalVolumes}}'
    ps -a --format 'table {{.Names}}\t{{.Ports}}'
    ps --filter nosuch=1
    ps --filter status=nosuch
    images
    images -q
    images -a --no-trunc
    images --digests
    images mine/box
    images mine/box:nosuch
    images --format '{{.Repository}} {{.Tag}} {{.ID}} {{.Size}}'
    images --filter reference=mine/*
    port web
    port web 80
    port web 80/tcp
    port web 53/udp
    port web 53
    port web 99
    port web nosuch
    port many
    port db
    port nosuch
    inspect web
    inspect idle
    inspect busybox
    inspect shop
    inspect web busybox shop
    inspect nosuch
    inspect web nosuch
    inspect --type network web
    inspect --type container shop
    inspect --type nosuch web
    inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}} {{.State.Status}}' web
    inspect -f '{{json .NetworkSettings.Ports}}' web
    inspect -f '{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.IPAddress}} {{end}}' db
    inspect -f '{{.Config.Cmd}} {{.HostConfig.NetworkMode}} {{.Name}} {{index .Config.Labels "a"}}' web
    inspect -f '{{.State.Nosuch}}' web
    inspect -f '{{.State.Nosuch.More}}' web
    inspect -f '{{.State.Status}}' web shop idle
    inspect -f '{{.Name}}' nosuch
    inspect -f '{{range .Nosuch}}x{{end}}' web
    inspect -f '{{index .Config.Labels "nosuch"}}' web
    inspect -f '{{slice .Id 0 12}} {{printf "%s-%d" .Name 7}} {{upper .Name}}' web
    container inspect idle
    image inspect mine/box:1
    logs web
    logs --tail 1 web
    logs -n 0 web
    logs -t --until 1s nosuch
    logs nosuch
    logs idle
    top web
    top web -o pid,args
    top idle
    top nosuch
    version -f '{{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}'
    info -f '{{.Containers}} {{.ContainersRunning}} {{.Images}} {{.Driver}}'
    exec web hostname
    exec web sh -c 'echo to stderr >&2; exit 42'
    exec -e A=1 -w /tmp -u 33 web sh -c 'echo $A; pwd; id -u'
    exec nosuch true
    exec idle true
    exec web nosuch
    exec web /etc
    exec -w /nosuch web true
    exec -u nosuch web true
    exec web
    wait failed
    wait nosuch
    stop failed
    stop nosuch
    kill failed
    kill -s NOSUCH web
    kill nosuch
    start web
    start nosuch
    restart nosuch
    pause failed
    unpause web
    rm web
    rm nosuch
    rm -f nosuch
    rename web db
    rename nosuch other
    rename web 'not a name'
    attach failed
    rmi nosuch
    rmi nosuch other:1
    tag nosuch x
    tag busybox UPPER
    load -i /nosuch
    network rm shop
    network rm bridge nosuch
    network rm -f nosuch
    network create shop
    network create host
    network create
    network create a b
    network create -d nosuch x
    network create --subnet 10.77.0.0/16 x
    network create --subnet 10.1.0.7/24 x
    network create --subnet nonsense x
    network create --gateway 10.1.0.1 x
    network create --subnet 10.1.0.0/24 --gateway 10.2.0.1 x
    network create --subnet 10.1.0.0/24 --ip-range 10.2.0.0/25 x
    network create --subnet 10.1.0.0/24 --subnet 10.1.0.0/25 x
    network create -o com.docker.network.bridge.enable_icc=maybe x
    network create --ipv6 --subnet fd00::/129 x
    network connect shop web
    network connect nosuch web
    network connect shop nosuch
    network connect host web
    network connect --ip 10.77.0.10 back web
    network connect --ip 10.78.0.1 back web
    network connect --ip nonsense back web
    network connect shop
    network disconnect back web
    network disconnect nosuch web
    network disconnect shop nosuch
    network nosuch
    network
    nosuch
    run
    run --nosuch busybox
    run --rm --network nosuch busybox true
    run --rm --ip 10.77.0.10 --network back busybox true
    run --rm --ip 172.17.0.9 busybox true
    run --rm -p 8080:80 busybox true
    run --rm -p nonsense busybox true
    run --rm -p 80:99999 busybox true
    run --rm --name web busybox true
    run --rm --name 'bad name' busybox true
    run --rm --network container:nosuch busybox true
    run --rm --network container:idle busybox true
    run --rm --network host --link web busybox true
    run --rm --link nosuch busybox true
    run --rm --hostname '-bad-' busybox true
    run --rm --network shop --network shop busybox true
    run --rm --network shop --network host busybox true
    run --rm --restart always busybox true
    run --rm busybox nosuch
    run --rm busybox /etc
    run --rm busybox /nosuch/command
    run --rm busybox sh -c 'echo out; echo err >&2; exit 7'
    run --rm --network none busybox ip -o link
    run --rm --network container:web busybox hostname
    run --rm --pull never nosuch:1 true
    run --rm 127.0.0.1:5999/a/b:1 true
    run --rm --read-only --user 33:33 -w /var -e A=b --hostname h.example busybox sh -c 'id; pwd; echo $A; hostname'
    run --rm --dns 9.9.9.9 --dns-search example.org --add-host box:10.0.0.1 busybox cat /etc/resolv.conf /etc/hosts
    pull 127.0.0.1:5999/a/b:1
    events --since 1 --until 2
    events --filter nosuch=1 --until 1
    `
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== ''),
  )('%s', async line => {
    await expectSame(line)
  })
})

/** What has to be so before a line; it may be so already, or not be possible any more. */
describe.skipIf(oldDocker)('what changes something', () => {
  it.each<readonly [line: string, before: readonly string[]]>([
    ['network create newnet', ['network rm newnet']],
    [
      'network create --subnet 10.1.0.0/24 --gateway 10.1.0.9 --ip-range 10.1.0.128/25 --aux-address r=10.1.0.130 newnet',
      ['network rm newnet'],
    ],
    ['network connect --alias x --ip 10.77.0.99 back web', ['network disconnect back web']],
    ['network disconnect back web', ['network connect back web']],
    ['network rm newnet', ['network create newnet']],
    ['network rm newnet nosuch', ['network create newnet']],
    ['network prune -f', ['network create newnet', 'network create newer']],
    ['create --name fresh busybox true', ['rm -f fresh']],
    ['start -a fresh', []],
    ['rm fresh', ['create --name fresh busybox true']],
    ['rm fresh nosuch', ['create --name fresh busybox true']],
    ['run -d --name fresh busybox sleep 1000', ['rm -f fresh']],
    ['stop -t 0 fresh', ['start fresh']],
    ['kill fresh', ['start fresh']],
    ['restart -t 0 fresh', []],
    ['pause fresh', ['unpause fresh']],
    ['unpause fresh', ['pause fresh']],
    ['rename fresh renamed', ['rename renamed fresh']],
    ['stop -t 0 renamed db', ['start renamed', 'start db']],
    ['rm -f renamed nosuch', ['create --name renamed busybox true']],
    ['container prune -f', ['container prune -f', 'create --name gone busybox true']],
    ['tag busybox fresh:1', []],
    ['rmi fresh:1', ['tag busybox fresh:1']],
  ])('%s', async (line, before) => {
    const results: Output[] = []
    for (const client of ['docker', 'linkspan'] as const) {
      for (const each of before) await host.docker(...words(each))
      results.push(await by(client, line))
    }
    expect(results[1]).toEqual(results[0])
  })
})

describe.skipIf(oldDocker)('with a terminal', () => {
  it.each(['docker', 'linkspan'] as const)('%s run -it and exec -it', async client => {
    const run = new Terminal(
      `${host.commandLine(client)} run --rm -it busybox sh`,
      host.environment(),
      [21, 84],
    )
    await run.prompt()
    run.press('stty size; exit 3\n')
    await run.shows(/^21 84\n/m)
    expect(await run.ends()).toBe(3)
    const exec = new Terminal(`${host.commandLine(client)} exec -it web sh`, host.environment(), [22, 85])
    await exec.prompt()
    exec.press('stty size; tty; exit 4\n')
    await exec.shows(/^22 85\n\/dev\/pts\/\d+\n/m)
    expect(await exec.ends()).toBe(4)
  })

  it.each(['docker', 'linkspan'] as const)('%s attach is left with ctrl-p ctrl-q', async client => {
    await host.ok('run', '-dit', '--name', `tty-${client}`, 'busybox', 'sh')
    const attach = new Terminal(`${host.commandLine(client)} attach tty-${client}`, host.environment())
    await attach.shows(/pts/)
    attach.press('\necho mark$((1+1))\n')
    await attach.shows(/^mark2\n/m)
    attach.press('\u0010\u0011')
    await attach.ends()
    expect(await host.ok('inspect', '-f', '{{.State.Running}}', `tty-${client}`)).toBe('true')
    await host.ok('rm', '-f', `tty-${client}`)
  })
})

describe.skipIf(oldDocker)('with pipes', () => {
  it.each(['docker', 'linkspan'] as const)('%s passes standard input on, and much output', async client => {
    const command = host.commandLine(client)
    expect((await host.shell(`printf 'one\\ntwo\\n' | ${command} run --rm -i busybox cat`)).stdout).toBe(
      'one\ntwo\n',
    )
    expect((await host.shell(`printf piped | ${command} exec -i web cat`)).stdout).toBe('piped')
    expect((await host.shell(`${command} run --rm busybox seq 1 100000 | tail -1`)).stdout).toBe('100000\n')
    expect(
      (await host.shell(`head -c 3000000 /dev/zero | ${command} run --rm -i busybox wc -c`)).stdout,
    ).toBe('3000000\n')
  })
})
