/**
 * From a change of the state to the difference of the blueprint, recomputing only the parts that the change touches.
 */
import {
  type BlueprintContext,
  difference,
  type Difference,
  type Endpoint,
  type Id,
  type KernelObject,
  type Network,
  networkBlueprint,
  type Sandbox,
  sandboxBlueprint,
} from '../network/index.ts'
import type { State, StateChange } from './state.ts'

export function blueprintDifference(state: State, change: StateChange): Difference {
  const after = new Overlay(state, change)
  const networks = touchedNetworks(change)
  const sandboxes = touchedSandboxes(state, change)
  return difference(part(state, networks, sandboxes), part(after, networks, sandboxes))
}

/** The whole blueprint of a state, for reconciliation. */
export function wholeBlueprint(state: State): readonly KernelObject[] {
  return part(state, new Set(state.networks.keys()), new Set(state.sandboxes.keys()))
}

/** What both the state and a state to come can be asked. */
interface Source extends BlueprintContext {
  sandbox(id: Id): Sandbox | undefined
  endpointsOfSandbox(id: Id): readonly Endpoint[]
}

function part(
  source: Source,
  networks: ReadonlySet<Id>,
  sandboxes: ReadonlySet<Id>,
): readonly KernelObject[] {
  const objects: KernelObject[] = []
  for (const id of networks) {
    const network = source.network(id)
    if (network !== undefined) objects.push(...networkBlueprint(network))
  }
  for (const id of sandboxes) {
    const sandbox = source.sandbox(id)
    if (sandbox !== undefined)
      objects.push(...sandboxBlueprint(sandbox, source.endpointsOfSandbox(id), source))
  }
  return objects
}

function touchedNetworks({ networks }: StateChange): ReadonlySet<Id> {
  return new Set([...(networks?.put ?? []).map(network => network.id), ...(networks?.drop ?? [])])
}

function touchedSandboxes(state: State, change: StateChange): ReadonlySet<Id> {
  const { sandboxes, endpoints } = change
  const touched = new Set<Id>([...(sandboxes?.put ?? []).map(each => each.id), ...(sandboxes?.drop ?? [])])
  for (const id of touchedNetworks(change)) {
    for (const endpoint of state.endpointsOfNetwork(id)) touched.add(endpoint.sandboxId)
  }
  const changed = [
    ...(endpoints?.put ?? []),
    ...(endpoints?.drop ?? []).flatMap(id => state.endpoints.get(id) ?? []),
  ]
  for (const endpoint of changed) {
    touched.add(endpoint.sandboxId)
    // Who reaches this container by a link alias sees the change too.
    const containerId =
      state.sandboxes.get(endpoint.sandboxId)?.containerId ??
      sandboxes?.put?.find(sandbox => sandbox.id === endpoint.sandboxId)?.containerId
    if (containerId === undefined) continue
    for (const linker of state.linkersOf(containerId)) touched.add(linker.id)
  }
  return touched
}

/** The state as it will be, without changing it: look-ups fall through to the state. */
class Overlay implements Source {
  readonly #state: State
  readonly #networks: ReadonlyMap<Id, Network | undefined>
  readonly #sandboxes: ReadonlyMap<Id, Sandbox | undefined>
  readonly #endpoints: ReadonlyMap<Id, Endpoint | undefined>

  constructor(state: State, change: StateChange) {
    this.#state = state
    this.#networks = changes(change.networks)
    this.#sandboxes = changes(change.sandboxes)
    this.#endpoints = changes(change.endpoints)
  }

  network(id: Id): Network | undefined {
    return this.#networks.has(id) ? this.#networks.get(id) : this.#state.networks.get(id)
  }

  sandbox(id: Id): Sandbox | undefined {
    return this.#sandboxes.has(id) ? this.#sandboxes.get(id) : this.#state.sandboxes.get(id)
  }

  endpointsOfSandbox(id: Id): readonly Endpoint[] {
    const kept = this.#state
      .endpointsOfSandbox(id)
      .flatMap(endpoint =>
        this.#endpoints.has(endpoint.id) ? (this.#endpoints.get(endpoint.id) ?? []) : endpoint,
      )
    const added = [...this.#endpoints.values()].filter(
      endpoint => endpoint?.sandboxId === id && !this.#state.endpoints.has(endpoint.id),
    )
    return [...kept, ...added].filter(endpoint => endpoint !== undefined)
  }

  endpointOfContainer(containerId: Id, networkId: Id): Endpoint | undefined {
    const added = [...this.#sandboxes.values()].find(sandbox => sandbox?.containerId === containerId)
    const existing = this.#state.sandboxOf(containerId)
    const sandbox = added ?? (existing === undefined ? undefined : this.sandbox(existing.id))
    if (sandbox === undefined) return undefined
    return this.endpointsOfSandbox(sandbox.id).find(endpoint => endpoint.networkId === networkId)
  }
}

function changes<T extends { readonly id: Id }>(
  table: { readonly put?: readonly T[]; readonly drop?: readonly Id[] } | undefined,
): ReadonlyMap<Id, T | undefined> {
  const map = new Map<Id, T | undefined>()
  for (const id of table?.drop ?? []) map.set(id, undefined)
  for (const record of table?.put ?? []) map.set(record.id, record)
  return map
}
