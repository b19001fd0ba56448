/** The tokens that were added to a vocabulary, which are found in a text before its words are: `[MASK]`, for one. */
import { isObject } from '../read-artifact.ts'
import type { Normalize } from './normalize.ts'

export interface AddedToken {
  id: number
  content: string
  lstrip: boolean
  rstrip: boolean
  special: boolean
  /** It is looked for in the normalised text. */
  normalized: boolean
}

export interface AddedTokens {
  /** The token that a whole section of a text is. */
  readonly byText: ReadonlyMap<string, AddedToken>
  /** Cuts the text as it came, and as it was normalised, at the tokens in it; the sections may be empty. */
  splitRaw(text: string): string[]
  splitNormalized(text: string): string[]
}

/** More of them are searched for faster by the library. */
const mostTokens = 1_000

/** Undefined for anything that is the library's business. */
export function readAddedTokens(config: unknown): AddedToken[] | undefined {
  if (!Array.isArray(config) || config.length > mostTokens) return undefined
  const tokens: AddedToken[] = []
  for (const entry of config) {
    if (!isObject(entry)) return undefined
    const { id, content, lstrip = false, rstrip = false, special = false } = entry
    const normalized = entry.normalized ?? !special
    const flags = [lstrip, rstrip, special, normalized]
    if (typeof content !== 'string' || content === '' || !content.isWellFormed()) return undefined
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= 1e9) return undefined
    if (!flags.every((flag) => typeof flag === 'boolean')) return undefined
    tokens.push({ id, content, lstrip, rstrip, special, normalized } as AddedToken)
  }
  return tokens
}

export function addedTokens(tokens: readonly AddedToken[], normalize: Normalize | null): AddedTokens {
  const byText = new Map<string, AddedToken>()
  const [raw, normalized]: [string[], string[]] = [[], []]
  for (const token of tokens) {
    byText.set(token.content, token)
    const text = token.normalized && normalize ? normalize(token.content) : token.content
    ;(token.normalized && normalize ? normalized : raw).push(text)
    byText.set(text, token)
  }
  return { byText, splitRaw: splitter(raw, byText), splitNormalized: splitter(normalized, byText) }
}

/** Cuts at the longest token wherever one begins, and takes the white space that tokens swallow. */
function splitter(contents: readonly string[], byText: ReadonlyMap<string, AddedToken>): (text: string) => string[] {
  const longestFirst = contents.filter((content) => content !== '').sort((a, b) => b.length - a.length)
  if (longestFirst.length === 0) return (text) => [text]
  const pattern = new RegExp(
    longestFirst.map((content) => content.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|'),
    'g',
  )
  return (text) => {
    pattern.lastIndex = 0
    let match = pattern.exec(text)
    if (!match) return [text]
    const sections: string[] = []
    let from = 0
    for (; match; match = pattern.exec(text)) {
      if (match.index > from) sections.push(text.slice(from, match.index))
      sections.push(match[0])
      from = pattern.lastIndex
    }
    if (from < text.length) sections.push(text.slice(from))
    for (const [at, section] of sections.entries()) {
      const token = byText.get(section)
      if (token?.lstrip && at > 0) sections[at - 1] = sections[at - 1]!.trimEnd()
      if (token?.rstrip && at < sections.length - 1) sections[at + 1] = sections[at + 1]!.trimStart()
    }
    return sections
  }
}
