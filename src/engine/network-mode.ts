/** HostConfig.NetworkMode, understood: whose network namespace a container runs in. */
import { fault } from '../base/index.ts'
import type { Network } from '../network/index.ts'
import type { Container } from './records.ts'

export type NetworkMode =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  /** Shares another container's namespace. */
  | { readonly kind: 'container'; readonly container: string }
  /** Joins networks by name or id; `bridge` is the default one. */
  | { readonly kind: 'network'; readonly network: string }

export function parseNetworkMode(text: string): NetworkMode {
  if (text === 'host') return { kind: 'host' }
  if (text === 'none') return { kind: 'none' }
  if (text.startsWith('container:') || text === 'container') {
    const container = text.slice('container:'.length)
    if (container === '') {
      throw fault('invalidParameter', 'invalid network mode: invalid container format container:<name|id>')
    }
    return { kind: 'container', container }
  }
  return { kind: 'network', network: text === '' || text === 'default' ? 'bridge' : text }
}

export function networkModeOf(container: Container): NetworkMode {
  return parseNetworkMode(container.hostConfig.NetworkMode)
}

/**
 * Which networks a container of each mode may be connected to later; undefined = one that is not there. Throws what
 * Docker answers.
 */
export function checkConnectable(container: Container, network: Network | undefined): void {
  const mode = networkModeOf(container)
  if (mode.kind === 'container') throw fault('connectShared')
  if (network?.configOnly === true) throw fault('connectConfigOnly', network.name)
  const driver = network?.driver
  if (driver === 'host') throw fault('connectHost')
  if (mode.kind === 'host') throw fault('connectShared')
  const onNone = container.memberships.some(each => each.network === 'none')
  if (driver === 'null' || onNone) throw fault('connectNone')
}
