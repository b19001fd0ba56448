/**
 * How far the answers of a quantised model are from those of the original. The bounds below are glim's: beyond them a conversion
 * is refused unless it was forced, because nobody can see from outside that a model has become worse.
 */
import { floatsOf } from '#src/engine/floats.ts'
import type { GraphTensor } from '#src/engine/ort/tensors.ts'
import type { Outputs } from './run-variants.ts'

export interface OutputAccuracy {
  output: string
  /** Smallest cosine between the answers to one example. */
  cosine: number
  /** Largest difference of one number, and the largest number it was measured on. */
  maxDifference: number
  maxValue: number
  /** Of rows with a clear winner, the share with the same one; absent where the output is not one of labels or tokens. */
  agreement?: number
}

/** An answer must point the same way … */
export const leastCosine = 0.99
/** … and, where it chooses, choose the same in all but one of fifty rows with a clear winner. */
export const leastAgreement = 0.98

/** A lead of less than this, or this share of the largest value, is a tie that any rounding decides. */
const clearLead = 0.05
const clearShare = 0.02

/** Compares outputs by name over all examples; outputs that are no numbers must be equal. */
export function accuracyOf(original: readonly Outputs[], changed: readonly Outputs[]): OutputAccuracy[] {
  return Object.keys(original[0] ?? {}).map((output) => {
    const pairs = original.map((outputs, example) => [outputs[output]!, changed[example]![output]!] as const)
    const each = pairs.map(([left, right]) => compare(left, right))
    const rows = isChoice(output) ? pairs.map(([left, right]) => winners(left, right)) : []
    const clear = rows.reduce((sum, { clearRows }) => sum + clearRows, 0)
    const same = rows.reduce((sum, { sameRows }) => sum + sameRows, 0)
    return {
      output,
      cosine: Math.min(...each.map(({ cosine }) => cosine)),
      maxDifference: Math.max(...each.map(({ maxDifference }) => maxDifference)),
      maxValue: Math.max(...each.map(({ maxValue }) => maxValue)),
      ...(clear > 0 ? { agreement: same / clear } : {}),
    }
  })
}

/** What is beyond the bounds, for people; undefined where nothing is. */
export function driftIn(accuracy: readonly OutputAccuracy[]): string | undefined {
  for (const { output, cosine, agreement } of accuracy) {
    if (!(cosine >= leastCosine))
      return `the output "${output}" has a cosine of ${cosine.toFixed(4)} to the original's, and ${leastCosine} is the least`
    if (agreement !== undefined && agreement < leastAgreement)
      return `the output "${output}" chooses as the original does in ${percent(agreement)} of the clear cases, and ${percent(leastAgreement)} is the least`
  }
  return undefined
}

export function accuracyText(accuracy: readonly OutputAccuracy[]): string {
  const worst = accuracy.reduce((low, each) => (each.cosine < low.cosine ? each : low), accuracy[0]!)
  const chosen = accuracy.flatMap(({ agreement }) => (agreement === undefined ? [] : [agreement]))
  const agreement = chosen.length > 0 ? `, same choice in ${percent(Math.min(...chosen))} of clear cases` : ''
  return `cosine to the original ${worst.cosine.toFixed(5)} or more${agreement}`
}

/** Whether the outputs are the same bits. */
export function sameBits(left: readonly Outputs[], right: readonly Outputs[]): boolean {
  return left.every((outputs, example) =>
    Object.entries(outputs).every(([name, tensor]) => sameTensor(tensor, right[example]?.[name])),
  )
}

function sameTensor(left: GraphTensor, right: GraphTensor | undefined): boolean {
  if (!right || left.dtype !== right.dtype || left.shape.join() !== right.shape.join()) return false
  if (left.dtype === 'string' || right.dtype === 'string')
    return 'strings' in left && 'strings' in right && left.strings.every((text, at) => text === right.strings[at])
  return left.bytes.every((byte, at) => byte === right.bytes[at])
}

function compare(left: GraphTensor, right: GraphTensor) {
  const [a, b] = [numbersOf(left), numbersOf(right)]
  if (!a || !b || a.length !== b.length)
    return { cosine: sameTensor(left, right) ? 1 : 0, maxDifference: 0, maxValue: 0 }
  let [product, ofA, ofB, maxDifference, maxValue] = [0, 0, 0, 0, 0]
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at]!, b[at]!]
    product += x * y
    ofA += x * x
    ofB += y * y
    maxDifference = Math.max(maxDifference, Math.abs(x - y))
    maxValue = Math.max(maxValue, Math.abs(x))
  }
  // Two answers of zeros point the same way.
  const cosine = ofA === 0 && ofB === 0 ? 1 : product / Math.sqrt(ofA * ofB)
  return { cosine, maxDifference, maxValue }
}

function winners(left: GraphTensor, right: GraphTensor): { clearRows: number; sameRows: number } {
  const [a, b] = [numbersOf(left), numbersOf(right)]
  const width = left.shape.at(-1) ?? 0
  const counts = { clearRows: 0, sameRows: 0 }
  if (!a || !b || a.length !== b.length || width < 2) return counts
  for (let start = 0; start < a.length; start += width) {
    const row = a.subarray(start, start + width)
    const best = bestOf(row)
    let [second, largest] = [-Infinity, 0]
    for (const [at, value] of row.entries()) {
      if (at !== best) second = Math.max(second, value)
      largest = Math.max(largest, Math.abs(value))
    }
    if (row[best]! - second < Math.max(clearLead, clearShare * largest)) continue
    counts.clearRows += 1
    if (bestOf(b.subarray(start, start + width)) === best) counts.sameRows += 1
  }
  return counts
}

function bestOf(row: Float32Array): number {
  let best = 0
  for (const [at, value] of row.entries()) if (value > row[best]!) best = at
  return best
}

function numbersOf(tensor: GraphTensor): Float32Array | undefined {
  return /^float/.test(tensor.dtype) ? floatsOf('output', tensor) : undefined
}

function isChoice(output: string): boolean {
  return /logits|probabilit|scores?$|labels?$/i.test(output)
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share === 1 ? 0 : 1)} %`
}
