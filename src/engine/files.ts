/**
 * A container's /etc/hosts, /etc/resolv.conf and /etc/hostname. They are bind mounts: written in place, never by
 * rename, which would leave the container with the old inode. Once a user has edited resolv.conf it is left alone,
 * which a hash beside it tells.
 */
import { createHash } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import type { ContainerFiles } from '../container/index.ts'
import {
  appendOwnLines,
  type Endpoint,
  extraHosts,
  hasNames,
  hostResolv,
  type HostsEntry,
  hostsText,
  internalResolv,
  isResolvedStub,
  legacyResolv,
  linkNames,
  moveLinkLine,
  type Network,
  ownNames,
  parseResolvConf,
  removeOwnLines,
  type ResolvOverrides,
  type ResolvSource,
  stripLength,
} from '../network/index.ts'
import type { Core } from './core.ts'
import { linkLines } from './links.ts'
import { networkModeOf } from './network-mode.ts'
import { type Container, isUp } from './records.ts'

const hostResolvPath = '/etc/resolv.conf'
/** Where systemd-resolved lists the servers that its stub on 127.0.0.53 asks. */
const resolvedPath = '/run/systemd/resolve/resolv.conf'

export class Files {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Makes the files exist, so that they can be mounted; what is in them follows in place. */
  async prepare(container: Container): Promise<void> {
    const { hostname, hosts, resolvConf } = await this.#core.runtime.files(container.id)
    for (const path of [hostname, hosts, resolvConf]) await (await open(path, 'a')).close()
  }

  /** Before the container starts: all three, afresh. */
  async write(container: Container): Promise<void> {
    const files = await this.#core.runtime.files(container.id)
    const { Hostname, Domainname } = container.config
    await Promise.all([
      writeFile(files.hostname, `${Hostname}${Domainname === '' ? '' : `.${Domainname}`}\n`),
      this.#hosts(container).then(text => writeFile(files.hosts, text)),
      this.#writeResolv(container, files),
    ])
  }

  /** A running container joined a network: its own lines are added, the resolver may become the embedded one. */
  async join(container: Container, network: Network): Promise<void> {
    const files = await this.#core.runtime.files(container.id)
    const endpoint = this.#endpoints(container).find(each => each.networkId === network.id)
    if (endpoint !== undefined) {
      const text = await readFile(files.hosts, 'utf8')
      await writeFile(files.hosts, appendOwnLines(text, addressesOf(endpoint), this.#names(container)))
    }
    if (hasNames(network)) await this.#writeResolv(container, files)
  }

  /** A container started, perhaps with another address: running containers with a link to it learn it. */
  async relink(target: Container): Promise<void> {
    for (const linker of this.#core.state.legacyLinkersOf(target.id).filter(isUp)) {
      const { hosts } = await this.#core.runtime.files(linker.id)
      const text = await readFile(hosts, 'utf8')
      const links = this.#linkEntries(linker).filter(({ names }) => names.includes(target.name))
      const moved = links.reduce(moveLinkLine, text)
      if (moved !== text) await writeFile(hosts, moved)
    }
  }

  /** A running container left a network: exactly its endpoint's lines go. */
  async leave(container: Container, endpoint: Endpoint): Promise<void> {
    const files = await this.#core.runtime.files(container.id)
    const text = await readFile(files.hosts, 'utf8')
    await writeFile(files.hosts, removeOwnLines(text, addressesOf(endpoint), this.#names(container)))
  }

  async #hosts(container: Container): Promise<string> {
    const { hostConfig } = container
    const extra = hostConfig.ExtraHosts ?? []
    const inHost = networkModeOf(container).kind === 'host'
    if (inHost && extra.length === 0) return await readFile('/etc/hosts', 'utf8').catch(() => '')
    return hostsText({
      ipv6: (hostConfig.Sysctls ?? {})['net.ipv6.conf.all.disable_ipv6'] !== '1',
      extraHosts: extraHosts(extra, this.#hostGateway()),
      links: this.#linkEntries(container),
      addresses: inHost ? [] : this.#endpoints(container).flatMap(addressesOf),
      names: this.#names(container),
    })
  }

  #linkEntries(container: Container): readonly HostsEntry[] {
    return linkLines(this.#core.state, container).map(({ alias, target, address }) => ({
      address,
      names: linkNames(alias, target.config.Hostname, target.name),
    }))
  }

  /** `host-gateway`: what the daemon was told, else the default bridge's address. */
  #hostGateway() {
    const { hostGatewayIps } = this.#core.options
    const pools = this.#core.state.networkNamed('bridge')?.pools ?? []
    const pick = (family: 4 | 6) =>
      hostGatewayIps.length > 0
        ? hostGatewayIps.find(address => address.includes(':') === (family === 6))
        : pools.find(pool => pool.family === family)?.gateway
    return { ipv4: pick(4), ipv6: pick(6) }
  }

  async #writeResolv(container: Container, files: ContainerFiles): Promise<void> {
    const hashPath = `${files.resolvConf}.hash`
    const [text, hash] = await Promise.all([readText(files.resolvConf), readText(hashPath)])
    if (text !== undefined && hash !== undefined && hashOf(text) !== hash) return
    const wanted = await this.#resolv(container)
    await writeFile(files.resolvConf, wanted)
    await writeFile(hashPath, hashOf(wanted))
  }

  async #resolv(container: Container): Promise<string> {
    const overrides = this.#overrides(container)
    const host: ResolvSource = { path: hostResolvPath, text: (await readText(hostResolvPath)) ?? '' }
    if (networkModeOf(container).kind === 'host') return hostResolv(host, overrides)
    const endpoints = this.#endpoints(container)
    const named = endpoints.some(({ networkId }) => {
      const network = this.#core.state.networks.get(networkId)
      return network !== undefined && hasNames(network)
    })
    if (named) return internalResolv(host, overrides).text
    const ipv6 = endpoints.some(endpoint => endpoint.ipv6 !== undefined)
    return legacyResolv(await behindStub(host), overrides, ipv6)
  }

  #overrides({ hostConfig }: Container): ResolvOverrides {
    const { dns, dnsSearch, dnsOptions } = this.#core.options
    const pick = (own: readonly string[] | null, daemon: readonly string[]) =>
      own !== null && own.length > 0 ? own : daemon
    return {
      nameservers: pick(hostConfig.Dns, dns),
      search: pick(hostConfig.DnsSearch, dnsSearch),
      options: pick(hostConfig.DnsOptions, dnsOptions),
    }
  }

  #names({ config }: Container): readonly string[] {
    return ownNames(config.Hostname, config.Domainname)
  }

  #endpoints(container: Container): readonly Endpoint[] {
    const sandbox = this.#core.state.sandboxOf(container.id)
    return sandbox === undefined ? [] : this.#core.state.endpointsOfSandbox(sandbox.id)
  }
}

function addressesOf({ ipv4, ipv6 }: Endpoint): readonly string[] {
  return [ipv4, ipv6].flatMap(address => (address === undefined ? [] : [stripLength(address)]))
}

/** A container cannot ask systemd-resolved's stub on the host's loopback: it gets the servers behind it. */
async function behindStub(host: ResolvSource): Promise<ResolvSource> {
  if (!isResolvedStub(parseResolvConf(host.text))) return host
  const text = await readText(resolvedPath)
  return text === undefined ? host : { path: resolvedPath, text }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
