/**
 * Sysctls of one interface, as users ask for them with an endpoint: `net.ipv4.conf.IFNAME.log_martians=1`, several
 * separated by commas. IFNAME stands for whatever the interface will be called.
 */
import { fault } from '../base/index.ts'

export interface InterfaceSysctl {
  /** Path below /proc/sys with slashes, because names of interfaces may hold dots. */
  readonly key: string
  readonly value: string
}

export const endpointSysctlsOption = 'com.docker.network.endpoint.sysctls'

/** `net.FAMILY.TABLE.IFNAME.SETTING=VALUE`; nothing that could leave the interface's own directory. */
const setting = /^net\.(ipv4|ipv6|mpls)\.([\w-]+)\.(?:IFNAME|ifname)\.([\w-]+(?:\.[\w-]+)*)=(.*)$/s

/** The sysctls of `text` for the interface called `ifname`. Throws invalidParameter in Docker's words. */
export function endpointSysctls(text: string, ifname: string): readonly InterfaceSysctl[] {
  if (text === '') return []
  return text.split(',').map(item => {
    const [, family, table, name, value] = setting.exec(item.trim()) ?? []
    if (name === undefined || value === undefined) {
      throw fault(
        'invalidParameter',
        `unrecognised network interface sysctl '${item}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V'`,
      )
    }
    return { key: `net/${family}/${table}/${ifname}/${name.replaceAll('.', '/')}`, value }
  })
}
