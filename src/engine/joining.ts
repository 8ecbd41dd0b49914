/**
 * Joining a container's sandbox to its networks, as changes of the state: at start all its networks together, later
 * one by one. Published ports follow the endpoint that carries the default route.
 */
import { fault, wrapFault } from '../base/index.ts'
import { KernelError } from '../kernel/index.ts'
import {
  allocatePorts,
  attach,
  type AttachContext,
  bindingText,
  chooseGateway,
  type Endpoint,
  type EndpointRequest,
  type Family,
  type Id,
  macFromBytes,
  type Network,
  parseContainerPort,
  portRequests,
  type PublishedPort,
  type RangeSet,
  type Sandbox,
  validateEndpointRequest,
} from '../network/index.ts'
import type { HostConfig } from '../container/index.ts'
import type { Core } from './core.ts'
import { randomBytesOf, randomId, randomVethName } from './names.ts'
import type { HostPorts } from './host-ports.ts'
import type { Container, Membership } from './records.ts'
import type { StateChange } from './state.ts'

/** How many free choices of a port may turn out to be taken by foreign programs. */
const bindAttempts = 64

interface Member {
  readonly network: Network
  readonly request: EndpointRequest
}

export class Joining {
  readonly #core: Core
  readonly #hostPorts: HostPorts

  constructor(core: Core, hostPorts: HostPorts) {
    this.#core = core
    this.#hostPorts = hostPorts
  }

  /**
   * A sandbox with all the container's networks: the records of its endpoints and ports, and its memberships as they
   * were resolved. `netns` is absent in host mode.
   */
  join(
    container: Container,
    netns: string | undefined,
  ): StateChange & { readonly memberships: readonly Membership[] } {
    const { state } = this.#core
    const sandboxId = randomId()
    const joined: { endpoint: Endpoint; network: Network }[] = []
    const memberships: Membership[] = []
    for (const membership of container.memberships) {
      // A network that was removed and made again under its name is as good.
      const network = state.networks.get(membership.networkId) ?? state.findNetwork(membership.network)
      const taken = joined.map(({ endpoint }) => endpoint)
      const endpoint = this.#attach(container, sandboxId, { network, request: membership.request }, taken)
      joined.push({ endpoint, network })
      memberships.push({ ...membership, network: network.name, networkId: network.id })
    }
    const sandbox: Sandbox = {
      id: sandboxId,
      containerId: container.id,
      ...(netns === undefined ? {} : { netns }),
      ports: this.#publish(container, joined, []),
      dns: this.#dnsServers(container),
      ndotsSet: (container.hostConfig.DnsOptions ?? []).some(option => /^ndots:[1-9]/.test(option)),
    }
    const endpoints = joined.map(({ endpoint }) => endpoint)
    return { sandboxes: { put: [sandbox] }, endpoints: { put: endpoints }, memberships }
  }

  /**
   * Runs a command that publishes ports. A port that a foreign program holds is found out by binding it: another one
   * is tried where the choice was free, otherwise the client is told who has it.
   */
  async retryingBusyPorts(container: Container, command: () => Promise<void>): Promise<void> {
    this.#hostPorts.forget()
    for (let attempt = 1; ; attempt++) {
      try {
        await command()
        return
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'EADDRINUSE' || error.port === undefined)
          throw error
        if (attempt >= bindAttempts || this.#asksForPort(container, error.port)) {
          throw await this.#busyPort(container, error.port)
        }
        this.#hostPorts.avoid(error.port)
      }
    }
  }

  /** One more network for a running container. */
  connect(container: Container, sandbox: Sandbox, network: Network, request: EndpointRequest): StateChange {
    const present = this.#joined(sandbox)
    if (present.some(({ endpoint }) => endpoint.networkId === network.id)) {
      throw fault('endpointExists', container.name, network.name)
    }
    const taken = present.map(({ endpoint }) => endpoint)
    const endpoint = this.#attach(container, sandbox.id, { network, request }, taken)
    const joined = [...present, { endpoint, network }]
    const ports = this.#publish(container, joined, sandbox.ports)
    return { endpoints: { put: [endpoint] }, sandboxes: { put: [{ ...sandbox, ports }] } }
  }

  /** One network less. */
  disconnect(container: Container, sandbox: Sandbox, endpoint: Endpoint): StateChange {
    const joined = this.#joined(sandbox).filter(each => each.endpoint.id !== endpoint.id)
    const ports = this.#publish(container, joined, sandbox.ports)
    return { endpoints: { drop: [endpoint.id] }, sandboxes: { put: [{ ...sandbox, ports }] } }
  }

  /** A running container's sandbox with more ports published. Throws what publishing at start would. */
  publishMore(container: Container, sandbox: Sandbox, bindings: HostConfig['PortBindings']): Sandbox {
    const wanted = {
      ...container,
      config: { ...container.config, ExposedPorts: {} },
      hostConfig: { ...container.hostConfig, PortBindings: bindings, PublishAllPorts: false },
    }
    const added = this.#publish(wanted, this.#joined(sandbox), [])
    return { ...sandbox, ports: [...sandbox.ports, ...added] }
  }

  /** A running container's sandbox with ports that another one had, on its own endpoints. */
  takeOver(container: Container, sandbox: Sandbox, ports: readonly PublishedPort[]): Sandbox {
    const taken = this.#publish(container, this.#joined(sandbox), ports)
    if (taken.length === 0) {
      throw fault(
        'invalidParameter',
        `container ${container.name} has no network by which a port could reach it`,
      )
    }
    return { ...sandbox, ports: [...sandbox.ports, ...taken] }
  }

  /** Everything a sandbox has, gone. */
  leave(sandbox: Sandbox): StateChange {
    const endpoints = this.#core.state.endpointsOfSandbox(sandbox.id).map(endpoint => endpoint.id)
    return { endpoints: { drop: endpoints }, sandboxes: { drop: [sandbox.id] } }
  }

  #joined(sandbox: Sandbox): { readonly endpoint: Endpoint; readonly network: Network }[] {
    const { state } = this.#core
    return state.endpointsOfSandbox(sandbox.id).flatMap(endpoint => {
      const network = state.networks.get(endpoint.networkId)
      return network === undefined ? [] : [{ endpoint, network }]
    })
  }

  /** What is asked of an endpoint may have been accepted before its network was known: it is checked again. */
  #attach(container: Container, sandboxId: Id, member: Member, present: readonly Endpoint[]): Endpoint {
    validateEndpointRequest(member.network, member.request)
    return attach(
      member.network,
      member.request,
      this.#context(container, sandboxId, member.network, present),
    )
  }

  #context(
    container: Container,
    sandboxId: Id,
    network: Network,
    present: readonly Endpoint[],
  ): AttachContext {
    const { state } = this.#core
    return {
      endpointId: randomId(),
      sandboxId,
      container: { id: container.id, name: container.name, hostname: container.config.Hostname },
      hostIfname: randomVethName(),
      spareMac: macFromBytes(randomBytesOf(6)),
      interfaces: new Set(present.map(endpoint => endpoint.ifname)),
      members: state.endpointCount(network.id),
      used: (family: Family): RangeSet => state.addressesIn(network.id, family),
      resolveLink: term => state.findContainer(term).id,
    }
  }

  #dnsServers({ hostConfig }: Container): readonly string[] {
    const own = hostConfig.Dns ?? []
    return own.length > 0 ? own : this.#core.options.dns
  }

  /**
   * The ports of a container on the endpoints that carry its default routes. Ports it has keep their numbers and move
   * along when the gateway changes; without a gateway it has none.
   */
  #publish(
    container: Container,
    joined: readonly { readonly endpoint: Endpoint; readonly network: Network }[],
    current: readonly PublishedPort[],
  ): readonly PublishedPort[] {
    const gateway4 = chooseGateway(joined, 4)
    const gateway6 = chooseGateway(joined, 6)
    const carrier = gateway4 ?? gateway6
    if (carrier === undefined) return []
    if (current.length > 0) {
      const endpointFor = (hostIp: string) => (hostIp.includes(':') ? gateway6 : gateway4) ?? carrier
      return current.map(port => ({ ...port, endpointId: endpointFor(port.hostIp).endpoint.id }))
    }
    const requests = portRequests({
      exposed: Object.keys(container.config.ExposedPorts ?? {}),
      bindings: container.hostConfig.PortBindings,
      publishAll: container.hostConfig.PublishAllPorts,
    })
    if (requests.length === 0) return []
    try {
      const { ports, cursor } = allocatePorts(requests, {
        table: this.#core.state.ports,
        ...this.#hostPorts.allocation(),
        hostBinding: carrier.network.bridge?.hostBinding ?? '0.0.0.0',
        endpoint4: gateway4?.endpoint.id,
        endpoint6: gateway6?.endpoint.id,
        holder: container.id,
        nameOf: id => this.#describe(id),
      })
      this.#hostPorts.cursor = cursor
      return ports
    } catch (error) {
      throw wrapFault(connectivityError(container, carrier.endpoint), error)
    }
  }

  #asksForPort({ hostConfig }: Container, port: number): boolean {
    return Object.values(hostConfig.PortBindings)
      .flat()
      .some(binding => binding.HostPort === String(port))
  }

  async #busyPort({ hostConfig, name }: Container, port: number): Promise<Error> {
    const [key = 'tcp', bindings = []] =
      Object.entries(hostConfig.PortBindings).find(([, each]) =>
        each.some(b => b.HostPort === String(port)),
      ) ?? []
    const address = bindings.find(binding => binding.HostPort === String(port))?.HostIp ?? ''
    const hostIp = address === '' ? '0.0.0.0' : address
    const { protocol } = parseContainerPort(key.includes('/') ? key : `${port}/tcp`)
    const holder = await this.#core.kernel.portHolder({ protocol, address: hostIp, from: port, to: port })
    return wrapFault(
      `driver failed programming external connectivity on endpoint ${name}`,
      fault('portBusy', `${bindingText(hostIp, port)}/${protocol}`, holder),
    )
  }

  #describe(containerId: Id): string {
    const name = this.#core.state.containers.get(containerId)?.name ?? ''
    return `container ${name} (${containerId.slice(0, 12)})`
  }
}

/** What Docker says before the reason why a port could not be published. */
export function connectivityError(container: Container, endpoint: Endpoint): string {
  return `driver failed programming external connectivity on endpoint ${container.name} (${endpoint.id})`
}
