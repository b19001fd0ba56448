/**
 * Reading a prompt: chunks that are kept already are put in place, others are read, in one piece or several, and kept.
 *
 * How a prompt is cut into pieces decides bits, so pieces depend on nothing but the position. Where attention over several new
 * tokens is dear, and dearer the more there are before them, pieces become shorter on the way: whoever writes meanwhile waits
 * for a piece at each token.
 */
import type { Decoder } from './decoder.ts'
import type { Job } from './job.ts'
import type { PrefixCache, PrefixChunk } from './prefix-cache.ts'

export interface PromptChunksOptions {
  decoder: Decoder
  prefixes: PrefixCache
  /** Prompt tokens that are kept together. */
  chunkTokens: number
  /** Tokens to read at once from this position on, a divisor of `chunkTokens` that is the same within a chunk; a chunk where absent. */
  pieceTokens?: ((position: number) => number) | undefined
}

export class PromptChunks {
  readonly #decoder: Decoder
  readonly #prefixes: PrefixCache
  readonly #chunkTokens: number
  readonly #pieceTokens: (position: number) => number

  constructor({ decoder, prefixes, chunkTokens, pieceTokens = () => chunkTokens }: PromptChunksOptions) {
    this.#decoder = decoder
    this.#prefixes = prefixes
    this.#chunkTokens = chunkTokens
    this.#pieceTokens = pieceTokens
  }

  /** Reads the next piece of a job's prompt; returns the logits after the last one, null after those before. @throws {OrtError} */
  readPiece(job: Job): Float32Array | null {
    const row = job.readingRow!
    const { prompt } = job.request
    // With room for the first token, too.
    if (row.length === 0) this.#decoder.makeRoom(row, prompt.length + 1)
    if (this.isBetweenChunks(job)) this.#reuse(job)
    const logits = this.#decoder.read(row, prompt.slice(row.length, row.length + this.#pieceTokens(row.length)))
    if (this.isBetweenChunks(job)) this.#keep(job, row.length - this.#chunkTokens)
    return row.length < prompt.length ? null : logits
  }

  /** Whether what a job has read ends with a chunk. */
  isBetweenChunks({ readingRow }: Job): boolean {
    return readingRow!.length % this.#chunkTokens === 0
  }

  /** Appends all kept chunks that come next. The last token is always read, for its logits. */
  #reuse(job: Job): void {
    const { prompt } = job.request
    const row = job.readingRow!
    const found: PrefixChunk[] = []
    for (let at = row.length; at + this.#chunkTokens < prompt.length; at += this.#chunkTokens) {
      const parent = this.#lastChunk(job)
      if (parent === 'lost') break
      const chunk = this.#prefixes.find(job.tenant, parent, prompt.slice(at, at + this.#chunkTokens))
      if (!chunk) break
      found.push(chunk)
      job.chunk = chunk
    }
    if (found.length === 0) return
    this.#decoder.restore(
      row,
      found.map(({ block }) => block),
      this.#chunkTokens,
    )
    job.cachedTokens += found.length * this.#chunkTokens
  }

  #keep(job: Job, from: number): void {
    const tokens = job.request.prompt.slice(from, from + this.#chunkTokens)
    const parent = this.#lastChunk(job)
    if (parent === 'lost') return
    const save = () => this.#decoder.save(job.readingRow!, from, tokens.length)
    job.chunk = this.#prefixes.add(job.tenant, parent, tokens, save) ?? 'lost'
  }

  /** What is read can only be found or kept after a chunk that is kept. */
  #lastChunk(job: Job): PrefixChunk | null | 'lost' {
    if (job.chunk !== null && job.chunk !== 'lost' && !this.#prefixes.has(job.chunk)) job.chunk = 'lost'
    return job.chunk
  }
}
