/** What is asked of the seeded decoder: prompts of words, and the likeliest tokens after them; and how those become text. */
import type { GenerationRequest } from '#contracts/generation.ts'
import { type DecoderShape, decoderShape } from './decoder-model.ts'
import { json, type ModelFile, specialTokens, wordOf } from './seeded-weights.ts'

type Words = Pick<DecoderShape, 'vocabulary'>

/** Exactly `maxTokens` tokens. */
export function greedyRequest(
  prompt: readonly number[],
  changes: Partial<GenerationRequest> & Pick<GenerationRequest, 'maxTokens'>,
): GenerationRequest {
  return {
    prompt: { kind: 'tokens', tokens: prompt },
    choices: 1,
    sampling: {
      temperature: 0,
      topK: null,
      topP: null,
      minP: null,
      repetitionPenalty: null,
      presencePenalty: null,
      frequencyPenalty: null,
      logitBias: {},
      seed: null,
    },
    stop: [],
    ignoreEos: true,
    topLogprobs: null,
    echo: false,
    constraint: null,
    tenant: 'bench',
    deadlineMs: 600_000,
    ...changes,
  }
}

/** Ids of words, other ones for each seed. */
export function promptOfWords(length: number, seed: number, { vocabulary }: Words = decoderShape): number[] {
  const words = vocabulary - specialTokens.length
  return Array.from(
    { length },
    (_, at) => specialTokens.length + ((seed * 7_919 + at * 104_729 + at * at * 31) % words),
  )
}

/** Words of four letters without anything between them. */
export function wordTokenizer({ vocabulary }: Words = decoderShape): ModelFile {
  const words = Array.from({ length: vocabulary }, (_, id) => specialTokens[id] ?? wordOf(id))
  const added = specialTokens.map((content, id) => ({ id, content, special: true }))
  return json('tokenizer.json', {
    version: '1.0',
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(words.map((word, id) => [word, id])), merges: [] },
  })
}

/** What turns text of that tokenizer into its ids. */
export function wordReader({ vocabulary }: Words = decoderShape): (text: string) => number[] {
  const ids = new Map(
    Array.from({ length: vocabulary }, (_, id) => [wordOf(id), id] as const).slice(specialTokens.length),
  )
  return (text) => (text.match(/.{4}/g) ?? []).map((word) => ids.get(word)!)
}
