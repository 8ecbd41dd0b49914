import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { call } from './ffi.ts'
import { openPipe, TerminalStream } from './terminal.ts'

const TIOCGPTN = 0x8004_5430
const TIOCSPTLCK = 0x4004_5431

function openPair(): { readonly stream: TerminalStream; readonly slave: number } {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY)
  const number = Buffer.alloc(4)
  call('test', 'ioctl', master, TIOCSPTLCK, number)
  call('test', 'ioctl', master, TIOCGPTN, number)
  const slave = openSync(`/dev/pts/${number.readInt32LE(0)}`, constants.O_RDWR | constants.O_NOCTTY)
  return { stream: new TerminalStream(master), slave }
}

async function run(stream: TerminalStream, slave: number, script: string): Promise<string> {
  let output = ''
  stream.on('data', (data: Buffer) => (output += data.toString()))
  const ended = new Promise(resolve => stream.once('end', resolve))
  spawn('sh', ['-c', script], { stdio: [slave, slave, slave] })
  closeSync(slave)
  await ended
  return output
}

test('all output comes, also when the process has gone long before it is read', async () => {
  for (let round = 0; round < 20; round++) {
    const { stream, slave } = openPair()
    const output = await run(stream, slave, 'stty -opost; seq 1 2000')
    expect(output).toBe(Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join(''))
    stream.destroy()
  }
})

test('a slow reader stops the writer and misses nothing', async () => {
  const { stream, slave } = openPair()
  spawn('sh', ['-c', 'stty -opost; seq 1 50000'], { stdio: [slave, slave, slave] })
  closeSync(slave)
  let output = ''
  for await (const data of stream) {
    output += (data as Buffer).toString()
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(output.endsWith('\n50000\n')).toBe(true)
  expect(output.split('\n')).toHaveLength(50_001)
})

test('input is typed, sizes arrive', async () => {
  const { stream, slave } = openPair()
  stream.resize(31, 97)
  stream.write('one\n')
  expect(await run(stream, slave, 'stty -echo; stty size; read line; echo "got $line"')).toContain(
    '31 97\r\ngot one\r\n',
  )
})

test('much input waits for a reader', async () => {
  const { stream, slave } = openPair()
  const line = `${'x'.repeat(100)}\n`
  for (let i = 0; i < 500; i++) stream.write(line)
  expect(await run(stream, slave, 'stty -echo -opost; head -n 500 | wc -c')).toMatch(/50500\n$/)
})

test('a pipe is a pipe', () => {
  const { read, write } = openPipe()
  writeSync(write, 'through')
  closeSync(write)
  expect(readFileSync(read, 'utf8')).toBe('through')
  closeSync(read)
})
