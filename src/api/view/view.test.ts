import { describe, expect, it } from 'vitest'
import type { Container, ContainerState } from '../../engine/index.ts'
import { MemoryState } from '../testing/memory-engine.ts'
import { bridge, config, endpoint, hostConfig, idOf, image, running, sandbox } from '../testing/records.ts'
import { newest } from '../version.ts'
import { containerSummary, containerView, statusText } from './container.ts'
import { networkSettingsView } from './endpoint.ts'
import { eventLine } from './event.ts'
import { hostConfigView } from './host-config.ts'
import { historyView, imageSummary, imageView, uncounted } from './image.ts'
import { networkView } from './network.ts'
import { singlePorts } from './ports.ts'
import { infoView, versionView } from './system.ts'
import { hostFacts } from '../host-facts.ts'

const keys = (value: unknown): string => Object.keys(value as object).join(' ')

const facts = {
  ports: sandbox.ports,
  netnsDirectory: '/run/linkspan/netns',
  files: { hosts: '/c/hosts', resolvConf: '/c/resolv.conf', hostname: '/c/hostname' },
}

/** A state in which `web` runs on the default bridge. */
function stateWith(container: Container = running): MemoryState {
  const state = new MemoryState()
  state.containers.set(container.id, container)
  state.sandboxes.set(sandbox.id, sandbox)
  state.endpoints.set(endpoint.id, endpoint)
  return state
}

describe('networks', () => {
  it('is the tutorial’s bridge, to the byte', () => {
    expect(JSON.stringify(networkView(stateWith(), bridge, true))).toBe(
      `{"Name":"bridge","Id":"${idOf('b')}","Created":"2026-11-23T15:47:41.216229677Z","Scope":"local","Driver":"bridge",` +
        `"EnableIPv4":true,"EnableIPv6":false,"IPAM":{"Driver":"default","Options":null,"Config":[{"Subnet":"172.17.0.0/16",` +
        `"Gateway":"172.17.0.1"}]},"Internal":false,"Attachable":false,"Ingress":false,"ConfigFrom":{"Network":""},` +
        `"ConfigOnly":false,"Containers":{"${idOf('1')}":{"Name":"web","EndpointID":"${idOf('7')}","MacAddress":` +
        `"02:42:ac:11:00:02","IPv4Address":"172.17.0.2/16","IPv6Address":""}},"Options":{"com.docker.network.bridge.name":` +
        `"docker0","com.docker.network.driver.mtu":"1500"},"Labels":{}}`,
    )
  })

  it('shows ranges and auxiliary addresses where there are some, null without pools', () => {
    const view = networkView(
      stateWith(),
      {
        ...bridge,
        pools: [
          {
            family: 4,
            subnet: '10.0.0.0/24',
            range: '10.0.0.64/26',
            gateway: '10.0.0.254',
            auxiliary: { z: '10.0.0.3', a: '10.0.0.2' },
            automatic: false,
          },
        ],
      },
      true,
    )
    expect(JSON.stringify((view['IPAM'] as { Config: unknown }).Config)).toBe(
      '[{"Subnet":"10.0.0.0/24","IPRange":"10.0.0.64/26","Gateway":"10.0.0.254","AuxiliaryAddresses":{"a":"10.0.0.2","z":"10.0.0.3"}}]',
    )
    expect(networkView(stateWith(), { ...bridge, pools: [] }, true)['IPAM']).toMatchObject({ Config: null })
  })

  it('shows what a configuration network hands on', () => {
    const view = networkView(
      stateWith(),
      {
        ...bridge,
        driver: 'null',
        pools: [],
        configOnly: true,
        ipam: { driver: 'default', options: null, requests: [{ subnet: '10.0.0.0/24' }] },
      },
      true,
    )
    expect(view).toMatchObject({ ConfigOnly: true, IPAM: { Config: [{ Subnet: '10.0.0.0/24' }] } })
  })
})

describe('containers', () => {
  it('has Docker’s keys in Docker’s order', () => {
    const view = containerView(stateWith(), running, facts, newest)
    expect(keys(view)).toBe(
      'Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver Platform ' +
        'MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings',
    )
    expect(keys(view['State'])).toBe(
      'Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt',
    )
    expect(keys(view['Config'])).toBe(
      'Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image Volumes ' +
        'WorkingDir Entrypoint OnBuild Labels',
    )
    expect(view).toMatchObject({
      Path: 'sleep',
      Args: ['3600'],
      Name: '/web',
      State: { Running: true, Pid: 4711 },
    })
  })

  it('shows binds and volumes', () => {
    const withMounts: Container = {
      ...running,
      hostConfig: { ...hostConfig, Binds: ['/srv:/data:ro', 'cache:/var/cache'], Tmpfs: { '/run': '' } },
    }
    expect(containerView(stateWith(), withMounts, facts, newest)['Mounts']).toEqual([
      { Type: 'bind', Source: '/srv', Destination: '/data', Mode: 'ro', RW: false, Propagation: 'rprivate' },
      {
        Type: 'volume',
        Name: 'cache',
        Source: '',
        Destination: '/var/cache',
        Driver: 'local',
        Mode: 'z',
        RW: true,
        Propagation: '',
      },
    ])
    const malformed = { ...running, hostConfig: { ...hostConfig, Binds: [':'] } }
    expect(containerView(stateWith(), malformed, facts, newest)['Mounts']).toEqual([])
  })

  it('mirrors the network called bridge, as the tutorial shows it', () => {
    const exposed = { ...running, config: { ...config, ExposedPorts: { '80/tcp': {}, '53/udp': {} } } }
    expect(JSON.stringify(networkSettingsView(stateWith(exposed), exposed, facts, newest))).toBe(
      `{"Bridge":"","SandboxID":"${sandbox.id}","SandboxKey":"/run/linkspan/netns/555555555555","Ports":{"53/udp":null,` +
        `"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"80"},{"HostIp":"::","HostPort":"80"}]},"HairpinMode":false,` +
        `"LinkLocalIPv6Address":"","LinkLocalIPv6PrefixLen":0,"SecondaryIPAddresses":null,"SecondaryIPv6Addresses":null,` +
        `"EndpointID":"${endpoint.id}","Gateway":"172.17.0.1","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,` +
        `"IPAddress":"172.17.0.2","IPPrefixLen":16,"IPv6Gateway":"","MacAddress":"02:42:ac:11:00:02","Networks":{"bridge":` +
        `{"IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":"02:42:ac:11:00:02","DriverOpts":null,"GwPriority":0,` +
        `"NetworkID":"${bridge.id}","EndpointID":"${endpoint.id}","Gateway":"172.17.0.1","IPAddress":"172.17.0.2",` +
        `"IPPrefixLen":16,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}}}`,
    )
  })

  it('has no addresses and no ports when it does not run, but keeps its network', () => {
    const stopped: Container = { ...running, state: { ...running.state, status: 'exited' } }
    const state = new MemoryState()
    expect(networkSettingsView(state, stopped, { ...facts, ports: [] }, newest)).toMatchObject({
      SandboxKey: '',
      Ports: {},
      IPAddress: '',
      Networks: { bridge: { NetworkID: bridge.id, EndpointID: '', IPAddress: '', MacAddress: '' } },
    })
  })

  const userNetwork = {
    ...bridge,
    id: idOf('a'),
    name: 'shop',
    bridge: { ...(bridge.bridge ?? { name: '', mac: '' }), isDefault: false },
  } as typeof bridge
  const onShop: Container = {
    ...running,
    memberships: [
      { network: 'shop', networkId: userNetwork.id, request: { aliases: ['db'], ipv4: '172.17.0.9' } },
    ],
  }
  const shopSettings = (version: number, internal = false) => {
    const state = stateWith(onShop)
    state.networks.set(userNetwork.id, { ...userNetwork, internal })
    state.endpoints.set(endpoint.id, {
      ...endpoint,
      networkId: userNetwork.id,
      ipv6: 'fd00::2/64',
      dnsNames: ['web', 'db', running.id.slice(0, 12)],
    })
    const { Networks } = networkSettingsView(state, onShop, { ...facts, ports: [] }, version) as {
      Networks: Record<string, unknown>
    }
    return Networks['shop']
  }

  it('names: aliases as asked, the short id among them for old clients', () => {
    expect(shopSettings(45)).toMatchObject({
      IPAMConfig: { IPv4Address: '172.17.0.9' },
      Aliases: ['db'],
      DNSNames: ['web', 'db', '111111111111'],
      GlobalIPv6Address: 'fd00::2',
      GlobalIPv6PrefixLen: 64,
    })
    expect(shopSettings(44)).toMatchObject({ Aliases: ['db', '111111111111'] })
  })

  it('has no gateway on an internal network', () => {
    expect(shopSettings(newest)).toMatchObject({ Gateway: '172.17.0.1' })
    expect(shopSettings(newest, true)).toMatchObject({ Gateway: '' })
  })

  it('summarises', () => {
    const container: Container = {
      ...running,
      config: { ...config, Cmd: ['sh', '-c', 'sleep 1'], ExposedPorts: { '443/tcp': {}, '80/tcp': {} } },
    }
    const now = Date.parse('2026-11-23T15:48:45Z')
    const view = containerSummary(stateWith(container), container, sandbox.ports, newest, now)
    expect(keys(view)).toBe(
      'Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts',
    )
    expect(view).toMatchObject({
      Command: "sh -c 'sleep 1'",
      Status: 'Up About a minute',
      Image: 'busybox',
      Created: 1_795_448_862,
      Ports: [
        { PrivatePort: 443, Type: 'tcp' },
        { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 80, Type: 'tcp' },
        { IP: '::', PrivatePort: 80, PublicPort: 80, Type: 'tcp' },
      ],
    })
    expect(containerSummary(stateWith(), { ...running, image: 'gone' }, [], newest, now)['Image']).toBe(
      image.id,
    )
  })

  it.each<[Partial<ContainerState>, string]>([
    [{ status: 'created' }, 'Created'],
    [{ status: 'running' }, 'Up 5 seconds'],
    [{ status: 'paused' }, 'Up 5 seconds (Paused)'],
    [{ status: 'exited', exitCode: 137 }, 'Exited (137) 2 seconds ago'],
    [{ status: 'restarting', exitCode: 1 }, 'Restarting (1) 2 seconds ago'],
    [{ status: 'removing' }, 'Removal In Progress'],
    [{ status: 'dead' }, 'Dead'],
  ])('%j: %s', (state, text) => {
    const times = { startedAt: '2026-11-23T15:00:00Z', finishedAt: '2026-11-23T15:00:03.5Z' }
    const now = Date.parse('2026-11-23T15:00:05.9Z')
    expect(statusText({ ...running.state, ...times, ...state }, now)).toBe(text)
  })
})

describe('HostConfig', () => {
  it('is complete and keeps what the client sent beside', () => {
    const view = hostConfigView({ ...hostConfig, Strange: { a: 1 }, VolumeDriver: 'x' }, ['/a:/web/b'])
    expect(
      keys(view).startsWith('Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy'),
    ).toBe(true)
    expect(keys(view).endsWith('IOMaximumBandwidth MaskedPaths ReadonlyPaths Strange')).toBe(true)
    expect(view).toMatchObject({ Links: ['/a:/web/b'], VolumeDriver: 'x', LogConfig: { Type: 'json-file' } })
    const unset = {
      LogConfig: { Type: '', Config: { a: 'b' } },
      CgroupnsMode: '',
      MemorySwappiness: -1,
      PidsLimit: 0,
    }
    expect(hostConfigView({ ...hostConfig, ...unset }, [])).toMatchObject({
      LogConfig: { Type: 'json-file', Config: { a: 'b' } },
      CgroupnsMode: 'private',
      MemorySwappiness: null,
      PidsLimit: null,
    })
    expect(hostConfigView({ ...hostConfig, Privileged: true }, [])).toMatchObject({
      MaskedPaths: null,
      Links: null,
    })
  })
})

describe('ports', () => {
  it('opens runs', () => {
    expect(
      singlePorts([
        {
          protocol: 'udp',
          hostIp: '0.0.0.0',
          hostFrom: 5353,
          hostTo: 5353,
          containerFrom: 53,
          endpointId: '',
        },
        {
          protocol: 'tcp',
          hostIp: '0.0.0.0',
          hostFrom: 8090,
          hostTo: 8092,
          containerFrom: 80,
          endpointId: '',
        },
      ]).map(one => `${one.hostPort}->${one.containerPort}/${one.protocol}`),
    ).toEqual(['5353->53/udp', '8090->80/tcp', '8091->81/tcp', '8092->82/tcp'])
  })
})

describe('images', () => {
  it('has the keys of its version', () => {
    expect(keys(imageSummary(image, uncounted, newest))).toBe(
      'Containers Created Id Labels ParentId RepoDigests RepoTags SharedSize Size',
    )
    expect(imageSummary(image, uncounted, 43)).toMatchObject({ VirtualSize: 1234 })
    expect(keys(imageView(image, newest)['Config'])).toBe('Env Cmd')
    expect(keys(imageView(image, 49)['Config'])).toContain('Hostname Domainname User')
  })

  it('tells the history, newest first, the size once', () => {
    const step = (createdBy: string, emptyLayer: boolean) => ({
      created: image.created,
      createdBy,
      comment: '',
      emptyLayer,
    })
    expect(historyView({ ...image, history: [step('ADD', false), step('CMD', true)] })).toMatchObject([
      { CreatedBy: 'CMD', Id: image.id, Size: 0, Tags: ['busybox:latest'] },
      { CreatedBy: 'ADD', Id: '<missing>', Size: 1234, Tags: null },
    ])
  })
})

describe('events', () => {
  it('keeps nanoseconds, and the old form for containers', () => {
    const line = eventLine({
      type: 'container',
      action: 'start',
      actor: { id: 'x', attributes: { name: 'web', image: 'busybox' } },
      time: 1_700_000_000_123_456_789n,
    })
    expect(line).toBe(
      '{"status":"start","id":"x","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"x","Attributes":{"image":"busybox","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}',
    )
  })
})

describe('the system', () => {
  const info = {
    id: 'x',
    version: '0.1.0',
    dataRoot: '/var/lib/linkspan',
    netnsDirectory: '/run/linkspan/netns',
    runtime: { name: 'crun', path: '/usr/bin/crun', version: '1.8', reason: '', conmonVersion: '2.1' },
    firewall: { driver: 'nftables', reason: 'the default' },
    ipForwarding: true,
    warnings: [],
    defaultAddressPools: [{ base: '10.0.0.0/8', size: 24 }],
    startedAt: '',
  }

  it('gives the CLI everything that version prints', () => {
    const view = versionView(info, hostFacts()) as {
      Components: { Name: string; Version: string; Details: Record<string, string> }[]
    }
    const engine = view.Components.find(one => one.Name === 'Engine')
    expect(keys(engine?.Details)).toBe(
      'ApiVersion Arch BuildTime Experimental GitCommit GoVersion KernelVersion MinAPIVersion Os',
    )
    expect(Object.values(engine?.Details ?? {})).not.toContain('')
    expect(view).toMatchObject({
      Platform: { Name: 'Linkspan Engine' },
      ApiVersion: '1.51',
      MinAPIVersion: '1.24',
    })
  })

  it('tells by version what exists', () => {
    const at = (version: number) => infoView(stateWith(), info, hostFacts(), version)
    expect(at(newest)).toMatchObject({
      ContainersRunning: 1,
      Images: 1,
      FirewallBackend: { Driver: 'nftables' },
      DefaultAddressPools: [{ Base: '10.0.0.0/8', Size: 24 }],
    })
    expect(at(49)).toMatchObject({ BridgeNfIptables: false })
    expect(keys(at(50))).not.toContain('BridgeNf')
    expect(keys(at(48))).not.toContain('FirewallBackend')
  })
})
