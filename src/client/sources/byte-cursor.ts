/** Reads a file forwards in small pieces and skips what nobody wants by opening it anew further on. */
import type { SourceFile } from './model-source.ts'

/** Skipping less than this reads on. */
const jumpBytes = 256 * 1024

export class ByteCursor {
  readonly #file: SourceFile
  #chunks: AsyncIterator<Uint8Array> | null = null
  #chunk: Uint8Array = new Uint8Array()
  /** Position of the next byte, and within the chunk. */
  at = 0
  #within = 0

  constructor(file: SourceFile) {
    this.#file = file
  }

  /** @throws {RangeError} at the end of the file, or for a number of more than 64 bits. */
  async varint(): Promise<number> {
    let value = 0
    for (let digit = 0; digit < 10; digit++) {
      if (this.#within === this.#chunk.byteLength) await this.#refill()
      const byte = this.#chunk[this.#within++]!
      this.at += 1
      value += (byte % 128) * 128 ** digit
      if (byte < 128) return value
    }
    throw new RangeError('a number has more than ten bytes')
  }

  /** Resolves to a copy of the next bytes. */
  async take(sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes)
    for (let filled = 0; filled < sizeBytes; ) {
      if (this.#within === this.#chunk.byteLength) await this.#refill()
      const part = this.#chunk.subarray(this.#within, this.#within + sizeBytes - filled)
      bytes.set(part, filled)
      filled += part.byteLength
      this.#within += part.byteLength
    }
    this.at += sizeBytes
    return bytes
  }

  async moveTo(position: number): Promise<void> {
    if (position > this.#file.sizeBytes) throw new RangeError('behind the end of the file')
    if (position - this.at > jumpBytes) {
      await this.close()
      this.at = position
      return
    }
    while (this.at < position) {
      if (this.#within === this.#chunk.byteLength) await this.#refill()
      const step = Math.min(position - this.at, this.#chunk.byteLength - this.#within)
      this.#within += step
      this.at += step
    }
  }

  async close(): Promise<void> {
    await this.#chunks?.return?.()
    this.#chunks = null
    this.#chunk = new Uint8Array()
    this.#within = 0
  }

  async #refill(): Promise<void> {
    this.#chunks ??= this.#file.read(this.at)[Symbol.asyncIterator]()
    const { done, value } = await this.#chunks.next()
    if (done || value.byteLength === 0) throw new RangeError('the file ends')
    this.#chunk = value
    this.#within = 0
  }
}
