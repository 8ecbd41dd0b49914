/**
 * The names under which a container is known on a network.
 */

/**
 * Names of an endpoint in order: the container's name (canonical, used for PTR), its aliases, the first twelve digits
 * of its id, its hostname. A name that repeats keeps its first place; names differ without regard to case, as the
 * resolver compares them.
 */
export function dnsNames(
  containerName: string,
  aliases: readonly string[],
  shortId: string,
  hostname: string,
): readonly string[] {
  const seen = new Map<string, string>()
  for (const name of [containerName.replace(/^\//, ''), ...aliases, shortId, hostname]) {
    const key = name.toLowerCase()
    if (name !== '' && !seen.has(key)) seen.set(key, name)
  }
  return [...seen.values()]
}
