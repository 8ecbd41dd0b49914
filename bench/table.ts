/** Results as a table for people and as plain values for programs. */
import { median, type Samples } from './measure.ts'

/** What a result is compared with, and how far it may go. */
export interface Reference {
  /** Name of the row that is 1.0×. */
  readonly row: string
  /** The ratio of medians that is aimed at. */
  readonly atMost?: number
  /** The difference of medians that is aimed at, in the row's unit. */
  readonly within?: number
}

export interface Row extends Samples {
  readonly unit: 'ms' | 'µs'
  readonly reference?: Reference
  /** The median that is aimed at, in `unit`. */
  readonly atMost?: number
}

/**
 * Rows of cases that are named `ENGINE, WHAT`: ours are compared with dockerd's where it runs, those of another
 * checkout with ours.
 */
export function againstEachOther(
  samples: readonly Samples[],
  atMost?: (what: string) => number | undefined,
): Row[] {
  return samples.map(each => {
    const [engine = '', what = ''] = each.name.split(/, (.*)/)
    const row = `${engine === 'linkspan' ? 'dockerd' : 'linkspan'}, ${what}`
    const known = engine !== 'dockerd' && samples.some(one => one.name === row)
    const limit = engine === 'linkspan' ? atMost?.(what) : undefined
    const reference = { row, ...(limit === undefined ? {} : { atMost: limit }) }
    return { ...each, unit: 'ms', ...(known ? { reference } : {}) }
  })
}

export interface Section {
  readonly name: string
  readonly rows: readonly Row[]
  /** What was left out and why, and what one has to know to read the numbers. */
  readonly notes: readonly string[]
}

export interface Summary {
  readonly section: string
  readonly name: string
  readonly unit: 'ms' | 'µs'
  readonly rounds: number
  readonly median: number
  readonly min: number
  readonly max: number
  readonly cpu?: number
  readonly against?: string
  readonly ratio?: number
  /** Absent where nothing is aimed at. */
  readonly reached?: boolean
  readonly aim?: string
}

export function summarize({ name, rows }: Section): readonly Summary[] {
  return rows.map(row => {
    const middle = median(row.wall)
    const other = rows.find(each => each.name === row.reference?.row)
    const ratio = other === undefined ? undefined : middle / median(other.wall)
    return {
      section: name,
      name: row.name,
      unit: row.unit,
      rounds: row.wall.length,
      median: middle,
      min: Math.min(...row.wall),
      max: Math.max(...row.wall),
      ...(row.cpu.length === 0 ? {} : { cpu: median(row.cpu) }),
      ...(other === undefined ? {} : { against: other.name }),
      ...(ratio === undefined ? {} : { ratio }),
      ...aimOf(row, middle, other === undefined ? undefined : median(other.wall)),
    }
  })
}

function aimOf({ reference, atMost, unit }: Row, middle: number, other: number | undefined) {
  if (reference?.atMost !== undefined && other !== undefined) {
    return { aim: `≤ ${reference.atMost}×`, reached: middle / other <= reference.atMost }
  }
  if (reference?.within !== undefined && other !== undefined) {
    return { aim: `+ ≤ ${reference.within} ${unit}`, reached: middle - other <= reference.within }
  }
  return atMost === undefined ? {} : { aim: `≤ ${atMost} ${unit}`, reached: middle <= atMost }
}

const headings = ['', 'median', 'min–max', 'CPU ms', 'ratio', 'against', 'aim'] as const

export function renderSection(section: Section): string {
  const lines = summarize(section).map(one => [
    one.name,
    `${digits(one.median)} ${one.unit}`,
    `${digits(one.min)}–${digits(one.max)}`,
    one.cpu === undefined ? '' : digits(one.cpu),
    one.ratio === undefined ? '' : `${one.ratio.toFixed(2)}×`,
    one.against ?? '',
    one.aim === undefined ? '' : `${one.aim} ${one.reached === true ? 'reached' : 'MISSED'}`,
  ])
  const table = [[...headings], ...lines]
  const widths = headings.map((_, column) => Math.max(...table.map(line => line[column]?.length ?? 0)))
  const text = table.map(line =>
    line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    ),
  )
  return [
    `\n${section.name}`,
    ...text.map(line => `  ${line.join('   ').trimEnd()}`),
    ...section.notes.map(note => `  ${note}`),
    '',
  ].join('\n')
}

/** Three significant digits. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
