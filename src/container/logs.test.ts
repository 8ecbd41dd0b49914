import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nanoseconds, parseEntry, readLog, toUtc, type LogSource } from './logs.ts'
import type { LogLine, LogOptions } from './types.ts'

let directory = ''
let path = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'logs-'))
  path = join(directory, 'log')
})
afterAll(() => rmSync(directory, { recursive: true }))

const all: LogOptions = {
  follow: false,
  tail: undefined,
  since: undefined,
  until: undefined,
  stdout: true,
  stderr: true,
}

const stamp = (second: number): string =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001+00:00`
const entry = (second: number, stream: string, kind: 'F' | 'P', text: string): string =>
  `${stamp(second)} ${stream} ${kind} ${text}\n`

async function read(options: Partial<LogOptions>, source?: LogSource): Promise<string[]> {
  const lines: string[] = []
  for await (const line of readLog(path, { ...all, ...options }, source)) lines.push(show(line))
  return lines
}
const show = (line: LogLine): string => `${line.stream}:${line.data.toString()}`

describe('times', () => {
  it.each([
    ['2026-01-01T00:00:00.123456789+00:00', '2026-01-01T00:00:00.123456789Z'],
    ['2026-01-01T01:30:00.123456789+02:00', '2025-12-31T23:30:00.123456789Z'],
    ['2026-01-01T01:30:00-01:00', '2026-01-01T02:30:00Z'],
  ])('%s', (local, utc) => {
    expect(toUtc(local)).toBe(utc)
    expect(nanoseconds(local)).toBe(nanoseconds(utc))
  })
  it('keeps nanoseconds', () => {
    expect(nanoseconds('1970-01-01T00:00:01.000000002Z')).toBe(1_000_000_002n)
  })
})

describe('parseEntry', () => {
  it('takes the text as it is', () => {
    const text = Buffer.from([0x20, 0xff, 0x00, 0x46])
    const line = Buffer.concat([Buffer.from(`${stamp(1)} stderr P `), text])
    expect(parseEntry(line)).toEqual({ time: stamp(1), stream: 'stderr', partial: true, text })
  })
  it.each(['', 'garbage', `${stamp(1)} stdin F x`, `${stamp(1)} stdout X x`])('refuses %j', line => {
    expect(parseEntry(Buffer.from(line))).toBeUndefined()
  })
})

describe('readLog', () => {
  it('joins pieces by stream and keeps an unfinished end', async () => {
    writeFileSync(
      path,
      entry(1, 'stdout', 'P', 'a') +
        entry(2, 'stderr', 'F', 'oops') +
        entry(3, 'stdout', 'F', 'b') +
        'damaged\n' +
        entry(4, 'stdout', 'F', '') +
        entry(5, 'stdout', 'P', 'end'),
    )
    expect(await read({})).toEqual(['stderr:oops\n', 'stdout:ab\n', 'stdout:\n', 'stdout:end'])
    expect(await read({ stderr: false })).toEqual(['stdout:ab\n', 'stdout:\n', 'stdout:end'])
    expect(await read({ stdout: false })).toEqual(['stderr:oops\n'])
    const lines = []
    for await (const line of readLog(path, all, undefined)) lines.push(line.time.slice(17, 19))
    expect(lines).toEqual(['02', '01', '04', '05'])
  })

  it('is empty where there is no file', async () => {
    const lines = []
    for await (const line of readLog(join(directory, 'none'), all, undefined)) lines.push(line)
    expect(lines).toEqual([])
  })

  it('answers since and until inclusively', async () => {
    writeFileSync(path, [1, 2, 3, 4].map(second => entry(second, 'stdout', 'F', String(second))).join(''))
    const at = (second: number): bigint => nanoseconds(stamp(second))
    expect(await read({ since: at(2), until: at(3) })).toEqual(['stdout:2\n', 'stdout:3\n'])
    expect(await read({ since: at(2) + 1n })).toEqual(['stdout:3\n', 'stdout:4\n'])
  })

  it('cuts very long lines in pieces without losing a byte', async () => {
    const piece = 'x'.repeat(8000)
    writeFileSync(path, entry(1, 'stdout', 'P', piece).repeat(5) + entry(2, 'stdout', 'F', 'y'))
    const lines = await read({})
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.map(line => line.slice('stdout:'.length)).join('')).toBe(`${piece.repeat(5)}y\n`)
  })

  it('finds the tail of any log, whatever the blocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.boolean()), { maxLength: 12 }),
        fc.integer({ min: 0, max: 14 }),
        async (shape, tail) => {
          const text = shape
            .map(([length, split]) => {
              const line = 'z'.repeat(length)
              return split && length < 12_000
                ? entry(1, 'stdout', 'P', line) + entry(1, 'stdout', 'F', '!')
                : entry(1, 'stdout', 'F', line)
            })
            .join('')
          writeFileSync(path, text)
          const whole = await read({})
          expect(await read({ tail })).toEqual(tail === 0 ? [] : whole.slice(-tail))
        },
      ),
      { numRuns: 40 },
    )
  })

  it('follows until the source ends, and shows what came last', async () => {
    writeFileSync(path, entry(1, 'stdout', 'F', 'one'))
    const steps = [
      () => appendFileSync(path, `${entry(2, 'stdout', 'F', 'two')}${stamp(3)} stdout F th`),
      () => appendFileSync(path, 'ree\n'),
      () => appendFileSync(path, entry(4, 'stderr', 'F', 'four')),
    ]
    let closed = false
    const source: LogSource = {
      next: () => {
        steps.shift()?.()
        return Promise.resolve(steps.length === 0)
      },
      close: () => {
        closed = true
      },
    }
    expect(await read({ follow: true }, source)).toEqual([
      'stdout:one\n',
      'stdout:two\n',
      'stdout:three\n',
      'stderr:four\n',
    ])
    expect(closed).toBe(true)
  })
})
