import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { humanDuration, nanoseconds, parseDuration, parseTime } from './time.ts'

const s = 1_000_000_000n

describe('durations', () => {
  it.each([
    ['0', 0n],
    ['1s', s],
    ['-1.5h', -5400n * s],
    ['1h15m30.918273645s', 4530n * s + 918_273_645n],
    ['.5s', 500_000_000n],
    ['1.s', s],
    ['3us', 3000n],
    ['3µs', 3000n],
    ['7ns', 7n],
    ['10ms', 10_000_000n],
  ])('%s', (text, value) => {
    expect(parseDuration(text)).toBe(value)
  })

  it.each(['', '1', 'h', '1d', '1h ', '1h-1m', '1..5s', '.s', '--1s'])('%j is none', text => {
    expect(parseDuration(text)).toBeUndefined()
  })
})

describe('times', () => {
  const now = 1_700_000_000n * s

  it.each([
    ['1699999999', 1_699_999_999n * s],
    ['1699999999.000000001', 1_699_999_999n * s + 1n],
    ['1699999999.5', 1_699_999_999n * s + 500_000_000n],
    ['10m', now - 600n * s],
    ['2023-11-14T22:13:20Z', now],
    ['2023-11-14T22:13:20.123456789Z', now + 123_456_789n],
    ['2023-11-14T23:13:20+01:00', now],
    ['2023-11-14Z', 1_699_920_000n * s],
  ])('%s', (text, value) => {
    expect(parseTime(text, now)).toBe(value)
  })

  it('takes dates without a zone as local', () => {
    expect(parseTime('2023-11-14T22:13', now)).toBe(
      BigInt(new Date(2023, 10, 14, 22, 13).getTime()) * 1_000_000n,
    )
  })

  it.each(['yesterday', '2023-13-01', '2023-1-1', '1e9', '0x10'])('%s is refused', text => {
    expect(() => parseTime(text, now)).toThrow('failed to parse value as time or duration')
  })

  it('never throws anything but a 400', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        try {
          return typeof parseTime(text, now) === 'bigint'
        } catch (error) {
          return (error as { status?: number }).status === 400
        }
      }),
    )
  })

  it('reads Go’s zero time as 0', () => {
    expect(nanoseconds('0001-01-01T00:00:00Z')).toBe(0n)
  })
})

it.each([
  [0, 'Less than a second'],
  [1000, '1 second'],
  [59_999, '59 seconds'],
  [60_000, 'About a minute'],
  [46 * 60_000, '46 minutes'],
  [60 * 60_000, 'About an hour'],
  [47 * 3_600_000, '47 hours'],
  [48 * 3_600_000, '2 days'],
  [14 * 24 * 3_600_000, '2 weeks'],
  [90 * 24 * 3_600_000, '3 months'],
  [800 * 24 * 3_600_000, '2 years'],
])('%i ms: %s', (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text)
})
