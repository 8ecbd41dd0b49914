/** Bodies of the network endpoints. */
import { z } from 'zod'
import { bool, field, int, struct, text, textMap, texts } from './go.ts'

const poolConfig = struct({
  Subnet: text,
  IPRange: text,
  Gateway: text,
  AuxiliaryAddresses: textMap,
})

export const networkCreate = struct({
  Name: text,
  Driver: text,
  Scope: text,
  Internal: bool,
  Attachable: bool,
  Ingress: bool,
  ConfigOnly: bool,
  ConfigFrom: field(struct({ Network: text })),
  EnableIPv4: bool,
  EnableIPv6: bool,
  IPAM: field(
    struct({
      Driver: text,
      Options: textMap,
      Config: field(z.array(poolConfig)),
    }),
  ),
  Options: textMap,
  Labels: textMap,
})
export type NetworkCreate = z.output<typeof networkCreate>

export const endpointSettings = struct({
  IPAMConfig: field(struct({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: int,
})
export type EndpointSettings = z.output<typeof endpointSettings>

export const networkConnect = struct({ Container: text, EndpointConfig: field(endpointSettings) })

export const networkDisconnect = struct({ Container: text, Force: bool })
