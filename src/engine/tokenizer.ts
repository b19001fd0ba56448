/**
 * Text to token ids, as `tokenizer.json` and `tokenizer_config.json` say. The library knows no truncation, so texts are cut
 * here, before the special tokens are added around them, in the way of Hugging Face's fast tokenizers.
 */
import { Tokenizer as TokenizerJson } from '@huggingface/tokenizers'
import { badRequest } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson, requireJson } from './read-artifact.ts'

export interface Encoding {
  ids: readonly number[]
  /** 1 for the second text of a pair. */
  typeIds: readonly number[]
}

export interface Tokenizer {
  /** The token that fills a row up to a fixed length; undefined where the tokenizer names none. */
  readonly padId: number | undefined
  readonly padSide: 'left' | 'right'
  /** `model_max_length`, or undefined where the tokenizer sets no bound. */
  readonly maxTokens: number | undefined
  /** Encodes a text or a pair into at most `maxTokens` tokens, special ones included. */
  encode(text: string, pair: string | undefined, maxTokens: number): Encoding
}

/** Hugging Face writes "no limit" as 1e30. */
const noLimit = 1e9

/** @throws {ServingError} 400 naming a file that is no tokenizer, 404 where there is none. */
export async function loadTokenizer(reader: ArtifactReader): Promise<Tokenizer> {
  const [definition, config] = [
    await requireJson(reader, 'tokenizer.json'),
    await readJson(reader, 'tokenizer_config.json'),
  ]
  let library: TokenizerJson
  try {
    library = new TokenizerJson(definition, config ?? {})
  } catch (error) {
    throw badRequest(
      `The model's file "tokenizer.json" is no tokenizer: ${error instanceof Error ? error.message : error}`,
    )
  }
  return wrap(library, config ?? {})
}

function wrap(library: TokenizerJson, config: JsonObject): Tokenizer {
  const padToken = isObject(config.pad_token) ? config.pad_token.content : config.pad_token
  const maxLength = config.model_max_length
  const keep = config.truncation_side === 'left' ? keepLast : keepFirst
  const specialTokens = (pair: boolean) => compose(library, [], pair ? [] : null).tokens.length
  const [specialAlone, specialInPair] = [specialTokens(false), specialTokens(true)]
  const unknownId = (library.model as { unk_token_id?: number } | null)?.unk_token_id

  return {
    padId: typeof padToken === 'string' ? library.token_to_id(padToken) : undefined,
    padSide: config.padding_side === 'left' ? 'left' : 'right',
    maxTokens: typeof maxLength === 'number' && maxLength < noLimit ? maxLength : undefined,
    encode(text, pair, maxTokens) {
      let first = library.tokenize(text)
      let second = pair === undefined ? null : library.tokenize(pair)
      const room = Math.max(maxTokens - (second ? specialInPair : specialAlone), 0)
      const [firstRoom, secondRoom] = second ? shareRoom(first.length, second.length, room) : [room, 0]
      first = keep(first, firstRoom)
      second = second && keep(second, secondRoom)
      const { tokens, typeIds } = compose(library, first, second)
      return { ids: tokens.map((token) => library.token_to_id(token) ?? unknownId ?? 0), typeIds }
    },
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

function keepFirst(tokens: string[], count: number): string[] {
  return tokens.slice(0, count)
}

function keepLast(tokens: string[], count: number): string[] {
  return tokens.slice(Math.max(tokens.length - count, 0))
}
