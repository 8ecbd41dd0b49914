/** What every command on containers does with records: look up, change, tell. */
import { fault } from '../base/index.ts'
import type { Id } from '../network/index.ts'
import type { Core } from './core.ts'
import type { Container, ContainerState } from './records.ts'
import type { StateChange } from './state.ts'

export class ContainerRecords {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** The record as it is now. `known` stands in if the container is gone meanwhile. */
  current(id: Id, known?: Container): Container {
    const container = this.#core.state.containers.get(id) ?? known
    if (container === undefined) throw fault('containerNotFound', id)
    return container
  }

  /** Changes fields of the record and of its state; nothing happens if the container is gone. */
  async update(id: Id, fields: Partial<Container>, state: Partial<ContainerState> = {}): Promise<void> {
    await this.#core.change((): StateChange => {
      const container = this.#core.state.containers.get(id)
      if (container === undefined) return {}
      return { containers: { put: [{ ...container, ...fields, state: { ...container.state, ...state } }] } }
    })
  }

  emit(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { id, name, image, config } = container
    this.#core.events.emit('container', action, id, { ...config.Labels, ...attributes, image, name })
  }

  emitNetwork(action: 'connect' | 'disconnect', networkId: Id, container: Id): void {
    const network = this.#core.state.networks.get(networkId)
    if (network === undefined) return
    this.#core.events.emit('network', action, network.id, {
      container,
      name: network.name,
      type: network.driver,
    })
  }
}
