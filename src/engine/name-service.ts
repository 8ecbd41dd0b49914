/** Questions about names: what a container can resolve, and what it asks. */
import { fault } from '../base/index.ts'
import type { Resolver, WatchedQuestion } from '../dns/index.ts'
import { hasNames, type Sandbox, seenNames, type SeenName } from '../network/index.ts'
import type { Core } from './core.ts'
import { networkModeOf } from './network-mode.ts'
import type { Container } from './records.ts'

export interface NameService {
  /** Where its programs send questions: the engine (127.0.0.11), or the servers of a file, as on the default bridge. */
  readonly resolver: 'embedded' | 'file'
  /** Servers that the engine asks from inside the container (--dns); empty = the host's servers, asked from the host. */
  readonly servers: readonly string[]
  /** False on internal networks only: outside names are not asked for at the host's servers. */
  readonly external: boolean
  readonly names: readonly SeenName[]
}

export class NameQuestions {
  readonly #core: Core
  readonly #resolver: Resolver

  constructor(core: Core, resolver: Resolver) {
    this.#core = core
    this.#resolver = resolver
  }

  /** Throws containerNotRunning; a container in another's namespace sees what that one sees. */
  seen(term: string): NameService {
    const { state } = this.#core
    const sandbox = this.#sandbox(state.findContainer(term))
    const joined = state.endpointsOfSandbox(sandbox.id).flatMap(endpoint => {
      const network = state.networks.get(endpoint.networkId)
      return network === undefined ? [] : [{ endpoint, network }]
    })
    const embedded = sandbox.netns !== undefined && joined.some(({ network }) => hasNames(network))
    return {
      resolver: embedded ? 'embedded' : 'file',
      servers: sandbox.dns,
      external: joined.some(({ network }) => network.bridge !== undefined && !network.internal),
      names: embedded
        ? seenNames(joined, {
            endpointsOfNetwork: id => state.endpointsOfNetwork(id),
            containerOf: endpoint => state.containerOf(endpoint)?.id,
            endpointOfContainer: (containerId, networkId) => {
              const own = state.sandboxOf(containerId)
              return own === undefined
                ? undefined
                : state.endpointsOfSandbox(own.id).find(endpoint => endpoint.networkId === networkId)
            },
          })
        : [],
    }
  }

  /** Tells every question of the container once it is answered, until the function that it gives is called. */
  watch(term: string, tell: (question: WatchedQuestion) => void): () => void {
    return this.#resolver.watch(this.#sandbox(this.#core.state.findContainer(term)).id, tell)
  }

  #sandbox(container: Container): Sandbox {
    const { state } = this.#core
    const mode = networkModeOf(container)
    const owner = mode.kind === 'container' ? state.findContainer(mode.container) : container
    const sandbox = state.sandboxOf(owner.id)
    if (sandbox === undefined) throw fault('containerNotRunning', owner.id)
    return sandbox
  }
}
