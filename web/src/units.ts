/** Numbers as people read them. */

/** Bytes per second: `9.6 MB/s`; undefined below one. */
export function rateText(bytes: number): string | undefined {
  if (bytes < 1) return undefined
  const units = ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power] ?? ''}`
}

/** Width of a cable: the logarithm of its rate. */
export const cableWidth = (bytes: number): number =>
  Math.min(7, 2 + Math.log10(Math.max(1, bytes / 1000)) * 0.9)
