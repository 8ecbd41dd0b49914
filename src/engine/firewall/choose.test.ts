import { expect, test } from 'vitest'
import { chooseFirewall } from './choose.ts'

const settings = { firewallBackend: undefined, ip6tables: true, allowDirectRouting: false }
const iptables = { ...settings, firewallBackend: 'iptables' as const }

test('nftables unless asked otherwise, with the reason', () => {
  const never = () => {
    throw new Error('nothing is run')
  }
  const { firewall, other } = chooseFirewall(settings, () => [], never)
  expect([firewall.driver, other.driver]).toEqual(['nftables', 'iptables'])
  expect(firewall.reason).toMatch(/^the default/)
  const asked = chooseFirewall({ ...settings, firewallBackend: 'nftables' }, () => [], never)
  expect(asked.firewall.reason).toBe('asked for with --firewall-backend')
})

test('iptables says which of the two the host uses', () => {
  const { firewall, other } = chooseFirewall(
    iptables,
    () => [],
    () => 'iptables v1.8.9 (legacy)',
  )
  expect([firewall.driver, other.driver]).toEqual(['iptables', 'nftables'])
  expect(firewall.reason).toBe('asked for with --firewall-backend; the host uses iptables v1.8.9 (legacy)')
})

test('direct routing is what iptables can do: chosen for it, refused to nftables', () => {
  const directly = { ...settings, allowDirectRouting: true }
  const { firewall } = chooseFirewall(
    directly,
    () => [],
    () => 'v1',
  )
  expect(firewall.driver).toBe('iptables')
  expect(firewall.reason).toContain('--allow-direct-routing')
  expect(() => chooseFirewall({ ...directly, firewallBackend: 'nftables' }, () => [])).toThrow(
    '--allow-direct-routing needs --firewall-backend iptables',
  )
})

test('a program that is missing is named, with its package', () => {
  expect(() =>
    chooseFirewall(
      iptables,
      () => [],
      program => (program.startsWith('ip6tables') ? undefined : 'v1'),
    ),
  ).toThrow(/needs ip6tables, ip6tables-save, ip6tables-restore, .* install the package iptables/)
})

test('--ip6tables=false needs none for IPv6', () => {
  const probe = (program: string) => (program.startsWith('ip6tables') ? undefined : 'v1')
  expect(chooseFirewall({ ...iptables, ip6tables: false }, () => [], probe).firewall.driver).toBe('iptables')
})
