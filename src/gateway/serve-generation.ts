/**
 * A text generation from an authorised request to the last byte of its reply: choose the entity, translate the body, start the
 * model, answer in one piece or as a stream (`reply-generation.ts`), record. What is refused before the reply is begun is an
 * ordinary HTTP error; a failure after it is told inside the reply. Whatever happens, exactly one row is recorded, once the reply
 * has ended.
 */
import { badRequest, isServingError, ServingError } from '#contracts/errors.ts'
import type { GenerationEvent } from '#contracts/generation.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import { chooseTarget } from './choose-target.ts'
import { inCallersWords } from './dialects/field-names.ts'
import type { GenerationContext, GenerationPlan } from './dialects/generation-plan.ts'
import { within } from './held-reply.ts'
import { mergeGenerations } from './merge-generations.ts'
import { type Metering, metered } from './meter-events.ts'
import { readAhead } from './read-ahead.ts'
import { inEvents, inOnePiece, type Waiting } from './reply-generation.ts'
import { beginOutcome, callerGone, failureOf, type Inquiry, type Outcome, rowOf, type ServeOptions } from './settle.ts'

export interface GenerationInvocation extends Waiting {
  /** Reads the caller's body in its dialect; sets `clientRequestId` where the body has one. */
  translate(context: GenerationContext): GenerationPlan | Promise<GenerationPlan>
}

export interface GenerationOptions extends ServeOptions {
  /** Keeps the isolate at work until the row is recorded, also when the caller has gone. */
  keepAlive(promise: Promise<unknown>): void
}

/** How long a reply waits for its first event before it is begun without: whoever has gone is noticed only by writing to him. */
const statusPatienceMs = 3_000

/** Resolves once the reply, or the first event of its stream, is there, or is long in coming. @throws {ServingError} */
export async function serveGeneration(invocation: GenerationInvocation, options: GenerationOptions): Promise<Response> {
  const { endpoint } = invocation
  const outcome = beginOutcome(options.now())
  const { promise: settled, resolve } = Promise.withResolvers<void>()
  const settle = once(() => {
    options.record(rowOf(invocation, outcome, options.now()))
    resolve()
  })
  // Without this the runtime drops the request with its caller, and then neither ends the work nor records it.
  options.keepAlive(settled)
  const gone = new AbortController()
  const signal = AbortSignal.any([invocation.signal, gone.signal])
  try {
    const target = chooseTarget(endpoint, options, outcome)
    requireTextGeneration(target.version, endpoint.name)
    const plan = await invocation.translate(contextOf(invocation, target.version, outcome))
    const spec = options.specOf(endpoint, target.entity, target.version)
    const started = plan.requests.map((request, index) =>
      options.host.generate(spec, request, signal).catch((error: unknown) => {
        throw inCallersWords(error, (field) => plan.fieldOf?.(field, index) ?? field)
      }),
    )
    const metering = { outcome, requestId: invocation.requestId, isAborted: () => signal.aborted }
    const events = begun(plan, allStarted(started, gone), metering)
    // Nothing has been said yet, so a refusal can still be told by the status.
    const isLate = (await within(statusPatienceMs, events)) === undefined
    const serving = { target, outcome, settle, gone, invocation, isLate }
    return await (plan.isStreamed ? inEvents : inOnePiece)(plan, events, serving)
  } catch (error) {
    gone.abort()
    const failure = failureOf(error, invocation.signal.aborted, outcome)
    settle()
    throw failure
  }
}

/** All of them, or the first refusal, upon which the others are ended. */
async function allStarted(
  started: readonly Promise<AsyncIterable<GenerationEvent>>[],
  gone: AbortController,
): Promise<AsyncIterable<GenerationEvent>[]> {
  for (const one of started) one.catch(() => gone.abort())
  if (started.length === 1) return [await started[0]!]
  return Promise.all(started.map(async (one) => readAhead(await one)))
}

/** Resolves to all events once the first is there. @throws {ServingError} what is refused, by the host or by that event. */
async function begun(
  { requests }: GenerationPlan,
  started: Promise<AsyncIterable<GenerationEvent>[]>,
  metering: Metering,
): Promise<AsyncIterable<GenerationEvent>> {
  const streams = await started.catch((error: unknown) => {
    throw metering.isAborted() && !isServingError(error) ? callerGone() : error
  })
  const all = streams.length === 1 ? streams[0]! : mergeGenerations(streams, requests[0]!.choices)
  const events = metered(all, metering)
  const first = await events.next()
  if (!first.done && first.value.type === 'failed') throw new ServingError(first.value.error)
  return resumed(first, events)
}

async function* resumed(
  first: IteratorResult<GenerationEvent>,
  rest: AsyncGenerator<GenerationEvent>,
): AsyncGenerator<GenerationEvent> {
  if (first.done) return
  yield first.value
  yield* rest
}

function requireTextGeneration({ task }: ModelVersion, name: string): void {
  if (task === 'text-generation') return
  throw badRequest(
    `The endpoint ${name} serves the task ${task}; this route needs one that serves text-generation.`,
    'model',
  )
}

function contextOf(
  { requestId, endpoint, principal }: Inquiry,
  version: ModelVersion,
  { startedMs }: Outcome,
): GenerationContext {
  return {
    requestId,
    model: endpoint.name,
    tenant: principal.name,
    fingerprint: `fp_${version.manifest.slice('sha256:'.length, 'sha256:'.length + 10)}`,
    createdMs: startedMs,
  }
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    work()
  }
}
