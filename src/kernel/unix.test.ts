import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { call, koffi } from './ffi.ts'
import { SeqpacketSocket, listenForDescriptor } from './unix.ts'

const AF_UNIX = 1
const SOCK_SEQPACKET = 5
const SHUT_WR = 1

function socketPair(): [number, number] {
  const pair = Buffer.alloc(8)
  call('test', 'socketpair', AF_UNIX, SOCK_SEQPACKET, 0, pair)
  return [pair.readInt32LE(0), pair.readInt32LE(4)]
}

const send = (descriptor: number, text: string) => {
  const bytes = Buffer.from(text)
  call('test', 'send', descriptor, bytes, bytes.length, 0)
}

/** A socket over `descriptor` that collects what it gets, and a promise of its end. */
function collect(descriptor: number) {
  const packets: string[] = []
  let socket: SeqpacketSocket | undefined
  const ended = new Promise<string>(resolve => {
    socket = new SeqpacketSocket(descriptor, {
      packet: data => packets.push(data.toString()),
      end: error => resolve(error?.code ?? 'end'),
    })
  })
  if (socket === undefined) throw new Error('unreachable')
  return { socket, packets, ended }
}

describe('seqpacket', () => {
  test('no packet is lost when the peer closes at once, in any of many rounds', async () => {
    for (let round = 0; round < 200; round++) {
      const [ours, theirs] = socketPair()
      const sent = Array.from({ length: 1 + (round % 100) }, (_, position) => `${round}:${position}`)
      // Before, while and after we begin to listen: whenever the hang-up comes, all of it was queued before.
      const before = round % 3 === 0
      if (before) for (const text of sent) send(theirs, text)
      if (before) closeSync(theirs)
      const { socket, packets, ended } = collect(ours)
      if (round % 3 === 2) await nextTurn()
      if (!before) for (const text of sent) send(theirs, text)
      if (!before) closeSync(theirs)
      expect(await ended).toBe('end')
      expect(packets).toEqual(sent)
      socket.close()
    }
  })

  test('packets are read although the peer closed with ours unread', async () => {
    const [ours, theirs] = socketPair()
    const { socket, packets, ended } = collect(ours)
    await socket.write(Buffer.from('nobody reads this'))
    for (const text of ['one', 'two', 'three']) send(theirs, text)
    closeSync(theirs)
    expect(await ended).toBe('ECONNRESET')
    expect(packets).toEqual(['one', 'two', 'three'])
    await expect(socket.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'EPIPE' })
    socket.close()
  })

  test('writes wait for room, keep their order and their packets of 8 KB', async () => {
    const [ours, theirs] = socketPair()
    const { socket } = collect(ours)
    const lengths: number[] = []
    let received = Buffer.alloc(0)
    const data = Buffer.from(Array.from({ length: 1_000_003 }, (_, position) => position % 251))
    let written = false
    const writing = socket.write(data).then(() => (written = true))
    const behind = socket.write(Buffer.from('behind'))
    socket.end()
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    expect(written).toBe(false)
    const finished = new Promise<void>(resolve => {
      const reader = new SeqpacketSocket(theirs, {
        packet: packet => {
          lengths.push(packet.length)
          received = Buffer.concat([received, packet])
        },
        end: () => {
          reader.close()
          resolve()
        },
      })
    })
    await Promise.all([writing, behind, finished])
    expect(Math.max(...lengths)).toBe(8192)
    expect(received.equals(Buffer.concat([data, Buffer.from('behind')]))).toBe(true)
    socket.close()
  })

  test('a half-closed peer still gets our packets', async () => {
    const [ours, theirs] = socketPair()
    const { socket, ended } = collect(ours)
    call('test', 'shutdown', theirs, SHUT_WR)
    expect(await ended).toBe('end')
    await socket.write(Buffer.from('answer'))
    const buffer = Buffer.alloc(16)
    expect(call('test', 'recv', theirs, buffer, 16, 0)).toBe(6)
    socket.close()
    closeSync(theirs)
  })

  test('closing ends it: no more calls, waiting writes fail', async () => {
    const [ours, theirs] = socketPair()
    const { socket, packets } = collect(ours)
    const writing = socket.write(Buffer.alloc(4_000_000))
    send(theirs, 'late')
    socket.close()
    socket.close()
    await expect(writing).rejects.toMatchObject({ code: 'EPIPE' })
    await nextTurn()
    expect(packets).toEqual([])
    closeSync(theirs)
  })
})

describe('paths', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'unix-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  /** Listens with the C library, accepts one connection, sends one packet. */
  const listenAndGreet = (path: string) => {
    const listener = call('test', 'socket', AF_UNIX, SOCK_SEQPACKET, 0)
    const address = Buffer.alloc(110)
    address.writeUInt16LE(AF_UNIX)
    address.write(path, 2)
    call('test', 'bind', listener, address, address.length)
    call('test', 'listen', listener, 1)
    return {
      greet: () => {
        const connection = call('test', 'accept4', listener, null, null, 0)
        send(connection, 'hello')
        closeSync(connection)
        closeSync(listener)
      },
    }
  }

  test.each(['short', 'x'.repeat(60)])('connects through a directory of any length (%s)', async name => {
    const deep = join(directory, name, name)
    mkdirSync(deep, { recursive: true })
    const path = join(deep, 'attach')
    const holder = openSync(deep, 'r')
    const { greet } = listenAndGreet(`/proc/self/fd/${holder}/attach`)
    const packets: string[] = []
    const ended = new Promise<void>((resolve, reject) => {
      SeqpacketSocket.connect(path, {
        packet: data => packets.push(data.toString()),
        end: () => resolve(),
      }).then(socket => {
        greet()
        return ended.then(() => socket.close())
      }, reject)
    })
    await ended
    expect(packets).toEqual(['hello'])
    closeSync(holder)
  })

  test('nobody listens', async () => {
    const handlers = { packet: () => undefined, end: () => undefined }
    const connecting = SeqpacketSocket.connect(join(directory, 'absent'), handlers)
    await expect(connecting).rejects.toMatchObject({ code: 'ENOENT', syscall: 'connect' })
  })

  test('a descriptor that somebody passes arrives and works', async () => {
    const path = join(directory, 'console')
    const { descriptor } = listenForDescriptor(path)
    const file = openSync(join(directory, 'file'), 'w')
    const sender = call('test', 'socket', AF_UNIX, 1, 0)
    const address = Buffer.alloc(110)
    address.writeUInt16LE(AF_UNIX)
    address.write(path, 2)
    call('test', 'connect', sender, address, address.length)
    passDescriptor(sender, file)
    const received = await descriptor
    expect(fstatSync(received).ino).toBe(fstatSync(file).ino)
    expect(received).not.toBe(file)
    const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${received}`, 'utf8'))?.[1]
    expect(Number.parseInt(flags ?? '0', 8) & 0o2000000).not.toBe(0)
    for (const open of [received, file, sender]) closeSync(open)
    expect(spawnSync('ls', [directory], { encoding: 'utf8' }).stdout).toBe('file\n')
  })

  test('bytes without a descriptor are an error, giving up is one too', async () => {
    const path = join(directory, 'console')
    const plain = listenForDescriptor(path)
    connect(path).end('no descriptor')
    await expect(plain.descriptor).rejects.toMatchObject({ code: 'ENOMSG' })
    const given = listenForDescriptor(path)
    given.close()
    await expect(given.descriptor).rejects.toMatchObject({ code: 'ECANCELED' })
    expect(spawnSync('ls', [directory], { encoding: 'utf8' }).stdout).toBe('')
  })
})

function passDescriptor(socket: number, descriptor: number): void {
  const { address, load } = koffi()
  const sendmsg = load(null).func('int64_t sendmsg(int, void *, int)')
  const data = Buffer.from('x')
  const control = Buffer.alloc(24)
  control.writeBigUInt64LE(20n, 0)
  control.writeInt32LE(1, 8)
  control.writeInt32LE(1, 12)
  control.writeInt32LE(descriptor, 16)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(address(data), 0)
  vector.writeBigUInt64LE(1n, 8)
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(address(vector), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(address(control), 32)
  header.writeBigUInt64LE(24n, 40)
  expect(Number(sendmsg(socket, header, 0))).toBe(1)
}
