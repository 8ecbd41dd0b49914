/** The servers that the host asks (resolv.conf(5)), as they stand now. */

import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** As many as the C library would use; a longer list only makes failures slower. */
const mostServers = 3

/** The resolver's own address. In a list of servers it would mean asking ourselves. */
const ownAddress = '127.0.0.11'

/** Those of the servers that can be asked, in order. */
export function usableServers(servers: readonly string[]): readonly string[] {
  return servers.filter(server => isIP(server) !== 0 && server !== ownAddress).slice(0, mostServers)
}

/** The addresses of the nameserver lines. */
export function parseNameservers(text: string): readonly string[] {
  return text.split('\n').flatMap(line => {
    const [keyword, address] = line.trim().split(/[ \t]+/)
    return keyword === 'nameserver' && address !== undefined ? [address] : []
  })
}

/**
 * Follows a resolv.conf by looking at it whenever somebody needs it: a few microseconds beside the question that is
 * forwarded then. Watching would miss what such files often are, a link into a directory where the target is replaced.
 */
export class HostServers {
  readonly #path: string
  #version = ''
  #servers: readonly string[] = []

  constructor(path: string) {
    this.#path = path
  }

  /** At most three, in order; none if the file is missing. */
  current(): readonly string[] {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(this.#path, { bigint: true })
      const version = [dev, ino, size, mtimeNs, ctimeNs].join()
      if (version !== this.#version) {
        this.#servers = usableServers(parseNameservers(readFileSync(this.#path, 'utf8')))
        this.#version = version
      }
    } catch {
      // Being replaced, or gone: nobody can be asked until it is there again.
      this.#version = ''
      this.#servers = []
    }
    return this.#servers
  }
}
