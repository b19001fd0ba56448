/**
 * A request's sampling values, checked and completed from the model's defaults. Errors use the names of the OpenAI API, which all
 * dialects share.
 */
import { invalidParameter } from '#contracts/errors.ts'
import type { Sampling } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import type { SamplingDefaults } from './generation-config.ts'

/** `Sampling` with nothing left open. */
export interface ResolvedSampling {
  /** 0 takes the likeliest token. */
  temperature: number
  /** 0: all tokens. */
  topK: number
  /** 1: all tokens. */
  topP: number
  /** 0: all tokens. */
  minP: number
  repetitionPenalty: number
  presencePenalty: number
  frequencyPenalty: number
  logitBias: readonly (readonly [token: number, bias: number])[]
  seed: number
}

/**
 * Returns complete values; a seed that is left open is drawn.
 *
 * @throws {ServingError} 400 naming the field, what came and what is accepted. Final.
 */
export function resolveSampling(
  sampling: Sampling,
  defaults: SamplingDefaults,
  vocabularySize: number,
): ResolvedSampling {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed } = sampling
  if (topK !== null && !(Number.isInteger(topK) && topK >= 0))
    throw invalidParameter('top_k', `expected an integer of at least 0 (0: all tokens), got ${topK}.`)
  if (topP !== null && !(topP > 0 && topP <= 1))
    throw invalidParameter('top_p', `expected a number above 0 and up to 1, got ${topP}.`)
  if (repetitionPenalty !== null && !(repetitionPenalty >= 0.01 && repetitionPenalty <= 100))
    throw invalidParameter('repetition_penalty', `expected a number from 0.01 to 100, got ${repetitionPenalty}.`)
  if (seed !== null && !Number.isSafeInteger(seed))
    throw invalidParameter('seed', `expected an integer below 2^53 in size, got ${seed}.`)
  return {
    temperature: within('temperature', temperature, 0, 2) ?? defaults.temperature,
    topK: topK ?? defaults.topK,
    topP: topP ?? defaults.topP,
    minP: within('min_p', minP, 0, 1) ?? defaults.minP,
    repetitionPenalty: repetitionPenalty ?? defaults.repetitionPenalty,
    presencePenalty: within('presence_penalty', presencePenalty, -2, 2) ?? 0,
    frequencyPenalty: within('frequency_penalty', frequencyPenalty, -2, 2) ?? 0,
    logitBias: biasesOf(sampling.logitBias, vocabularySize),
    seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
  }
}

function within(field: string, value: number | null, least: number, most: number): number | null {
  if (value !== null && !(value >= least && value <= most))
    throw invalidParameter(field, `expected a number from ${least} to ${most}, got ${value}.`)
  return value
}

function biasesOf(logitBias: Sampling['logitBias'], vocabularySize: number): [number, number][] {
  const entries = Object.entries(logitBias)
  if (entries.length > limits.logitBiases)
    throw invalidParameter('logit_bias', `at most ${limits.logitBiases} tokens may be named, got ${entries.length}.`)
  return entries.map(([name, bias]) => {
    const token = Number(name)
    if (!/^\d{1,9}$/.test(name) || token >= vocabularySize)
      throw invalidParameter('logit_bias', `expected token ids from 0 to ${vocabularySize - 1}, got "${name}".`)
    return [token, within(`logit_bias.${name}`, bias, -100, 100) ?? 0]
  })
}
