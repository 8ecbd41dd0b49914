/** pcapng, the capture file format of Wireshark (draft-ietf-opsawg-pcapng): blocks of a section with several interfaces. */

const SECTION = 0x0a0d_0d0a
const INTERFACE = 1
const PACKET = 6
const ETHERNET = 1
const COMMENT = 1
const NAME = 2
const DESCRIPTION = 3
const TIME_RESOLUTION = 9
const USER_APPLICATION = 4

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16LE(code, 0)
  head.writeUInt16LE(value.length, 2)
  return Buffer.concat([head, padded(value)])
}

const text = (code: number, value: string): Buffer => option(code, Buffer.from(value))
const noMoreOptions = Buffer.alloc(4)

/** Type, length, body, and the length once more. */
function block(type: number, ...body: readonly Buffer[]): Buffer {
  const content = Buffer.concat(body)
  const length = content.length + 12
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32LE(type, 0)
  bytes.writeUInt32LE(length, 4)
  content.copy(bytes, 8)
  bytes.writeUInt32LE(length, length - 4)
  return bytes
}

export function sectionBlock(application: string, comment: string): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt32LE(0x1a2b_3c4d, 0)
  head.writeUInt16LE(1, 4)
  // The section's length is not known beforehand.
  head.fill(0xff, 8)
  return block(SECTION, head, text(COMMENT, comment), text(USER_APPLICATION, application), noMoreOptions)
}

export function interfaceBlock(name: string, description: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16LE(ETHERNET, 0)
  // Nanoseconds.
  return block(
    INTERFACE,
    head,
    text(NAME, name),
    text(DESCRIPTION, description),
    option(TIME_RESOLUTION, Buffer.from([9])),
    noMoreOptions,
  )
}

export function packetBlock(
  position: number,
  { time, data, length }: { readonly time: bigint; readonly data: Buffer; readonly length: number },
): Buffer {
  const head = Buffer.alloc(20)
  head.writeUInt32LE(position, 0)
  head.writeUInt32LE(Number(time >> 32n), 4)
  head.writeUInt32LE(Number(time & 0xffff_ffffn), 8)
  head.writeUInt32LE(data.length, 12)
  head.writeUInt32LE(length, 16)
  return block(PACKET, head, padded(data))
}
