/**
 * The nftables ruleset: constant text. All state is in sets and maps, so that a network, container or port is an
 * element or two, and a packet costs the same however many there are.
 *
 * Facts it lives by:
 * - `accept` ends one base chain, not the hook: a drop in another table of the same hook still drops. What must be
 *   dropped is dropped here, what others drop stays dropped.
 * - raw (-300) runs before conntrack and NAT: there the packet still has the address its sender wrote. Direct access to
 *   container addresses is refused at that point, published ports are not affected because their address is the host's.
 *   A bridge's own address is the host's too: containers of other networks reach the host by it (host.docker.internal).
 * - NAT chains see the first packet of a flow only; the rest follows the conntrack entry.
 * - `meta l4proto { … }` has to stand before a look-up of `th dport`, and `dnat ip to` names its family, because the
 *   table is `inet`.
 * - ::1 cannot be translated (IPv6 has no route_localnet).
 * - Counters stand where only first packets of a flow come by, and where packets end: they cost a flow nothing.
 * - Few, large, typed maps. A chain or set per network would make loading and look-up grow with their number.
 */

import type { Family } from '../../network/index.ts'

export const table = 'linkspan'

/** Sets and maps with the fields of their keys and values; the renderer and the text are generated from it. */
export const sets = {
  to_bridge: 'type ifname : verdict',
  from_bridge: 'type ifname : verdict',
  same_bridge: 'type ifname . ifname : verdict',
  internal_bridge: 'type ifname',
  subnet4: 'type ipv4_addr; flags interval',
  subnet4_bridge: 'type ipv4_addr . ifname; flags interval',
  masquerade4: 'type ipv4_addr; flags interval',
  subnet6: 'type ipv6_addr; flags interval',
  subnet6_bridge: 'type ipv6_addr . ifname; flags interval',
  masquerade6: 'type ipv6_addr; flags interval',
  publish4: 'type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; counter',
  publish4_range: 'type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; counter',
  publish4_any: 'type inet_proto . inet_service : ipv4_addr . inet_service; counter',
  publish4_any_range: 'type inet_proto . inet_service : ipv4_addr; flags interval; counter',
  publish6: 'type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; counter',
  publish6_range: 'type ipv6_addr . inet_proto . inet_service : ipv6_addr; flags interval; counter',
  publish6_any: 'type inet_proto . inet_service : ipv6_addr . inet_service; counter',
  publish6_any_range: 'type inet_proto . inet_service : ipv6_addr; flags interval; counter',
} as const

export type SetName = keyof typeof sets

export interface RulesetOptions {
  /**
   * Families whose forwarding the engine switched on itself: packets that concern none of our bridges are dropped,
   * otherwise the host would have become a router for its neighbours without anybody asking.
   */
  readonly guarded: readonly Family[]
}

/**
 * Loading it is one transaction. `flush table` empties the chains and keeps the elements of the sets, so loading over
 * a running ruleset never lets a packet see it half-made.
 */
export function rulesetText({ guarded }: RulesetOptions): string {
  const declarations = Object.entries(sets).map(
    ([name, type]) => `  ${type.includes(' : ') ? 'map' : 'set'} ${name} { ${type}; }`,
  )
  return `add table inet ${table}
flush table inet ${table}
table inet ${table} {
${declarations.join('\n')}

  chain direct {
    type filter hook prerouting priority raw; policy accept;
    iifname "lo" accept
    ip daddr 127.0.0.0/8 counter drop comment "published on loopback: never from outside"
    ip daddr @subnet4 ip daddr . iifname != @subnet4_bridge fib daddr type != local counter drop comment "container addresses are private"
    ip6 daddr @subnet6 ip6 daddr . iifname != @subnet6_bridge fib daddr type != local counter drop comment "container addresses are private"
  }

  chain publish_in {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump publish
  }
  chain publish_host {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 accept comment "served by the engine: ::1 cannot be translated"
    fib daddr type local jump publish
  }
  chain publish {
    meta l4proto { tcp, udp, sctp } jump publish_port
  }
  chain publish_port {
    dnat ip to ip daddr . meta l4proto . th dport map @publish4
    dnat ip to ip daddr . meta l4proto . th dport map @publish4_range
    dnat ip to meta l4proto . th dport map @publish4_any
    dnat ip to meta l4proto . th dport map @publish4_any_range
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6_range
    dnat ip6 to meta l4proto . th dport map @publish6_any
    dnat ip6 to meta l4proto . th dport map @publish6_any_range
  }

  chain leave {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @masquerade4 ip saddr . oifname != @subnet4_bridge counter masquerade
    ip6 saddr @masquerade6 ip6 saddr . oifname != @subnet6_bridge counter masquerade
    ct status dnat ip saddr . oifname @subnet4_bridge counter masquerade comment "hairpin: back to the bridge it came from"
    ct status dnat ip6 saddr . oifname @subnet6_bridge counter masquerade comment "hairpin: back to the bridge it came from"
    ct status dnat ip saddr 127.0.0.0/8 oifname != "lo" counter masquerade comment "127.0.0.1 to a published port"
  }

  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname vmap @to_bridge
    iifname vmap @from_bridge
${guarded.map(family => `    meta nfproto ipv${family} counter drop comment "forwarding was off before the engine came"\n`).join('')}  }
  chain to_nat {
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname . oifname vmap @same_bridge
    iifname @internal_bridge counter drop
    ct status dnat counter accept
    counter drop
  }
  chain to_internal {
    iifname . oifname vmap @same_bridge
    counter drop
  }
  chain from_nat {
    accept
  }
  chain from_internal {
    counter drop
  }
  chain icc_off {
    ct state established,related accept
    ct status dnat counter accept
    counter drop
  }
}
`
}

/** For those who read what stands there. */
export const ownTable = table
export const ownSets: readonly SetName[] = Object.keys(sets) as SetName[]
