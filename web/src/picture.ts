/** The live picture of the host's networks: what the engine sends, kept as values that the views follow. */
import { computed, signal } from '@preact/signals'
import type { SceneInput } from '../../src/scene/index.ts'

export interface PictureLink {
  readonly Name: string
  /** ifindex; 0 = it is not there. */
  readonly Index: number
  readonly Mtu: number
  readonly Up: boolean
}

export interface PictureNetwork {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Internal: boolean
  readonly Icc: boolean
  readonly Masquerade: boolean
  readonly Subnets: readonly { readonly Subnet: string; readonly Gateway: string }[]
  readonly Bridge: PictureLink | null
}

/** One veth pair: its two ends, as `ip link` numbers them. */
export interface PictureEndpoint {
  readonly Id: string
  readonly NetworkId: string
  readonly Interface: string
  readonly Index: number
  readonly HostInterface: string
  readonly HostIndex: number
  readonly Mac: string
  readonly Mtu: number
  readonly Up: boolean
  readonly IPv4: string
  readonly IPv6: string
}

export interface PicturePort {
  readonly Protocol: string
  readonly HostIp: string
  readonly HostFrom: number
  readonly HostTo: number
  readonly ContainerFrom: number
}

export interface PictureContainer {
  readonly Id: string
  readonly Name: string
  readonly Image: string
  readonly Status: string
  readonly Project: string
  readonly Mode: string
  readonly Endpoints: readonly PictureEndpoint[]
  readonly Ports: readonly PicturePort[]
}

export interface PictureUplink extends PictureLink {
  readonly Addresses: readonly string[]
  readonly Gateway: string
}

export interface Picture {
  readonly Firewall: string
  readonly Uplink: PictureUplink | null
  readonly Networks: readonly PictureNetwork[]
  readonly Containers: readonly PictureContainer[]
}

/** Bytes per second, of a veth as its host end sees it: `In` is what the container sends. */
export interface Rate {
  readonly In: number
  readonly Out: number
}

export const picture = signal<Picture | undefined>(undefined)
/** By link name on the host. */
export const rates = signal<Readonly<Record<string, Rate>>>({})
export const connection = signal<'live' | 'lost' | 'over'>('lost')

export const containersById = computed(
  () => new Map((picture.value?.Containers ?? []).map(container => [container.Id, container])),
)
export const networksById = computed(
  () => new Map((picture.value?.Networks ?? []).map(network => [network.Id, network])),
)

export const rateOf = (link: string): number => {
  const rate = rates.value[link]
  return rate === undefined ? 0 : rate.In + rate.Out
}

/** The same port on 0.0.0.0 and on :: is one thing to a reader: `8080→80`, `8000-8099→80`. */
export function portTexts(container: PictureContainer): readonly string[] {
  const texts = container.Ports.map(({ Protocol, HostIp, HostFrom, HostTo, ContainerFrom }) => {
    const host = HostFrom === HostTo ? `${HostFrom}` : `${HostFrom}-${HostTo}`
    const place = HostIp === '0.0.0.0' || HostIp === '::' ? '' : `${HostIp}:`
    return `${place}${host}→${ContainerFrom}${Protocol === 'tcp' ? '' : `/${Protocol}`}`
  })
  return [...new Set(texts)]
}

/** What has no cable is not drawn: containers without interfaces of their own, and the networks host and none. */
export const sceneInput = computed<SceneInput>(() => {
  const { Networks = [], Containers = [] } = picture.value ?? {}
  return {
    networks: Networks.filter(network => network.Bridge !== null).map(network => ({
      id: network.Id,
      name: network.Name,
      gate: !network.Internal,
    })),
    containers: Containers.filter(container => container.Endpoints.length > 0).map(container => ({
      id: container.Id,
      name: container.Name,
      family: container.Project === '' ? container.Image : container.Project,
      lines: container.Endpoints.length + 1,
      networks: container.Endpoints.map(endpoint => endpoint.NetworkId),
    })),
  }
})
