/** Tokenizers of every kind, by the library that Hugging Face publishes. */
import type { JsonObject } from './read-artifact.ts'
import type { TokenModel } from './token-model.ts'

/** No vocabulary has it, so that its place among the special tokens tells where a text begins. */
const marker = '\u0000text\u0000'

/** Evaluates the library first, which a model with a tokenizer of ours is spared. @throws what the library throws at a file. */
export async function libraryModel(definition: JsonObject, config: JsonObject): Promise<TokenModel<string>> {
  const { Tokenizer } = await import('@huggingface/tokenizers')
  const library = new Tokenizer(definition, config)
  const { unk_token_id: unknownId, unk_token: unknownToken } = library.model ?? {}
  const composed = (first: readonly string[], second: readonly string[] | null) => {
    const framed = library.post_processor?.post_process([...first], second && [...second], true)
    const tokens: string[] = framed?.tokens ?? [...first, ...(second ?? [])]
    return { tokens, typeIds: framed?.token_type_ids ?? tokens.map(() => 0) }
  }
  const textAlone = composed([marker], null).tokens.indexOf(marker)

  return {
    tokenize: (text) => library.tokenize(text),
    compose(first, second) {
      const { tokens, typeIds } = composed(first, second)
      return { ids: tokens.map((token) => library.token_to_id(token) ?? unknownId ?? 0), typeIds }
    },
    textOf: (token) => token,
    specialTokens: {
      alone: composed([], null).tokens.length,
      pair: composed([], []).tokens.length,
      before: Math.max(textAlone, 0),
    },
    idOf: (text) => library.token_to_id(text),
    normalize: (text) => library.normalizer?.normalize(text) ?? text,
    decode: (tokens) => library.decoder?.decode([...tokens]) ?? tokens.join(' '),
    unknownToken,
    vocabularySize: Math.max(library.model?.vocab.length ?? 0, 1),
  }
}
