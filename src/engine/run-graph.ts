/** One run of a graph in the terms of a task: ORT's refusals become 400s that carry its own words. */
import { internal, modelFailed } from '#contracts/errors.ts'
import type { NamedTensors } from '#contracts/tensor.ts'
import { OrtError, OrtTrapped } from './ort/error.ts'
import type { OrtSession } from './ort/session.ts'
import type { GraphTensor } from './ort/tensors.ts'

/** @throws {ServingError} 400 where the graph refuses the inputs, 500 where the engine stopped and must be restarted. */
export function runGraph(
  session: OrtSession,
  inputs: NamedTensors,
  wanted?: readonly string[],
): Record<string, GraphTensor> {
  try {
    return session.run(inputs, wanted)
  } catch (error) {
    if (error instanceof OrtError) throw modelFailed(`The model refused this input: ${error.message}`, error.message)
    if (error instanceof OrtTrapped || error instanceof RangeError) throw internal(error.message)
    throw error
  }
}
