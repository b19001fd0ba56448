/** One run of a graph in the terms of a task: ORT's refusals become 400s that carry its own words. */
import type { NamedTensors } from '#contracts/tensor.ts'
import { requireRunning, runFailure } from './engine-failure.ts'
import type { OrtSession } from './ort/session.ts'
import type { GraphTensor } from './ort/tensors.ts'

/** @throws {ServingError} 400 where the graph refuses the inputs, 500 where the engine stops, 503 where it had stopped before. */
export function runGraph(
  session: OrtSession,
  inputs: NamedTensors,
  wanted?: readonly string[],
): Record<string, GraphTensor> {
  requireRunning(session.ort)
  try {
    return session.run(inputs, wanted)
  } catch (error) {
    throw runFailure(error)
  }
}
