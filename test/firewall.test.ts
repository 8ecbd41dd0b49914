/** Both firewall backends let through and keep out the same. */
import { describeReachability } from './support/reachability.ts'

describeReachability('nftables')
describeReachability('iptables')
