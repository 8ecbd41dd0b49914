/**
 * Driver options of a network (`-o key=value`): the keys that mean something, and what the bridge driver makes of
 * them. Keys that nobody knows are stored and echoed and have no effect, as in Docker.
 */
import { fault } from '../base/index.ts'
import { parseAddress } from './address.ts'
import type { BridgeSettings, Family, GatewayMode, Id } from './types.ts'

export type Options = Readonly<Record<string, string>>

const prefix = 'com.docker.network'

/** Keys as users write them. */
export const optionKeys = {
  bridgeName: `${prefix}.bridge.name`,
  icc: `${prefix}.bridge.enable_icc`,
  masquerade: `${prefix}.bridge.enable_ip_masquerade`,
  hostBinding: `${prefix}.bridge.host_binding_ipv4`,
  gatewayMode4: `${prefix}.bridge.gateway_mode_ipv4`,
  gatewayMode6: `${prefix}.bridge.gateway_mode_ipv6`,
  inhibitIPv4: `${prefix}.bridge.inhibit_ipv4`,
  trustedInterfaces: `${prefix}.bridge.trusted_host_interfaces`,
  defaultBridge: `${prefix}.bridge.default_bridge`,
  mtu: `${prefix}.driver.mtu`,
  source4: `${prefix}.host_ipv4`,
  source6: `${prefix}.host_ipv6`,
  interfacePrefix: `${prefix}.container_iface_prefix`,
  enableIPv4: `${prefix}.enable_ipv4`,
  enableIPv6: `${prefix}.enable_ipv6`,
  advertiseMessages: `${prefix}.advertise_addr_nmsgs`,
  advertiseInterval: `${prefix}.advertise_addr_ms`,
  names: 'com.linkspan.names',
} as const

/** Go's strconv.ParseBool spellings, which the whole API accepts. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  return undefined
}

function boolOption(options: Options, key: string, otherwise: boolean): boolean {
  const text = options[key]
  if (text === undefined) return otherwise
  const value = parseBool(text)
  if (value === undefined) {
    throw fault(
      'optionUnparsable',
      key,
      text,
      `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  }
  return value
}

function integerOption(options: Options, key: string): number | undefined {
  const text = options[key]
  if (text === undefined) return undefined
  if (!/^[+-]?\d{1,15}$/.test(text)) {
    throw fault(
      'optionUnparsable',
      key,
      text,
      `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  }
  return Number(text)
}

function boundedOption(options: Options, key: string, low: number, high: number): number | undefined {
  const value = integerOption(options, key)
  if (value !== undefined && (value < low || value > high)) {
    throw fault('optionUnparsable', key, String(value), `must be in the range ${low} to ${high}`)
  }
  return value
}

function addressOption(options: Options, key: string, family?: Family): string | undefined {
  const text = options[key]
  if (text === undefined) return undefined
  const address = parseAddress(text)
  if (address === undefined) throw fault('optionUnparsable', key, text, 'nil ip')
  if (family !== undefined && address.family !== family) {
    throw fault('optionUnparsable', key, text, `not an IPv${family} address`)
  }
  return text
}

const gatewayModes: readonly GatewayMode[] = ['nat', 'nat-unprotected', 'routed', 'isolated']

function gatewayModeOption(options: Options, key: string): GatewayMode | undefined {
  const text = options[key]
  if (text === undefined) return undefined
  const mode = gatewayModes.find(known => known === text)
  if (mode === undefined) throw fault('optionUnparsable', key, text, `unknown gateway mode ${text}`)
  return mode
}

/** The kernel's dev_valid_name: 1 to 15 bytes, no slash, colon or space, and not a directory's name for itself. */
export function isInterfaceName(text: string): boolean {
  return (
    /^[^\s/:]{1,15}$/.test(text) &&
    new TextEncoder().encode(text).length <= 15 &&
    text !== '.' &&
    text !== '..'
  )
}

function nameOption(options: Options, key: string, otherwise: string, suffix: string): string {
  const text = options[key]
  if (text === undefined || text === '') return otherwise
  if (!isInterfaceName(text + suffix)) throw fault('optionUnparsable', key, text, 'not an interface name')
  return text
}

/** What the two switches for address families say; undefined = nothing. Throws `driverOptionNotBool`. */
export function familyOptions(options: Options): {
  readonly ipv4: boolean | undefined
  readonly ipv6: boolean | undefined
} {
  const read = (key: string): boolean | undefined => {
    const text = options[key]
    if (text === undefined) return undefined
    const value = parseBool(text)
    if (value === undefined) throw fault('driverOptionNotBool', key)
    return value
  }
  return { ipv4: read(optionKeys.enableIPv4), ipv6: read(optionKeys.enableIPv6) }
}

/** Adds the defaults whose keys the request lacks. */
export function mergeDefaults(options: Options, defaults: Options | undefined): Options {
  return defaults === undefined ? options : { ...defaults, ...options }
}

export interface BridgeContext {
  readonly id: Id
  readonly mac: string
  readonly internal: boolean
  /** Only the engine's own default network may call itself that. */
  readonly predefined: boolean
}

/** What a bridge has only if somebody asked for it. */
type Extras = Pick<
  BridgeSettings,
  | 'mtu'
  | 'gatewayMode4'
  | 'gatewayMode6'
  | 'inhibitIPv4'
  | 'trustedInterfaces'
  | 'source4'
  | 'source6'
  | 'advertiseMessages'
  | 'advertiseInterval'
  | 'names'
>

/** Leaves out what was not asked for. */
function present(extras: { readonly [K in keyof Extras]: Extras[K] | undefined }): Extras {
  return Object.fromEntries(Object.entries(extras).filter(([, value]) => value !== undefined))
}

/** The bridge driver's reading of the options. Throws `optionUnparsable`, `invalidMtu`, `isolatedNotInternal`. */
export function bridgeSettings(options: Options, context: BridgeContext): BridgeSettings {
  const mtu = integerOption(options, optionKeys.mtu)
  if (mtu !== undefined && mtu < 0) throw fault('invalidMtu', mtu)
  const gatewayMode4 = gatewayModeOption(options, optionKeys.gatewayMode4)
  const gatewayMode6 = gatewayModeOption(options, optionKeys.gatewayMode6)
  if ((gatewayMode4 === 'isolated' || gatewayMode6 === 'isolated') && !context.internal) {
    throw fault('isolatedNotInternal')
  }
  const trusted = options[optionKeys.trustedInterfaces]?.split(':').filter(name => name !== '')
  const messages = boundedOption(options, optionKeys.advertiseMessages, 0, 3)
  const interval = boundedOption(options, optionKeys.advertiseInterval, 100, 2000)
  return {
    name: nameOption(options, optionKeys.bridgeName, `br-${context.id.slice(0, 12)}`, ''),
    mac: context.mac,
    icc: boolOption(options, optionKeys.icc, true),
    masquerade: boolOption(options, optionKeys.masquerade, true),
    hostBinding: addressOption(options, optionKeys.hostBinding) ?? '0.0.0.0',
    // Two digits are kept for the index that follows the prefix.
    interfacePrefix: nameOption(options, optionKeys.interfacePrefix, 'eth', '00'),
    adopted: false,
    isDefault: boolOption(options, optionKeys.defaultBridge, false) && context.predefined,
    ...present({
      // 0 means what absence means: the kernel's default.
      mtu: mtu === 0 ? undefined : mtu,
      gatewayMode4,
      gatewayMode6,
      inhibitIPv4: boolOption(options, optionKeys.inhibitIPv4, false) || undefined,
      trustedInterfaces: trusted,
      source4: addressOption(options, optionKeys.source4, 4),
      source6: addressOption(options, optionKeys.source6, 6),
      advertiseMessages: messages,
      advertiseInterval: interval,
      // Of interest on the default bridge only: all others have names.
      names: (context.predefined && boolOption(options, optionKeys.names, false)) || undefined,
    }),
  }
}
