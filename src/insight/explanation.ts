/** The answer to "does FROM reach TO, and why": plain values that go out as they are. */

/** Why a packet does not arrive. Stable: scripts may test for them. docs/explain.md says what each means. */
export const codes = [
  'NET_ISOLATED',
  'ICC_DISABLED',
  'INTERNAL_NO_GATE',
  'PORT_NOT_PUBLISHED',
  'PUBLISHED_ON_OTHER_IP',
  'NOT_LISTENING',
  'LISTENS_ON_LOOPBACK',
  'USER_RULE_DROP',
  'HOST_FORWARD_DROP',
  'RP_FILTER',
  'NO_ROUTE',
  'NO_ARP',
  'MTU_TOO_SMALL',
  'LINK_DOWN',
  'PAUSED',
  'NO_SUCH_NAME',
  'NO_DNS_ON_DEFAULT_BRIDGE',
  'HAIRPIN_OFF',
] as const
export type Code = (typeof codes)[number]

export type Verdict = 'REACHABLE' | 'BLOCKED' | 'UNKNOWN'

export type HopKind =
  | 'name'
  | 'arrives'
  | 'veth'
  | 'bridge'
  | 'route'
  | 'translate'
  | 'rule'
  | 'relay'
  | 'leaves'
  | 'listens'

export interface Hop {
  /** Counts from 1. */
  readonly Number: number
  readonly Kind: HopKind
  /** One word for people: `DNAT`, `forward`, `veth`. */
  readonly Label: string
  readonly Text: string
  /** Reason, table, counter: what stands beside it. */
  readonly Note: string
  /** False at the hop where the packet ends although it should go on. */
  readonly Passes: boolean
  /** Whose namespace: a container's id, or '' for the host. */
  readonly Container: string
  readonly Network: string
  readonly Endpoint: string
  readonly Link: string
  /** Of a veth: ifindex of the host's end and of the container's. */
  readonly Index: number
  readonly PeerIndex: number
  /** Of a rule: where it stands, and whether the engine made it. */
  readonly Table: string
  readonly Chain: string
  readonly Ours: boolean
  /** Packets the kernel has counted there; null where it does not count. */
  readonly Hits: number | null
}

export interface End {
  readonly Kind: 'container' | 'host' | 'outside'
  readonly Name: string
  /** Container's id, else ''. */
  readonly Id: string
  /** As the sender writes it into the packet. */
  readonly Address: string
  /** As it was asked for: the container's, where a published one leads to it. */
  readonly Port: number
}

export interface Explanation {
  readonly From: End
  readonly To: End
  readonly Protocol: 'tcp' | 'udp' | 'sctp' | 'icmp'
  readonly Verdict: Verdict
  /** '' unless it is blocked. */
  readonly Code: Code | ''
  /** Number of the hop at which it ends; 0 = it arrives. */
  readonly Hop: number
  readonly Why: string
  /** A command that would mend it; '' = none known. */
  readonly Fix: string
  readonly Also: readonly { readonly Code: Code | ''; readonly Text: string }[]
  readonly Hops: readonly Hop[]
  /** How answers come back; '' if nothing arrives. */
  readonly Return: string
  /** Addresses as the receiver sees them. */
  readonly Seen: { readonly Source: string; readonly Destination: string; readonly Port: number }
  /** How the name or address was chosen; '' where nothing had to be. */
  readonly Resolved: string
  /** Rules and tables that could not be evaluated. */
  readonly Unknown: readonly string[]
}
