/**
 * The iptables backend's rules: intents rendered into the chains that people know from Docker 28. Pure text, written
 * exactly as iptables-save prints it, so that what is there can be compared with what should be.
 *
 * Facts it lives by:
 * - A packet from the host itself has no incoming interface: `! -i docker0` matches it, `-i docker0` never does.
 * - raw runs before conntrack and NAT: there the packet still has the address its sender wrote.
 * - NAT chains see the first packet of a flow only. `--ctstate DNAT` holds for all of them.
 * - `! -i docker0` keeps Docker's DNAT rule from the containers on that bridge, whom Docker serves by a process per
 *   port. Here they have the same rule once more, for their side, in DOCKER-HAIRPIN.
 * - ::1 cannot be translated (IPv6 has no route_localnet), and link-local sources are never forwarded.
 * - Bridges are told apart by interface, never by address alone: a source address is whatever its sender writes.
 *
 * Within a chain the order of networks and ports does not matter, because every rule names the bridge or address it is
 * about. What matters is only that acceptances precede the final drop, and rules for one address those for all.
 */
import { fault } from '../../base/index.ts'
import {
  type Family,
  type FirewallIntent,
  formatAddress,
  optionKeys,
  parseAddress,
  type PublishObject,
  type SegmentObject,
} from '../../network/index.ts'

/** In the order in which a change goes through them: what protects comes before what opens. */
export const tableNames = ['raw', 'filter', 'nat'] as const
export type TableName = (typeof tableNames)[number]

export interface Rule {
  readonly table: TableName
  readonly chain: string
  readonly spec: string
  /** `head`: before everything else in its chain, in the order of `constantRules`. */
  readonly place: 'head' | 'top' | 'bottom'
}

/** The administrator's: created, jumped to first, never changed. */
export const userChain = 'DOCKER-USER'

/** Every chain that is not the kernel's. */
export const ownChains: Readonly<Record<TableName, readonly string[]>> = {
  raw: ['DOCKER'],
  filter: [
    'DOCKER',
    'DOCKER-BRIDGE',
    'DOCKER-CT',
    'DOCKER-FORWARD',
    'DOCKER-ISOLATION-STAGE-1',
    'DOCKER-ISOLATION-STAGE-2',
    userChain,
  ],
  nat: ['DOCKER', 'DOCKER-HAIRPIN', 'DOCKER-POSTROUTING'],
}

export interface ChainOptions {
  /** Containers may be reached by their own address from other hosts, on the ports they publish. */
  readonly directRouting: boolean
}

const rule = (table: TableName, chain: string, spec: string, place: Rule['place'] = 'bottom'): Rule => ({
  table,
  chain,
  spec,
  place,
})

export const userJump = rule('filter', 'FORWARD', `-j ${userChain}`, 'head')

/** A translated packet is for a published port, and may go from bridge to bridge. */
export const publishedPass = rule(
  'filter',
  'DOCKER-ISOLATION-STAGE-2',
  '-m conntrack --ctstate DNAT -j RETURN',
  'head',
)

/** What is there with no network at all. */
export function constantRules(family: Family): readonly Rule[] {
  const local = '-m addrtype --dst-type LOCAL'
  const common = [
    rule('raw', 'PREROUTING', '-j DOCKER', 'top'),
    userJump,
    rule('filter', 'FORWARD', '-j DOCKER-FORWARD', 'head'),
    rule('filter', 'DOCKER-FORWARD', '-j DOCKER-CT', 'head'),
    rule('filter', 'DOCKER-FORWARD', '-j DOCKER-ISOLATION-STAGE-1', 'head'),
    rule('filter', 'DOCKER-FORWARD', '-j DOCKER-BRIDGE', 'head'),
    publishedPass,
    rule('nat', 'PREROUTING', `${local} -j DOCKER`),
    rule('nat', 'PREROUTING', `${local} -j DOCKER-HAIRPIN`),
    rule('nat', 'POSTROUTING', '-j DOCKER-POSTROUTING', 'top'),
  ]
  return family === 4
    ? [
        ...common,
        // Published on loopback: never from outside, although route_localnet is on.
        rule('raw', 'DOCKER', '-d 127.0.0.0/8 ! -i lo -j DROP'),
        rule('nat', 'OUTPUT', `${local} -j DOCKER`),
        // A packet with a loopback source cannot leave the host.
        rule('nat', 'DOCKER-POSTROUTING', '-s 127.0.0.0/8 ! -o lo -m conntrack --ctstate DNAT -j MASQUERADE'),
      ]
    : [...common, rule('nat', 'OUTPUT', `! -d ::1/128 ${local} -j DOCKER`)]
}

/** The rules of an intent in one family's tables. Throws a fault if iptables cannot express it. */
export function rulesOf(intent: FirewallIntent, family: Family, options: ChainOptions): readonly Rule[] {
  checkName(intent.bridge)
  if (intent.kind === 'segment') return segmentRules(intent, family, options)
  return familyOf(intent.hostIp) === family ? publishRules(intent) : []
}

/** iptables reads `br+` as every interface whose name begins with br, and its text has quotes and options. */
function checkName(bridge: string): void {
  if (/^\w[\w.@~-]*$/.test(bridge)) return
  throw fault(
    'optionUnparsable',
    optionKeys.bridgeName,
    bridge,
    'iptables takes names of letters, digits and _.@~- only',
  )
}

function segmentRules(
  segment: SegmentObject,
  family: Family,
  { directRouting }: ChainOptions,
): readonly Rule[] {
  const { bridge, mode, icc, masquerade } = segment
  const subnets = segment.subnets.filter(subnet => familyOf(subnet) === family)
  const inside = `-i ${bridge} -o ${bridge}`
  const leaving = `-i ${bridge} ! -o ${bridge}`
  const entering = `! -i ${bridge} -o ${bridge}`
  const rules = subnets.map(subnet => hairpinMasquerade(subnet, bridge))
  if (!directRouting) {
    for (const subnet of subnets) {
      rules.push(rule('raw', 'DOCKER', `-d ${subnet} ! -i ${bridge} -m addrtype ! --dst-type LOCAL -j DROP`))
    }
  }
  if (mode === 'internal') {
    rules.push(
      rule('filter', 'DOCKER-ISOLATION-STAGE-1', `${entering} -j DROP`),
      rule('filter', 'DOCKER-ISOLATION-STAGE-1', `${leaving} -j DROP`),
      rule('filter', 'DOCKER-FORWARD', `${inside} -j ${icc ? 'ACCEPT' : 'DROP'}`),
    )
    return rules
  }
  rules.push(
    rule('filter', 'DOCKER-CT', `-o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`),
    rule('filter', 'DOCKER-ISOLATION-STAGE-1', `${leaving} -j DOCKER-ISOLATION-STAGE-2`),
    rule('filter', 'DOCKER-ISOLATION-STAGE-2', `-o ${bridge} -j DROP`),
    rule('filter', 'DOCKER-BRIDGE', `-o ${bridge} -j DOCKER`),
    rule('filter', 'DOCKER', `${entering} -j DROP`),
  )
  if (icc) {
    rules.push(rule('filter', 'DOCKER-FORWARD', `-i ${bridge} -j ACCEPT`))
  } else {
    rules.push(
      rule('filter', 'DOCKER', `${inside} -m conntrack --ctstate DNAT -j ACCEPT`, 'top'),
      rule('filter', 'DOCKER-FORWARD', `${inside} -j DROP`),
      rule('filter', 'DOCKER-FORWARD', `${leaving} -j ACCEPT`),
    )
  }
  if (masquerade) rules.push(...subnets.map(subnet => masqueradeRule(subnet, bridge)))
  return rules
}

/** To the letter what Docker has had for ten years; it stands in a chain that is not ours. */
export function masqueradeRule(subnet: string, bridge: string): Rule {
  return rule('nat', 'POSTROUTING', `-s ${subnet} ! -o ${bridge} -j MASQUERADE`, 'top')
}

/**
 * Back to the bridge it came from: the answer has to come by the host, where it is translated back. There is one for
 * every subnet of ours, which makes it the record of what belongs to us in nat POSTROUTING.
 */
export function hairpinMasquerade(subnet: string, bridge: string): Rule {
  return rule(
    'nat',
    'DOCKER-POSTROUTING',
    `-s ${subnet} -o ${bridge} -m conntrack --ctstate DNAT -j MASQUERADE`,
  )
}

function publishRules(intent: PublishObject): readonly Rule[] {
  const { bridge, protocol, hostFrom, hostTo, targetFrom } = intent
  const family = familyOf(intent.target)
  const hostIp = canonical(intent.hostIp)
  const target = canonical(intent.target)
  const targetTo = targetFrom + hostTo - hostFrom
  const any = hostIp === '0.0.0.0' || hostIp === '::'
  const ports = (from: number, to: number) =>
    `-p ${protocol} -m ${protocol} --dport ${from === to ? from : `${from}:${to}`}`

  const from = family === 4 ? '' : '! -s fe80::/10 '
  const to = any ? '' : `-d ${hostIp}/${family === 4 ? 32 : 128} `
  const translated = `${ports(hostFrom, hostTo)} -j DNAT --to-destination ${destination(target, intent)}`
  const place = any ? 'bottom' : 'top'
  return [
    rule(
      'filter',
      'DOCKER',
      `-d ${target}/${family === 4 ? 32 : 128} ! -i ${bridge} -o ${bridge} ${ports(targetFrom, targetTo)} -j ACCEPT`,
      'top',
    ),
    rule('nat', 'DOCKER', `${from}${to}! -i ${bridge} ${translated}`, place),
    rule('nat', 'DOCKER-HAIRPIN', `${from}${to}-i ${bridge} ${translated}`, place),
  ]
}

/** A run of ports is one rule: as it is where both sides are equal, else moved by the difference to the first one. */
function destination(target: string, { hostFrom, hostTo, targetFrom }: PublishObject): string {
  if (hostFrom !== hostTo && hostFrom === targetFrom) return target
  const host = target.includes(':') ? `[${target}]` : target
  if (hostFrom === hostTo) return `${host}:${targetFrom}`
  return `${host}:${targetFrom}-${targetFrom + hostTo - hostFrom}/${hostFrom}`
}

function canonical(text: string): string {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`malformed address ${text} in the blueprint`)
  return formatAddress(address)
}

export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4
}
