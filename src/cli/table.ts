/**
 * Columns of text aligned as docker aligns them: cells are separated by tabs, a column is as wide as its widest cell
 * and three spaces, at least `minimum`, and the last cell of a line is not padded. Widths are counted in characters, not bytes.
 */

const defaultMinimum = 10
const padding = 3

const lengthOf = (text: string): number => Array.from(text).length

/** Aligns lines whose cells are separated by tabs; a line with fewer cells ends the columns it lacks. */
export function alignColumns(text: string, minimum = defaultMinimum): string {
  const lines = text.split('\n').map(line => line.split('\t'))
  const widths: number[][] = lines.map(() => [])
  const columns = Math.max(0, ...lines.map(cells => cells.length - 1))
  for (let column = 0; column < columns; column += 1) {
    let first = 0
    while (first < lines.length) {
      // A run of lines that all have this cell, closed by a tab, shares one width.
      let last = first
      let width = minimum
      while ((lines[last]?.length ?? 0) - 1 > column) {
        width = Math.max(width, lengthOf(lines[last]?.[column] ?? '') + padding)
        last += 1
      }
      for (let line = first; line < last; line += 1) widths[line]?.push(width)
      first = Math.max(last, first + 1)
    }
  }
  return lines
    .map((cells, line) =>
      cells
        .map((cell, column) => {
          const width = widths[line]?.[column]
          return width === undefined ? cell : cell + ' '.repeat(Math.max(0, width - lengthOf(cell)))
        })
        .join(''),
    )
    .join('\n')
}
