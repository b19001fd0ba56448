/**
 * One continuation of a prompt, between the token loop that chooses its tokens and the scheduler that finds the logits after them.
 * Logits that were found ahead, after drafted tokens, wait here until the loop has chosen just those tokens.
 */
import type { Decoder, DecoderRow } from './decoder.ts'
import type { Drafter } from './draft.ts'

/** As the token loop sees it. */
export interface Sequence {
  /** After the prompt, [vocabulary]. */
  readonly logits: Float32Array
  /** Appends a token; resolves to the logits after it. Rejects where the job fails. */
  next(token: number): Promise<Float32Array>
  close(): void
}

/** A token that waits for the next step. */
interface Pending {
  token: number
  resolve(logits: Float32Array): void
  reject(error: unknown): void
}

export interface SequenceHooks {
  decoder: Decoder
  /** Called when a token waits. */
  wake(): void
  /** Called when the loop needs it no more. */
  closed(sequence: OpenSequence): void
}

/** What a sequence is made of. */
export interface OpenSequenceFacts {
  row: DecoderRow
  /** After the prompt, [vocabulary]. */
  logits: Float32Array
  /** Tokens that its row may come to hold. */
  mostTokens: number
  /** Absent where nothing is drafted. */
  drafter: Drafter | undefined
}

/** As the scheduler sees it. */
export class OpenSequence implements Sequence {
  readonly row: DecoderRow
  readonly logits: Float32Array
  readonly mostTokens: number
  readonly drafter: Drafter | undefined
  readonly #hooks: SequenceHooks
  #pending: Pending | undefined
  /** Drafted tokens that the row holds already, with the logits after each. */
  #ahead: { token: number; logits: Float32Array }[] = []
  /** Tokens of the row that the loop has not chosen. */
  #wrong = 0
  #ended: { error: unknown } | undefined

  constructor({ row, logits, mostTokens, drafter }: OpenSequenceFacts, hooks: SequenceHooks) {
    this.row = row
    this.logits = logits
    this.mostTokens = mostTokens
    this.drafter = drafter
    this.#hooks = hooks
  }

  /** The token that waits for its logits. */
  get pending(): number | undefined {
    return this.#pending?.token
  }

  /** Whether its row holds tokens that are to be forgotten first. */
  get isAstray(): boolean {
    return this.#wrong > 0
  }

  next(token: number): Promise<Float32Array> {
    if (this.#ended) return Promise.reject(this.#ended.error)
    this.drafter?.accept(token)
    const found = this.#ahead.shift()
    if (found?.token === token) return Promise.resolve(found.logits)
    if (found) this.#wrong = 1 + this.#ahead.length
    this.#ahead = []
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array>()
    this.#pending = { token, resolve, reject }
    this.#hooks.wake()
    return promise
  }

  /** Forgets what a draft had wrong. */
  straighten(): void {
    this.#hooks.decoder.shorten(this.row, this.row.length - this.#wrong)
    this.#wrong = 0
  }

  /** The logits after the token that waits, and after those that were drafted behind it. */
  found([logits, ...further]: readonly Float32Array[], drafted: readonly number[] = []): void {
    const { resolve } = this.#pending!
    this.#pending = undefined
    this.#ahead = drafted.map((token, index) => ({ token, logits: further[index]! }))
    resolve(logits!)
  }

  close(): void {
    if (this.#ended) return
    this.end(new Error('The sequence is closed.'))
    this.#hooks.closed(this)
  }

  /** Gives the row back; whoever waits gets the error. */
  end(error: unknown): void {
    this.#ended = { error }
    this.#hooks.decoder.close(this.row)
    this.#pending?.reject(error)
    this.#pending = undefined
  }
}
