/** Small facts that the kernel tells in files, and whose a socket is. */
import { readFileSync } from 'node:fs'
import type { ObservedEngine } from '../engine/index.ts'
import { holderOf } from '../kernel/index.ts'

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** A switch below /proc/sys of the host; absent is off. */
export function readSwitch(key: string): boolean {
  const value = read(`/proc/sys/${key}`)
  return value !== '' && value !== '0'
}

export function readSetting(key: string): string {
  return read(`/proc/sys/${key}`)
}

/** A flag of a link in /sys: `brport/hairpin_mode`, `bridge/nf_call_iptables`. */
export function linkFlag(link: string, flag: string): boolean {
  return read(`/sys/class/net/${link}/${flag}`) === '1'
}

/** `nginx (pid 812)`: who holds a socket, looked for among a container's processes; '' on the host, where it costs too much. */
export async function socketsOf(
  engine: ObservedEngine,
  container: string | undefined,
  inode: number,
): Promise<string> {
  if (container === undefined) return ''
  const pids = await engine.containerProcesses(container).catch((): readonly number[] => [])
  return holderOf(inode, pids)
}
