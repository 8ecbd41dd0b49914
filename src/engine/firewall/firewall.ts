/** What a firewall backend has to do: render intents. One is chosen at start, with a stated reason. */
import type { Kernel, Operation } from '../../kernel/index.ts'
import type { Family, FirewallIntent } from '../../network/index.ts'

export interface Firewall {
  readonly driver: 'nftables' | 'iptables'
  readonly reason: string
  /** Tables that are ours alone, in which nobody else should change anything. */
  readonly tables: readonly string[]
  /** One transaction for what one command changes. */
  update(add: readonly FirewallIntent[], remove: readonly FirewallIntent[]): readonly Operation[]
  /** What brings the kernel's tables to the constant part and exactly these intents, whatever is there. */
  reconcile(kernel: Kernel, intents: readonly FirewallIntent[]): Promise<readonly Operation[]>
  /**
   * What keeps the host from routing for its neighbours. It comes before the engine switches on a family's forwarding,
   * once that family is among the guarded ones.
   */
  guard(family: Family): readonly Operation[]
  /** What takes everything of this backend out of the kernel; nothing where it has never been used. */
  remove(kernel: Kernel): Promise<readonly Operation[]>
}
