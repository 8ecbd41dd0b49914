/**
 * What the kernel has, in the words of the blueprint: the difference to the wanted blueprint is then what has to be
 * done. Only our own objects count: bridges and veths with our alias, namespaces in our directory, our table.
 */
import type { Kernel, ObservedLink, ObservedRoute } from '../kernel/index.ts'
import type { BridgeObject, KernelObject, RouteObject, VethObject } from '../network/index.ts'
import { aliasPrefix } from './apply.ts'

/**
 * The observed counterpart of every wanted object that exists, equal to it if it is as it should be, and every object
 * of ours that nobody wants. Host ports, listeners and names live in the engine's process: after a start there are
 * none. The firewall reconciles its own elements.
 */
export async function observe(
  kernel: Kernel,
  wanted: readonly KernelObject[],
): Promise<readonly KernelObject[]> {
  const links = new Map((await kernel.links()).map(link => [link.name, link]))
  const namespaces = new Set((await kernel.namespaces()).filter(each => !each.free).map(each => each.name))
  const observed: KernelObject[] = []
  const used = new Set<string>()
  const inside = new Map<string, Inside>()

  for (const object of wanted) {
    switch (object.kind) {
      case 'bridge': {
        const link = links.get(object.name)
        used.add(object.name)
        if (link?.kind === 'bridge') observed.push(observedBridge(object, link))
        break
      }
      case 'netns': {
        if (!namespaces.delete(object.name)) break
        observed.push(object)
        inside.set(object.name, {
          links: await kernel.links(object.name),
          routes: await kernel.routes(object.name),
        })
        break
      }
      case 'veth': {
        const link = links.get(object.hostName)
        const peer = inside.get(object.netns)?.links.find(each => each.name === object.name)
        if (link === undefined || peer === undefined) break
        used.add(object.hostName)
        observed.push(observedVeth(object, link, peer, links))
        break
      }
      case 'route': {
        const route = inside.get(object.netns)?.routes.find(each => isDefault(each, object))
        if (route !== undefined) observed.push(observedRoute(object, route))
        break
      }
      case 'segment':
      case 'publish':
        observed.push(object)
        break
      case 'reservation':
      case 'relay':
      case 'listener':
      case 'zone-network':
      case 'zone-endpoint':
      case 'zone-sandbox':
        break
    }
  }
  return [...observed, ...staleLinks(links, used), ...[...namespaces].map(staleNamespace)]
}

interface Inside {
  readonly links: readonly ObservedLink[]
  readonly routes: readonly ObservedRoute[]
}

function observedBridge(wanted: BridgeObject, link: ObservedLink): KernelObject {
  const addresses = wanted.addresses.filter(address => link.addresses.includes(address))
  const foreign = link.addresses.filter(
    address =>
      !wanted.addresses.includes(address) &&
      !isLinkLocal(address) &&
      (wanted.keepIPv4 !== true || address.includes(':')),
  )
  const intact = link.up && link.mac === wanted.mac && (wanted.mtu === undefined || link.mtu === wanted.mtu)
  return { ...wanted, mac: intact ? wanted.mac : '', addresses: [...addresses, ...foreign] }
}

function observedVeth(
  wanted: VethObject,
  link: ObservedLink,
  peer: ObservedLink,
  links: ReadonlyMap<string, ObservedLink>,
): KernelObject {
  const attached = link.master === links.get(wanted.bridge)?.index
  const addresses = wanted.addresses.filter(address => peer.addresses.includes(address))
  const intact = attached && link.up && peer.up && peer.mac === wanted.mac
  return { ...wanted, mac: intact ? wanted.mac : '', addresses }
}

function isDefault(route: ObservedRoute, { family }: RouteObject): boolean {
  return route.family === family && route.destination === 'default'
}

function observedRoute(wanted: RouteObject, { gateway, link }: ObservedRoute): KernelObject {
  return { ...wanted, gateway: gateway ?? '', link: link ?? '' }
}

function staleLinks(
  links: ReadonlyMap<string, ObservedLink>,
  used: ReadonlySet<string>,
): readonly KernelObject[] {
  return [...links.values()]
    .filter(({ name, alias }) => alias?.startsWith(aliasPrefix) === true && !used.has(name))
    .map(({ name, kind, alias = '' }): KernelObject => {
      const owner = alias.slice(aliasPrefix.length)
      const common = { key: `stale ${name}`, owner, mac: '', addresses: [], ipv6: false }
      return kind === 'bridge'
        ? { ...common, kind: 'bridge', name, adopted: false }
        : {
            ...common,
            kind: 'veth',
            hostName: name,
            bridge: '',
            netns: '',
            name,
            hairpin: false,
            announcements: { count: 0, intervalMs: 0 },
            sysctls: [],
          }
    })
}

function staleNamespace(name: string): KernelObject {
  return { kind: 'netns', key: `netns ${name}`, owner: '', name }
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('fe80:')
}
