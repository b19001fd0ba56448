/**
 * From a step's logits to the next token, in the order of Hugging Face and vLLM: penalties, logit bias, the constraint's mask,
 * temperature, top-k, top-p, min-p, draw.
 *
 * No step sorts: each filter is a threshold (with a number of equal values that still pass, in order of their ids), and the draw
 * walks the tokens that pass in order of their ids until their weights exceed a random share. So the same seed gives the same
 * token for the same logits, whatever else runs. Arrays as wide as the vocabulary are scratch that all samplers of a model share;
 * they hold nothing between two calls.
 */
import { modelFailed } from '#contracts/errors.ts'
import { cutOf, largestPlaces } from './largest.ts'
import { createRandomNumbers } from './random.ts'
import type { ResolvedSampling } from './sampling.ts'
import type { SampledToken, Sampler } from './seams.ts'

/** 24 bytes for each token of the vocabulary. */
export interface SamplerScratch {
  readonly raw: Float32Array
  /** Tokens that may be drawn, in order of their ids, and beside each its weight. */
  readonly tokens: Int32Array
  readonly weights: Float64Array
  readonly reordered: Float64Array
}

/** @param width Tokens that may be drawn. Logits beyond it, with which some models fill up their last layer, are passed over. */
export function createSamplerScratch(width: number): SamplerScratch {
  return {
    raw: new Float32Array(width),
    tokens: new Int32Array(width),
    weights: new Float64Array(width),
    reordered: new Float64Array(width),
  }
}

export interface SamplerOptions {
  sampling: ResolvedSampling
  /** Number of the choice, from 0; each has random numbers of its own. */
  choice: number
  /** Tokens before the choice, which the repetition penalty counts too. */
  prompt: readonly number[]
  /** Null: no log probabilities. */
  topLogprobs: number | null
  scratch: SamplerScratch
}

/** Weights of e^-50 and less change no draw: all of a vocabulary's together lie below the 53 bits of a random number. */
const negligible = 50
/** Below this, a temperature is 0: its inverse would leave the range of numbers. */
const coldest = 1e-5
/** Stands for a log probability of minus infinity, which JSON cannot hold; the OpenAI API uses the same number. */
const impossible = -9999

/** `sample` throws a `ServingError` (400, final) where no token has a finite logit: the model computed NaN, or a mask left nothing. */
export function createSampler({ sampling, choice, prompt, topLogprobs, scratch }: SamplerOptions): Sampler {
  const random = createRandomNumbers(sampling.seed, choice)
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = sampling
  const counts = new Map<number, number>()
  const seen = new Set(repetitionPenalty === 1 ? [] : prompt)
  const isCounting = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0

  function adjust(logits: Float32Array): void {
    if (repetitionPenalty !== 1)
      for (const token of seen) {
        const logit = logits[token]!
        logits[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
      }
    if (presencePenalty !== 0 || frequencyPenalty !== 0)
      for (const [token, count] of counts) logits[token]! -= presencePenalty + count * frequencyPenalty
    for (const [token, bias] of sampling.logitBias) logits[token]! += bias
  }

  return {
    sample(all, mask) {
      const logits = all.subarray(0, scratch.tokens.length)
      if (topLogprobs !== null) scratch.raw.set(logits)
      adjust(logits)
      mask?.(logits)
      const likeliest = likeliestOf(logits)
      const token =
        sampling.temperature < coldest ? likeliest : draw(logits, likeliest, sampling, scratch, random.next())
      if (isCounting) {
        counts.set(token, (counts.get(token) ?? 0) + 1)
        seen.add(token)
      }
      return topLogprobs === null
        ? { token }
        : { token, logprobs: logprobsOf(scratch.raw.subarray(0, logits.length), token, topLogprobs) }
    },
  }
}

/** The lowest id among equals. */
function likeliestOf(logits: Float32Array): number {
  let [likeliest, most] = [-1, -Infinity]
  for (let token = 0; token < logits.length; token++)
    if (logits[token]! > most) {
      most = logits[token]!
      likeliest = token
    }
  if (likeliest < 0) throw modelFailed('The model gave no token a finite logit, so that none can follow.')
  return likeliest
}

/** @param share Of the weight of all tokens that pass the filters, at least 0 and below 1. */
function draw(
  logits: Float32Array,
  likeliest: number,
  { temperature, topK, topP, minP }: ResolvedSampling,
  scratch: SamplerScratch,
  share: number,
): number {
  const [most, sharpness] = [logits[likeliest]!, 1 / temperature]
  if (most === Infinity) return likeliest
  const { tokens, weights, reordered } = scratch

  // Weights before top-k are logits, so that tokens whose exponentials round to the same number keep their order.
  const floor = most - negligible * temperature
  let count = 0
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!
    // Also false for NaN.
    if (!(logit >= floor)) continue
    tokens[count] = token
    weights[count++] = logit
  }
  if (topK > 0 && topK < count) count = keep(scratch, count, topK, true)

  let total = 0
  for (let i = 0; i < count; i++) {
    weights[i] = Math.exp((weights[i]! - most) * sharpness)
    total += weights[i]!
  }
  if (topP < 1) count = keep(scratch, count, topP * total, false)
  // The likeliest token weighs 1.
  if (minP > 0) count = keepAbove(scratch, count, minP)

  total = 0
  for (let i = 0; i < count; i++) reordered[i] = total += weights[i]!
  const mark = share * total
  for (let i = 0; i < count; i++) if (reordered[i]! > mark) return tokens[i]!
  return likeliest
}

/** Leaves the largest weights that sum (or number, with `byCount`) to `target`; returns how many. */
function keep(scratch: SamplerScratch, count: number, target: number, byCount: boolean): number {
  const { tokens, weights, reordered } = scratch
  reordered.set(weights.subarray(0, count))
  const cut = cutOf(reordered, count, target, byCount)
  let [kept, ties] = [0, cut.ties]
  for (let i = 0; i < count; i++) {
    const weight = weights[i]!
    if (weight < cut.threshold || (weight === cut.threshold && ties-- <= 0)) continue
    tokens[kept] = tokens[i]!
    weights[kept++] = weight
  }
  return kept
}

function keepAbove({ tokens, weights }: SamplerScratch, count: number, least: number): number {
  let kept = 0
  for (let i = 0; i < count; i++) {
    if (weights[i]! < least) continue
    tokens[kept] = tokens[i]!
    weights[kept++] = weights[i]!
  }
  return kept
}

/** Under the model's own distribution: before penalties, biases, mask and temperature. */
function logprobsOf(raw: Float32Array, token: number, count: number): NonNullable<SampledToken['logprobs']> {
  const [most, ...others] = largestPlaces(raw, Math.max(count, 1))
  const places = most === undefined ? [] : [most, ...others]
  const highest = raw[most ?? token]!
  let sum = 0
  for (let i = 0; i < raw.length; i++) if (raw[i]! > highest - negligible) sum += Math.exp(raw[i]! - highest)
  const logSum = highest + Math.log(sum)
  const logprobOf = (place: number) => Math.max(raw[place]! - logSum, impossible)
  return {
    logprob: logprobOf(token),
    top: places.slice(0, count).map((place) => ({ token: place, logprob: logprobOf(place) })),
  }
}
