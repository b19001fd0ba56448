/** What a failure of ONNX Runtime means to whoever asked for the run. */
import { internal, isServingError, modelFailed, type ServingError, unavailable } from '#contracts/errors.ts'
import { OrtError, OrtTrapped } from './ort/error.ts'
import type { Ort } from './ort/instance.ts'

/**
 * To be asked before a run: an engine that stopped in one request's run answers nobody any more, and the others are not to blame.
 *
 * @throws {ServingError} 503; the isolate is replaced, and the next one answers.
 */
export function requireRunning({ trapped }: Pick<Ort, 'trapped'>): void {
  if (trapped) throw unavailable('The inference engine stopped in the run of another request and is being replaced.', 1)
}

/** Whether a request was never tried, so that another isolate may answer it. */
export function isUntried(error: unknown): error is ServingError {
  return isServingError(error) && error.code === 'TEMPORARILY_UNAVAILABLE'
}

/** 400 with ORT's own words where the graph refused the inputs, 500 where the engine stopped; anything else as it came. */
export function runFailure(error: unknown): unknown {
  if (error instanceof OrtError) return modelFailed(`The model refused this input: ${error.message}`, error.message)
  if (error instanceof OrtTrapped || error instanceof RangeError) return internal(error.message)
  return error
}
