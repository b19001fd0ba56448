/** What a tokenizer does between a text and the ids of its tokens, whoever does it; `Token` is what it calls a token. */
export interface TokenModel<Token> {
  /** Of one text, without the special ones around it. */
  tokenize(text: string): Token[]
  /** Adds the special tokens. */
  compose(first: readonly Token[], second: readonly Token[] | null): TokenIds
  /** The token as the vocabulary writes it. */
  textOf(token: Token): string
  /** How many special tokens are around a text, around a pair, and before a text that is alone. */
  readonly specialTokens: { alone: number; pair: number; before: number }
  idOf(text: string): number | undefined
  normalize(text: string): string
  /** The text that tokens stand for. */
  decode(tokens: readonly string[]): string
  readonly unknownToken: string | undefined
  readonly vocabularySize: number
}

export interface TokenIds {
  ids: readonly number[]
  /** 1 for the second text of a pair. */
  typeIds: readonly number[]
}
