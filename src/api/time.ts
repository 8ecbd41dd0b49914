/**
 * Times as Docker's clients write them. Go durations count back from a reference; dates without a zone are local; a
 * number is seconds since the epoch with up to nine decimals. Results are nanoseconds since the epoch, because events
 * and log lines are told apart by nanoseconds and a double cannot hold them.
 */
import { fault } from '../base/index.ts'

const second = 1_000_000_000n

const unitNanoseconds: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: second,
  m: 60n * second,
  h: 3600n * second,
}

/** Nanoseconds in `digits.decimals` of a unit, exact. */
function scaled(whole: string, decimals: string, unit: bigint): bigint {
  const fraction = decimals === '' ? 0n : (BigInt(decimals) * unit) / 10n ** BigInt(decimals.length)
  return BigInt(whole === '' ? '0' : whole) * unit + fraction
}

/** Parses Go's `1h15m30.5s`, with an optional sign; undefined if it is none. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([+-]?)((?:(?:\d{1,18}\.?\d{0,18}|\.\d{1,18})(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text)
  if (match === null) return undefined
  let total = 0n
  for (const [, whole = '', decimals = '', unit = ''] of (match[2] ?? '').matchAll(
    /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    total += scaled(whole, decimals, unitNanoseconds[unit] ?? 0n)
  }
  return match[1] === '-' ? -total : total
}

const datePattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/

function parseDate(text: string): bigint | undefined {
  const match = datePattern.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour = '00', minute = '00', seconds = '00', decimals = '', zone = ''] = match
  const milliseconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${seconds}${zone}`)
  if (Number.isNaN(milliseconds)) return undefined
  return BigInt(milliseconds) * 1_000_000n + BigInt(decimals.padEnd(9, '0'))
}

/** Seconds since the epoch, `1700000000.123456789`. */
function parseEpoch(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,18})(?:\.(\d{1,9}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', decimals = ''] = match
  const value = scaled(whole, decimals, second)
  return sign === '-' ? -value : value
}

/** The time `text` names; `now` is what durations count back from. Throws invalidParameter. */
export function parseTime(text: string, now: bigint): bigint {
  const epoch = parseEpoch(text)
  if (epoch !== undefined) return epoch
  const duration = parseDuration(text)
  if (duration !== undefined) return now - duration
  const date = parseDate(text)
  if (date !== undefined) return date
  throw fault('invalidParameter', `failed to parse value as time or duration: "${text.slice(0, 100)}"`)
}

/** RFC 3339 with up to nanoseconds → nanoseconds since the epoch; 0001-01-01 (Go's zero time) and nonsense give 0. */
export function nanoseconds(rfc3339: string): bigint {
  const value = parseDate(rfc3339) ?? 0n
  return value < 0n ? 0n : value
}

export const nowNanoseconds = (): bigint => BigInt(Date.now()) * 1_000_000n

/** How long something took in Docker's words: `Less than a second`, `About a minute`, `3 weeks`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(milliseconds / 3_600_000)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}
