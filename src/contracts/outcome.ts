/** A result that keeps a refusal's facts across an RPC boundary, where exceptions lose their fields. */
import { isServingError, ServingError, type ServingErrorFacts } from './errors.ts'

export type Outcome<T> = { ok: T } | { refused: ServingErrorFacts }

/** What a `ServingError` refused becomes data; anything else is a fault and is thrown on. */
export async function outcomeOf<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: await work() }
  } catch (error) {
    if (isServingError(error)) return { refused: error.toJSON() }
    throw error
  }
}

/** @throws {ServingError} the refusal, as it was thrown on the other side. */
export function resultOf<T>(outcome: Outcome<T>): T {
  if ('refused' in outcome) throw new ServingError(outcome.refused)
  return outcome.ok
}
