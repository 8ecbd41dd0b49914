/**
 * The engine: opened on a data root, it brings the kernel to what the state says and takes commands from then on.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openImageStore, openRuntime } from '../container/index.ts'
import type { DaemonOptions } from '../daemon-options.ts'
import { openResolver } from '../dns/index.ts'
import { type Kernel, openKernel } from '../kernel/index.ts'
import { difference, type Difference, embeddedResolver, isEmpty } from '../network/index.ts'
import { Alone } from './alone.ts'
import { Applier } from './apply.ts'
import { ContainerRecords } from './container-records.ts'
import { Containers } from './containers.ts'
import { Core } from './core.ts'
import { findDrift, mendDrift } from './drift.ts'
import { ensurePredefined, refuseForeignBridge } from './default-networks.ts'
import { timestamp } from './events.ts'
import { Execs } from './execs.ts'
import { Files } from './files.ts'
import { Forwarding, isOn } from './forwarding.ts'
import { chooseFirewall, type ChosenFirewall } from './firewall/choose.ts'
import type { Firewall } from './firewall/firewall.ts'
import { HostPorts } from './host-ports.ts'
import { HostRoutes } from './host-routes.ts'
import { Images } from './images.ts'
import { Joining } from './joining.ts'
import { Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'
import { Memberships } from './memberships.ts'
import { Mending } from './mending.ts'
import { NameQuestions } from './name-service.ts'
import { PortChanges } from './port-changes.ts'
import { randomId } from './names.ts'
import { Networks } from './networks.ts'
import { observe } from './reconcile.ts'
import { RouteWarnings } from './route-warnings.ts'
import { schemaVersion, Store } from './store.ts'
import { wholeBlueprint } from './touched.ts'
import type { ObservedEngine } from './types.ts'

/** Namespaces that stand ready: a burst of starts this long pays nothing for making them. */
const poolSize = 8

/**
 * Where the resolver really listens inside a namespace. Outside the kernel's default range of ephemeral ports, so that
 * no client of the container's can come to have it.
 */
const resolverPort = 65_053

/** Docker's defaults for containers: low ports and ping without privileges. */
const namespaceSysctls = {
  'net/ipv4/ip_unprivileged_port_start': '0',
  'net/ipv4/ping_group_range': '0 2147483647',
}

/**
 * `onFatal` is called when a part of the engine died that it cannot go on without. Starting again is always safe: the
 * containers run on, and everything else follows from the state. Throws if it cannot start; nothing is left open then.
 */
export async function openEngine(
  options: DaemonOptions,
  version: string,
  log: Log,
  onFatal: (error: Error) => void,
): Promise<ObservedEngine> {
  const opened = new Opened(log)
  try {
    return await assemble(options, version, log, onFatal, opened)
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** Who can open a connection to such an address can do everything that root can. */
function openApiWarnings({ listen }: DaemonOptions): readonly string[] {
  return listen.flatMap(address =>
    address.kind === 'tcp'
      ? `WARNING: API is accessible on http://${address.host}:${address.port} without encryption. Access to the remote API is equivalent to root access on the host.`
      : [],
  )
}

/** What has to be closed, the last first. */
class Opened {
  readonly #log: Log
  readonly #closes: (() => Promise<void>)[] = []

  constructor(log: Log) {
    this.#log = log
  }

  add<T extends { close(): Promise<void> }>(part: T): T {
    this.#closes.push(() => part.close())
    return part
  }

  /** Goes on when one of them fails, and tells. */
  async close(): Promise<void> {
    for (const close of this.#closes.reverse()) {
      await close().catch((error: unknown) => this.#log.error({ err: error }, 'closing failed'))
    }
  }
}

async function assemble(
  options: DaemonOptions,
  version: string,
  log: Log,
  onFatal: (error: Error) => void,
  opened: Opened,
): Promise<ObservedEngine> {
  const newMeta = () => ({ schemaVersion, hostId: randomId(), forwardingSwitchedOn: [] })
  const store = opened.add(Store.open(join(options.dataRoot, 'state'), newMeta))
  mkdirSync(options.execRoot, { recursive: true, mode: 0o711 })
  const netnsDirectory = join(options.execRoot, 'netns')
  const kernel = opened.add(
    await openKernel(
      {
        netnsDirectory,
        poolSize,
        namespaceSysctls,
        resolver: { address: embeddedResolver, port: resolverPort },
      },
      { onFailure: onFatal },
    ),
  )
  await refuseForeignBridge(options, kernel)
  const forwarding = new Forwarding(options, store, kernel)
  const chosen = chooseFirewall(options, () => forwarding.guarded)
  const { firewall } = chosen
  const settings = { dataRoot: options.dataRoot, execRoot: options.execRoot, runtime: options.runtime }
  const runtime = opened.add(await openRuntime(settings))
  const images = await openImageStore(settings)
  const resolver = opened.add(
    await openResolver(
      {
        ttl: options.dnsTtl,
        resolvConf: '/etc/resolv.conf',
        cache: options.dnsCache,
        host: options.hostDns,
      },
      async (sandbox, family, type) => {
        const netns = core.state.sandboxes.get(sandbox)?.netns
        if (netns === undefined) throw new Error(`sandbox ${sandbox} has no namespace`)
        return await kernel.openSocket(netns, family, type)
      },
      { onFailure: onFatal },
    ),
  )
  const applier = opened.add(new Applier(kernel, resolver, firewall, log))
  const core: Core = new Core({ options, log, store, kernel, applier, runtime, images })
  core.state.apply(store.load())

  const routeWarnings = new RouteWarnings(core)
  const hostRoutes = opened.add(new HostRoutes(kernel, routes => routeWarnings.check(routes)))
  const networks = new Networks(core, hostRoutes, family =>
    forwarding.need(family, () => firewall.guard(family)),
  )
  const records = new ContainerRecords(core)
  const joining = new Joining(core, new HostPorts())
  const files = new Files(core)
  const lifecycle = new Lifecycle(core, records, joining, files)
  const containers = new Containers(core, records, lifecycle)
  const memberships = new Memberships(core, records, joining, files)
  const portChanges = new PortChanges(core, records, joining)
  const execs = new Execs(core, lifecycle)
  const imageCommands = new Images(core)
  const pruning = new Alone('a prune operation')
  const names = new NameQuestions(core, resolver)

  await lifecycle.recover()
  await images.sweep(new Set(core.state.images.keys()))
  await reconcile(core, kernel, chosen)
  for (const network of core.state.networks.values()) await networks.forward(network)
  await ensurePredefined(core, networks)
  await lifecycle.startByPolicy()
  if (options.mend) opened.add(new Mending(core, kernel, firewall))

  const startedAt = timestamp()
  const { state, events } = core
  return {
    state,
    kernel,
    blueprint: () => wholeBlueprint(state),
    drift: () => findDrift(core, kernel, firewall),
    mend: () => mendDrift(core, kernel, firewall),
    info: () => ({
      id: store.meta.hostId,
      version,
      dataRoot: options.dataRoot,
      netnsDirectory,
      runtime: runtime.info,
      firewall: { driver: firewall.driver, reason: firewall.reason },
      ipForwarding: isOn(4),
      warnings: [...openApiWarnings(options), ...forwarding.warnings, ...routeWarnings.warnings],
      defaultAddressPools: options.defaultAddressPools,
      startedAt,
    }),

    createNetwork: request => networks.create(request),
    removeNetwork: term => networks.remove(term),
    connectNetwork: (network, container, request) => memberships.connect(network, container, request),
    disconnectNetwork: (network, container, force) => memberships.disconnect(network, container, force),
    pruneNetworks: (selects, signal) => pruning.run(() => networks.prune(selects, signal)),

    createContainer: request => containers.create(request),
    startContainer: term => containers.start(term),
    stopContainer: (term, timeout, signal) => containers.stop(term, timeout, signal),
    restartContainer: (term, timeout, signal) => containers.restart(term, timeout, signal),
    killContainer: (term, signal) => containers.kill(term, signal),
    pauseContainer: term => containers.pause(term),
    unpauseContainer: term => containers.unpause(term),
    removeContainer: (term, how) => containers.remove(term, how),
    renameContainer: (term, name) => containers.rename(term, name),
    waitContainer: (term, condition, signal) => containers.wait(term, condition, signal),
    resizeContainer: (term, rows, columns) => containers.resize(term, rows, columns),
    attachContainer: (term, streams) => containers.attach(term, streams),
    containerLogs: (term, how) => containers.logs(term, how),
    containerFiles: async term => await runtime.files(state.findContainer(term).id),
    containerProcesses: term => containers.processes(term),
    containerUsage: term => containers.usage(term),
    updateContainer: (term, policy) => containers.updateRestartPolicy(term, policy),
    pruneContainers: selects => pruning.run(() => containers.prune(selects)),

    publishPorts: (term, bindings) => portChanges.publish(term, bindings),
    movePort: (hostPort, protocol, from, to) => portChanges.move(hostPort, protocol, from, to),
    unpublishPorts: (term, ports) => portChanges.unpublish(term, ports),

    createExec: async (container, request) => execs.create(container, request),
    exec: id => execs.get(id),
    startExec: (id, how) => execs.start(id, how),
    resizeExec: async (id, rows, columns) => execs.resize(id, rows, columns),

    loadImages: (archive, progress) => imageCommands.load(archive, progress),
    importImage: (tree, reference, how) => imageCommands.import(tree, reference, how),
    pullImage: (reference, auth, progress) => imageCommands.pull(reference, auth, progress),
    tagImage: (term, reference) => imageCommands.tag(term, reference),
    removeImage: (term, how) => imageCommands.remove(term, how),
    pruneImages: () => pruning.run(() => imageCommands.prune()),

    namesSeenBy: term => names.seen(term),
    watchNames: (term, tell) => names.watch(term, tell),

    pastEvents: () => events.past(),
    onEvent: listener => events.subscribe(listener),
    portsOf: id => state.sandboxOf(id)?.ports ?? [],

    async close() {
      lifecycle.close()
      await core.idle()
      await opened.close()
    },
  }
}

/** Brings the kernel from whatever a crash, a reboot or a foreign hand left to what the state says. */
async function reconcile(core: Core, kernel: Kernel, { firewall, other }: ChosenFirewall): Promise<void> {
  const wanted = wholeBlueprint(core.state)
  const intents = wanted.filter(object => object.kind === 'segment' || object.kind === 'publish')
  const mending = await firewall.reconcile(kernel, intents)
  if (mending.length > 0) await kernel.run(mending)
  await retire(core, kernel, other)
  const found = difference(await observe(kernel, wanted), wanted)
  if (isEmpty(found)) return
  core.log.info(
    { add: found.add.length, change: found.change.length, remove: found.remove.length },
    'bringing the kernel to the recorded state',
  )
  try {
    await core.applier.apply(found, nothingToWrite)
  } catch (error) {
    core.log.error({ err: error }, 'one object cannot be made: all the others are, one by one')
    await reconcileEach(core, found)
  }
}

const nothingToWrite = { write: async () => {}, unwrite: async () => {} }

/** What a foreign hand put in the way of one network must not keep the engine, and all other networks, from starting. */
async function reconcileEach(core: Core, { remove, change, add }: Difference): Promise<void> {
  const nothing: Difference = { remove: [], change: [], add: [] }
  const steps: readonly Difference[] = [
    ...remove.map(object => ({ ...nothing, remove: [object] })),
    ...change.map(object => ({ ...nothing, change: [object] })),
    ...add.map(object => ({ ...nothing, add: [object] })),
  ]
  for (const step of steps) {
    await core.applier.apply(step, nothingToWrite).catch((error: unknown) => {
      const [object] = [...step.remove, ...step.add, ...step.change.map(each => each.after)]
      core.log.error({ err: error, object: object?.key }, 'bringing an object to the recorded state failed')
    })
  }
}

/**
 * Removes what the other backend left. Nobody may ever have used it: if its program is broken, that is no reason not to
 * start.
 */
async function retire(core: Core, kernel: Kernel, other: Firewall): Promise<void> {
  try {
    const removal = await other.remove(kernel)
    if (removal.length === 0) return
    await kernel.run(removal)
    core.log.info({}, `removed the rules that the ${other.driver} backend left`)
  } catch (error) {
    core.log.warn({ err: error }, `looking for rules of the ${other.driver} backend failed`)
  }
}
