/**
 * How many rows can share a run within a given memory. An estimate: what does not fit all the same is refused by the heap's own
 * limit, and then the rows run one by one.
 *
 * The formula is fitted to measured heaps of an encoder with 6 layers, 384 dimensions and 12 heads: 7 MiB at 1 × 128 tokens,
 * 39 at 1 × 512, 24 at 8 × 128.
 */
import type { ModelConfig } from './model-config.ts'

/** Two copies of the attention scores and of the widest feed-forward layer, four vectors per token besides. */
const scoreCopies = 2
const vectorsPerToken = 14

/** Bytes that a run needs beyond the loaded model. */
export function activationBytes(rows: number, tokens: number, { hiddenSize, heads }: ModelConfig): number {
  const bytesPerValue = 4
  const vectors = rows * tokens * (hiddenSize ?? 0) * vectorsPerToken
  const scores = rows * tokens * tokens * (heads ?? 0) * scoreCopies
  return (vectors + scores) * bytesPerValue
}

/** Rows of this length that need at most `roomBytes` together; at least one, any number where the configuration tells no size. */
export function rowsThatFit(roomBytes: number, tokens: number, config: ModelConfig): number {
  const bytes = activationBytes(1, tokens, config)
  return bytes === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(roomBytes / bytes))
}
