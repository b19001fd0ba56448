/**
 * What a model's own files say about generating with it: tokens that end a text, how long its context is, how its authors sample.
 * `generation_config.json` leads; `config.json` and `tokenizer_config.json` fill what it leaves out.
 */
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson } from '../read-artifact.ts'

export interface GenerationConfig {
  /** Ids that end a text. The tokenizer's own end token, known by name, comes on top. */
  endTokens: readonly number[]
  endTokenText: string | null
  beginTokenText: string | null
  /** Whether texts begin with the begin token, where the tokenizer's configuration overrules its post-processor. */
  addsBeginToken: boolean | null
  /** Tokens of prompt and answer together; null where no file bounds them. */
  contextLength: number | null
  /** Width of the model's logits; null where `config.json` does not say. */
  vocabularySize: number | null
  sampling: SamplingDefaults
}

/** What a request that leaves a value open samples with. */
export interface SamplingDefaults {
  temperature: number
  /** 0: all tokens. */
  topK: number
  topP: number
  minP: number
  repetitionPenalty: number
}

/** Hugging Face writes "no limit" as 1e30. */
const noLimit = 1e9

/** The names that families give to the length of their context. */
const contextFields = [
  'max_position_embeddings',
  'n_positions',
  'n_ctx',
  'max_seq_len',
  'max_sequence_length',
  'seq_length',
]

/** Resolves to what the model's files say; all three may be absent. */
export async function readGenerationConfig(reader: ArtifactReader): Promise<GenerationConfig> {
  const [generation, config, tokenizer] = await Promise.all(
    ['generation_config.json', 'config.json', 'tokenizer_config.json'].map(
      async (path) => (await readJson(reader, path)) ?? {},
    ),
  )
  // Models of several kinds of input keep their text part's figures apart.
  const text: JsonObject = isObject(config!.text_config) ? { ...config, ...config!.text_config } : config!
  const ends = tokensOf(generation!.eos_token_id)
  return {
    endTokens: ends.length > 0 ? ends : tokensOf(text.eos_token_id),
    endTokenText: textOf(tokenizer!.eos_token),
    beginTokenText: textOf(tokenizer!.bos_token),
    addsBeginToken: typeof tokenizer!.add_bos_token === 'boolean' ? tokenizer!.add_bos_token : null,
    contextLength:
      contextFields.map((field) => lengthOf(text[field])).find((length) => length !== null) ??
      lengthOf(tokenizer!.model_max_length),
    vocabularySize: lengthOf(text.vocab_size),
    sampling: samplingOf(generation!),
  }
}

/**
 * Files with `do_sample: false` mean the likeliest token; without it, a temperature that is given counts, and 1 (the OpenAI
 * API's) where none is. Hugging Face's own default of 50 for `top_k` is left out, as vLLM does: it comes from no model.
 */
function samplingOf(generation: JsonObject): SamplingDefaults {
  return {
    temperature: generation.do_sample === false ? 0 : between(generation.temperature, 0, 2, 1),
    topK: Math.floor(between(generation.top_k, 0, noLimit, 0)),
    topP: between(generation.top_p, Number.MIN_VALUE, 1, 1),
    minP: between(generation.min_p, 0, 1, 0),
    repetitionPenalty: between(generation.repetition_penalty, 0.01, 100, 1),
  }
}

/** A model's default outside of its range would fail every request, so the neutral value takes its place. */
function between(value: unknown, least: number, most: number, neutral: number): number {
  return typeof value === 'number' && value >= least && value <= most ? value : neutral
}

function tokensOf(value: unknown): number[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  return list.filter((token): token is number => Number.isInteger(token) && (token as number) >= 0)
}

function lengthOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < noLimit ? value : null
}

function textOf(token: unknown): string | null {
  const text = isObject(token) ? token.content : token
  return typeof text === 'string' ? text : null
}
