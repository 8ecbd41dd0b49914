import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRooted } from './rooted.ts'

let outer = ''
let root = ''

beforeAll(() => {
  outer = mkdtempSync(join(tmpdir(), 'rooted-'))
  root = join(outer, 'root')
  mkdirSync(join(root, 'etc'), { recursive: true })
  mkdirSync(join(root, 'usr/etc'), { recursive: true })
  writeFileSync(join(outer, 'passwd'), 'outside')
  writeFileSync(join(root, 'passwd'), 'top')
  writeFileSync(join(root, 'etc/passwd'), 'inside')
  symlinkSync('/etc/passwd', join(root, 'absolute'))
  symlinkSync('../../../../passwd', join(root, 'usr/etc/upwards'))
  symlinkSync('/usr', join(root, 'link'))
  symlinkSync(join(outer, 'passwd'), join(root, 'host'))
  symlinkSync('loop', join(root, 'loop'))
})
afterAll(() => rmSync(outer, { recursive: true }))

describe('readRooted', () => {
  it.each([
    ['/etc/passwd', 'inside'],
    ['etc/../etc/./passwd', 'inside'],
    ['/../../etc/passwd', 'inside'],
    ['absolute', 'inside'],
    ['usr/etc/upwards', 'top'],
    ['link/etc/upwards', 'top'],
    ['link/../etc/passwd', 'inside'],
    ['host', ''],
    ['loop', ''],
    ['nothing', ''],
    ['etc/passwd/below', ''],
    ['etc', ''],
  ])('%s', async (path, expected) => {
    expect(await readRooted(root, path, 1000)).toBe(expected)
  })

  it('refuses what is too large', async () => {
    await expect(readRooted(root, 'etc/passwd', 3)).rejects.toThrow('larger than 3 bytes')
  })
})
