/**
 * Which uid and gids a process gets: `USER[:GROUP]`, names or numbers, looked up in the container's own
 * /etc/passwd and /etc/group. Pure; the files are read elsewhere.
 */

import { fault } from '../base/index.ts'

export interface UserIds {
  readonly uid: number
  readonly gid: number
  /** The primary gid comes first: a supplementary group that is dropped must not give access back. */
  readonly additionalGids: readonly number[]
}

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** Kernel and runtimes take ids as signed 32-bit numbers. */
const maximumId = 2 ** 31 - 1

/**
 * `spec` is Docker's `User` ('' = root); `passwd` and `group` are the files' texts ('' where there is none); `extra`
 * are further groups by name or number. Throws in Docker's words.
 */
export function resolveUser(spec: string, passwd: string, group: string, extra: readonly string[]): UserIds {
  const colon = spec.indexOf(':')
  const userPart = colon < 0 ? spec : spec.slice(0, colon)
  const groupPart = colon < 0 ? '' : spec.slice(colon + 1)
  const groups = parseGroup(group)

  const wantedUid = userPart === '' ? 0 : number(userPart)
  const entry = parsePasswd(passwd).find(one => one.name === userPart || one.uid === wantedUid)
  if (entry === undefined && wantedUid === undefined) {
    throw fault('internal', `unable to find user ${userPart}: no matching entries in passwd file`)
  }
  const uid = entry?.uid ?? wantedUid ?? 0
  const gid = groupPart === '' ? (entry?.gid ?? 0) : groupId(groupPart, groups)
  const member =
    groupPart === '' && entry !== undefined
      ? groups.filter(one => one.members.includes(entry.name)).map(one => one.gid)
      : []
  const further = extra.map(one => groupId(one, groups))
  return { uid, gid, additionalGids: [...new Set([gid, ...member, ...further])] }
}

function groupId(text: string, groups: readonly GroupEntry[]): number {
  const wanted = number(text)
  const entry = groups.find(one => one.name === text || one.gid === wanted)
  const gid = entry?.gid ?? wanted
  if (gid === undefined) {
    throw fault('internal', `unable to find group ${text}: no matching entries in group file`)
  }
  return gid
}

function number(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined
  const value = Number(text)
  if (value > maximumId) throw fault('internal', `uids and gids must be in range 0-${String(maximumId)}`)
  return value
}

function parsePasswd(text: string): PasswdEntry[] {
  return lines(text).flatMap(([name = '', , uid = '', gid = '']) =>
    /^[0-9]+$/.test(uid) && /^[0-9]+$/.test(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [],
  )
}

function parseGroup(text: string): GroupEntry[] {
  return lines(text).flatMap(([name = '', , gid = '', members = '']) =>
    /^[0-9]+$/.test(gid) ? [{ name, gid: Number(gid), members: members.split(',') }] : [],
  )
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.trim().split(':'))
}
