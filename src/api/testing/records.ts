/** Records for tests: complete, with what a test cares about overridden. */
import type { Container, Image } from '../../engine/index.ts'
import {
  type ContainerConfig,
  defaultConfig,
  defaultHostConfig,
  type HostConfig,
} from '../../container/index.ts'
import type { Endpoint, Network, Sandbox } from '../../network/index.ts'

export const idOf = (digit: string): string => digit.repeat(64)

export const bridge: Network = {
  id: idOf('b'),
  name: 'bridge',
  created: '2026-11-23T15:47:41.216229677Z',
  driver: 'bridge',
  enableIPv4: true,
  enableIPv6: false,
  internal: false,
  attachable: false,
  ipam: { driver: 'default', options: null },
  pools: [{ family: 4, subnet: '172.17.0.0/16', gateway: '172.17.0.1', auxiliary: {}, automatic: true }],
  options: {
    'com.docker.network.driver.mtu': '1500',
    'com.docker.network.bridge.name': 'docker0',
  },
  labels: {},
  bridge: {
    name: 'docker0',
    mac: '02:42:00:00:00:01',
    icc: true,
    masquerade: true,
    hostBinding: '0.0.0.0',
    interfacePrefix: 'eth',
    adopted: false,
    isDefault: true,
  },
}

const special = (id: string, name: string, driver: 'host' | 'null'): Network => {
  const { bridge: _bridge, ...rest } = bridge
  return { ...rest, id: idOf(id), name, driver, pools: [], options: {} }
}

export const host = special('c', 'host', 'host')
export const none = special('d', 'none', 'null')

export const config: ContainerConfig = {
  ...defaultConfig,
  Hostname: '111111111111',
  AttachStdout: true,
  AttachStderr: true,
  Env: ['PATH=/bin'],
  Cmd: ['sleep', '3600'],
  Image: 'busybox',
}

export const hostConfig: HostConfig = { ...defaultHostConfig, NetworkMode: 'bridge', IpcMode: '' }

export const image: Image = {
  id: `sha256:${idOf('e')}`,
  created: '2026-11-20T10:00:00Z',
  author: '',
  comment: '',
  architecture: 'amd64',
  os: 'linux',
  config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
  size: 1234,
  layers: [`sha256:${idOf('f')}`],
  history: [{ created: '2026-11-20T10:00:00Z', createdBy: 'import', comment: 'made', emptyLayer: false }],
  tags: ['busybox:latest'],
  digests: [],
}

export const running: Container = {
  id: idOf('1'),
  name: 'web',
  created: '2026-11-23T15:47:42.5Z',
  image: 'busybox',
  imageId: image.id,
  config,
  hostConfig,
  memberships: [{ network: 'bridge', networkId: bridge.id, request: {} }],
  state: {
    status: 'running',
    process: { pid: 4711, startTime: 1 },
    exitCode: 0,
    oomKilled: false,
    error: '',
    startedAt: '2026-11-23T15:47:43Z',
    finishedAt: '0001-01-01T00:00:00Z',
  },
  restartCount: 0,
  stoppedByUser: false,
  links: {},
}

export const sandbox: Sandbox = {
  id: idOf('5'),
  containerId: running.id,
  netns: '555555555555',
  ports: [
    {
      protocol: 'tcp',
      hostIp: '0.0.0.0',
      hostFrom: 80,
      hostTo: 80,
      containerFrom: 80,
      endpointId: idOf('7'),
    },
    { protocol: 'tcp', hostIp: '::', hostFrom: 80, hostTo: 80, containerFrom: 80, endpointId: idOf('7') },
  ],
  dns: [],
  ndotsSet: false,
}

export const endpoint: Endpoint = {
  id: idOf('7'),
  networkId: bridge.id,
  sandboxId: sandbox.id,
  ifname: 'eth0',
  hostIfname: 'veth1234567',
  mac: '02:42:ac:11:00:02',
  ipv4: '172.17.0.2/16',
  linkLocal: [],
  gatewayPriority: 0,
  dnsNames: [],
  links: {},
}
