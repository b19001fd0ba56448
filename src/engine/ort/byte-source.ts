/** A stream read in pieces of known sizes, whatever the sizes of its chunks. */
import { dataLoss } from '#contracts/errors.ts'
import { chunksOf } from './stream-chunks.ts'

export class ByteSource {
  readonly #chunks: AsyncGenerator<Uint8Array>
  /** What is left of the newest chunk. */
  #rest: Uint8Array = new Uint8Array()

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#chunks = chunksOf(stream)
  }

  /** Resolves once exactly so many bytes went to `take`, each piece with its offset. @throws {ServingError} DATA_LOSS where the stream ends. */
  async read(sizeBytes: number, take: (chunk: Uint8Array, at: number) => void): Promise<void> {
    for (let at = 0; at < sizeBytes; ) {
      if (!(await this.#fill())) throw dataLoss(`The stream ended ${sizeBytes - at} bytes early.`)
      const piece = this.#rest.subarray(0, sizeBytes - at)
      take(piece, at)
      at += piece.byteLength
      this.#rest = this.#rest.subarray(piece.byteLength)
    }
  }

  /** Resolves to so many bytes in memory of their own. */
  async bytes(sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(sizeBytes)
    await this.read(sizeBytes, (chunk, at) => bytes.set(chunk, at))
    return bytes
  }

  async isAtEnd(): Promise<boolean> {
    return !(await this.#fill())
  }

  /** Cancels what was not read. */
  async close(): Promise<void> {
    await this.#chunks.return(undefined)
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.byteLength === 0) {
      const { value, done } = await this.#chunks.next()
      if (done) return false
      this.#rest = value
    }
    return true
  }
}
