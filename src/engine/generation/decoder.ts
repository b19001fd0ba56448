/**
 * A graph that continues token sequences: it keeps the keys and values of what it has read, so that each step reads one token.
 *
 * Two kinds of graph, one interface. Where the graph appends to its cache **in place** (GroupQueryAttention), all rows step
 * together and nothing is copied. Any other graph returns its cache **by row**, one run per row and step, each row's tensors
 * handed back to the next run; slower with many rows, but a row never sees its neighbours.
 *
 * Runs block the thread, so nothing here is asynchronous.
 */
import type { Pointer } from '../ort/private-exports.ts'

/** One sequence inside a decoder. */
export interface DecoderRow {
  /** Tokens whose keys and values the row holds. */
  readonly length: number
}

export interface Decoder {
  /** How the graph keeps what it has read: for logs and tests. */
  readonly kind: 'in place, rows together' | 'in place, each row alone' | 'by row'
  /** Most tokens that one row can hold, by the model's positions and by the memory there is. */
  readonly contextTokens: number
  /** Keys and values of one token of one row. */
  readonly bytesPerToken: number
  /** Whether the graph can give the logits of every token of a run: what `readEach` needs. */
  readonly givesEachLogits: boolean
  /** Whether rows of these final lengths find room together. */
  fits(lengths: readonly number[]): boolean
  open(): DecoderRow
  /** A second row that holds the same. */
  fork(row: DecoderRow): DecoderRow
  /** Makes room for a row that is going to be this long, at once instead of on the way. */
  makeRoom(row: DecoderRow, length: number): void
  /** Gives the row back; nothing for one that is closed already, as all are after `reset`. */
  close(row: DecoderRow): void
  /**
   * Appends tokens to one row; returns the logits after the last one, [vocabulary].
   *
   * @throws {OrtError} what the graph refuses; the row is as before.
   */
  read(row: DecoderRow, tokens: readonly number[]): Float32Array
  /**
   * As `read`, and returns the logits after each token, in arrays that the next `readEach` uses again. Their bits need not be those
   * of steps.
   */
  readEach(row: DecoderRow, tokens: readonly number[]): Float32Array[]
  /** Forgets all tokens from `length` on. */
  shorten(row: DecoderRow, length: number): void
  /**
   * Appends one token to each row; returns the logits of each, [vocabulary], in arrays that the next step uses again. A row's
   * logits do not depend on the others.
   *
   * @throws {OrtError} what the graph refuses.
   */
  step(rows: readonly DecoderRow[], tokens: readonly number[]): Float32Array[]
  /** Copies the keys and values of `count` positions into a new block of the heap, `count` × `bytesPerToken` long. */
  save(row: DecoderRow, first: number, count: number): Pointer
  /** Appends saved blocks of `count` positions each, which must have been made at the row's next positions. */
  restore(row: DecoderRow, blocks: readonly Pointer[], count: number): void
  /** Gives all rows and their memory back. */
  reset(): void
}

/** Memory that a decoder may use. */
export interface DecoderBounds {
  /** Positions of the model. */
  positions: number
  /** Heap for keys and values. */
  cacheBytes: number
  /** Rows at once. */
  rows: number
}
