/** Running one model in several forms over the same examples, one after another in one engine. */
import { isServingError } from '#contracts/errors.ts'
import type { NamedTensors } from '#contracts/tensor.ts'
import { createSession } from '#src/engine/ort/create-session.ts'
import { OrtError } from '#src/engine/ort/error.ts'
import type { Port } from '#src/engine/ort/ports.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import type { GraphTensor } from '#src/engine/ort/tensors.ts'
import { amongNeighbours } from './examples.ts'
import { type Engine, type FileParts, partsToHeap } from './save-ort.ts'

export interface Variant {
  file: FileParts
  /** Whether the file is an `.ort`, whose weights are used where they lie. */
  isOrt?: boolean
  /** Graph optimisation at load: 0 none, 99 all, as endpoints do. */
  level: 0 | 99
}

export type Outputs = Readonly<Record<string, GraphTensor>>

export interface VariantRun {
  outputs: readonly Outputs[]
  createMs: number
  /** The engine's memory once the model is loaded. */
  heapBytes: number
}

/** The outputs for each example. @throws {OrtError | OrtTrapped} */
export function runVariant(
  { ort }: Engine,
  { file, isOrt = false, level }: Variant,
  examples: readonly NamedTensors[],
): VariantRun {
  const started = performance.now()
  const session = createSession(ort, partsToHeap(ort, file), { level, inPlace: isOrt })
  const createMs = performance.now() - started
  const { heapBytes } = ort
  return releasing(session, () => ({ outputs: examples.map((inputs) => session.run(inputs)), createMs, heapBytes }))
}

/**
 * Whether every example's answer has the same bits alone and among neighbours, of which there are as many as
 * `sizes` says; false where the examples cannot be put together.
 */
export function isBatchInvariant(
  { ort }: Engine,
  { file, isOrt = false, level }: Variant,
  examples: readonly NamedTensors[],
): boolean {
  const session = createSession(ort, partsToHeap(ort, file), { level, inPlace: isOrt })
  return releasing(session, () => examples.length > 0 && examples.every((inputs) => standsAlone(session, inputs)))
}

function standsAlone(session: OrtSession, inputs: NamedTensors): boolean {
  const alone = session.run(inputs)
  return neighbourhoods.every((rows) => {
    const batch = amongNeighbours(inputs, rows)
    if (!batch) return false
    const together = session.run(batch)
    return Object.entries(alone).every(([name, tensor]) => isFirstRow(tensor, together[name]!, rows))
  })
}

/** Sizes of batches: kernels take rows by twos and fours, and treat a remainder on its own. */
const neighbourhoods = [2, 5]

function isFirstRow(alone: GraphTensor, together: GraphTensor, rows: number): boolean {
  if (alone.dtype === 'string' || together.dtype === 'string') return false
  if (alone.shape[0] !== 1 || together.shape[0] !== rows) return false
  return alone.bytes.every((byte, at) => byte === together.bytes[at])
}

/**
 * Those of the offered examples that the model answers, with its answers.
 *
 * @param offered is asked with the model's inputs for lists to try in order: the first list with an answer is taken.
 */
export function answeredExamples(
  { ort }: Engine,
  { file, level }: Variant,
  offered: (inputs: readonly Port[]) => Iterable<readonly NamedTensors[]>,
): VariantRun & { examples: readonly NamedTensors[]; refusal: string } {
  const started = performance.now()
  const session = createSession(ort, partsToHeap(ort, file), { level })
  const loaded = { createMs: performance.now() - started, heapBytes: ort.heapBytes }
  return releasing(session, () => {
    let refusal = 'no examples were at hand'
    for (const examples of offered(session.inputs)) {
      try {
        return { ...loaded, examples, outputs: examples.map((inputs) => session.run(inputs)), refusal: '' }
      } catch (error) {
        if (!(error instanceof OrtError) && !isServingError(error)) throw error
        refusal = error.message
      }
    }
    return { ...loaded, examples: [], outputs: [], refusal }
  })
}

/** Gives the session's memory back, unless the engine has stopped: then nothing may be called any more. */
function releasing<T>(session: OrtSession, use: () => T): T {
  try {
    return use()
  } finally {
    if (!session.ort.trapped) session.release()
  }
}
