/**
 * From prompt to text. Every choice is one loop: sample a token under the constraint, show its text, ask for the logits after it.
 * Where those come from, and who else is being served in the same step, is the scheduler's business.
 */
import { deadlineExceeded, internal, invalidParameter, isServingError, ServingError } from '#contracts/errors.ts'
import type { FinishReason, GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import type { AnswerForm, AnswerForms } from './answer-form.ts'
import { ChoiceOutput } from './choice-output.ts'
import { countPrompt } from './count-prompt.ts'
import { EventChannel } from './event-channel.ts'
import type { SamplingDefaults } from './generation-config.ts'
import type { Place } from './job.ts'
import type { PromptReader, ReadPrompt } from './prompt.ts'
import { createSampler, type SamplerScratch } from './sampler.ts'
import { type ResolvedSampling, resolveSampling } from './sampling.ts'
import type { Scheduler } from './scheduler.ts'
import type { TokenVocabulary } from './seams.ts'
import type { Sequence } from './sequence.ts'

/** A loaded model, ready to write. */
export interface TextModel {
  vocabulary: TokenVocabulary
  prompts: PromptReader
  sampling: SamplingDefaults
  scratch: SamplerScratch
  forms: AnswerForms
  scheduler: Scheduler
}

/** A request with nothing left open. */
interface Plan {
  request: GenerationRequest
  prompt: ReadPrompt
  maxTokens: number
  sampling: ResolvedSampling
  form: AnswerForm
  arrivedMs: number
}

/** Who is written for. */
interface Reader {
  emit(event: GenerationEvent): void
  /** What to wait for before more is written, where he has not taken what there is. */
  pause(): Promise<void> | undefined
}

/** What one choice has come to. */
interface Written {
  tokens: number
  reasoningTokens: number
  firstTokenMs: number
}

/**
 * Resolves to the events once there is room for the request; with `maxTokens` 0 it only counts the prompt's tokens, and repeats
 * the prompt where that is asked for, at once.
 *
 * @throws {ServingError} 400 for what the model cannot take, 429 where too many wait (retryable), 504 past the deadline.
 */
export async function generate(
  model: TextModel,
  request: GenerationRequest,
  signal?: AbortSignal,
): Promise<AsyncIterable<GenerationEvent>> {
  const arrivedMs = performance.now()
  const prompt = model.prompts.read(request.prompt)
  if (request.maxTokens === 0) return countPrompt(request, prompt)
  const maxTokens = tokensFor(model, request, prompt)
  const sampling = resolveSampling(request.sampling, model.sampling, model.vocabulary.size)
  const plan: Plan = { request, prompt, arrivedMs, maxTokens, sampling, form: model.forms.of(request, maxTokens) }
  const place = await model.scheduler.take({
    tenant: request.tenant,
    prompt: prompt.tokens,
    choices: request.choices,
    length: prompt.tokens.length + maxTokens,
    deadlineMs: request.deadlineMs,
    signal,
  })
  const events = new EventChannel<GenerationEvent>(() => place.leave())
  void write(model, plan, place, events)
  return events
}

/** Writes all choices side by side; whatever fails ends them all. */
async function write(model: TextModel, plan: Plan, place: Place, events: EventChannel<GenerationEvent>): Promise<void> {
  const emit = (event: GenerationEvent) => events.push(event)
  const pause = () => {
    const room = events.room()
    return room && beforeDeadline(room, plan)
  }
  const promptTokens = plan.prompt.tokens.length
  try {
    const { cachedTokens, sequences } = await place.read
    emit({ type: 'prompt-read', promptTokens, cachedTokens })
    const written = await Promise.all(
      sequences.map((sequence, choice) => writeChoice(model, plan, sequence, choice, { emit, pause })),
    )
    const firstTokenMs = Math.min(...written.map((each) => each.firstTokenMs))
    emit({
      type: 'usage-final',
      usage: {
        promptTokens,
        cachedTokens,
        completionTokens: written.reduce((sum, { tokens }) => sum + tokens, 0),
        reasoningTokens: written.reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0),
        queueMs: place.queueMs,
        loadMs: 0,
        ttftMs: firstTokenMs - plan.arrivedMs,
        decodeMs: performance.now() - firstTokenMs,
      },
    })
  } catch (error) {
    place.leave()
    const facts = isServingError(error) ? error : internal(error instanceof Error ? error.message : String(error))
    emit({ type: 'failed', error: facts.toJSON() })
  } finally {
    events.end()
  }
}

async function writeChoice(
  { vocabulary, scratch }: TextModel,
  { request, prompt, maxTokens, sampling, form: { constraint, toolCalls } }: Plan,
  sequence: Sequence,
  choice: number,
  { emit, pause }: Reader,
): Promise<Written> {
  const { stop, topLogprobs } = request
  const sampler = createSampler({ sampling, choice, prompt: prompt.tokens, topLogprobs, scratch })
  // A constraint is on the whole text, which leaves no place for reasoning.
  const reasoning = constraint ? null : prompt.reasoning
  const output = new ChoiceOutput({ ...prompt, reasoning, toolCalls, vocabulary, stop, choice, emit })
  const position = constraint?.start()
  const endsAt = request.ignoreEos && !position ? new Set<number>() : vocabulary.endTokens
  if (request.echo) emit({ type: 'text-delta', choice, text: prompt.text })

  let tokens = 0
  let firstTokenMs: number | undefined
  let finishReason: FinishReason | undefined
  let { logits } = sequence // [vocabulary]
  while (!finishReason) {
    const tokensLeft = maxTokens - tokens
    const sampled = sampler.sample(logits, position && ((scores) => position.mask(scores, tokensLeft)))
    firstTokenMs ??= performance.now()
    if (endsAt.has(sampled.token)) {
      finishReason = 'stop'
      break
    }
    tokens++
    position?.accept(sampled.token)
    output.push(sampled)
    if (output.stopped !== null || position?.isComplete) finishReason = 'stop'
    else if (tokens === maxTokens) finishReason = 'length'
    else {
      const room = pause()
      if (room) await room
      logits = await sequence.next(sampled.token)
    }
  }
  sequence.close()
  output.end()
  if (finishReason === 'stop' && output.calls > 0) finishReason = 'tool-calls'
  emit({ type: 'choice-end', choice, finishReason, stopText: output.stopped })
  return { tokens, reasoningTokens: output.reasoningTokens, firstTokenMs: firstTokenMs ?? performance.now() }
}

/** Longer than any network that still moves; others wait for the place. */
const longestPauseMs = 20_000

/** @throws {ServingError} 504 where the reader takes nothing for too long, or nothing until the deadline. */
async function beforeDeadline(room: Promise<void>, { request: { deadlineMs }, arrivedMs }: Plan): Promise<void> {
  const late = Promise.withResolvers<never>()
  const leftMs = deadlineMs - (performance.now() - arrivedMs)
  const end = () => late.reject(leftMs < longestPauseMs ? deadlineExceeded(deadlineMs) : readerStalled())
  const timer = setTimeout(end, Math.min(leftMs, longestPauseMs))
  try {
    await Promise.race([room, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function readerStalled(): ServingError {
  const message = `The reader of this reply took nothing for ${longestPauseMs / 1_000} s, and others wait for the place.`
  return new ServingError({ code: 'DEADLINE_EXCEEDED', status: 504, message })
}

/** Most tokens of each choice: what is asked for, as far as there is room behind the prompt. */
function tokensFor(
  { scheduler }: TextModel,
  { choices, maxTokens }: GenerationRequest,
  { tokens: { length } }: ReadPrompt,
): number {
  const longest = scheduler.longest(choices)
  if (length >= longest) {
    throw invalidParameter(
      'n',
      `${choices} choices of a prompt of ${length} tokens came; this endpoint's memory holds ${longest} tokens for each of so many, at least one of the answer among them.`,
    )
  }
  return Math.min(maxTokens ?? Number.POSITIVE_INFINITY, longest - length)
}
