/**
 * Whether a row's numbers are the same bits alone and among others, found by trying.
 *
 * It cannot be read off a graph: int8 graphs with one scale for a whole tensor mix rows, and so do kernels that take another
 * path for a single row. So rows run alone, and then in batches of small sizes and of the largest one, each time among others.
 */
import type { TokenIds } from './tokenizer.ts'

export interface InvarianceProbe {
  /** Token ids are below this. */
  vocabularySize: number
  /** Tokens of a row, and how many such rows share a run at most; the longest first. */
  shapes: readonly (readonly [tokens: number, rows: number])[]
  /** All values of the output, per row. */
  run(rows: readonly TokenIds[]): Float32Array[]
}

const smallBatches = [2, 3, 4, 7]

export function isBatchInvariant({ vocabularySize, shapes, run }: InvarianceProbe): boolean {
  return shapes.every(([length, most]) => {
    const sizes = new Set([...smallBatches.filter((size) => size <= most), most])
    const rows = Array.from({ length: most }, (_, row) => probeRow(vocabularySize, length, row))
    const alone = rows.map((row) => run([row])[0]!)
    return [...sizes].every((size) => {
      const together = run(rows.slice(0, size))
      return together.every((values, row) => haveSameBits(values, alone[row]!))
    })
  })
}

/** Tokens from all over the vocabulary, others in each row, so that rows have different ranges of activations. */
function probeRow(vocabularySize: number, length: number, row: number): TokenIds {
  const ids = Array.from({ length }, (_, at) => (row * 7_919 + at * (row + 1) * 104_729) % vocabularySize)
  return { ids, typeIds: ids.map(() => 0) }
}

function haveSameBits(left: Float32Array, right: Float32Array): boolean {
  const [a, b] = [left, right].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length))
  return a!.length === b!.length && a!.every((word, at) => word === b![at])
}
