/**
 * Tokens to text, as far as it is certain. A character may be spread over several tokens, so bytes are held back until they are
 * whole characters; what never becomes one turns into U+FFFD, as in every UTF-8 decoder of the web platform.
 */
import type { Detokenizer, TokenVocabulary } from './seams.ts'

export interface DetokenizerOptions {
  /**
   * The text starts with these tokens and the tokenizer put a space before it (`LoadedVocabulary.stripsLeadingSpace`), which is
   * dropped. A text that continues a prompt keeps its first space.
   */
  stripLeadingSpace?: boolean
}

const space = 0x20

export function createDetokenizer(
  vocabulary: TokenVocabulary,
  { stripLeadingSpace = false }: DetokenizerOptions = {},
): Detokenizer {
  // A byte order mark is text like any other here.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let strips = stripLeadingSpace
  return {
    push(token) {
      let bytes = vocabulary.bytesOf(token)
      if (bytes === null || bytes.length === 0) return ''
      if (strips && bytes[0] === space) bytes = bytes.subarray(1)
      strips = false
      return decoder.decode(bytes, { stream: true })
    },
    end: () => decoder.decode(),
  }
}

/** The text of whole tokens. */
export function textOf(vocabulary: TokenVocabulary, tokens: Iterable<number>, options?: DetokenizerOptions): string {
  const detokenizer = createDetokenizer(vocabulary, options)
  let text = ''
  for (const token of tokens) text += detokenizer.push(token)
  return text + detokenizer.end()
}
