import { describe, expect, it } from 'vitest'
import {
  bridgeSettings,
  familyOptions,
  isInterfaceName,
  mergeDefaults,
  optionKeys,
  parseBool,
} from './options.ts'
import type { Options } from './options.ts'
import type { BridgeSettings } from './types.ts'

const id = '0123456789abcdef'.repeat(4)
const settings = (options: Options, internal = false, predefined = false): BridgeSettings =>
  bridgeSettings(options, { id, mac: '02:42:00:00:00:01', internal, predefined })

const plain: BridgeSettings = {
  name: 'br-0123456789ab',
  mac: '02:42:00:00:00:01',
  icc: true,
  masquerade: true,
  hostBinding: '0.0.0.0',
  interfacePrefix: 'eth',
  adopted: false,
  isDefault: false,
}

describe('bridgeSettings', () => {
  it('has Docker’s defaults, and nothing for unknown keys', () => {
    expect(settings({})).toEqual(plain)
    expect(settings({ 'com.example.colour': 'blue', 'com.docker.network.bridge.unheard': 'x' })).toEqual(
      plain,
    )
  })

  it.each<[string, string, Partial<BridgeSettings>]>([
    [optionKeys.bridgeName, 'br-fixed', { name: 'br-fixed' }],
    [optionKeys.bridgeName, '', {}],
    [optionKeys.mtu, '1400', { mtu: 1400 }],
    [optionKeys.mtu, '0', {}],
    [optionKeys.icc, 'f', { icc: false }],
    [optionKeys.masquerade, 'False', { masquerade: false }],
    [optionKeys.hostBinding, '127.0.0.1', { hostBinding: '127.0.0.1' }],
    [optionKeys.hostBinding, '::1', { hostBinding: '::1' }],
    [optionKeys.interfacePrefix, 'lan', { interfacePrefix: 'lan' }],
    [optionKeys.gatewayMode4, 'routed', { gatewayMode4: 'routed' }],
    [optionKeys.gatewayMode6, 'nat-unprotected', { gatewayMode6: 'nat-unprotected' }],
    [optionKeys.inhibitIPv4, 'true', { inhibitIPv4: true }],
    [optionKeys.inhibitIPv4, 'false', {}],
    [optionKeys.trustedInterfaces, 'eth0::vpn1', { trustedInterfaces: ['eth0', 'vpn1'] }],
    [optionKeys.source4, '192.0.2.1', { source4: '192.0.2.1' }],
    [optionKeys.source6, '2001:db8::1', { source6: '2001:db8::1' }],
    [optionKeys.advertiseMessages, '0', { advertiseMessages: 0 }],
    [optionKeys.advertiseInterval, '2000', { advertiseInterval: 2000 }],
  ])('%s=%s', (key, value, expected) => {
    expect(settings({ [key]: value })).toEqual({ ...plain, ...expected })
  })

  it.each([
    [
      optionKeys.icc,
      'yes',
      'failed to parse com.docker.network.bridge.enable_icc value: yes (strconv.ParseBool: parsing "yes": invalid syntax)',
    ],
    [
      optionKeys.mtu,
      'big',
      'failed to parse com.docker.network.driver.mtu value: big (strconv.Atoi: parsing "big": invalid syntax)',
    ],
    [optionKeys.mtu, '-1', 'invalid MTU number: -1'],
    [
      optionKeys.hostBinding,
      'here',
      'failed to parse com.docker.network.bridge.host_binding_ipv4 value: here (nil ip)',
    ],
    [
      optionKeys.gatewayMode4,
      'x',
      'failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: x (unknown gateway mode x)',
    ],
    [optionKeys.gatewayMode4, 'isolated', "gateway mode 'isolated' can only be used for an internal network"],
    [optionKeys.bridgeName, 'a-name-that-is-too-long', 'not an interface name'],
    [optionKeys.bridgeName, '../x', 'not an interface name'],
    [optionKeys.interfacePrefix, 'fourteen-chars', 'not an interface name'],
    [optionKeys.source4, '::1', 'not an IPv4 address'],
    [optionKeys.advertiseMessages, '4', 'must be in the range 0 to 3'],
    [optionKeys.advertiseInterval, '99', 'must be in the range 100 to 2000'],
  ])('refuses %s=%s', (key, value, message) => {
    expect(() => settings({ [key]: value })).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining(message) }),
    )
  })

  it('allows isolated mode on an internal network', () => {
    expect(settings({ [optionKeys.gatewayMode6]: 'isolated' }, true).gatewayMode6).toBe('isolated')
  })

  it('believes only the engine that a network is the default one', () => {
    const options = { [optionKeys.defaultBridge]: 'true' }
    expect(settings(options).isDefault).toBe(false)
    expect(settings(options, false, true).isDefault).toBe(true)
  })
})

it.each([
  ['1', true],
  ['T', true],
  ['True', true],
  ['0', false],
  ['FALSE', false],
  ['tRUE', undefined],
  ['', undefined],
])('parseBool(%j) is %s', (text, expected) => {
  expect(parseBool(text)).toBe(expected)
})

it.each([
  ['br-0123456789ab', true],
  ['fifteen-letters', true],
  ['sixteen-letters-', false],
  ['ünicode-is-long', false],
  ['a b', false],
  ['a/b', false],
  ['a:b', false],
  ['.', false],
  ['..', false],
  ['', false],
])('isInterfaceName(%j) is %s', (text, expected) => {
  expect(isInterfaceName(text)).toBe(expected)
})

it('familyOptions reads both switches and refuses what is no bool', () => {
  expect(familyOptions({ [optionKeys.enableIPv4]: '0', [optionKeys.enableIPv6]: 't' })).toEqual({
    ipv4: false,
    ipv6: true,
  })
  expect(familyOptions({})).toEqual({ ipv4: undefined, ipv6: undefined })
  expect(() => familyOptions({ [optionKeys.enableIPv6]: 'maybe' })).toThrow(
    'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
  )
})

it('mergeDefaults fills only what is absent', () => {
  expect(mergeDefaults({ a: '1' }, { a: '2', b: '3' })).toEqual({ a: '1', b: '3' })
})
