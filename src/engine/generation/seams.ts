/**
 * The parts of text generation as they meet in the token loop: the loop asks a constraint what may come next, a sampler for the
 * token, a detokenizer for its text. Each is one file with its own tests.
 */
import type { TokenLogprob } from '#contracts/generation.ts'

/** Token ids, and the bytes that each stands for. */
export interface TokenVocabulary {
  readonly size: number
  /** The bytes a token adds to the text; null for control tokens, which add none. */
  bytesOf(token: number): Uint8Array | null
  /** Tokens that end a text, by the model's configuration. */
  readonly endTokens: ReadonlySet<number>
}

/** A grammar compiled for one vocabulary; shared by all choices that use it. */
export interface CompiledConstraint {
  /** Tokens of the shortest text that fulfils it. */
  readonly fewestTokens: number
  start(): TokenConstraint
}

/** Follows one choice's text token by token. */
export interface TokenConstraint {
  /**
   * Sets the logits of all tokens to -Infinity that may not come next. Of `tokensLeft` tokens (the next one included) enough must
   * remain to complete the text, so near the end only tokens on a shortest path are left. End tokens stay possible where
   * the text may end.
   */
  mask(logits: Float32Array, tokensLeft: number): void
  /** Follows a token that the mask left possible. */
  accept(token: number): void
  /** Nothing may follow any more, so that the choice ends without asking the model for an end token. */
  readonly isComplete: boolean
}

/** Chooses tokens for one choice; holds its random numbers and what it has counted. */
export interface Sampler {
  /** Takes the model's logits (which it may overwrite), after the constraint has masked them. */
  sample(logits: Float32Array, mask?: (logits: Float32Array) => void): SampledToken
}

export interface SampledToken {
  token: number
  /** Of the token and the likeliest others, under the model's own distribution (temperature 1, no filters); absent if not asked for. */
  logprobs?: Omit<TokenLogprob, 'token' | 'bytes' | 'top'> & { top: readonly { token: number; logprob: number }[] }
}

/** Turns tokens into text, holding back bytes that are not yet a whole character. */
export interface Detokenizer {
  push(token: number): string
  /** What is still held back, with U+FFFD for what never became a character. */
  end(): string
}
