/**
 * The text of a container's /etc/hosts.
 *
 * After start the file is the user's as much as ours: connect and disconnect add and remove whole lines that are
 * exactly ours, and everything else stays byte for byte.
 */
import { fault } from '../../base/index.ts'
import { canonicalAddress } from '../address.ts'

export interface HostsEntry {
  readonly address: string
  readonly names: readonly string[]
}

export interface HostsFile {
  /** The container's loopback has IPv6. */
  readonly ipv6: boolean
  /** `--add-host`, in the order given. */
  readonly extraHosts: readonly HostsEntry[]
  /** Legacy links. */
  readonly links: readonly HostsEntry[]
  /** The container's own addresses, endpoint by endpoint, IPv4 first; without prefix lengths. */
  readonly addresses: readonly string[]
  /** From `ownNames`. */
  readonly names: readonly string[]
}

const loopback6: readonly HostsEntry[] = [
  { address: '::1', names: ['localhost', 'ip6-localhost', 'ip6-loopback'] },
  { address: 'fe00::', names: ['ip6-localnet'] },
  { address: 'ff00::', names: ['ip6-mcastprefix'] },
  { address: 'ff02::1', names: ['ip6-allnodes'] },
  { address: 'ff02::2', names: ['ip6-allrouters'] },
]

const lineOf = (entry: HostsEntry): string => `${entry.address}\t${entry.names.join(' ')}`

const ownEntries = (addresses: readonly string[], names: readonly string[]): HostsEntry[] =>
  addresses.map(address => ({ address, names }))

/** What a container calls itself: the full name and its first label where they differ. */
export function ownNames(hostname: string, domainname: string): readonly string[] {
  if (domainname !== '') return [`${hostname}.${domainname}`, hostname]
  const label = hostname.split('.')[0] ?? ''
  return label === '' || label === hostname ? [hostname] : [hostname, label]
}

/** What a linked container is called: the link's alias, its hostname, its name. */
export function linkNames(alias: string, hostname: string, name: string): readonly string[] {
  return [...new Set([alias, hostname, name])]
}

export function hostsText(file: HostsFile): string {
  const entries: HostsEntry[] = [
    { address: '127.0.0.1', names: ['localhost'] },
    ...(file.ipv6 ? loopback6 : []),
    ...file.extraHosts,
    ...file.links,
    ...ownEntries(file.addresses, file.names),
  ]
  return entries.map(entry => `${lineOf(entry)}\n`).join('')
}

/** Adds the lines of an endpoint that joined; lines that are there already are not repeated. */
export function appendOwnLines(text: string, addresses: readonly string[], names: readonly string[]): string {
  const present = new Set(text.split('\n'))
  const missing = ownEntries(addresses, names)
    .map(lineOf)
    .filter(line => !present.has(line))
  if (missing.length === 0) return text
  const head = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return `${head}${missing.join('\n')}\n`
}

/** Removes the lines of an endpoint that left, each once. */
export function removeOwnLines(text: string, addresses: readonly string[], names: readonly string[]): string {
  const lines = text.split('\n')
  for (const entry of ownEntries(addresses, names)) {
    const at = lines.indexOf(lineOf(entry))
    if (at >= 0) lines.splice(at, 1)
  }
  return lines.join('\n')
}

/**
 * Gives the line of a linked container its new address. The line is known by its names; if the user took it out the
 * text stays as it is.
 */
export function moveLinkLine(text: string, link: HostsEntry): string {
  const names = `\t${link.names.join(' ')}`
  const lines = text.split('\n')
  const at = lines.findIndex(line => line.endsWith(names))
  return at < 0 ? text : lines.with(at, lineOf(link)).join('\n')
}

/** What `--add-host name:host-gateway` stands for; both empty where there is no default bridge. */
export interface HostGateway {
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
}

/** Splits `name:address`; the address may be IPv6, bare or in brackets. Throws `invalidParameter`. */
function splitExtraHost(text: string): readonly [name: string, address: string] {
  const colon = text.indexOf(':')
  if (colon <= 0 || colon === text.length - 1) {
    throw fault('invalidParameter', `bad format for add-host: ${JSON.stringify(text)}`)
  }
  return [text.slice(0, colon), text.slice(colon + 1).replace(/^\[(.*)\]$/, '$1')]
}

/** Checks `--add-host` values when a container is created. Throws `invalidParameter` with Docker's words. */
export function checkExtraHosts(texts: readonly string[]): void {
  for (const text of texts) {
    const [, address] = splitExtraHost(text)
    if (address !== 'host-gateway' && canonicalAddress(address) === undefined) {
      throw fault('invalidParameter', `invalid IP address in add-host: ${JSON.stringify(address)}`)
    }
  }
}

/** The lines of checked `--add-host` values; `host-gateway` gives one per family. */
export function extraHosts(texts: readonly string[], gateway: HostGateway): HostsEntry[] {
  return texts.flatMap(text => {
    const [name, address] = splitExtraHost(text)
    if (address !== 'host-gateway') return [{ address, names: [name] }]
    const addresses = [gateway.ipv4, gateway.ipv6].filter(each => each !== undefined)
    if (addresses.length === 0) {
      throw fault('invalidParameter', 'unable to derive the IP value for host-gateway')
    }
    return ownEntries(addresses, [name])
  })
}
