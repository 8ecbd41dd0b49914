import { describe, expect, it } from 'vitest'
import { resolveUser } from './user.ts'

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
web:x:33:34:www:/var/www:/bin/false
7:x:1007:1008:a name of digits:/:/bin/sh
broken line
bad:x:abc:1:::
`
const group = 'root:x:0:\nwww:x:34:\nlog:x:50:web,other\ndev:x:60:other,web\n'

describe('resolveUser', () => {
  it.each([
    ['', [], 0, 0, [0]],
    ['root', [], 0, 0, [0]],
    ['web', [], 33, 34, [34, 50, 60]],
    ['33', [], 33, 34, [34, 50, 60]],
    ['web:dev', [], 33, 60, [60]],
    ['web:77', [], 33, 77, [77]],
    ['12345', [], 12345, 0, [0]],
    ['12345:6', [], 12345, 6, [6]],
    // A user whose name is a number is found by its name.
    ['7', [], 1007, 1008, [1008]],
    ['web', ['root', '99', '50'], 33, 34, [34, 50, 60, 0, 99]],
    [':34', [], 0, 34, [34]],
  ])('%j with %j', (spec, extra, uid, gid, additionalGids) => {
    expect(resolveUser(spec, passwd, group, extra)).toEqual({ uid, gid, additionalGids })
  })

  it('works without the files', () => {
    expect(resolveUser('', '', '', [])).toEqual({ uid: 0, gid: 0, additionalGids: [0] })
    expect(resolveUser('8:9', '', '', [])).toEqual({ uid: 8, gid: 9, additionalGids: [9] })
  })

  it.each([
    ['nobody', 'unable to find user nobody: no matching entries in passwd file'],
    ['web:none', 'unable to find group none: no matching entries in group file'],
    ['4294967295', 'uids and gids must be in range 0-2147483647'],
  ])('refuses %s', (spec, message) => {
    expect(() => resolveUser(spec, passwd, group, [])).toThrow(message)
  })
})
