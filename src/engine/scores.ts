/** From a classifier's numbers to labelled scores, as the Hugging Face pipelines give them. */
import { modelFailed } from '#contracts/errors.ts'
import type { scoreFunctions } from '#contracts/task-signatures.ts'
import { elementCount, type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { labelOf } from './model-config.ts'

export interface LabelledScore {
  label: string
  score: number
}

export type ScoreFunction = (typeof scoreFunctions)[number]

/**
 * A graph that labels tokens or places has one more axis than one that labels the whole.
 *
 * @throws {ServingError} 400 where a row's output is not one number per label.
 */
export function requireLabelScores(output: string, shape: readonly number[]): void {
  if (shape.length > 0 && elementCount(shape) === Math.max(...shape)) return
  throw modelFailed(
    `The graph's output "${output}" has shape [1, ${shape.join(', ')}]; one number per label was expected.`,
  )
}

/** Scores in float32's precision, which is what the tensor form carries, so that both forms agree. */
export function scoresOf(logits: ArrayLike<number>, apply: ScoreFunction): Float32Array {
  const values = Float64Array.from(logits)
  if (apply === 'none') return Float32Array.from(values)
  if (apply === 'sigmoid') return Float32Array.from(values, (value) => 1 / (1 + Math.exp(-value)))
  const highest = values.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY)
  const weights = values.map((value) => Math.exp(value - highest))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return Float32Array.from(weights, (weight) => weight / total)
}

/** Whether numbers are a distribution already, as those of a graph that ends in a softmax. */
export function isDistribution(values: Float32Array): boolean {
  const total = values.reduce((sum, value) => sum + value, 0)
  return values.every((value) => value >= 0) && Math.abs(total - 1) < 1e-2
}

/** The highest scores first; equal ones keep the order of their classes. */
export function topLabels(scores: Float32Array, labels: readonly string[], count: number): LabelledScore[] {
  return Array.from(scores, (score, index) => ({ label: labelOf(labels, index), score }))
    .sort((left, right) => right.score - left.score)
    .slice(0, count)
}

/** The tensor form of rows that all have the same number of labels. */
export function labelTensors(rows: readonly (readonly LabelledScore[])[]): NamedTensors {
  const flat = rows.flat()
  const shape = [rows.length, rows[0]?.length ?? 0]
  return {
    label: { dtype: 'string', shape, strings: flat.map(({ label }) => label) },
    score: tensorOf(
      'float32',
      shape,
      Float32Array.from(flat, ({ score }) => score),
    ),
  }
}
