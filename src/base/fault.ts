/**
 * The catalogue of everything that can go wrong and be told to a client.
 *
 * Each entry is a stable code, the HTTP status that Docker gives it, and the sentence: Docker's own words where
 * Docker has the error, because scripts search for them. A `Fault` carries what was being tried as `cause`.
 */

type Entry = readonly [status: number, text: (...details: never[]) => string]

const catalogue = {
  // Requests
  invalidParameter: [400, (message: string) => message],
  invalidJson: [400, (message: string) => `invalid JSON: ${message}`],
  unexpectedContentAfterJson: [400, () => 'unexpected content after JSON'],
  unsupportedContentType: [
    400,
    (type: string) => `unsupported Content-Type header (${type}): must be 'application/json'`,
  ],
  clientTooOld: [
    400,
    (version: string, minimum: string) =>
      `client version ${version} is too old. Minimum supported API version is ${minimum}, please upgrade your client to a newer version`,
  ],
  clientTooNew: [
    400,
    (version: string, maximum: string) =>
      `client version ${version} is too new. Maximum supported API version is ${maximum}`,
  ],
  pageNotFound: [404, () => 'page not found'],
  methodNotAllowed: [405, () => 'method not allowed'],
  invalidFilter: [400, (name: string) => `invalid filter '${name}'`],
  invalidFilterValue: [400, (name: string, value: string) => `invalid filter: '${name}'='${value}'`],
  notImplemented: [501, (message: string) => message],
  unavailable: [503, (message: string) => message],
  notModified: [304, () => ''],
  forbidden: [403, (message: string) => message],
  conflict: [409, (message: string) => message],
  notFound: [404, (message: string) => message],
  internal: [500, (message: string) => message],

  // Networks
  networkNotFound: [404, (term: string) => `network ${term} not found`],
  networkAmbiguous: [
    400,
    (term: string, matches: number) =>
      `network ${term} is ambiguous (${matches} matches found based on ID prefix)`,
  ],
  networkNameEmpty: [400, () => 'invalid name: name is empty'],
  networkNameTaken: [409, (name: string) => `network with name ${name} already exists`],
  // The trailing space is Docker's; scripts match the whole line.
  networkPredefined: [403, (name: string) => `operation is not permitted on predefined ${name} network `],
  networkPredefinedRemove: [403, (name: string) => `${name} is a pre-defined network and cannot be removed`],
  networkActive: [
    403,
    (name: string, endpoints: string) =>
      `error while removing network: network ${name} has active endpoints (${endpoints})`,
  ],
  networkConfigInvalid: [400, (problems: string) => `invalid network config:\n${problems}`],
  driverNotFound: [404, (driver: string) => `plugin "${driver}" not found`],
  ipamDriverNotFound: [404, (driver: string) => `plugin "${driver}" not found`],
  noFamily: [400, () => 'IPv4 or IPv6 must be enabled'],
  poolOverlap: [403, () => 'invalid pool request: Pool overlaps with other one on this address space'],
  poolsExhausted: [
    400,
    () =>
      'all predefined address pools have been fully subnetted: remove networks that nobody uses (network prune), name a subnet (--subnet), or give the daemon more (--default-address-pool)',
  ],
  gatewayTaken: [403, (address: string) => `failed to allocate gateway (${address}): Address already in use`],
  bridgeConflict: [
    403,
    (id: string, bridge: string, otherId: string, otherBridge: string, why: string) =>
      `cannot create network ${id} (${bridge}): conflicts with network ${otherId} (${otherBridge}): ${why}`,
  ],
  swarmManager: [
    403,
    () =>
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  ],
  ingressScope: [403, () => 'Ingress network can only be global scope network'],
  driverOptionNotBool: [400, (key: string) => `driver-opt "${key}" is not a valid bool`],
  optionUnparsable: [
    400,
    (key: string, value: string, why: string) => `failed to parse ${key} value: ${value} (${why})`,
  ],
  invalidMtu: [400, (mtu: number) => `invalid MTU number: ${mtu}`],
  isolatedNotInternal: [400, () => "gateway mode 'isolated' can only be used for an internal network"],
  configOnlyFields: [
    403,
    () =>
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
  ],
  configOnlyNested: [403, () => 'a configuration network cannot depend on another configuration network'],
  configFromFields: [
    403,
    () => 'user-specified configurations are not supported if the network depends on a configuration network',
  ],
  configFromOptions: [
    403,
    () => 'network driver options are not supported if the network depends on a configuration network',
  ],
  configNotFound: [404, (name: string) => `configuration network "${name}" not found`],
  notConfigNetwork: [403, (name: string) => `"${name}" is not a configuration network`],
  configNetworkInUse: [403, (name: string) => `configuration network "${name}" is in use`],
  rangeWithoutSubnet: [400, () => 'invalid address subpool'],
  auxiliaryOutside: [
    403,
    (name: string, address: string, subnet: string) =>
      `auxiliary address: (${name}:${address}) must belong to the master pool: ${subnet}`,
  ],
  noGatewayLeft: [400, () => 'failed to allocate gateway (): No available addresses on this pool'],
  gatewayOnInternal: [400, () => 'no gateway can be set on an internal bridge network'],
  subnetMapped: [400, (subnet: string) => `'${subnet}' is not a valid IPv6 subnet`],
  subnetMulticast: [400, (subnet: string) => `multicast subnet '${subnet}' is not allowed`],
  subnetLoopback: [400, (subnet: string) => `subnet '${subnet}' is the loopback of every host`],
  subnetLinkLocal: [400, (subnet: string) => `'${subnet}' clashes with the Link-Local prefix 'fe80::/64'`],
  notABridge: [409, (name: string) => `existing interface ${name} is not a bridge`],
  multipleSubnets: [403, () => "bridge driver doesn't support multiple subnets"],
  singleInstance: [403, (driver: string) => `only one instance of "${driver}" network is allowed`],

  // Endpoints
  endpointExists: [
    403,
    (container: string, network: string) =>
      `endpoint with name ${container} already exists in network ${network}`,
  ],
  notConnected: [
    409,
    (container: string, network: string) => `container ${container} is not connected to network ${network}`,
  ],
  /** As `notConnected`, of a container that does not run; Docker's words differ by an article. */
  notConfigured: [
    409,
    (container: string, network: string) =>
      `container ${container} is not connected to the network ${network}`,
  ],
  addressInUse: [403, () => 'Address already in use'],
  addressOutside: [
    400,
    (address: string) =>
      `invalid endpoint settings:\n* no configured subnet or ip-range contain the IP address ${address}`,
  ],
  interfaceExists: [
    409,
    (name: string) => `error renaming interface to ${JSON.stringify(name)}: file exists`,
  ],
  addressesExhausted: [
    500,
    (family: string, name: string, id: string) =>
      `no available ${family} addresses on this network's address pools: ${name} (${id})`,
  ],
  invalidEndpoint: [400, (problem: string) => `invalid endpoint settings:\n${problem}`],
  bridgeFull: [
    409,
    (bridge: string) =>
      `bridge ${bridge} is full: Linux lets it carry 1023 interfaces at most; put further containers on another network`,
  ],
  connectConfigOnly: [403, (name: string) => `network ${name} is a configuration only network`],
  sysctlRefused: [
    400,
    (key: string, code: string) =>
      `failed to set network interface sysctl ${key.replaceAll('/', '.')}: ${code}`,
  ],
  connectShared: [
    400,
    () =>
      'container sharing network namespace with another container or host cannot be connected to any other network',
  ],
  connectHost: [
    400,
    () => 'cannot connect container to host network - container must be created in host network mode',
  ],
  disconnectHost: [
    400,
    () => 'cannot disconnect container from host network - container was created in host network mode',
  ],
  connectNone: [
    400,
    () =>
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
  ],
  markedForRemoval: [
    409,
    (container: string) =>
      `Container ${container} is marked for removal and cannot be connected or disconnected to the network`,
  ],

  // Published ports
  portAllocated: [
    500,
    (binding: string, holder: string) =>
      `Bind for ${binding} failed: port is already allocated (held by ${holder})`,
  ],
  portBusy: [
    500,
    (binding: string, holder: string) =>
      `failed to bind host port ${binding}: address already in use${holder === '' ? '' : ` (held by ${holder})`}`,
  ],
  portUnbindable: [500, (binding: string, why: string) => `failed to bind host port ${binding}: ${why}`],
  invalidPort: [400, (text: string) => `invalid port specification: ${JSON.stringify(text)}`],
  invalidHostIp: [400, (text: string) => `invalid IP address: ${text}`],
  portsExhausted: [500, () => 'all ports are allocated'],
  connectivity: [
    500,
    (endpoint: string, id: string, why: string) =>
      `driver failed programming external connectivity on endpoint ${endpoint} (${id}): ${why}`,
  ],

  // Containers
  containerNotFound: [404, (term: string) => `No such container: ${term}`],
  containerAmbiguous: [400, (term: string) => `multiple IDs found with provided prefix: ${term}`],
  containerNameTaken: [
    409,
    (name: string, id: string) =>
      `Conflict. The container name "/${name}" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  ],
  containerNameInvalid: [
    400,
    (name: string) => `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  ],
  containerNotRunning: [409, (id: string) => `container ${id} is not running`],
  containerPaused: [409, (id: string) => `container ${id} is paused, unpause the container before exec`],
  containerRunningRemove: [
    409,
    (id: string) =>
      `cannot remove container "/${id}": container is running: stop the container before removing or force remove`,
  ],
  noCommand: [400, () => 'no command specified'],
  execNotFound: [404, (id: string) => `No such exec instance: ${id}`],
  joinNotRunning: [409, (id: string) => `cannot join network namespace of a non running container: ${id}`],
  linkNotFound: [400, (name: string) => `could not get container for ${name}: No such container: ${name}`],
  linkNotRunning: [
    500,
    (child: string, alias: string) => `Cannot link to a non running container: ${child} AS ${alias}`,
  ],

  // Images
  imageNotFound: [404, (reference: string) => `No such image: ${reference}`],
  imageInUse: [
    409,
    (reference: string, container: string, image: string) =>
      `conflict: unable to remove repository reference "${reference}" (must force) - container ${container} is using its referenced image ${image}`,
  ],
} satisfies Record<string, Entry>

type Catalogue = typeof catalogue
export type FaultCode = keyof Catalogue

/** An error with a code of the catalogue, the HTTP status it answers with, and Docker's words as message. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  readonly status: number

  constructor(code: FaultCode, status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.status = status
  }
}

/** Makes the fault `code`; the details are what its sentence needs. */
export function fault<C extends FaultCode>(code: C, ...details: Parameters<Catalogue[C][1]>): Fault {
  const [status, text] = catalogue[code] as readonly [number, (...details: unknown[]) => string]
  return new Fault(code, status, text(...details))
}

/**
 * The same fault with words before its message that say what was being tried, status and code kept: Docker wraps
 * errors this way, and `failed to set up container networking: network x not found` still is a 404.
 */
export function wrapFault(doing: string, error: unknown): Fault {
  if (error instanceof Fault) {
    return new Fault(error.code, error.status, `${doing}: ${error.message}`, { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new Fault('internal', 500, `${doing}: ${message}`, { cause: error })
}
