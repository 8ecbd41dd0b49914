/**
 * Publishing ports of a container that exists, and taking them back, running or not, without a restart. Connections that are
 * established go on: only new ones are translated.
 */
import { fault } from '../base/index.ts'
import { dropBinding, mergeBindings, type PortMeant, withoutPort } from '../network/index.ts'
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
