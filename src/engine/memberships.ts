/** Connecting a container to a network and disconnecting it, running or not. */
import { fault } from '../base/index.ts'
import { type EndpointRequest, type Id, validateEndpointRequest } from '../network/index.ts'
import type { ContainerRecords } from './container-records.ts'
import type { Core } from './core.ts'
import type { Files } from './files.ts'
import type { Joining } from './joining.ts'
import { checkConnectable, networkModeOf } from './network-mode.ts'
import { type Container, isUp } from './records.ts'

export class Memberships {
  readonly #core: Core
  readonly #records: ContainerRecords
  readonly #joining: Joining
  readonly #files: Files

  constructor(core: Core, records: ContainerRecords, joining: Joining, files: Files) {
    this.#core = core
    this.#records = records
    this.#joining = joining
    this.#files = files
  }

  async connect(term: string, containerTerm: string, request: EndpointRequest): Promise<void> {
    const { id } = this.#core.state.findContainer(containerTerm)
    await this.#core.withContainer(id, async () => {
      const container = this.#records.current(id)
      checkStays(container)
      checkConnectable(container, this.#core.state.networkMeant(term))
      if (isUp(container)) await this.#connectRunning(container, term, request)
      else await this.#connectStopped(container, term, request)
    })
  }

  async disconnect(term: string, containerTerm: string, force: boolean): Promise<void> {
    const { state } = this.#core
    const { id } = state.findContainer(containerTerm)
    await this.#core.withContainer(id, async () => {
      const container = this.#records.current(id)
      checkStays(container)
      const membership = membershipOf(container, term, force ? undefined : state.findNetwork(term).id)
      if (networkModeOf(container).kind === 'host') throw fault('disconnectHost')
      const sandbox = state.sandboxOf(id)
      if (!isUp(container) || sandbox === undefined) {
        if (membership === undefined) {
          throw fault('notConfigured', id, state.findNetwork(term).name)
        }
        await this.#records.update(id, {
          memberships: container.memberships.filter(each => each !== membership),
        })
        return
      }
      const network = state.findNetwork(membership?.networkId ?? term)
      const endpoint = state.endpointsOfSandbox(sandbox.id).find(each => each.networkId === network.id)
      if (endpoint === undefined) throw fault('notConnected', id, network.name)
      await this.#core.change(() => ({
        ...this.#joining.disconnect(container, sandbox, endpoint),
        containers: {
          put: [
            {
              ...this.#records.current(id),
              memberships: container.memberships.filter(each => each !== membership),
            },
          ],
        },
      }))
      await this.#files.leave(container, endpoint)
      this.#records.emitNetwork('disconnect', network.id, id)
    })
  }

  async #connectRunning(container: Container, term: string, request: EndpointRequest): Promise<void> {
    const { state } = this.#core
    const network = state.findNetwork(term)
    const sandbox = state.sandboxOf(container.id)
    if (sandbox === undefined) throw fault('connectShared')
    const membership = { network: network.name, networkId: network.id, request }
    await this.#core.change(() => ({
      ...this.#joining.connect(container, sandbox, network, request),
      containers: {
        put: [
          { ...this.#records.current(container.id), memberships: [...container.memberships, membership] },
        ],
      },
    }))
    await this.#files.join(this.#records.current(container.id), network)
    this.#records.emitNetwork('connect', network.id, container.id)
  }

  /** Only the configuration changes; a name that is not known yet is kept as typed and resolved at the next start. */
  async #connectStopped(container: Container, term: string, request: EndpointRequest): Promise<void> {
    const network = this.#core.state.networkMeant(term)
    if (network !== undefined) validateEndpointRequest(network, request)
    const others = container.memberships.filter(each => each.network !== (network?.name ?? term))
    const membership = { network: network?.name ?? term, networkId: network?.id ?? '', request }
    await this.#records.update(container.id, { memberships: [...others, membership] })
  }
}

/** A container that is being removed has no use for networks. */
function checkStays({ id, state }: Container): void {
  if (state.status === 'removing' || state.status === 'dead') throw fault('markedForRemoval', id)
}

function membershipOf(container: Container, term: string, networkId: Id | undefined) {
  return container.memberships.find(each => each.network === term || each.networkId === (networkId ?? term))
}
