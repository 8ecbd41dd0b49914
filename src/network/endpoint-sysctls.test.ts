import { expect, it } from 'vitest'
import { endpointSysctls } from './endpoint-sysctls.ts'

it('puts the name of the interface in', () => {
  expect(
    endpointSysctls('net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.mcast_solicit=4', 'a.b'),
  ).toEqual([
    { key: 'net/ipv4/conf/a.b/log_martians', value: '1' },
    { key: 'net/ipv6/neigh/a.b/mcast_solicit', value: '4' },
  ])
  expect(endpointSysctls('', 'eth0')).toEqual([])
})

it.each([
  'x',
  'net.ipv4.conf.eth0.log_martians=1',
  'net.ipv4.conf.IFNAME=1',
  'net.ipv4.conf.IFNAME.log_martians',
  'kernel.ipv4.conf.IFNAME.x=1',
  'net.ipv4..IFNAME.x=1',
  'net.ipv4.conf.IFNAME.../../x=1',
  'net.ipv4.conf.IFNAME.a/b=1',
  'net.ipv4.conf.IFNAME.a..b=1',
])('refuses %s', text => {
  expect(() => endpointSysctls(text, 'eth0')).toThrow(/^unrecognised network interface sysctl '/)
})
