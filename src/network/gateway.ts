/**
 * Which of a container's networks carries its default route and its published ports, and in which order its networks
 * are asked for a name. Chosen per family, and again at every connect and disconnect.
 */
import type { Endpoint, Family, Network, Pool } from './types.ts'

export interface Attached {
  readonly endpoint: Endpoint
  readonly network: Network
}

/** Name of the auxiliary address that containers use as gateway instead of the bridge's own. */
export const defaultGatewayKey = (family: Family): string => `DefaultGatewayIPv${family}`

/** The address that containers in this pool send to what is not on their link. */
export function gatewayOf(pool: Pool): string | undefined {
  return pool.auxiliary[defaultGatewayKey(pool.family)] ?? pool.gateway
}

const addressOf = (endpoint: Endpoint, family: Family): string | undefined =>
  family === 4 ? endpoint.ipv4 : endpoint.ipv6

/** The gateway this endpoint could give its container; undefined if it gives none. Internal networks never do. */
export function gatewayThrough({ endpoint, network }: Attached, family: Family): string | undefined {
  if (network.internal || network.driver !== 'bridge' || addressOf(endpoint, family) === undefined)
    return undefined
  const mode = family === 4 ? network.bridge?.gatewayMode4 : network.bridge?.gatewayMode6
  const pool = network.pools.find(each => each.family === family)
  return mode === 'isolated' || pool === undefined ? undefined : gatewayOf(pool)
}

const isDualStack = (endpoint: Endpoint): boolean =>
  endpoint.ipv4 !== undefined && endpoint.ipv6 !== undefined

/** Higher priority, then not internal, then both families before one, then the network's name. */
function compare(a: Attached, b: Attached): number {
  return (
    b.endpoint.gatewayPriority - a.endpoint.gatewayPriority ||
    Number(a.network.internal) - Number(b.network.internal) ||
    Number(isDualStack(b.endpoint)) - Number(isDualStack(a.endpoint)) ||
    (a.network.name < b.network.name ? -1 : a.network.name > b.network.name ? 1 : 0)
  )
}

/** The endpoint that carries the default route (and the published ports) of a family. */
export function chooseGateway<T extends Attached>(attached: readonly T[], family: Family): T | undefined {
  let best: T | undefined
  for (const each of attached) {
    if (gatewayThrough(each, family) === undefined) continue
    if (best === undefined || compare(each, best) < 0) best = each
  }
  return best
}

/**
 * The order in which a container's networks are asked for a name: the gateway's network first, then by the rule that
 * chooses gateways. The first network that knows a name answers alone.
 */
export function networkOrder<T extends Attached>(attached: readonly T[]): T[] {
  const gateway = chooseGateway(attached, 4) ?? chooseGateway(attached, 6)
  return attached.toSorted((a, b) => Number(b === gateway) - Number(a === gateway) || compare(a, b))
}
