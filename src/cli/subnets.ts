/** `--subnet`, `--ip-range`, `--gateway` and `--aux-address` sorted into the pools of `IPAM.Config`. */
import { BlockList, isIP } from 'node:net'
import { Failure } from './failure.ts'

export interface PoolFlags {
  readonly subnets: readonly string[]
  readonly ranges: readonly string[]
  readonly gateways: readonly string[]
  readonly auxiliary: Readonly<Record<string, string>>
}

interface PoolConfig {
  readonly Subnet: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** True if the address (a prefix: its first) lies in the subnet. Text that is no subnet contains nothing. */
function contains(subnet: string, item: string): boolean {
  const [base = '', length] = subnet.split('/')
  const [address = ''] = item.split('/')
  if (isIP(base) === 0 || isIP(address) === 0 || length === undefined || isIP(base) !== isIP(address))
    return false
  const bits = Number(length)
  if (!Number.isInteger(bits) || bits < 0 || bits > (isIP(base) === 6 ? 128 : 32)) return false
  const block = new BlockList()
  block.addSubnet(base, bits, family(base))
  return block.check(address, family(address))
}

export function ipamPools(flags: PoolFlags): readonly PoolConfig[] {
  const { subnets, ranges, gateways, auxiliary } = flags
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Failure('every ip-range or gateway must have a corresponding subnet')
  }
  const pools: PoolConfig[] = []
  for (const subnet of subnets) {
    if (pools.some(pool => contains(pool.Subnet, subnet) || contains(subnet, pool.Subnet))) {
      throw new Failure('multiple overlapping subnet configuration is not supported')
    }
    pools.push({ Subnet: subnet })
  }
  const owner = (item: string): PoolConfig | undefined => pools.find(pool => contains(pool.Subnet, item))
  for (const range of ranges) {
    const pool = owner(range)
    if (pool === undefined) throw new Failure(`no matching subnet for range ${range}`)
    if (pool.IPRange !== undefined) {
      throw new Failure(
        `cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`,
      )
    }
    pool.IPRange = range
  }
  for (const gateway of gateways) {
    const pool = owner(gateway)
    if (pool === undefined) throw new Failure(`no matching subnet for gateway ${gateway}`)
    if (pool.Gateway !== undefined) {
      throw new Failure(
        `cannot configure multiple gateways (${gateway}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`,
      )
    }
    pool.Gateway = gateway
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const pool = owner(address)
    if (pool === undefined) throw new Failure(`no matching subnet for aux-address ${address}`)
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address }
  }
  return pools.map(({ Subnet, IPRange, Gateway, AuxiliaryAddresses }) => ({
    Subnet,
    ...(IPRange === undefined ? {} : { IPRange }),
    ...(Gateway === undefined ? {} : { Gateway }),
    ...(AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses }),
  }))
}
