/** Fields that several dialects of text generation share: sampling, stop texts, and what is refused by name. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { Sampling } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'

const penalty = z.number().min(-2).max(2).nullish()

/** OpenAI's names, and those that local servers have added to them. */
export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  seed: z.number().int().nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/, 'expected a token id'), z.number().min(-100).max(100))
    .refine(
      (biases) => Object.keys(biases).length <= limits.logitBiases,
      `expected at most ${limits.logitBiases} tokens`,
    )
    .nullish(),
  /** 0 and −1 both stand for all. */
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().min(0.01).max(100).nullish(),
  ignore_eos: z.boolean().nullish(),
}

type SamplingBody = z.infer<z.ZodObject<typeof samplingFields>>

export function samplingOf(body: SamplingBody): Sampling {
  return {
    temperature: body.temperature ?? null,
    topK: body.top_k === undefined || body.top_k === null ? null : Math.max(0, body.top_k),
    topP: body.top_p ?? null,
    minP: body.min_p ?? null,
    repetitionPenalty: body.repetition_penalty ?? null,
    presencePenalty: body.presence_penalty ?? null,
    frequencyPenalty: body.frequency_penalty ?? null,
    logitBias: body.logit_bias ?? {},
    seed: body.seed ?? null,
  }
}

export const neutralSampling: Sampling = samplingOf({})

const stopText = z.string().min(1).max(limits.stopTextLength)

export const stopField = z
  .union([stopText, z.array(stopText).max(limits.stopTexts)], 'expected a string or a list of strings')
  .nullish()

export function stopOf(stop: z.infer<typeof stopField>): readonly string[] {
  if (stop === undefined || stop === null) return []
  return typeof stop === 'string' ? [stop] : stop
}

export const textField = z.string().max(limits.textCharacters)
export const mostTokensField = z.number().int().min(1).nullish()
export const choicesField = z.number().int().min(1).max(limits.choices).nullish()
/** Accepts what a caller marks as absent. */
export const flagField = z.boolean().nullish()

/**
 * Refuses fields that glim does not have and that would change the answer. Values that ask for nothing pass, because clients
 * send whole option bags.
 *
 * @param refused what to say of each field; @param where what leads its path, ending in a dot.
 * @throws {ServingError} 400 naming the first of them.
 */
export function refuseFields(
  body: Readonly<Record<string, unknown>>,
  refused: Readonly<Record<string, string>>,
  where = '',
): void {
  for (const [field, problem] of Object.entries(refused))
    if (Object.hasOwn(body, field) && asksForSomething(body[field])) throw invalidParameter(where + field, problem)
}

function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}

/** Fields that local servers know and glim has nothing to answer with. */
export const refusedExtras: Readonly<Record<string, string>> = {
  guided_grammar: 'grammars are not supported; use guided_json, guided_regex or guided_choice.',
  use_beam_search: 'beam search is not supported; leave it out.',
  prompt_logprobs: 'log probabilities of the prompt are not supported; leave it out.',
  min_tokens: 'is not supported; use ignore_eos with max_tokens, or leave it out.',
  stop_token_ids: 'is not supported; use stop with texts.',
  bad_words: 'is not supported; use logit_bias.',
  allowed_token_ids: 'is not supported; use guided_choice or guided_regex.',
  chat_template: 'templates of the request are not used; the model brings its own.',
  continue_final_message: 'is not supported; the reply is always a new message.',
}
