/**
 * Messages in a TCP stream: two bytes of length, then the message (RFC 1035 §4.2.2). Pulled one by one, so that a
 * reader can stop while its answers are not taken. Every byte is copied at most once, however the stream is cut up.
 */
export class Frames {
  #chunk: Buffer = Buffer.alloc(0)
  /** The message under way, if it did not come in one piece, and how much of it is there. */
  #body: Buffer | undefined
  #filled = 0
  /** First byte of a length whose second has not come; -1 otherwise. */
  #high = -1

  /** Hands over the stream's next bytes. Everything handed over before must have been pulled. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
  }

  /** The next whole message, undefined until more bytes come, null if the stream makes no sense: an empty message. */
  next(): Buffer | undefined | null {
    if (this.#body === undefined) {
      const length = this.#length()
      if (length === undefined) return undefined
      if (length === 0) return null
      if (this.#chunk.length >= length) return this.#take(length)
      this.#body = Buffer.allocUnsafe(length)
      this.#filled = 0
    }
    const part = this.#take(this.#body.length - this.#filled)
    part.copy(this.#body, this.#filled)
    this.#filled += part.length
    if (this.#filled < this.#body.length) return undefined
    const message = this.#body
    this.#body = undefined
    return message
  }

  #length(): number | undefined {
    if (this.#high < 0) {
      if (this.#chunk.length === 0) return undefined
      this.#high = this.#take(1).readUInt8()
    }
    if (this.#chunk.length === 0) return undefined
    const length = (this.#high << 8) | this.#take(1).readUInt8()
    this.#high = -1
    return length
  }

  #take(most: number): Buffer {
    const taken = this.#chunk.subarray(0, most)
    this.#chunk = this.#chunk.subarray(most)
    return taken
  }
}

/** A message as it travels by TCP. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(message.length + 2)
  bytes.writeUInt16BE(message.length)
  bytes.set(message, 2)
  return bytes
}
