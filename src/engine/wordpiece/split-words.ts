/** Pre-tokenizers: text into words, exactly as the tokenizer library has them. */
import { isObject } from '../read-artifact.ts'

export type SplitWords = (text: string) => readonly string[]

const ascii = /^[\0-\x7f]*$/
const bert = /[^\s\p{P}!-/:-@[-`{-~]+|[\p{P}!-/:-@[-`{-~]/gu
/** The same for ASCII; Unicode's punctuation is a long list. */
const bertAscii = /[^\s!-/:-@[-`{-~]+|[!-/:-@[-`{-~]/g

/** Undefined for one that is the library's business. */
export function wordSplitterOf(config: unknown): SplitWords | undefined {
  if (config === null) return (text) => [text]
  switch (isObject(config) ? config.type : undefined) {
    case 'BertPreTokenizer':
      return (text) => text.match(ascii.test(text) ? bertAscii : bert) ?? []
    case 'WhitespaceSplit':
      return (text) => text.match(/\S+/g) ?? []
    case 'Whitespace':
      return (text) => text.match(/\w+|[^\w\s]+/g) ?? []
    default:
      return undefined
  }
}
