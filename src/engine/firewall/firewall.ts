/** What a firewall backend has to do: render intents. One is chosen at start, with a stated reason. */
import type { Kernel, Operation } from '../../kernel/index.ts'
import type { FirewallIntent } from '../../network/index.ts'

export interface Firewall {
  readonly driver: 'nftables' | 'iptables'
  readonly reason: string
  /** Puts the constant part in place, whatever is there; elements that are there stay. */
  load(): readonly Operation[]
  /** One transaction for what one command changes. */
  update(add: readonly FirewallIntent[], remove: readonly FirewallIntent[]): readonly Operation[]
  /** What brings the kernel's tables to exactly these intents. */
  reconcile(kernel: Kernel, intents: readonly FirewallIntent[]): Promise<readonly Operation[]>
}
