/**
 * Everything that generation knows of a model's tokens: what each stands for, which end a text, and how text becomes tokens.
 */
import { Tokenizer } from '@huggingface/tokenizers'
import { badRequest } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson, requireJson } from '../read-artifact.ts'
import { readGenerationConfig } from './generation-config.ts'
import type { TokenVocabulary } from './seams.ts'
import { readTokenBytes } from './token-bytes.ts'

export interface LoadedVocabulary {
  vocabulary: TokenVocabulary
  /** Of all tokens; bounds how much text fits into a context. */
  longestTokenBytes: number
  /**
   * Sentencepiece-style tokenizers put a space before every text and drop it again when they decode a whole text. `bytesOf` keeps
   * that space; the detokenizer drops it where a choice is the start of its text.
   */
  stripsLeadingSpace: boolean
  /** What the tokenizer puts before and after a text: usually the begin token and nothing. */
  framing: { before: readonly number[]; after: readonly number[] }
  /** Null where the model has none. */
  beginToken: number | null
  /** The names of the begin and end token, for templates; empty where there is none. */
  beginText: string
  endText: string
  /**
   * Tokens of a text, without framing. `special` reads the names of control tokens in the text as those tokens, as rendered
   * templates need it; otherwise they are text like any other.
   */
  encode(text: string, options: { special: boolean }): number[]
}

interface AddedToken {
  id: number
  content: string
  special: boolean
}

/** A wider vocabulary would be an attack on memory: the widest of public models has about 260,000 tokens. */
const mostTokens = 2_000_000

/**
 * Resolves to the vocabulary of `tokenizer.json`.
 *
 * @throws {ServingError} 404 where there is none; 400 where it is no tokenizer, or one whose tokens do not stand for bytes of text
 * (WordPiece and its like). Final.
 */
export async function loadVocabulary(reader: ArtifactReader): Promise<LoadedVocabulary> {
  const definition = await requireJson(reader, 'tokenizer.json')
  const [settings, config] = [await readJson(reader, 'tokenizer_config.json'), await readGenerationConfig(reader)]
  const added = addedTokensOf(definition)
  const library = open(definition, settings ?? {})
  const names: readonly (string | undefined)[] = library.model?.vocab ?? []
  const size = config.vocabularySize ?? names.length
  if (Math.max(size, names.length) > mostTokens)
    throw badRequest(
      `A vocabulary may have at most ${mostTokens} tokens; the model's has ${Math.max(size, names.length)}.`,
    )
  const bytes = readTokenBytes(definition, names, new Map(added.map((token) => [token.id, token])))

  const tokenNamed = (name: string | null) => (name === null ? null : (library.token_to_id(name) ?? null))
  const [beginToken, endToken] = [tokenNamed(config.beginTokenText), tokenNamed(config.endTokenText)]
  const endTokens = new Set(config.endTokens.filter((token) => token < size))
  if (endToken !== null && endToken < size) endTokens.add(endToken)
  const plain = withoutControlTokens(library, definition, settings ?? {}, added)

  return {
    vocabulary: { size, endTokens, bytesOf: bytes.bytesOf },
    longestTokenBytes: bytes.longestBytes,
    stripsLeadingSpace: bytes.stripsLeadingSpace,
    framing: framingOf(library, beginToken, config.addsBeginToken),
    beginToken,
    beginText: config.beginTokenText ?? '',
    endText: config.endTokenText ?? '',
    encode: (text, { special }) => idsOf(special ? library : plain, text, false),
  }
}

function open(definition: JsonObject, settings: JsonObject): Tokenizer {
  try {
    return new Tokenizer(definition, settings)
  } catch (error) {
    throw badRequest(
      `The model's file "tokenizer.json" is no tokenizer: ${error instanceof Error ? error.message : error}`,
    )
  }
}

function addedTokensOf(definition: JsonObject): AddedToken[] {
  const list: unknown[] = Array.isArray(definition.added_tokens) ? definition.added_tokens : []
  return list.map((token) => {
    if (!isObject(token) || typeof token.content !== 'string' || !Number.isInteger(token.id) || Number(token.id) < 0)
      throw badRequest('The model\'s file "tokenizer.json" has an entry in "added_tokens" without an id and a content.')
    if (Number(token.id) >= mostTokens)
      throw badRequest(
        `The model's file "tokenizer.json" gives an added token the id ${token.id}; ids end at ${mostTokens}.`,
      )
    return { id: Number(token.id), content: token.content, special: token.special === true }
  })
}

/**
 * The library splits texts at all added tokens, control tokens too. A second one without them shares the first one's model, whose
 * tables of merges are what takes memory and time.
 */
function withoutControlTokens(
  library: Tokenizer,
  definition: JsonObject,
  settings: JsonObject,
  added: readonly AddedToken[],
): Tokenizer {
  const entries = definition.added_tokens as readonly unknown[] | undefined
  const plain = open(
    {
      ...definition,
      model: { type: 'BPE', vocab: {}, merges: [] },
      added_tokens: (entries ?? []).filter((_, index) => !added[index]!.special),
    },
    settings,
  )
  plain.model = library.model
  return plain
}

function idsOf(library: Tokenizer, text: string, framed: boolean): number[] {
  // An unknown character has no id where the tokenizer names no unknown token.
  const ids: readonly (number | undefined)[] = library.encode(text, { add_special_tokens: framed }).ids
  return ids.filter((id) => id !== undefined)
}

/** What encoding adds around a text, by the post-processor unless `add_bos_token` says otherwise. */
function framingOf(
  library: Tokenizer,
  beginToken: number | null,
  addsBeginToken: boolean | null,
): LoadedVocabulary['framing'] {
  const [bare, framed] = [idsOf(library, 'a', false), idsOf(library, 'a', true)]
  let at = framed.findIndex((_, start) => bare.every((token, index) => framed[start + index] === token))
  if (at < 0 || bare.length === 0) at = framed.length
  let before = framed.slice(0, at)
  if (beginToken !== null && addsBeginToken !== null) {
    before = before.filter((token) => token !== beginToken)
    if (addsBeginToken) before.unshift(beginToken)
  }
  return { before, after: framed.slice(at + bare.length) }
}
