import { expect, it } from 'vitest'
import { alignColumns } from './table.ts'

it.each([
  ['columns are at least ten wide', 'A\tB\tC\n1\t2\t3\n', 'A         B         C\n1         2         3\n'],
  [
    'the widest cell and three spaces count',
    'NAME\tX\na-very-long-name\ty\n',
    'NAME               X\na-very-long-name   y\n',
  ],
  ['characters count, not bytes', 'ünïcödé-ñame\tX\nb\ty\n', 'ünïcödé-ñame   X\nb              y\n'],
  ['the last cell is not padded', 'A\tB\n1\tlonger than ten\n', 'A         B\n1         longer than ten\n'],
  [
    'a line without the cell ends the column',
    'aaaaaaaaaaaa\tb\nplain\nc\td\n',
    'aaaaaaaaaaaa   b\nplain\nc         d\n',
  ],
  ['text without tabs stays', 'one\ntwo', 'one\ntwo'],
])('%s', (_, text, aligned) => expect(alignColumns(text)).toBe(aligned))

it('takes another least width', () => expect(alignColumns('A\tB\n', 4)).toBe('A   B\n'))
