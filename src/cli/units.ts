/**
 * Quantities as people read and write them, in the words scripts know from docker: "About a minute", "12.3MB",
 * `512m`, `1m30s`. Pure; the present moment is an argument.
 */

const second = 1000
const hour = 3_600_000

/** How long something took or is ago, in one unit: 63_000 ms → `About a minute`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / second)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.floor(milliseconds / hour + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(milliseconds / hour / 24 / 365)} years`
}

/** Decimal size with `precision` significant digits: 4_261_550 → `4.26MB` (3). */
export function humanSize(bytes: number, precision = 4): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'], precision)
}

/** Binary size: 67_108_864 → `64MiB`. */
export function humanBinarySize(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'], 4)
}

function scaled(bytes: number, base: number, names: readonly string[], precision: number): string {
  let value = bytes
  let index = 0
  while (value >= base && index < names.length - 1) {
    value /= base
    index += 1
  }
  // Significant digits without trailing zeros or an exponent.
  return `${Number(value.toPrecision(precision))}${names[index] ?? ''}`
}

const powers = ['', 'k', 'm', 'g', 't', 'p']

/** `64m`, `1.5GiB`, `100` → bytes, every unit a power of 1024. undefined if it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?$/i.exec(text.trim())
  if (match === null) return undefined
  return Math.floor(Number(match[1]) * 1024 ** powers.indexOf((match[2] ?? '').toLowerCase()))
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Go's duration text (`1h30m`, `500ms`, `1.5s`, `0`) → nanoseconds. undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const match = /^([-+]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text)
  if (match === null) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(amount) * (durationUnits[unit ?? ''] ?? 0)
  }
  return Math.round(match[1] === '-' ? -total : total)
}

/**
 * A moment as users write it (`10m` = ten minutes ago, `2026-11-23T10:00:00Z`, `2026-11-23`, Unix seconds) in the form
 * the API takes: Unix seconds with a fraction. Text that is none of these goes to the engine as it is, which refuses it.
 */
export function toTimestamp(text: string, nowMilliseconds: number): string {
  if (text === '') return ''
  const ago = parseDuration(text)
  if (ago !== undefined) return unixText(BigInt(nowMilliseconds) * 1_000_000n - BigInt(ago))
  if (/^-?\d+(\.\d+)?$/.test(text)) return text
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[-+]\d{2}:\d{2})?)?$/.exec(
      text,
    )
  if (match === null) return text
  const [, day = '', hours = '00', minutes = '00', seconds = '00', fraction = '', zone = ''] = match
  const base = Date.parse(`${day}T${hours}:${minutes}:${seconds}${zone}`)
  if (Number.isNaN(base)) return text
  return unixText(BigInt(base) * 1_000_000n + BigInt(fraction.padEnd(9, '0')))
}

function unixText(nanoseconds: bigint): string {
  return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`
}

const two = (value: number): string => String(value).padStart(2, '0')

/** Offset from UTC of a moment in the process's time zone: `+01:00` (or `+0100` without a separator). */
function zoneOffset(date: Date, separator: string): string {
  const minutes = -date.getTimezoneOffset()
  const absolute = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}${separator}${two(absolute % 60)}`
}

/** Abbreviation of the zone where it has one (`CET`), else its offset. */
function zoneName(date: Date): string {
  if (date.getTimezoneOffset() === 0) return 'UTC'
  const zone = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' })
    .formatToParts(date)
    .find(part => part.type === 'timeZoneName')?.value
  return zone === undefined || /^(GMT|UTC)[-+]/.test(zone) ? zoneOffset(date, '') : zone
}

function localParts(date: Date): { readonly day: string; readonly time: string } {
  return {
    day: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    time: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
  }
}

/** `2026-11-23 15:47:50 +0000 UTC`, in local time. */
export function goTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * second)
  const { day, time } = localParts(date)
  return `${day} ${time} ${zoneOffset(date, '')} ${zoneName(date)}`
}

/** An RFC 3339 moment as Go prints it, zone kept: `2026-11-23 15:47:50.05 +0000 UTC`. */
export function goTimeOf(rfc3339: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[-+]\d{2}:\d{2})$/.exec(rfc3339)
  if (match === null) return rfc3339
  const [, day = '', time = '', fraction = '', zone = ''] = match
  const trimmed = fraction.replace(/\.?0+$/, '')
  if (zone === 'Z' || zone === '+00:00') return `${day} ${time}${trimmed} +0000 UTC`
  const offset = zone.replace(':', '')
  return `${day} ${time}${trimmed} ${offset} ${offset}`
}

/** RFC 3339 with nine digits in local time, as events are printed: `2026-11-23T15:47:50.050040613Z`. */
export function nanoTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n))
  const { day, time } = localParts(date)
  const zone = date.getTimezoneOffset() === 0 ? 'Z' : zoneOffset(date, ':')
  return `${day}T${time}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}${zone}`
}

/** Orders `net2` before `net10`: runs of digits count as numbers. */
export function naturalOrder(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? []
  const right = b.match(/\d+|\D+/g) ?? []
  for (const [index, chunk] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    if (chunk === other) continue
    const bothNumbers = /^\d/.test(chunk) && /^\d/.test(other)
    if (bothNumbers) {
      const difference = BigInt(chunk) - BigInt(other)
      if (difference !== 0n) return difference < 0n ? -1 : 1
      return chunk.length - other.length
    }
    return chunk < other ? -1 : 1
  }
  return left.length - right.length
}

/** Text cut to `length` characters, the last of them `…` where something was left out. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text)
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}

/** The twelve digits people type; an algorithm prefix (`sha256:`) is left out. */
export function shortId(id: string): string {
  return id.slice(id.indexOf(':') + 1).slice(0, 12)
}
