/** Records for tests: complete, with what a test cares about replaced. */
import { defaultConfig, defaultHostConfig } from '../container/index.ts'
import type { Endpoint, Network, Sandbox } from '../network/index.ts'
import { type Container, type Image, never } from './records.ts'

export function network(fields: Partial<Network> & { readonly id: string }): Network {
  const name = fields.name ?? fields.id
  return {
    name,
    created: '2026-01-01T00:00:00Z',
    driver: 'bridge',
    enableIPv4: true,
    enableIPv6: false,
    internal: false,
    attachable: false,
    ipam: { driver: 'default', options: null },
    pools: [{ family: 4, subnet: '172.18.0.0/16', gateway: '172.18.0.1', auxiliary: {}, automatic: true }],
    options: {},
    labels: {},
    bridge: {
      name: `br-${fields.id.slice(0, 12)}`,
      mac: '02:00:00:00:00:01',
      icc: true,
      masquerade: true,
      hostBinding: '0.0.0.0',
      interfacePrefix: 'eth',
      adopted: false,
      isDefault: false,
    },
    ...fields,
  }
}

export function endpoint(fields: Partial<Endpoint> & { readonly id: string }): Endpoint {
  return {
    networkId: 'net',
    sandboxId: 'sandbox',
    ifname: 'eth0',
    hostIfname: `veth${fields.id.slice(0, 7)}`,
    mac: '02:42:ac:12:00:02',
    ipv4: '172.18.0.2/16',
    linkLocal: [],
    gatewayPriority: 0,
    dnsNames: [fields.id],
    links: {},
    ...fields,
  }
}

export function sandbox(fields: Partial<Sandbox> & { readonly id: string }): Sandbox {
  return { containerId: 'container', netns: 'abcdef012345', ports: [], dns: [], ndotsSet: false, ...fields }
}

export function image(fields: Partial<Image> & { readonly id: string }): Image {
  return {
    created: '2026-01-01T00:00:00Z',
    author: '',
    comment: '',
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
    size: 1,
    layers: [],
    history: [],
    tags: [],
    digests: [],
    ...fields,
  }
}

export function container(fields: Partial<Container> & { readonly id: string }): Container {
  return {
    name: fields.id,
    created: '2026-01-01T00:00:00Z',
    image: 'busybox',
    imageId: 'sha256:1',
    config: { ...defaultConfig, Hostname: fields.id.slice(0, 12), Cmd: ['sh'], Image: 'busybox' },
    hostConfig: { ...defaultHostConfig, NetworkMode: 'bridge' },
    memberships: [],
    state: {
      status: 'created',
      exitCode: 0,
      oomKilled: false,
      error: '',
      startedAt: never,
      finishedAt: never,
    },
    restartCount: 0,
    stoppedByUser: false,
    links: {},
    ...fields,
  }
}
