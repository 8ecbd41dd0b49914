/**
 * Networks as the API shows them. `docker network inspect` prints these bytes re-indented: the order of keys is what
 * users see.
 */
import type { StateView } from '../../engine/index.ts'
import { poolUsage, type Endpoint, type Network } from '../../network/index.ts'
import { present, sorted } from './order.ts'

/** Names that exist without having been created and cannot be removed. */
export const predefined = (network: Network): boolean => ['bridge', 'host', 'none'].includes(network.name)

function poolView(
  subnet: string | undefined,
  range: string | undefined,
  gateway: string | undefined,
  auxiliary: Readonly<Record<string, string>> = {},
): Record<string, unknown> {
  return present({
    Subnet: subnet,
    IPRange: range,
    Gateway: gateway,
    AuxiliaryAddresses: Object.keys(auxiliary).length === 0 ? undefined : sorted(auxiliary),
  })
}

/** A configuration network owns no subnet: it shows what it was asked to hand on. */
function ipamConfig({ pools, ipam }: Network): readonly Record<string, unknown>[] | null {
  const views =
    pools.length > 0
      ? pools.map(pool => poolView(pool.subnet, pool.range, pool.gateway, pool.auxiliary))
      : (ipam.requests ?? []).map(({ subnet, ipRange, gateway, auxiliary }) =>
          poolView(subnet, ipRange, gateway, auxiliary),
        )
  return views.length === 0 ? null : views
}

function member(state: StateView, endpoint: Endpoint): [string, Record<string, string>] {
  const container = state.containerOf(endpoint)
  return [
    container?.id ?? `ep-${endpoint.id}`,
    {
      Name: container?.name ?? '',
      EndpointID: endpoint.id,
      MacAddress: endpoint.mac,
      IPv4Address: endpoint.ipv4 ?? '',
      IPv6Address: endpoint.ipv6 ?? '',
    },
  ]
}

/** Counts beyond what a double holds exactly (an IPv6 subnet has 2^64 addresses) are given as the most that it does. */
const count = (value: bigint): number =>
  value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)

/** How full the subnets are, in the form in which newer versions of the API have it. */
export function usageView(state: StateView, network: Network): Record<string, unknown> {
  const subnets = network.pools.map((pool): [string, Record<string, number>] => {
    const { inUse, dynamicAvailable } = poolUsage(pool, state.addressesIn(network.id, pool.family))
    return [pool.subnet, { IPsInUse: count(inUse), DynamicIPsAvailable: count(dynamicAvailable) }]
  })
  return { IPAM: { Subnets: Object.fromEntries(subnets) } }
}

/** `members` = with the containers that have an endpoint on it; a list of networks shows none since API 1.28. */
export function networkView(state: StateView, network: Network, members: boolean): Record<string, unknown> {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: network.enableIPv4,
    EnableIPv6: network.enableIPv6,
    IPAM: {
      Driver: network.ipam.driver,
      Options: network.ipam.options === null ? null : sorted(network.ipam.options),
      Config: ipamConfig(network),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: network.configFrom ?? '' },
    ConfigOnly: network.configOnly === true,
    Containers: members
      ? sorted(
          Object.fromEntries(state.endpointsOfNetwork(network.id).map(endpoint => member(state, endpoint))),
        )
      : {},
    Options: sorted(network.options),
    Labels: sorted(network.labels),
  }
}
