/** `EndpointSettings` of a request in the engine's spelling; empty text and empty lists mean "not asked for".
 * Empty objects do, too, but are shown as they were sent. */
import type { EndpointRequest } from '../network/index.ts'
import type { ApiVersion } from './version.ts'
import type { EndpointSettings } from './wire/network.ts'

const someText = (value: string | undefined): value is string => value !== undefined && value !== ''
const some = (value: readonly string[] | undefined): value is readonly string[] =>
  value !== undefined && value.length > 0

/** `mac`: whether a MAC address is honoured here. Gateway priorities exist since 1.48. */
export function endpointRequest(
  settings: EndpointSettings | null | undefined,
  version: ApiVersion,
  { mac }: { readonly mac: boolean },
): EndpointRequest {
  if (settings === null || settings === undefined) return {}
  const { IPAMConfig, Aliases, Links, MacAddress, DriverOpts, GwPriority } = settings
  const asksAddress =
    someText(IPAMConfig?.IPv4Address) || someText(IPAMConfig?.IPv6Address) || some(IPAMConfig?.LinkLocalIPs)
  return {
    ...(IPAMConfig !== undefined && !asksAddress ? { emptyIpam: true } : {}),
    ...(someText(IPAMConfig?.IPv4Address) ? { ipv4: IPAMConfig.IPv4Address } : {}),
    ...(someText(IPAMConfig?.IPv6Address) ? { ipv6: IPAMConfig.IPv6Address } : {}),
    ...(some(IPAMConfig?.LinkLocalIPs) ? { linkLocal: IPAMConfig.LinkLocalIPs } : {}),
    ...(mac && someText(MacAddress) ? { mac: MacAddress } : {}),
    ...(some(Aliases) ? { aliases: Aliases } : {}),
    ...(some(Links) ? { links: Links } : {}),
    ...(DriverOpts === undefined ? {} : { driverOptions: DriverOpts }),
    ...(version >= 48 && GwPriority !== undefined && GwPriority !== 0 ? { gatewayPriority: GwPriority } : {}),
  }
}
