import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  goTimeOf,
  humanBinarySize,
  humanDuration,
  humanSize,
  nanoTime,
  naturalOrder,
  parseDuration,
  parseSize,
  toTimestamp,
} from './units.ts'

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000]

describe('durations', () => {
  it.each([
    [0, 'Less than a second'],
    [999, 'Less than a second'],
    [1000, '1 second'],
    [59_999, '59 seconds'],
    [minute, 'About a minute'],
    [2 * minute - 1, 'About a minute'],
    [45 * minute, '45 minutes'],
    [hour, 'About an hour'],
    [1.49 * hour, 'About an hour'],
    [1.51 * hour, '2 hours'],
    [47 * hour, '47 hours'],
    [2 * day, '2 days'],
    [13 * day, '13 days'],
    [14 * day, '2 weeks'],
    [59 * day, '8 weeks'],
    [60 * day, '2 months'],
    [729 * day, '24 months'],
    [730 * day, '2 years'],
  ])('%d ms is %s', (milliseconds, text) => expect(humanDuration(milliseconds)).toBe(text))

  it.each([
    ['0', 0],
    ['30s', 30e9],
    ['1m30s', 90e9],
    ['1.5h', 5400e9],
    ['500ms', 500e6],
    ['-2s', -2e9],
    ['5', undefined],
    ['s', undefined],
    ['1d', undefined],
  ])('%s is read', (text, nanoseconds) => expect(parseDuration(text)).toBe(nanoseconds))
})

describe('sizes', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [1_982_256, '1.98MB'],
    [12_345_678_901, '12.3GB'],
  ])('%d bytes are %s', (bytes, text) => expect(humanSize(bytes, 3)).toBe(text))
  it('are binary for memory', () => expect(humanBinarySize(25_280_000_000)).toBe('23.54GiB'))

  it.each([
    ['64m', 67_108_864],
    ['1g', 1_073_741_824],
    ['1.5GiB', 1_610_612_736],
    ['100', 100],
    ['2 kb', 2048],
    ['abc', undefined],
    ['', undefined],
    ['-1', undefined],
  ])('%s is read', (text, bytes) => expect(parseSize(text)).toBe(bytes))
})

describe('moments', () => {
  const now = Date.UTC(2026, 10, 23, 15, 0, 0)
  it.each([
    ['', ''],
    ['100', '100'],
    ['100.5', '100.5'],
    ['10m', String(now / 1000 - 600).concat('.000000000')],
    ['2026-11-23T10:00:00.25Z', `${Date.UTC(2026, 10, 23, 10) / 1000}.250000000`],
    ['2026-11-23T10:00:00+02:00', `${Date.UTC(2026, 10, 23, 8) / 1000}.000000000`],
    ['yesterday', 'yesterday'],
  ])('%s is sent', (text, sent) => expect(toTimestamp(text, now)).toBe(sent))

  it('of the engine are printed as Go prints them', () => {
    expect(goTimeOf('2026-11-23T15:47:50.050040613Z')).toBe('2026-11-23 15:47:50.050040613 +0000 UTC')
    expect(goTimeOf('2026-11-23T15:47:50.500+01:00')).toBe('2026-11-23 15:47:50.5 +0100 +0100')
  })

  it('keep their nanoseconds', () =>
    expect(nanoTime(1_795_449_670_000_000_613n)).toMatch(/:\d\d\.000000613(?:Z|[-+]\d\d:\d\d)$/))
})

describe('natural order', () => {
  it('counts', () =>
    expect(['net10', 'net2', 'a', 'net2b', 'net'].sort(naturalOrder)).toEqual([
      'a',
      'net',
      'net2',
      'net2b',
      'net10',
    ]))
  it('is an order', () => {
    const name = fc.stringMatching(/^[a-c0-2]{0,4}$/)
    fc.assert(
      fc.property(name, name, name, (a, b, c) => {
        expect(Math.sign(naturalOrder(a, b))).toBe(-Math.sign(naturalOrder(b, a)) + 0)
        if (naturalOrder(a, b) <= 0 && naturalOrder(b, c) <= 0)
          expect(naturalOrder(a, c)).toBeLessThanOrEqual(0)
      }),
    )
  })
})
