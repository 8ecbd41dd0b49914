/**
 * Containers reach the world by the host's forwarding. Where it is off it is switched on, and from then on our own
 * forward chain drops what of that family concerns none of our bridges: nobody asked for a router. The rule comes
 * before the switch; between the two the host would route for its neighbours.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { DaemonOptions } from '../daemon-options.ts'
import type { Kernel, Operation } from '../kernel/index.ts'
import type { Family } from '../network/index.ts'
import type { Store } from './store.ts'

const switches: Readonly<Record<Family, readonly string[]>> = {
  4: ['net/ipv4/ip_forward'],
  6: ['net/ipv6/conf/default/forwarding', 'net/ipv6/conf/all/forwarding'],
}

export class Forwarding {
  readonly #options: DaemonOptions
  readonly #store: Store
  readonly #kernel: Kernel

  constructor(options: DaemonOptions, store: Store, kernel: Kernel) {
    this.#options = options
    this.#store = store
    this.#kernel = kernel
  }

  /** Families whose forwarding we switched on ourselves, now or in an earlier run. */
  get guarded(): readonly Family[] {
    return this.#store.meta.forwardingSwitchedOn
  }

  get warnings(): readonly string[] {
    return isOn(4) ? [] : ['IPv4 forwarding is disabled. Networking will not work.']
  }

  /** Sees to it that a family is forwarded; `guard` is the rule that comes first, and may ask `guarded`. */
  async need(family: Family, guard: () => readonly Operation[]): Promise<void> {
    if (isOn(family) || !this.#options.ipForward || !isThere(family)) return
    if (!this.guarded.includes(family)) {
      const { meta } = this.#store
      await this.#store.setMeta({ ...meta, forwardingSwitchedOn: [...meta.forwardingSwitchedOn, family] })
    }
    const operations = switches[family].map((key): Operation => ({ do: 'sysctl.set', key, value: '1' }))
    await this.#kernel.run([...guard(), ...operations])
  }
}

export function isOn(family: Family): boolean {
  return switches[family].every(
    key => isThere(family) && readFileSync(`/proc/sys/${key}`, 'utf8').trim() === '1',
  )
}

/** A kernel can be without IPv6. */
function isThere(family: Family): boolean {
  return switches[family].every(key => existsSync(`/proc/sys/${key}`))
}
