/**
 * Networks through clients that people's programs are made of: dockerode, docker-py and docker-compose 1.29, each
 * unchanged and each on a daemon that they share.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run, TestHost, type Output } from './support/host.ts'

let host: TestHost
let docker: Docker

beforeAll(async () => {
  host = await TestHost.open()
  docker = new Docker({ socketPath: host.socket })
})
afterAll(async () => {
  await host?.close()
})

const names = (list: readonly { readonly Name: string }[]): string[] => list.map(({ Name }) => Name).sort()

/** Status and words of a refusal. */
async function refusal(work: Promise<unknown>): Promise<readonly unknown[]> {
  try {
    await work
  } catch (error) {
    const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } }
    return [statusCode, json?.message]
  }
  return []
}

describe('dockerode', () => {
  it('makes, finds, joins, leaves and prunes networks, and hears of it', async () => {
    const heard: string[] = []
    const events = await docker.getEvents({ filters: { type: ['network'], network: ['ode'] } })
    events.on('data', (data: Buffer) => {
      for (const line of data.toString().split('\n').filter(Boolean)) {
        heard.push((JSON.parse(line) as { Action: string }).Action)
      }
    })

    const network = await docker.createNetwork({
      Name: 'ode',
      CheckDuplicate: true,
      Driver: 'bridge',
      EnableIPv6: true,
      Attachable: true,
      IPAM: {
        Driver: 'default',
        Options: {},
        Config: [
          {
            Subnet: '10.80.0.0/24',
            IPRange: '10.80.0.128/25',
            Gateway: '10.80.0.1',
            AuxiliaryAddresses: { nas: '10.80.0.5' },
          },
          { Subnet: 'fd80::/64' },
        ],
      },
      Options: { 'com.docker.network.driver.mtu': '1400' },
      Labels: { 'made.by': 'ode' },
    })
    expect(await network.inspect()).toMatchObject({
      Name: 'ode',
      EnableIPv6: true,
      Attachable: true,
      IPAM: {
        Config: [
          {
            Subnet: '10.80.0.0/24',
            IPRange: '10.80.0.128/25',
            Gateway: '10.80.0.1',
            AuxiliaryAddresses: { nas: '10.80.0.5' },
          },
          { Subnet: 'fd80::/64', Gateway: 'fd80::1' },
        ],
      },
      Options: { 'com.docker.network.driver.mtu': '1400' },
      Labels: { 'made.by': 'ode' },
    })
    expect(names(await docker.listNetworks({ filters: { label: ['made.by=ode'] } }))).toEqual(['ode'])
    expect(names(await docker.listNetworks({ filters: { type: ['builtin'] } }))).toEqual([
      'bridge',
      'host',
      'none',
    ])
    expect(names(await docker.listNetworks({ filters: { id: [network.id], driver: ['bridge'] } }))).toEqual([
      'ode',
    ])

    const container = await docker.createContainer({
      Image: 'busybox',
      name: 'ode-box',
      Cmd: ['sleep', '3600'],
      StopSignal: 'SIGKILL',
    })
    await container.start()
    // A variable, because the client's types are older than gateway priorities.
    const settings = {
      IPAMConfig: { IPv4Address: '10.80.0.20', IPv6Address: 'fd80::20', LinkLocalIPs: ['169.254.9.9'] },
      Aliases: ['box', 'case'],
      Links: ['ode-box:self'],
      DriverOpts: {
        'com.docker.network.endpoint.ifname': 'ode0',
        'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1',
      },
      GwPriority: 10,
    }
    await network.connect({ Container: container.id, EndpointConfig: settings })
    const view = await container.inspect()
    expect(view.NetworkSettings.Networks['ode']).toMatchObject({
      IPAMConfig: { IPv4Address: '10.80.0.20', IPv6Address: 'fd80::20', LinkLocalIPs: ['169.254.9.9'] },
      Aliases: ['box', 'case'],
      Links: ['ode-box:self'],
      GwPriority: 10,
      IPAddress: '10.80.0.20',
      GlobalIPv6Address: 'fd80::20',
      Gateway: '10.80.0.1',
    })
    const inside = await host.ok('exec', 'ode-box', 'sh', '-c', 'ip addr show ode0; ip route; nslookup case')
    for (const text of [
      'mtu 1400',
      '10.80.0.20/24',
      'fd80::20/64',
      '169.254.9.9/16',
      'default via 10.80.0.1',
      '10.80.0.20',
    ]) {
      expect(inside).toContain(text)
    }
    expect(Object.keys((await network.inspect()).Containers ?? {})).toEqual([container.id])
    expect(await refusal(network.remove())).toEqual([
      403,
      expect.stringMatching(/has active endpoints \(name:"ode-box"/),
    ])
    expect(await refusal(network.connect({ Container: container.id }))).toEqual([
      403,
      'endpoint with name ode-box already exists in network ode',
    ])
    expect(await refusal(docker.createNetwork({ Name: 'ode' }))).toEqual([
      409,
      'network with name ode already exists',
    ])
    expect(await refusal(docker.getNetwork('nosuch').inspect())).toEqual([404, 'network nosuch not found'])
    await network.disconnect({ Container: container.id, Force: true })
    expect((await network.inspect()).Containers).toEqual({})
    await container.remove({ force: true })
    expect(await docker.pruneNetworks({ filters: { label: ['made.by=ode'] } })).toEqual({
      NetworksDeleted: ['ode'],
    })
    expect(await docker.pruneNetworks({ filters: { label: ['made.by=ode'] } })).toEqual({
      NetworksDeleted: null,
    })
    await expect
      .poll(() => heard, { timeout: 20_000 })
      .toEqual(['create', 'connect', 'disconnect', 'destroy'])
    ;(events as unknown as { destroy(): void }).destroy()
  })
})

describe('docker-py', () => {
  it('makes, finds, joins, leaves and prunes networks, and hears of it', async () => {
    const script = join(import.meta.dirname, 'support/networks.py')
    const { stdout, stderr, code } = await run(
      '/usr/bin/python3',
      [script, String(Math.floor(Date.now() / 1000))],
      host.environment(),
    )
    expect([code, stderr]).toEqual([0, ''])
    const seen = JSON.parse(stdout) as Record<string, unknown>
    const outside = expect.stringMatching(
      /no configured subnet or ip-range contain the IP address 10\.71\.0\.1/,
    ) as unknown
    expect(seen).toEqual({
      version: '1.51',
      created: {
        Name: 'py',
        Driver: 'bridge',
        Scope: 'local',
        IPAM: {
          Driver: 'default',
          Options: null,
          Config: [
            {
              Subnet: '10.70.0.0/16',
              IPRange: '10.70.4.0/24',
              Gateway: '10.70.0.254',
              AuxiliaryAddresses: { printer: '10.70.4.1' },
            },
          ],
        },
        Labels: { 'made.by': 'py' },
        Attachable: true,
        Options: { 'com.docker.network.bridge.enable_icc': 'true' },
      },
      list: {
        names: ['py', 'py-other'],
        ids: ['py'],
        label: ['py', 'py-other'],
        driver: ['none'],
        greedy: ['py'],
      },
      endpoints: {
        py: {
          IPAMConfig: { IPv4Address: '10.70.4.20' },
          Aliases: expect.arrayContaining(['first']) as unknown,
          Links: null,
          DriverOpts: null,
          IPAddress: '10.70.4.20',
        },
        'py-other': {
          IPAMConfig: null,
          Aliases: expect.arrayContaining(['second', 'third']) as unknown,
          Links: ['py-box:me'],
          DriverOpts: { opt: 'value' },
          IPAddress: expect.stringMatching(/^172\./) as unknown,
        },
      },
      members: ['py-box'],
      refused: {
        taken: [409, 'network with name py already exists', false],
        missing: [404, 'network nosuch not found', true],
        active: [403, expect.stringMatching(/has active endpoints \(name:"py-box"/) as unknown, false],
        twice: [403, 'endpoint with name py-box already exists in network py', false],
        outside: [400, outside, false],
      },
      pruned: ['py', 'py-other'],
      empty: null,
      events: expect.arrayContaining([
        ['create', 'py'],
        ['create', 'py-other'],
        ['connect', 'py'],
        ['connect', 'py-other'],
        ['disconnect', 'py-other'],
        ['disconnect', 'py'],
        ['destroy', 'py'],
      ]) as unknown,
    })
  })
})

const composeFile = `
version: '2.4'
services:
  web:
    image: busybox
    command: httpd -f -h /www
    stop_signal: SIGKILL
    ports: ['8090:80']
    volumes: ['./www:/www:ro']
    depends_on: [api]
    networks:
      front:
        ipv4_address: 10.91.0.10
        aliases: [shop, store]
      back: {}
  api:
    image: busybox
    command: httpd -f -h /www
    stop_signal: SIGKILL
    volumes: ['./www:/www:ro']
    networks:
      back:
        aliases: [backend]
      outside: {}
  worker:
    image: busybox
    command: sleep 3600
    stop_signal: SIGKILL
    links: ['api:service']
    networks: [back]
networks:
  front:
    driver: bridge
    ipam:
      driver: default
      config:
        - subnet: 10.91.0.0/24
          ip_range: 10.91.0.128/25
          gateway: 10.91.0.1
          aux_addresses: { nas: 10.91.0.5 }
  back:
    internal: true
    labels: { tier: back }
  outside:
    external: true
    name: outside
`

describe('docker-compose', () => {
  const directory = (): string => join(host.directory, 'project')
  const compose = (...args: readonly string[]): Promise<Output> =>
    run(
      'docker-compose',
      [
        '--project-directory',
        directory(),
        '-f',
        join(directory(), 'docker-compose.yml'),
        '-p',
        'shop',
        ...args,
      ],
      host.environment(),
    )
  const ok = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr, code } = await compose(...args)
    expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
    return stdout
  }
  const inside = (service: string, line: string): Promise<string> =>
    host.ok('exec', `shop_${service}_1`, 'sh', '-c', line)

  it('brings three networks and their services up, scales them, and takes all of it down', async () => {
    mkdirSync(join(directory(), 'www'), { recursive: true })
    writeFileSync(join(directory(), 'www/index.html'), 'served\n')
    writeFileSync(join(directory(), 'docker-compose.yml'), composeFile)
    await host.ok('network', 'create', '--subnet', '10.92.0.0/24', 'outside')
    const before = await host.settled()

    await ok('up', '-d')
    expect(
      names(await docker.listNetworks({ filters: { label: ['com.docker.compose.project=shop'] } })),
    ).toEqual(['shop_back', 'shop_front'])
    expect(await docker.getNetwork('shop_back').inspect()).toMatchObject({
      Internal: true,
      Labels: { tier: 'back' },
    })
    expect(await ok('ps')).toMatch(/shop_web_1 .* Up .*0\.0\.0\.0:8090->80\/tcp/)

    // Names, aliases, links, static addresses, ports: with packets.
    expect(await inside('web', 'wget -qO- http://api')).toBe('served')
    expect(await inside('web', 'wget -qO- http://backend')).toBe('served')
    expect(await inside('worker', 'wget -qO- http://service')).toBe('served')
    expect(await inside('worker', 'wget -qO- http://web')).toBe('served')
    expect(await inside('web', 'nslookup store')).toContain('10.91.0.10')
    expect((await host.internet('curl -s --max-time 10 http://10.10.101.105:8090/')).stdout).toBe('served\n')
    // The worker is on the internal network alone.
    expect(await inside('worker', 'ip route')).not.toContain('default')
    expect(await inside('api', 'ip route')).toContain('default via 10.92.0.1')

    await ok('up', '-d', '--scale', 'worker=3')
    const workers = await docker.listContainers({ filters: { label: ['com.docker.compose.service=worker'] } })
    expect(workers).toHaveLength(3)
    expect(new Set(workers.map(each => each.NetworkSettings.Networks['shop_back']?.IPAddress)).size).toBe(3)
    await ok('scale', 'worker=1')
    expect(
      await docker.listContainers({ filters: { label: ['com.docker.compose.service=worker'] } }),
    ).toHaveLength(1)

    await ok('down', '-t', '0')
    expect(await docker.listContainers({ all: true })).toEqual([])
    expect(await host.settlesTo(before)).toBe(before)
    await host.ok('network', 'rm', 'outside')
  })
})
