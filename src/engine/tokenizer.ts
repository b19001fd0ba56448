/**
 * Text to token ids, as `tokenizer.json` and `tokenizer_config.json` say. The library knows no truncation, so texts are cut
 * here, before the special tokens are added around them, in the way of Hugging Face's fast tokenizers.
 */
import { Tokenizer as TokenizerJson } from '@huggingface/tokenizers'
import { badRequest } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson, requireJson } from './read-artifact.ts'
import { type OffsetsOptions, type Span, tokenSpans } from './token-offsets.ts'

export interface TokenIds {
  ids: readonly number[]
  /** 1 for the second text of a pair. */
  typeIds: readonly number[]
}

export interface Encoding extends TokenIds {
  /** Tokens of the first text as the vocabulary writes them, also those that were cut off, without special ones. */
  tokens: readonly string[]
  /** The first of them that was kept. */
  firstKept: number
  /** First and past-the-last place of the kept ones among the ids. */
  text: readonly [number, number]
}

export interface Tokenizer {
  /** The token that fills a row up to a fixed length; undefined where the tokenizer names none. */
  readonly padId: number | undefined
  readonly padSide: 'left' | 'right'
  /** `model_max_length`, or undefined where the tokenizer sets no bound. */
  readonly maxTokens: number | undefined
  /** Encodes a text or a pair into at most `maxTokens` tokens, special ones included. */
  encode(text: string, pair: string | undefined, maxTokens: number): Encoding
  /** Where in the text each of its tokens comes from. */
  spansOf(text: string, tokens: readonly string[]): Span[]
  /** The text that tokens stand for. */
  textOf(tokens: readonly string[]): string
  /** What a token begins with that continues a word (`##`); empty where the vocabulary marks the beginnings instead. */
  readonly continuation: string
  readonly unknownToken: string | undefined
  readonly vocabularySize: number
}

/** No vocabulary has it, so that its place among the special tokens tells where a text begins. */
const marker = '\u0000text\u0000'

/** Hugging Face writes "no limit" as 1e30. */
const noLimit = 1e9

/** @throws {ServingError} 400 naming a file that is no tokenizer, 404 where there is none. */
export async function loadTokenizer(reader: ArtifactReader): Promise<Tokenizer> {
  const [definition, config] = [
    await requireJson(reader, 'tokenizer.json'),
    await readJson(reader, 'tokenizer_config.json'),
  ]
  try {
    return wrap(new TokenizerJson(definition, config ?? {}), definition, config ?? {})
  } catch (error) {
    throw badRequest(
      `The model's file "tokenizer.json" is no tokenizer: ${error instanceof Error ? error.message : error}`,
    )
  }
}

function wrap(library: TokenizerJson, definition: JsonObject, config: JsonObject): Tokenizer {
  const padToken = isObject(config.pad_token) ? config.pad_token.content : config.pad_token
  const maxLength = config.model_max_length
  const keep = config.truncation_side === 'left' ? keepLast : keepFirst
  const specialTokens = (pair: boolean) => compose(library, [], pair ? [] : null).tokens.length
  const [specialAlone, specialInPair] = [specialTokens(false), specialTokens(true)]
  const before = Math.max(compose(library, [marker], null).tokens.indexOf(marker), 0)
  const { unk_token_id: unknownId, unk_token: unknown } = library.model ?? {}
  const model = isObject(definition.model) ? definition.model : {}
  const continuation = textOr(model.continuing_subword_prefix, '')
  const offsets: OffsetsOptions = {
    normalize: (text) => library.normalizer?.normalize(text) ?? text,
    byteLevel: [definition.pre_tokenizer, definition.decoder].some((part) =>
      JSON.stringify(part ?? null).includes('"ByteLevel"'),
    ),
    continuation,
    wordEnd: textOr(model.end_of_word_suffix, ''),
    unknown,
  }

  return {
    padId: typeof padToken === 'string' ? library.token_to_id(padToken) : undefined,
    padSide: config.padding_side === 'left' ? 'left' : 'right',
    maxTokens: typeof maxLength === 'number' && maxLength < noLimit ? maxLength : undefined,
    encode(text, pair, maxTokens) {
      const all = library.tokenize(text)
      let second = pair === undefined ? null : library.tokenize(pair)
      const room = Math.max(maxTokens - (second ? specialInPair : specialAlone), 0)
      const [firstRoom, secondRoom] = second ? shareRoom(all.length, second.length, room) : [room, 0]
      const first = keep(all, firstRoom)
      const firstKept = keep === keepLast ? all.length - first.length : 0
      second = second && keep(second, secondRoom)
      const { tokens, typeIds } = compose(library, first, second)
      const ids = tokens.map((token) => library.token_to_id(token) ?? unknownId ?? 0)
      return { ids, typeIds, tokens: all, firstKept, text: [before, before + first.length] }
    },
    spansOf: (text, tokens) => tokenSpans(text, tokens, offsets),
    textOf: (tokens) => library.decoder?.decode([...tokens]) ?? tokens.join(' '),
    continuation,
    unknownToken: unknown,
    vocabularySize: Math.max(library.model?.vocab.length ?? 0, 1),
  }
}

/** Adds the special tokens. */
function compose(
  library: TokenizerJson,
  first: string[],
  second: string[] | null,
): { tokens: string[]; typeIds: number[] } {
  const composed = library.post_processor?.post_process(first, second, true)
  const tokens = composed?.tokens ?? [...first, ...(second ?? [])]
  return { tokens, typeIds: composed?.token_type_ids ?? tokens.map(() => 0) }
}

/** "Longest first": the longer text gives way until both are equally long. */
function shareRoom(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second]
  const shorter = Math.min(first, second)
  if (2 * shorter >= room) {
    const half = Math.floor(room / 2)
    return first <= second ? [half, room - half] : [room - half, half]
  }
  return first <= second ? [first, room - first] : [room - second, second]
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback
}

function keepFirst(tokens: string[], count: number): string[] {
  return tokens.slice(0, count)
}

function keepLast(tokens: string[], count: number): string[] {
  return tokens.slice(Math.max(tokens.length - count, 0))
}
