/**
 * The networks that are always there: `bridge` (docker0), `host` and `none`. Their ids stay the same for the life of
 * the data root. The default bridge follows the daemon's flags.
 */
import { fault } from '../base/index.ts'
import type { DaemonOptions } from '../daemon-options.ts'
import type { Kernel, ObservedLink } from '../kernel/index.ts'
import {
  formatPrefix,
  type Network,
  type NetworkRequest,
  optionKeys,
  parsePrefix,
  type PoolRequest,
} from '../network/index.ts'
import { aliasPrefix } from './apply.ts'
import type { Core } from './core.ts'
import type { Networks } from './networks.ts'

const defaultBridgeName = 'docker0'

export async function ensurePredefined(core: Core, networks: Networks): Promise<void> {
  const { state, options } = core
  for (const [name, driver] of [
    ['host', 'host'],
    ['none', 'null'],
  ] as const) {
    if (state.networkNamed(name) === undefined) await networks.make({ name, driver }, { predefined: true })
  }
  const bridge = state.networkNamed('bridge')
  if (options.bridge.name === 'none') {
    if (bridge !== undefined) await core.change(() => ({ networks: { drop: [bridge.id] } }))
    return
  }
  const name = options.bridge.name ?? defaultBridgeName
  const request = defaultBridgeRequest(core, name, await foreignLink(core.kernel, name))
  if (bridge !== undefined) {
    if (
      JSON.stringify(withoutNames(request.options)) === JSON.stringify(withoutNames(bridge.options)) &&
      sameSubnets(request, bridge.pools)
    )
      return await followNames(core, bridge)
    if (state.endpointsOfNetwork(bridge.id).length > 0) {
      core.log.warn({}, 'the default bridge keeps its settings while containers use it')
      return
    }
    await core.change(() => ({ networks: { drop: [bridge.id] } }))
  }
  await networks.make(request, { predefined: true })
}

/** Names can be switched on and off while containers are there: nothing in the kernel changes. */
async function followNames(core: Core, network: Network): Promise<void> {
  const { bridge } = network
  if (bridge === undefined || (bridge.names ?? false) === core.options.bridge.names) return
  const { names: _, ...settings } = bridge
  const options = { ...withoutNames(network.options), ...namesOption(core.options.bridge.names) }
  const changed = {
    ...network,
    options,
    bridge: { ...settings, ...(core.options.bridge.names ? { names: true as const } : {}) },
  }
  await core.change(() => ({ networks: { put: [changed] } }))
}

function withoutNames(options: NetworkRequest['options']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([key]) => key !== optionKeys.names))
}

const namesOption = (on: boolean): Readonly<Record<string, string>> =>
  on ? { [optionKeys.names]: 'true' } : {}

/**
 * Throws if the default bridge belongs to another program, before anything is touched. With `--bridge` the user has
 * said whose it is to be.
 */
export async function refuseForeignBridge(options: DaemonOptions, kernel: Kernel): Promise<void> {
  if (options.bridge.name !== undefined) return
  if ((await foreignLink(kernel, defaultBridgeName)) === undefined) return
  throw fault(
    'internal',
    `${defaultBridgeName} exists and belongs to another program (a running dockerd?); stop it, or give this engine a bridge of its own: --bridge NAME`,
  )
}

/** The link of that name, unless it is one of ours. */
async function foreignLink(kernel: Kernel, name: string): Promise<ObservedLink | undefined> {
  const link = (await kernel.links()).find(each => each.name === name)
  return link?.alias?.startsWith(aliasPrefix) === true ? undefined : link
}

function defaultBridgeRequest(core: Core, name: string, adopted: ObservedLink | undefined): NetworkRequest {
  const { bridge } = core.options
  const own = adopted?.addresses.find(address => !address.includes(':'))
  const own6 = adopted?.addresses.find(address => address.includes(':') && !address.startsWith('fe80:'))
  const config = [
    poolRequest(bridge.ipv4 ?? own, bridge.fixedCidr, bridge.gateway, 'DefaultGatewayIPv4'),
    ...(bridge.enableIPv6
      ? [poolRequest(bridge.ipv6 ?? own6, bridge.fixedCidrV6, bridge.gatewayV6, 'DefaultGatewayIPv6')]
      : []),
  ].filter(pool => pool !== undefined)
  return {
    name: 'bridge',
    driver: 'bridge',
    enableIPv6: bridge.enableIPv6,
    ipam: { driver: 'default', options: null, config },
    options: {
      [optionKeys.defaultBridge]: 'true',
      [optionKeys.icc]: String(bridge.icc),
      [optionKeys.masquerade]: String(bridge.masquerade),
      [optionKeys.hostBinding]: bridge.hostBinding,
      [optionKeys.bridgeName]: name,
      [optionKeys.mtu]: String(bridge.mtu ?? 1500),
      ...namesOption(bridge.names),
    },
  }
}

/** `--bip 192.168.5.1/24` names the gateway and its subnet; `--fixed-cidr` is the part that containers get. */
function poolRequest(
  bip: string | undefined,
  fixedCidr: string | undefined,
  gateway: string | undefined,
  gatewayName: string,
): PoolRequest | undefined {
  const prefix = parsePrefix(bip ?? fixedCidr ?? '')
  if (prefix === undefined) return undefined
  return {
    subnet: formatPrefix(prefix),
    ...(fixedCidr === undefined ? {} : { ipRange: fixedCidr }),
    ...(bip === undefined ? {} : { gateway: bip.split('/')[0] ?? bip }),
    ...(gateway === undefined ? {} : { auxiliary: { [gatewayName]: gateway } }),
  }
}

/** A pool the engine chose itself stays; one that a flag names has to be the same. */
function sameSubnets({ ipam }: NetworkRequest, pools: readonly { readonly subnet: string }[]): boolean {
  return (ipam?.config ?? []).every(asked => pools.some(pool => pool.subnet === asked.subnet))
}
