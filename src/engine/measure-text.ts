/** The capabilities of a text model, found by running it. */
import type { Capabilities } from '#contracts/capabilities.ts'
import { isServingError, modelFailed } from '#contracts/errors.ts'
import type { OrtSession } from './ort/session.ts'
import type { TextModel } from './text-model.ts'

/**
 * Takes about as long as two hundred short texts.
 *
 * @throws {ServingError} 400 where the model stops the engine, as every text of that length would once it is served.
 */
export function measureText(model: TextModel, { ort }: OrtSession): Capabilities {
  const batchInvariant = isInvariant(model)
  if (ort.trapped)
    throw modelFailed(`The model failed on texts of up to ${model.maxTokens} tokens: ${ort.trapped.message}.`)
  return {
    maxTokens: model.maxTokens,
    maxBatch: batchInvariant ? model.maxSharedRows : 1,
    batchInvariant,
    devices: ['wasm'],
    memoryBytes: ort.heapBytes,
  }
}

/** A model that refuses the probes, such as one that takes short texts only, answers what it can and never shares a run. */
function isInvariant(model: TextModel): boolean {
  try {
    return model.measureBatchInvariance()
  } catch (error) {
    if (isServingError(error)) return false
    throw error
  }
}
