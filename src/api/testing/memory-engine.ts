/**
 * An engine without a kernel, for tests of the HTTP side alone: the real one needs root, namespaces and images. It keeps
 * records, knows running from stopped, and lets a test drive the streams of a container by hand.
 */
import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { fault } from '../../base/index.ts'
import type { ExecProcess, OutputChunk } from '../../container/index.ts'
import type {
  Attachment,
  Container,
  ContainerStatus,
  Engine,
  EngineEvent,
  Exec,
  Image,
  StateView,
  NameService,
} from '../../engine/index.ts'
import { isPredefinedName, RangeSet, type Endpoint, type Network, type Sandbox } from '../../network/index.ts'
import { bridge, config, host, hostConfig, image, none, running } from './records.ts'

const newId = (): string => randomBytes(32).toString('hex')

function find<T extends { readonly id: string; readonly name: string }>(
  all: ReadonlyMap<string, T>,
  term: string,
): readonly T[] {
  const exact = all.get(term) ?? [...all.values()].find(one => one.name === term)
  if (exact !== undefined) return [exact]
  return term === '' ? [] : [...all.values()].filter(one => one.id.startsWith(term))
}

export class MemoryState implements StateView {
  readonly networks = new Map<string, Network>([bridge, host, none].map(one => [one.id, one]))
  readonly containers = new Map<string, Container>()
  readonly endpoints = new Map<string, Endpoint>()
  readonly sandboxes = new Map<string, Sandbox>()
  readonly images = new Map<string, Image>([[image.id, image]])

  findNetwork(term: string): Network {
    const [network, ...others] = find(this.networks, term)
    if (network === undefined) throw fault('networkNotFound', term)
    if (others.length > 0) throw fault('networkAmbiguous', term, others.length + 1)
    return network
  }

  findContainer(term: string): Container {
    const [container, ...others] = find(this.containers, term)
    if (container === undefined) throw fault('containerNotFound', term)
    if (others.length > 0) throw fault('containerAmbiguous', term)
    return container
  }

  findImage(term: string): Image {
    const found = [...this.images.values()].find(
      one => one.id === term || one.tags.includes(term) || one.tags.includes(`${term}:latest`),
    )
    if (found === undefined) throw fault('imageNotFound', term)
    return found
  }

  endpointsOfNetwork(id: string): readonly Endpoint[] {
    return [...this.endpoints.values()].filter(one => one.networkId === id)
  }

  addressesIn(): RangeSet {
    return RangeSet.empty
  }

  endpointsOfSandbox(id: string): readonly Endpoint[] {
    return [...this.endpoints.values()].filter(one => one.sandboxId === id)
  }

  sandboxOf(containerId: string): Sandbox | undefined {
    return [...this.sandboxes.values()].find(one => one.containerId === containerId)
  }

  containerOf(endpoint: Endpoint): Container | undefined {
    const sandbox = this.sandboxes.get(endpoint.sandboxId)
    return sandbox === undefined ? undefined : this.containers.get(sandbox.containerId)
  }
}

type OutputListener = (chunk: OutputChunk | 'end') => void

/** What a test sees and steers of one container. */
export interface Strings {
  readonly listeners: Set<OutputListener>
  readonly input: Buffer[]
  inputEnded: boolean
  detached: number
}

export class MemoryEngine implements Engine {
  readonly state = new MemoryState()
  readonly execs = new Map<string, Exec>()
  readonly execInput = new PassThrough()
  readonly #strings = new Map<string, Strings>()
  readonly #eventListeners = new Set<(event: EngineEvent) => void>()
  readonly #past: EngineEvent[] = []
  readonly #exits = new Map<string, (code: number) => void>()

  add(container: Partial<Container> = {}): Container {
    const added = { ...running, id: newId(), name: `c${this.state.containers.size}`, ...container }
    this.state.containers.set(added.id, added)
    return added
  }

  strings(id: string): Strings {
    const strings = this.#strings.get(id) ?? {
      listeners: new Set(),
      input: [],
      inputEnded: false,
      detached: 0,
    }
    this.#strings.set(id, strings)
    return strings
  }

  output(id: string, chunk: OutputChunk | 'end'): void {
    for (const listener of this.strings(id).listeners) listener(chunk)
  }

  exit(id: string, code: number): void {
    this.#exits.get(id)?.(code)
  }

  emit(event: EngineEvent): void {
    this.#past.push(event)
    for (const listener of this.#eventListeners) listener(event)
  }

  info() {
    return {
      id: 'test',
      version: '0.1.0',
      dataRoot: '/var/lib/linkspan',
      netnsDirectory: '/run/linkspan/netns',
      runtime: { name: 'crun', path: '/usr/bin/crun', version: '1.8', reason: '', conmonVersion: '2.1' },
      firewall: { driver: 'nftables', reason: 'test' },
      ipForwarding: true,
      warnings: [],
      defaultAddressPools: [],
      startedAt: '2026-11-23T15:47:41Z',
    }
  }

  async createNetwork(request: Parameters<Engine['createNetwork']>[0]) {
    if (request.name.trim() === '') throw fault('networkNameEmpty')
    if (isPredefinedName(request.name)) throw fault('networkPredefined', request.name)
    if (find(this.state.networks, request.name).some(one => one.name === request.name)) {
      throw fault('networkNameTaken', request.name)
    }
    const id = newId()
    this.state.networks.set(id, {
      ...bridge,
      id,
      name: request.name,
      labels: request.labels ?? {},
      options: request.options ?? {},
    })
    return { id, warning: '' }
  }

  async removeNetwork(term: string) {
    this.state.networks.delete(this.state.findNetwork(term).id)
  }

  async connectNetwork(network: string, container: string) {
    this.state.findContainer(container)
    this.state.findNetwork(network)
  }

  async disconnectNetwork(network: string, container: string) {
    throw fault('notConnected', this.state.findContainer(container).id, this.state.findNetwork(network).name)
  }

  async pruneNetworks(selects: (network: Network) => boolean) {
    const doomed = [...this.state.networks.values()].filter(
      one => !isPredefinedName(one.name) && selects(one),
    )
    for (const network of doomed) this.state.networks.delete(network.id)
    return doomed.map(one => one.name)
  }

  async createContainer(request: Parameters<Engine['createContainer']>[0]) {
    const found = this.state.findImage(request.config.Image)
    const { id } = this.add({
      ...(request.name === undefined ? {} : { name: request.name }),
      imageId: found.id,
      image: request.config.Image,
      config: { ...config, ...request.config },
      hostConfig: { ...hostConfig, ...request.hostConfig },
      state: { ...running.state, status: 'created' },
    })
    return { id, warnings: [] }
  }

  #set(term: string, status: ContainerStatus): void {
    const container = this.state.findContainer(term)
    this.state.containers.set(container.id, { ...container, state: { ...container.state, status } })
  }

  async startContainer(term: string) {
    if (this.state.findContainer(term).state.status === 'running') throw fault('notModified')
    this.#set(term, 'running')
  }

  async stopContainer(term: string) {
    if (this.state.findContainer(term).state.status !== 'running') throw fault('notModified')
    this.#set(term, 'exited')
  }

  async restartContainer(term: string) {
    this.#set(term, 'running')
  }

  async killContainer(term: string) {
    this.#set(term, 'exited')
  }

  async pauseContainer(term: string) {
    this.#set(term, 'paused')
  }

  async unpauseContainer(term: string) {
    this.#set(term, 'running')
  }

  async removeContainer(term: string) {
    this.state.containers.delete(this.state.findContainer(term).id)
  }

  async renameContainer(term: string, name: string) {
    const container = this.state.findContainer(term)
    this.state.containers.set(container.id, { ...container, name })
  }

  async waitContainer(term: string, _condition: string, signal: AbortSignal) {
    const { id } = this.state.findContainer(term)
    const exitCode = await new Promise<number>((resolve, reject) => {
      this.#exits.set(id, resolve)
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
    return { exitCode, error: '' }
  }

  async resizeContainer(term: string) {
    this.state.findContainer(term)
  }

  attachContainer(term: string): Attachment {
    const strings = this.strings(this.state.findContainer(term).id)
    let own: OutputListener | undefined
    return {
      onOutput: listener => {
        own = listener
        strings.listeners.add(listener)
      },
      write: async data => {
        strings.input.push(data)
      },
      endInput: () => {
        strings.inputEnded = true
      },
      detach: () => {
        strings.detached++
        if (own !== undefined) strings.listeners.delete(own)
      },
    }
  }

  async *containerLogs(term: string) {
    this.state.findContainer(term)
    const time = '2026-11-23T15:47:43.000000001Z'
    yield { stream: 'stdout' as const, data: Buffer.from('out\n'), time }
    yield { stream: 'stderr' as const, data: Buffer.from('err\n'), time }
  }

  async containerFiles() {
    return { hosts: '/c/hosts', resolvConf: '/c/resolv.conf', hostname: '/c/hostname' }
  }

  async publishPorts() {}

  async unpublishPorts() {}

  async movePort() {}

  async containerUsage() {
    return undefined
  }

  async containerProcesses() {
    return [process.pid]
  }

  async updateContainer(term: string) {
    this.state.findContainer(term)
  }

  async pruneContainers(selects: (container: Container) => boolean) {
    const doomed = [...this.state.containers.values()].filter(
      one => one.state.status !== 'running' && selects(one),
    )
    for (const { id } of doomed) this.state.containers.delete(id)
    return doomed.map(one => one.id)
  }

  async createExec(container: string, request: Parameters<Engine['createExec']>[1]) {
    const id = newId()
    const containerId = this.state.findContainer(container).id
    this.execs.set(id, { ...request, id, containerId, running: false, exitCode: null, pid: 0 })
    return id
  }

  exec(id: string): Exec {
    const exec = this.execs.get(id)
    if (exec === undefined) throw fault('execNotFound', id)
    return exec
  }

  /** Echoes its input on stdout and ends with it. */
  async startExec(id: string): Promise<ExecProcess> {
    const exec = this.exec(id)
    if (exec.args[0] === 'nosuch') {
      throw fault('invalidParameter', 'exec: "nosuch": executable file not found in $PATH')
    }
    const stdin = new PassThrough()
    const stdout = new PassThrough()
    stdin.pipe(stdout)
    stdin.pipe(this.execInput)
    const exited = new Promise<number>(resolve => {
      stdout.on('end', () => resolve(0))
    })
    return { pid: 1, stdin, stdout, stderr: undefined, resize: () => undefined, exited }
  }

  async resizeExec(id: string) {
    this.exec(id)
  }

  async loadImages(archive: NodeJS.ReadableStream) {
    archive.resume()
    return ['busybox:latest']
  }

  async importImage(tree: NodeJS.ReadableStream) {
    tree.resume()
    return image.id
  }

  async pullImage(reference: string, _auth: unknown, progress: (message: { status: string }) => void) {
    if (reference.startsWith('refused')) throw fault('notFound', `manifest for ${reference} not found`)
    progress({ status: `Pulling ${reference}` })
    if (reference.startsWith('broken')) throw new Error('connection reset')
  }

  async tagImage(term: string) {
    this.state.findImage(term)
  }

  async removeImage(term: string) {
    return [{ untagged: term }, { deleted: this.state.findImage(term).id }]
  }

  async pruneImages() {
    return []
  }

  namesSeenBy(term: string): NameService {
    this.state.findContainer(term)
    return { resolver: 'embedded', servers: [], external: true, names: [] }
  }

  watchNames(term: string): () => void {
    this.state.findContainer(term)
    return () => undefined
  }

  pastEvents() {
    return this.#past
  }

  onEvent(listener: (event: EngineEvent) => void) {
    this.#eventListeners.add(listener)
    return () => this.#eventListeners.delete(listener)
  }

  portsOf(containerId: string) {
    return this.state.sandboxOf(containerId)?.ports ?? []
  }

  async close() {
    this.#eventListeners.clear()
  }
}
