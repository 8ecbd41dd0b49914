/**
 * `--network` and the flags that belong to the first one (`--ip`, `--network-alias`, `--link`, …) → NetworkMode and
 * EndpointsConfig of the Engine API, in the shapes that docker's client sends.
 */

/** One `--network`, short (`name`) or long (`name=n,alias=a,ip=…`). */
export interface NetworkChoice {
  readonly target: string
  readonly aliases: readonly string[]
  readonly links: readonly string[]
  readonly ipv4: string
  readonly ipv6: string
  readonly linkLocal: readonly string[]
  readonly mac: string
  readonly driverOptions: Readonly<Record<string, string>>
  readonly gatewayPriority: number
}

const noChoice: NetworkChoice = {
  target: '',
  aliases: [],
  links: [],
  ipv4: '',
  ipv6: '',
  linkLocal: [],
  mac: '',
  driverOptions: {},
  gatewayPriority: 0,
}

/**
 * The long form is lower-cased as a whole, values included: docker's client does so, and a container must come out the
 * same whichever client made it.
 */
export function parseNetwork(text: string): NetworkChoice {
  if (!/^\s*[\w-]+=/.test(text)) return { ...noChoice, target: text }
  let choice = noChoice
  for (const field of text.toLowerCase().split(',')) {
    const at = field.indexOf('=')
    const key = (at === -1 ? field : field.slice(0, at)).trim()
    const value = at === -1 ? '' : field.slice(at + 1).trim()
    if (at === -1 || value === '') throw new Error(`invalid field ${field} must be a key=value pair`)
    choice = withField(choice, key, value)
  }
  if (choice.target === '') throw new Error('network name/id is not specified')
  return choice
}

function withField(choice: NetworkChoice, key: string, value: string): NetworkChoice {
  switch (key) {
    case 'name':
      return { ...choice, target: value }
    case 'alias':
      return { ...choice, aliases: [...choice.aliases, value] }
    case 'ip':
      return { ...choice, ipv4: value }
    case 'ip6':
      return { ...choice, ipv6: value }
    case 'mac-address':
      return { ...choice, mac: macAddress(value) }
    case 'link-local-ip':
      return { ...choice, linkLocal: [...choice.linkLocal, value] }
    case 'gw-priority':
      if (!/^[-+]?\d+$/.test(value))
        throw new Error(`invalid gw-priority: strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`)
      return { ...choice, gatewayPriority: Number(value) }
    case 'driver-opt': {
      const at = value.indexOf('=')
      if (at < 1) throw new Error('invalid key value pair format in driver options')
      return {
        ...choice,
        driverOptions: { ...choice.driverOptions, [value.slice(0, at)]: value.slice(at + 1) },
      }
    }
    default:
      throw new Error(`invalid field key ${key}`)
  }
}

/** Checked as it was typed: the engine spells it its own way. */
export function macAddress(text: string): string {
  if (!/^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i.test(text))
    throw new Error(`${text} is not a valid mac address`)
  return text
}

/** What `--ip`, `--link` and the like say; it all goes to the first network. */
export type FirstNetwork = Omit<NetworkChoice, 'target' | 'driverOptions' | 'gatewayPriority'>

const predefined = new Set(['default', 'bridge', 'host', 'none'])

function isUserDefined(target: string): boolean {
  return !predefined.has(target) && !target.startsWith('container:')
}

const either = (flag: string, what: string): Error =>
  new Error(`conflicting options: cannot specify both ${flag} and per-network ${what}`)

/** The first network with the flags that stand outside it; naming something in both places is refused. */
function completeFirst(choice: NetworkChoice, flags: FirstNetwork): NetworkChoice {
  if (flags.aliases.length > 0 && choice.aliases.length > 0) throw either('--network-alias', 'alias')
  if (flags.links.length > 0 && choice.links.length > 0) throw either('--link', 'links')
  if (flags.ipv4 !== '' && choice.ipv4 !== '') throw either('--ip', 'IPv4 address')
  if (flags.ipv6 !== '' && choice.ipv6 !== '') throw either('--ip6', 'IPv6 address')
  if (flags.mac !== '' && choice.mac !== '') throw either('--mac-address', 'MAC address')
  if (flags.linkLocal.length > 0 && choice.linkLocal.length > 0)
    throw either('--link-local-ip', 'link-local IP addresses')
  return {
    ...choice,
    aliases: [...choice.aliases, ...flags.aliases],
    links: [...choice.links, ...(isUserDefined(choice.target) ? flags.links : [])],
    ipv4: choice.ipv4 === '' ? flags.ipv4 : choice.ipv4,
    ipv6: choice.ipv6 === '' ? flags.ipv6 : choice.ipv6,
    mac: choice.mac === '' ? flags.mac : choice.mac,
    linkLocal: [...choice.linkLocal, ...flags.linkLocal],
  }
}

const orNull = <T>(values: readonly T[]): readonly T[] | null => (values.length === 0 ? null : values)

/** `EndpointSettings` with everything the engine fills in left empty. */
export function endpointSettings(
  choice: NetworkChoice,
  shape: { readonly IPAMConfig: unknown; readonly Aliases: unknown; readonly DriverOpts: unknown },
): Record<string, unknown> {
  return {
    IPAMConfig: shape.IPAMConfig,
    Links: orNull(choice.links),
    Aliases: shape.Aliases,
    MacAddress: choice.mac,
    DriverOpts: shape.DriverOpts,
    GwPriority: choice.gatewayPriority,
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  }
}

/** Only what was asked: `{}` if nothing was. */
export function ipamConfig(choice: NetworkChoice): Record<string, unknown> {
  return {
    ...(choice.ipv4 === '' ? {} : { IPv4Address: choice.ipv4 }),
    ...(choice.ipv6 === '' ? {} : { IPv6Address: choice.ipv6 }),
    ...(choice.linkLocal.length === 0 ? {} : { LinkLocalIPs: choice.linkLocal }),
  }
}

function createSettings(choice: NetworkChoice): Record<string, unknown> {
  const ipam = ipamConfig(choice)
  return endpointSettings(choice, {
    IPAMConfig: Object.keys(ipam).length === 0 ? null : ipam,
    Aliases: orNull(choice.aliases),
    DriverOpts: Object.keys(choice.driverOptions).length === 0 ? null : choice.driverOptions,
  })
}

/** True if nothing but the name was said: docker's client then sends no EndpointsConfig at all. */
function isBare(choice: NetworkChoice): boolean {
  return (
    choice.aliases.length === 0 &&
    choice.links.length === 0 &&
    choice.linkLocal.length === 0 &&
    choice.ipv4 === '' &&
    choice.ipv6 === '' &&
    choice.mac === '' &&
    choice.gatewayPriority === 0 &&
    Object.keys(choice.driverOptions).length === 0
  )
}

export interface Networking {
  readonly mode: string
  readonly endpoints: Readonly<Record<string, Record<string, unknown>>>
}

export function networking(asked: readonly NetworkChoice[], flags: FirstNetwork): Networking {
  const [first = { ...noChoice, target: 'default' }, ...others] = asked
  const chosen = [completeFirst(first, flags), ...others]
  const seen = new Set<string>()
  for (const choice of chosen) {
    if (seen.has(choice.target))
      throw new Error(`network ${JSON.stringify(choice.target)} is specified multiple times`)
    seen.add(choice.target)
  }
  if (chosen.length > 1 && chosen.some(choice => !isUserDefined(choice.target))) {
    throw new Error('conflicting options: cannot attach both user-defined and non-user-defined network-modes')
  }
  const bare = asked.length === 1 && chosen.every(isBare)
  return {
    mode: first.target,
    endpoints: bare ? {} : Object.fromEntries(chosen.map(choice => [choice.target, createSettings(choice)])),
  }
}

/** A `--network` of `network connect`, where all comes as flags. */
export function choiceOf(fields: Partial<NetworkChoice>): NetworkChoice {
  return { ...noChoice, ...fields }
}
