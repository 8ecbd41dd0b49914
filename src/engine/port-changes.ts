/**
 * Publishing ports of a container that exists, and taking them back, running or not, without a restart. Connections that are
 * established go on: only new ones are translated.
 */
import { fault } from '../base/index.ts'
import {
  dropBinding,
  type Id,
  mergeBindings,
  type PortMeant,
  type Protocol,
  singlePorts,
  withoutPort,
} from '../network/index.ts'
import type { ContainerRecords } from './container-records.ts'
import type { Core } from './core.ts'
import type { Joining } from './joining.ts'
import { networkModeOf } from './network-mode.ts'
import { type Container, isUp } from './records.ts'
import type { HostConfig } from '../container/index.ts'

type Bindings = HostConfig['PortBindings']

export class PortChanges {
  readonly #core: Core
  readonly #records: ContainerRecords
  readonly #joining: Joining

  constructor(core: Core, records: ContainerRecords, joining: Joining) {
    this.#core = core
    this.#records = records
    this.#joining = joining
  }

  async publish(term: string, bindings: Bindings): Promise<void> {
    const { id } = this.#core.state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#changeable(id)
      const merged = mergeBindings(container.hostConfig.PortBindings, bindings)
      const changed = withBindings(container, merged, Object.keys(bindings))
      const sandbox = isUp(container) ? this.#core.state.sandboxOf(id) : undefined
      if (sandbox === undefined) await this.#records.update(id, changed)
      else {
        await this.#joining.retryingBusyPorts({ ...container, ...changed }, () =>
          this.#core.change(() => ({
            sandboxes: { put: [this.#joining.publishMore(container, sandbox, bindings)] },
            containers: { put: [{ ...this.#records.current(id), ...changed }] },
          })),
        )
      }
      this.#records.emit(this.#records.current(id), 'update')
    })
  }

  async unpublish(term: string, ports: readonly PortMeant[]): Promise<void> {
    const { state } = this.#core
    const { id } = state.findContainer(term)
    await this.#core.withContainer(id, async () => {
      const container = this.#changeable(id)
      const sandbox = isUp(container) ? state.sandboxOf(id) : undefined
      let bindings: Bindings = container.hostConfig.PortBindings
      let published = sandbox?.ports ?? []
      for (const meant of ports) {
        const left = withoutPort(published, meant)
        const asked = dropBinding(bindings, meant)
        const known = left !== published || JSON.stringify(asked) !== JSON.stringify(bindings)
        if (!known)
          throw fault('notFound', `No public port '${portText(meant)}' published for ${container.name}`)
        published = left
        bindings = asked as Bindings
      }
      const changed = withBindings(container, bindings, [])
      await this.#core.change(() => ({
        ...(sandbox === undefined ? {} : { sandboxes: { put: [{ ...sandbox, ports: published }] } }),
        containers: { put: [{ ...this.#records.current(id), ...changed }] },
      }))
      this.#records.emit(this.#records.current(id), 'update')
    })
  }

  /**
   * Hands a host port from one running container to another in one change: the element that leads to the old one is replaced by
   * one that leads to the new one, and the held socket stays as it is. Whoever is connected stays with the old one.
   */
  async move(hostPort: number, protocol: Protocol, fromTerm: string, toTerm: string): Promise<void> {
    const { state } = this.#core
    const from = state.findContainer(fromTerm).id
    const to = state.findContainer(toTerm).id
    if (from === to) throw fault('invalidParameter', 'a port cannot be moved to the container that has it')
    // Two moves in opposite directions must not wait for each other.
    const [first = from, second = to] = [from, to].toSorted()
    await this.#core.withContainer(first, () =>
      this.#core.withContainer(second, () => this.#move(hostPort, protocol, from, to)),
    )
  }

  async #move(hostPort: number, protocol: Protocol, from: Id, to: Id): Promise<void> {
    const old = this.#changeable(from)
    const next = this.#changeable(to)
    const { state } = this.#core
    await this.#core.change(() => {
      const [oldSandbox, nextSandbox] = [state.sandboxOf(from), state.sandboxOf(to)]
      if (oldSandbox === undefined) throw fault('containerNotRunning', from)
      if (nextSandbox === undefined) throw fault('containerNotRunning', to)
      const moved = singlePorts(oldSandbox.ports, hostPort, protocol)
      if (moved.length === 0) {
        throw fault('notFound', `No public port '${hostPort}/${protocol}' published for ${old.name}`)
      }
      let left = oldSandbox.ports
      let oldBindings: Bindings = old.hostConfig.PortBindings
      let nextBindings: Bindings = next.hostConfig.PortBindings
      const keys: string[] = []
      for (const { containerFrom, hostIp } of moved) {
        const key = `${containerFrom}/${protocol}`
        const meant = { key, hostIp, hostPort }
        left = withoutPort(left, meant)
        const asked = (oldBindings[key] ?? []).find(binding => binding.HostPort === String(hostPort))
        oldBindings = dropBinding(oldBindings, meant) as Bindings
        const binding = { HostIp: asked?.HostIp ?? '', HostPort: String(hostPort) }
        if (asked !== undefined || !keys.includes(key)) {
          nextBindings = mergeBindings(nextBindings, { [key]: [binding] }) as Bindings
        }
        keys.push(key)
      }
      return {
        sandboxes: {
          put: [{ ...oldSandbox, ports: left }, this.#joining.takeOver(next, nextSandbox, moved)],
        },
        containers: {
          put: [
            { ...this.#records.current(from), ...withBindings(old, oldBindings, []) },
            { ...this.#records.current(to), ...withBindings(next, nextBindings, keys) },
          ],
        },
      }
    })
    for (const id of [from, to]) this.#records.emit(this.#records.current(id), 'update')
  }

  #changeable(id: string): Container {
    const container = this.#records.current(id)
    const { status } = container.state
    if (status === 'removing' || status === 'dead') throw fault('markedForRemoval', id)
    const { kind } = networkModeOf(container)
    if (kind !== 'network') {
      throw fault(
        'invalidParameter',
        `conflicting options: port publishing and the network mode of ${container.name}`,
      )
    }
    return container
  }
}

function withBindings(
  container: Container,
  bindings: object,
  exposed: readonly string[],
): Partial<Container> {
  const ports = Object.fromEntries(exposed.map(key => [key, {}]))
  return {
    hostConfig: { ...container.hostConfig, PortBindings: bindings as Bindings },
    config: { ...container.config, ExposedPorts: { ...container.config.ExposedPorts, ...ports } },
  }
}

const portText = ({ key, hostPort }: PortMeant): string => (hostPort === 0 ? key : `${hostPort}:${key}`)
