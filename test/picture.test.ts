/** The picture that pages and terminals draw: once, and as it changes. */
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Picture, PictureMessage } from '../src/insight/index.ts'
import { TestHost } from './support/host.ts'
import { until } from './support/until.ts'

describe('the picture', () => {
  let host: TestHost

  beforeAll(async () => {
    host = await TestHost.open()
    await host.ok('network', 'create', 'shop')
    await host.ok(...'run -d --name web --network shop -p 8080:80 busybox httpd -f -p 80 -h /etc'.split(' '))
  })
  afterAll(async () => {
    await host?.close()
  })

  const picture = async (): Promise<Picture> => {
    const { stdout } = await host.shell(`curl -s --unix-socket ${host.socket} http://d/linkspan/v1/picture`)
    return JSON.parse(stdout) as Picture
  }

  it('has both ends of each cable as the kernel numbers them, the bridge and the way out', async () => {
    const { Uplink, Networks, Containers } = await picture()
    expect(Uplink).toMatchObject({ Name: 'eth0', Gateway: '10.10.101.254', Up: true })
    const shop = Networks.find(({ Name }) => Name === 'shop')
    const [web] = Containers
    const [end] = web?.Endpoints ?? []
    expect(web).toMatchObject({ Name: 'web', Status: 'running', Mode: '' })
    expect(web?.Ports).toContainEqual(
      expect.objectContaining({ Protocol: 'tcp', HostIp: '0.0.0.0', HostFrom: 8080, ContainerFrom: 80 }),
    )
    expect(end).toMatchObject({ NetworkId: shop?.Id, Interface: 'eth0', IPv4: '172.18.0.2/16', Up: true })
    const outside = await host.shell(`ip -o link show ${end?.HostInterface}`)
    expect(outside.stdout).toMatch(
      new RegExp(
        `^${end?.HostIndex}: ${end?.HostInterface}@if${end?.Index}: .* master ${shop?.Bridge?.Name} `,
      ),
    )
    const inside = await host.ok('exec', 'web', 'ip', 'link', 'show', 'eth0')
    expect(inside).toMatch(new RegExp(`^${end?.Index}: eth0@if${end?.HostIndex}:`))
  })

  it('followed, it tells what comes and goes, and how much goes through a cable', async () => {
    const messages: PictureMessage[] = []
    const following = request({ socketPath: host.socket, path: '/linkspan/v1/picture?follow' }, response => {
      let rest = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        messages.push(...lines.map(line => JSON.parse(line) as PictureMessage))
      })
      response.on('error', () => undefined)
    })
    following.on('error', () => undefined)
    following.end()
    const find = async <T extends PictureMessage['Type']>(
      type: T,
      fits: (message: Extract<PictureMessage, { Type: T }>) => boolean,
    ) =>
      until(() =>
        messages.some(
          message => message.Type === type && fits(message as Extract<PictureMessage, { Type: T }>),
        ),
      )
    try {
      await find('picture', ({ Picture: { Containers } }) => Containers.length === 1)
      await host.ok('run', '-d', '--name', 'second', '--network', 'shop', 'busybox', 'sleep', '3600')
      await find('change', ({ Containers: { Put } }) =>
        Put.some(({ Name, Endpoints: [end] }) => Name === 'second' && end?.Up === true && end.Index > 0),
      )
      const cable = (await picture()).Containers.find(({ Name }) => Name === 'web')?.Endpoints[0]
        ?.HostInterface
      const ping = host.spawn('timeout', ['60', 'ping', '-q', '-i', '0.2', '172.18.0.2'])
      await find('rates', ({ Rates }) => (Rates[cable ?? '']?.In ?? 0) > 0)
      ping.kill()
      await host.ok('rm', '-f', 'second')
      await find('change', ({ Containers: { Drop } }) => Drop.length === 1)
      expect(messages.map(({ Sequence }) => Sequence)).toEqual(messages.map((_, index) => index + 1))
    } finally {
      following.destroy()
    }
  })
})
