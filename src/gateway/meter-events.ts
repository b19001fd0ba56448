/** The events of a generation on their way to the caller: counted for the invocation's row, and always ended as the contract says. */
import { internal, isServingError, type ServingError, unavailable } from '#contracts/errors.ts'
import type { GenerationEvent } from '#contracts/generation.ts'
import { callerGone, type Outcome } from './settle.ts'

export interface Metering {
  outcome: Outcome
  requestId: string
  isAborted(): boolean
}

/**
 * Passes events on and counts them for the row. Whatever ends them before their time becomes the `failed` event that the contract
 * wants. What fails in a model comes as such an event, so a stream that breaks, or just stops, has lost its isolate: it was ended,
 * or it ended itself, and the same request finds another one.
 */
export async function* metered(
  events: AsyncIterable<GenerationEvent>,
  { outcome, requestId, isAborted }: Metering,
): AsyncGenerator<GenerationEvent> {
  let failure: ServingError
  try {
    for await (const event of events) {
      count(event, outcome)
      yield event
      if (event.type === 'usage-final' || event.type === 'failed') return
    }
    failure = replicaLost()
  } catch (error) {
    if (isAborted()) failure = callerGone()
    else if (isServingError(error)) failure = error
    else {
      console.error(`request ${requestId}: its replica was lost: ${error instanceof Error ? error.stack : error}`)
      failure = replicaLost()
    }
  }
  outcome.status = failure.status
  yield { type: 'failed', error: failure.toJSON() }
}

function replicaLost(): ServingError {
  return unavailable('The replica that wrote this reply was lost before the reply was complete; ask again.', 1)
}

function count(event: GenerationEvent, outcome: Outcome): void {
  switch (event.type) {
    case 'prompt-read':
      outcome.promptTokens = event.promptTokens
      break
    // Until the model has told, a delta counts as a token, so that a reply which was broken off is not logged as empty.
    case 'text-delta':
    case 'reasoning-delta':
    case 'tool-call-delta':
      outcome.completionTokens += 1
      break
    case 'usage-final': {
      const { promptTokens, completionTokens, queueMs, loadMs, ttftMs, decodeMs } = event.usage
      const runMs = Math.max(0, ttftMs - queueMs - loadMs) + decodeMs
      Object.assign(outcome, { promptTokens, completionTokens, loadMs, runMs })
      break
    }
    case 'failed':
      outcome.status = event.error.status
  }
}

/** A failure as its caller may see it; what is no refusal of ours goes to the log instead. */
export function shownFailure(error: unknown, requestId: string): ServingError {
  if (isServingError(error)) return error
  console.error(`request ${requestId}: ${error instanceof Error ? error.stack : error}`)
  return internal(`The request failed inside glim (request ${requestId}).`)
}
