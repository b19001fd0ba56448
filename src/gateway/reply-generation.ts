/**
 * The two forms of a generation's reply: one document, or a stream. Either may be begun before the first event is there. The work
 * ends when the caller goes away, and the row is recorded once the reply has ended.
 */
import type { GenerationEvent } from '#contracts/generation.ts'
import type { Target } from './choose-target.ts'
import type { GenerationPlan } from './dialects/generation-plan.ts'
import { type Dialect, errorBody } from './error-body.ts'
import { type Ending, heldReply, within } from './held-reply.ts'
import { shownFailure } from './meter-events.ts'
import { callerGone, type Inquiry, type Outcome } from './settle.ts'
import { eventStreamHeaders, textStream } from './sse.ts'

/** How long a document may take from its first event on before its body is begun. */
const patienceMs = 1_000
/** The longest silence of a reply that is begun: between signs of life of a document, and of a stream that has nothing to say. */
const heartbeatMs = 500

/** Who waits for the reply. */
export interface Waiting extends Inquiry {
  /** Aborts when the caller goes away. */
  signal: AbortSignal
  /** The shape of the caller's errors. */
  dialect: Dialect
}

/** What is being served, and how it ends. */
export interface Serving {
  target: Target
  outcome: Outcome
  settle(): void
  gone: AbortController
  invocation: Waiting
  /** Whether the first event is so long in coming that the reply is begun without it. */
  isLate: boolean
}

/**
 * One document. What takes longer than `patienceMs` is held open, so that a caller who goes away is noticed; from then on a failure
 * can no longer be told by the status.
 *
 * @throws {ServingError} what fails before that.
 */
export async function inOnePiece(
  plan: GenerationPlan,
  events: Promise<AsyncIterable<GenerationEvent>>,
  serving: Serving,
): Promise<Response> {
  const { target, outcome, settle, gone, invocation, isLate } = serving
  const headers = { 'content-type': 'application/json', ...named(target) }
  const reply = events.then((each) => plan.reply(each)).then((value) => JSON.stringify(value))
  const early = isLate ? undefined : await within(patienceMs, reply)
  if (early !== undefined) {
    settle()
    return new Response(early, { headers })
  }
  const cancel = cancelling(serving)
  invocation.signal.addEventListener('abort', cancel, { once: true })
  const explain = (error: unknown): Ending => {
    const failure = shownFailure(error, invocation.requestId)
    outcome.status = failure.status
    gone.abort()
    return { text: JSON.stringify(errorBody(failure, invocation.dialect, invocation.requestId)), isWhole: false }
  }
  const ending = reply
    .then((text): Ending => ({ text, isWhole: true }), explain)
    .finally(() => {
      invocation.signal.removeEventListener('abort', cancel)
      settle()
    })
  return new Response(heldReply(ending, heartbeatMs, cancel), { headers })
}

/** Ends the work because nobody waits for it any more. */
function cancelling({ outcome, settle, gone }: Serving): () => void {
  return () => {
    outcome.status = callerGone().status
    settle()
    gone.abort()
  }
}

/** A stream of the dialect's events; a failure is told by one of them. */
export function inEvents(
  plan: GenerationPlan,
  events: Promise<AsyncIterable<GenerationEvent>>,
  serving: Serving,
): Response {
  const { target, outcome, settle, gone, invocation } = serving
  const cancel = cancelling(serving)
  invocation.signal.addEventListener('abort', cancel, { once: true })

  async function* texts(): AsyncGenerator<string> {
    try {
      for await (const event of failureTold(events, serving)) {
        const text = await said(plan, event, invocation.requestId, outcome)
        // Many readers go away at the last event instead of waiting for the end, and that is no abort.
        if (event.type === 'usage-final' || event.type === 'failed') settle()
        yield text
      }
    } finally {
      invocation.signal.removeEventListener('abort', cancel)
      // Whatever the events have left running ends here, also where a text could not be written.
      gone.abort()
      settle()
    }
  }
  const headers = { ...eventStreamHeaders, ...named(target) }
  return new Response(textStream(texts(), heartbeatMs, cancel), { headers })
}

/** What is refused after the reply was begun is the only event. */
async function* failureTold(
  events: Promise<AsyncIterable<GenerationEvent>>,
  { outcome, invocation }: Serving,
): AsyncGenerator<GenerationEvent> {
  let begun: AsyncIterable<GenerationEvent>
  try {
    begun = await events
  } catch (error) {
    const failure = shownFailure(error, invocation.requestId)
    outcome.status = failure.status
    return yield { type: 'failed', error: failure.toJSON() }
  }
  yield* begun
}

/** A dialect that cannot say an event (its store failed) says that it failed. */
async function said(plan: GenerationPlan, event: GenerationEvent, requestId: string, outcome: Outcome) {
  try {
    return await plan.write(event)
  } catch (error) {
    const failure = shownFailure(error, requestId)
    outcome.status = failure.status
    return plan.write({ type: 'failed', error: failure.toJSON() })
  }
}

function named({ entity }: Target): Record<string, string> {
  return { 'served-model-name': entity.name }
}
