/**
 * Joining a container to a network, as arithmetic: which address, MAC, interface name, names and ports. The result is
 * records; the blueprint says what they mean to the kernel.
 */
import { fault } from '../base/index.ts'
import {
  type Address,
  addressWithLength,
  contains,
  macOfIPv4,
  parseAddress,
  parseInterfaceMac,
  parseMac,
  parsePrefix,
} from './address.ts'
import { endpointSysctls, endpointSysctlsOption } from './endpoint-sysctls.ts'
import { dnsNames } from './files/names.ts'
import { allocateDynamic, checkStatic } from './ipam/allocate.ts'
import type { RangeSet } from './ipam/range-set.ts'
import { isInterfaceName } from './options.ts'
import type { Endpoint, EndpointRequest, Family, Id, Network } from './types.ts'

/** Everything about the outside that the arithmetic needs; randomness included. */
export interface AttachContext {
  readonly endpointId: Id
  readonly sandboxId: Id
  readonly container: { readonly id: Id; readonly name: string; readonly hostname: string }
  /** Name for the host's end of the veth. */
  readonly hostIfname: string
  /** MAC to use where there is no IPv4 address to derive it from. */
  readonly spareMac: string
  /** Interface names that the sandbox has already. */
  readonly interfaces: ReadonlySet<string>
  /** How many endpoints the network has already. */
  readonly members: number
  /** Addresses in use on the network. */
  readonly used: (family: Family) => RangeSet
  /** Container that a link's target names; throws if there is none. */
  readonly resolveLink: (term: string) => Id
}

/** BR_MAX_PORTS of the kernel (net/bridge/br_private.h) is 1024, and number 0 is never given. */
const mostPorts = 1023

const ifnameOption = 'com.docker.network.endpoint.ifname'

/** The endpoint that joins a container to a network. Throws the fault that Docker would answer with. */
export function attach(network: Network, request: EndpointRequest, context: AttachContext): Endpoint {
  const base = {
    id: context.endpointId,
    networkId: network.id,
    sandboxId: context.sandboxId,
    gatewayPriority: request.gatewayPriority ?? 0,
  }
  const { bridge } = network
  if (bridge === undefined) {
    return { ...base, ifname: '', hostIfname: '', mac: '', linkLocal: [], dnsNames: [], links: {} }
  }
  if (context.members >= mostPorts) throw fault('bridgeFull', bridge.name)
  const sysctls = request.driverOptions?.[endpointSysctlsOption] ?? ''
  const ipv4 = network.enableIPv4 ? assign(network, 4, request.ipv4, context) : undefined
  const ipv6 = network.enableIPv6 ? assign(network, 6, request.ipv6, context) : undefined
  return {
    ...base,
    ifname: interfaceName(bridge.interfacePrefix, request, context.interfaces),
    hostIfname: context.hostIfname,
    mac:
      parseMac(request.mac ?? '') ?? (ipv4 === undefined ? context.spareMac : macOfIPv4(ipv4.address.value)),
    ...(ipv4 === undefined ? {} : { ipv4: ipv4.text }),
    ...(ipv6 === undefined ? {} : { ipv6: ipv6.text }),
    linkLocal: (request.linkLocal ?? []).map(address => `${address}/${address.includes(':') ? 64 : 16}`),
    ...(sysctls === '' ? {} : { sysctls }),
    dnsNames: dnsNames(
      context.container.name,
      request.aliases ?? [],
      context.container.id.slice(0, 12),
      context.container.hostname,
    ),
    links: Object.fromEntries((request.links ?? []).map(link => linkTarget(link, context))),
  }
}

/**
 * What a user may ask of an endpoint, checked before anything is changed. Docker collects the problems of one request
 * and names them together.
 */
export function validateEndpointRequest(network: Network, request: EndpointRequest): void {
  const { bridge } = network
  const hasAddress = [request.ipv4, request.ipv6].some(address => address !== undefined)
  const userDefined = bridge !== undefined && !bridge.isDefault
  const problems: string[] = []
  if (hasAddress && !userDefined) {
    problems.push('user-specified IP address is supported on user-defined networks only')
  }
  if (request.aliases !== undefined && request.aliases.length > 0 && !userDefined) {
    problems.push('network-scoped aliases are only supported for user-defined networks')
  }
  const malformed = malformedAddresses(request)
  problems.push(...malformed)
  if (userDefined && malformed.length === 0) problems.push(...addressesOutside(network, request))
  if (request.mac !== undefined && parseInterfaceMac(request.mac) === undefined) {
    problems.push(`invalid MAC address ${request.mac}`)
  }
  const ifname = request.driverOptions?.[ifnameOption]
  if (ifname !== undefined && !isInterfaceName(ifname)) problems.push(`invalid interface name ${ifname}`)
  // Docker says this one alone.
  endpointSysctls(request.driverOptions?.[endpointSysctlsOption] ?? '', '')
  if (problems.length > 0) throw fault('invalidEndpoint', problems.map(line => `* ${line}`).join('\n'))
}

function malformedAddresses({ ipv4, ipv6, linkLocal }: EndpointRequest): readonly string[] {
  const problems: string[] = []
  if (ipv4 !== undefined && parseAddress(ipv4)?.family !== 4) problems.push(`invalid IPv4 address: ${ipv4}`)
  if (ipv6 !== undefined && parseAddress(ipv6)?.family !== 6) problems.push(`invalid IPv6 address: ${ipv6}`)
  for (const address of linkLocal ?? []) {
    if (parseAddress(address) === undefined) problems.push(`invalid link-local IP address: ${address}`)
  }
  return problems
}

/** A family that the network has not, or an address of none of its subnets. */
function addressesOutside({ pools }: Network, { ipv4, ipv6 }: EndpointRequest): readonly string[] {
  return [ipv4, ipv6].flatMap(text => {
    const address = parseAddress(text ?? '')
    if (address === undefined || pools.some(pool => isInside(address, pool.subnet))) return []
    return [`no configured subnet or ip-range contain the IP address ${text}`]
  })
}

function isInside(address: Address, subnet: string): boolean {
  const prefix = parsePrefix(subnet)
  return prefix !== undefined && contains(prefix, address)
}

interface Assigned {
  readonly address: Address
  /** With the subnet's prefix length. */
  readonly text: string
}

/** The address asked for, or the lowest free one of the network's pools. */
function assign(
  network: Network,
  family: Family,
  asked: string | undefined,
  context: AttachContext,
): Assigned | undefined {
  const pools = network.pools.filter(pool => pool.family === family)
  const used = context.used(family)
  if (asked !== undefined) {
    const { address, pool } = checkStatic(pools, used, asked)
    return assigned(address, pool.subnet)
  }
  for (const pool of pools) {
    const value = allocateDynamic(pool, used)
    if (value !== undefined) return assigned({ family, value }, pool.subnet)
  }
  if (pools.length === 0) return undefined
  throw fault('addressesExhausted', `IPv${family}`, network.name, network.id)
}

function assigned(address: Address, subnet: string): Assigned {
  const prefix = parsePrefix(subnet)
  if (prefix === undefined) throw new Error(`malformed subnet ${subnet} in a network record`)
  return { address, text: addressWithLength(address, prefix) }
}

/** The name asked for, if no other interface has it, or the prefix with the lowest free index: a freed eth0 is used again. */
function interfaceName(prefix: string, request: EndpointRequest, taken: ReadonlySet<string>): string {
  const asked = request.driverOptions?.[ifnameOption]
  if (asked !== undefined) {
    if (taken.has(asked)) throw fault('interfaceExists', asked)
    return asked
  }
  let index = 0
  while (taken.has(`${prefix}${index}`)) index++
  return `${prefix}${index}`
}

/** `target:alias` or `target`. */
function linkTarget(link: string, context: AttachContext): [string, Id] {
  const [target = '', alias = target] = link.split(':')
  return [alias, context.resolveLink(target)]
}
