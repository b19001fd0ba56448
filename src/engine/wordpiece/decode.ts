/** Tokens back to text, exactly as the tokenizer library does it. */
import { isObject } from '../read-artifact.ts'

export type Decode = (tokens: readonly string[]) => string

/** Undefined for one that is the library's business. */
export function wordPieceDecoderOf(config: unknown): Decode | undefined {
  if (config === null) return (tokens) => tokens.join(' ')
  if (!isObject(config) || config.type !== 'WordPiece') return undefined
  const { prefix = '', cleanup } = config
  if (typeof prefix !== 'string') return undefined
  const cleaned = (text: string) => (cleanup ? withoutSpacesBeforeMarks(text) : text)
  return (tokens) =>
    tokens
      .map((token, at) => {
        if (at === 0) return cleaned(token)
        return cleaned(prefix !== '' && token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`)
      })
      .join('')
}

function withoutSpacesBeforeMarks(text: string): string {
  return text
    .replace(/ ([.?!,])/g, '$1')
    .replace(/ ' /g, "'")
    .replace(/ (n't|'m|'s|'ve|'re)/g, '$1')
}
