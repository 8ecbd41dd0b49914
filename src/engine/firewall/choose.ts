/** Which firewall backend, and why. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fault } from '../../base/index.ts'
import type { Family } from '../../network/index.ts'
import type { Firewall } from './firewall.ts'
import { iptablesFirewall } from './iptables.ts'
import { nftablesFirewall } from './nftables.ts'

export interface FirewallSettings {
  /** undefined = not asked for. */
  readonly firewallBackend: 'nftables' | 'iptables' | undefined
  readonly ip6tables: boolean
  readonly allowDirectRouting: boolean
}

export interface ChosenFirewall {
  readonly firewall: Firewall
  /** Not in use: what it may have left in an earlier run has to go. */
  readonly other: Firewall
}

/** What a program prints as its version; undefined if it is not installed. */
export type Probe = (program: string) => string | undefined

const asked = 'asked for with --firewall-backend'
/** A published port opened at the container's own address is a rule of its own there, and has no place in the maps. */
const direct = '--allow-direct-routing is what this backend can do'

/** `guarded`: families whose forwarding the engine switched on itself. */
export function chooseFirewall(
  { firewallBackend, ip6tables, allowDirectRouting }: FirewallSettings,
  guarded: () => readonly Family[],
  probe: Probe = installedVersion,
): ChosenFirewall {
  const rules = () => ({ guarded: guarded(), directRouting: allowDirectRouting })
  if (firewallBackend === 'nftables' && allowDirectRouting) {
    throw fault('internal', '--allow-direct-routing needs --firewall-backend iptables')
  }
  const families: readonly Family[] = existsSync('/proc/sys/net/ipv6') ? [4, 6] : [4]
  if (firewallBackend !== 'iptables' && !allowDirectRouting) {
    const reason =
      firewallBackend === 'nftables' ? asked : 'the default: constant rules, state in sets and maps'
    return {
      firewall: nftablesFirewall(rules, reason),
      other: iptablesFirewall(families, rules, ''),
    }
  }
  const used = families.filter(family => family === 4 || ip6tables)
  const commands = used.map(family => (family === 4 ? 'iptables' : 'ip6tables'))
  const missing = commands
    .flatMap(command => [command, `${command}-save`, `${command}-restore`])
    .filter(program => probe(program) === undefined)
  if (missing.length > 0) {
    throw fault(
      'internal',
      `--firewall-backend iptables needs ${missing.join(', ')}, which cannot be run: install the package iptables`,
    )
  }
  return {
    firewall: iptablesFirewall(
      used,
      rules,
      `${allowDirectRouting ? direct : asked}; the host uses ${probe('iptables') ?? ''}`,
    ),
    other: nftablesFirewall(rules, ''),
  }
}

function installedVersion(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return status === 0 ? stdout.trim() : undefined
}
