/**
 * Text to token ids, as `tokenizer.json` and `tokenizer_config.json` say. No tokenizer of ours knows truncation, so texts are cut
 * here, before the special tokens are added around them, in the way of Hugging Face's fast tokenizers.
 */
import { badRequest } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { libraryModel } from './library-tokens.ts'
import { isObject, type JsonObject, jsonIn, readJson, requireBytes } from './read-artifact.ts'
import type { TokenIds, TokenModel } from './token-model.ts'
import { type OffsetsOptions, type Span, tokenSpans } from './token-offsets.ts'
import { scanDefinition } from './wordpiece/scan-vocabulary.ts'
import { wordPieceModel } from './wordpiece/wordpiece.ts'

export type { TokenIds } from './token-model.ts'

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

/** Hugging Face writes "no limit" as 1e30. */
const noLimit = 1e9

const file = 'tokenizer.json'

/** @throws {ServingError} 400 naming a file that is no tokenizer, 404 where there is none. */
export async function loadTokenizer(reader: ArtifactReader): Promise<Tokenizer> {
  const bytes = await requireBytes(reader, file)
  const config = (await readJson(reader, 'tokenizer_config.json')) ?? {}
  const scanned = scanDefinition(bytes)
  const model = scanned && wordPieceModel(scanned, config)
  if (model) return wrap(model, scanned.definition, config)
  const definition = jsonIn(bytes, file)
  try {
    return wrap(await libraryModel(definition, config), definition, config)
  } catch (error) {
    throw badRequest(`The model's file "${file}" is no tokenizer: ${error instanceof Error ? error.message : error}`)
  }
}

function wrap<Token>(tokens: TokenModel<Token>, definition: JsonObject, config: JsonObject): Tokenizer {
  const padToken = isObject(config.pad_token) ? config.pad_token.content : config.pad_token
  const maxLength = config.model_max_length
  const keep = config.truncation_side === 'left' ? keepLast : keepFirst
  const { alone, pair: inPair, before } = tokens.specialTokens
  const model = isObject(definition.model) ? definition.model : {}
  const continuation = textOr(model.continuing_subword_prefix, '')
  const offsets: OffsetsOptions = {
    normalize: (text) => tokens.normalize(text),
    byteLevel: [definition.pre_tokenizer, definition.decoder].some((part) =>
      JSON.stringify(part ?? null).includes('"ByteLevel"'),
    ),
    continuation,
    wordEnd: textOr(model.end_of_word_suffix, ''),
    unknown: tokens.unknownToken,
  }

  return {
    padId: typeof padToken === 'string' ? tokens.idOf(padToken) : undefined,
    padSide: config.padding_side === 'left' ? 'left' : 'right',
    maxTokens: typeof maxLength === 'number' && maxLength < noLimit ? maxLength : undefined,
    encode(text, pair, maxTokens) {
      const all = tokens.tokenize(text)
      let second = pair === undefined ? null : tokens.tokenize(pair)
      const room = Math.max(maxTokens - (second ? inPair : alone), 0)
      const [firstRoom, secondRoom] = second ? shareRoom(all.length, second.length, room) : [room, 0]
      const first = keep(all, firstRoom)
      const firstKept = keep === keepLast ? all.length - first.length : 0
      second = second && keep(second, secondRoom)
      const { ids, typeIds } = tokens.compose(first, second)
      return {
        ids,
        typeIds,
        // Few tasks ask for them.
        get tokens() {
          return all.map((token) => tokens.textOf(token))
        },
        firstKept,
        text: [before, before + first.length],
      }
    },
    spansOf: (text, found) => tokenSpans(text, found, offsets),
    textOf: (found) => tokens.decode(found),
    continuation,
    unknownToken: tokens.unknownToken,
    vocabularySize: tokens.vocabularySize,
  }
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

function keepFirst<Token>(tokens: Token[], count: number): Token[] {
  return tokens.length <= count ? tokens : tokens.slice(0, count)
}

function keepLast<Token>(tokens: Token[], count: number): Token[] {
  return tokens.slice(Math.max(tokens.length - count, 0))
}
