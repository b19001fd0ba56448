/**
 * Where in a text each token comes from, found by matching: the tokenizer library keeps no offsets.
 *
 * Text and tokens are brought into the same units, without any white space: the text group by group (a character with the marks
 * on it) through the tokenizer's own normalizer, or as bytes for byte-level vocabularies. Then each token is the next units of the
 * text. Unknown tokens have no units of their own; they get what lies before the next known one.
 */

/** First and past-the-last UTF-16 code unit of the text. */
export type Span = readonly [start: number, end: number]

export interface OffsetsOptions {
  normalize(text: string): string
  /** Tokens are bytes, each written as the character that GPT-2 gave it. */
  byteLevel: boolean
  /** What marks a token that continues a word (`##`) or ends one (`</w>`). */
  continuation: string
  wordEnd: string
  unknown: string | undefined
}

/** How far past an unknown token the next known one is looked for: dozens of words. Looking through the whole text would take hours. */
const mostUnitsAhead = 4_096
/** How many places there are looked at for one that begins a word. */
const mostPlaces = 32

interface Units {
  text: string
  /** The group of the text that each unit comes from. */
  spans: Span[]
}

/** Spans of the tokens of a text, in order; empty at the place where a token adds nothing. */
export function tokenSpans(text: string, tokens: readonly string[], options: OffsetsOptions): Span[] {
  const units = unitsOf(text, options)
  const spans: Span[] = []
  let cursor = 0
  let unknownFrom: number | undefined
  const between = (from: number, to: number): Span => {
    const [first, last] = [units.spans[from], units.spans[to - 1]]
    const at = units.spans[from - 1]?.[1] ?? 0
    return first && last && to > from ? [first[0], last[1]] : [at, at]
  }
  const closeUnknown = (to: number) => {
    if (unknownFrom === undefined) return
    const count = spans.length - unknownFrom
    for (let index = 0; index < count; index++) {
      const end = index === count - 1 ? to : Math.min(wordEnd(text, units, cursor), to)
      spans[unknownFrom + index] = between(cursor, end)
      cursor = end
    }
    unknownFrom = undefined
  }
  for (const token of tokens) {
    const place = token === options.unknown ? undefined : find(units, cursor, token, unknownFrom !== undefined, options)
    if (!place) {
      unknownFrom ??= spans.length
      spans.push([0, 0])
      continue
    }
    closeUnknown(place.at)
    spans.push(between(place.at, place.end))
    cursor = place.end
  }
  closeUnknown(units.spans.length)
  return spans
}

function unitsOf(text: string, { normalize, byteLevel }: OffsetsOptions): Units {
  const spans: Span[] = []
  let units = ''
  for (const group of text.matchAll(/[\s\S]\p{M}*/gu)) {
    const span: Span = [group.index, group.index + group[0].length]
    const own = withoutSpaces(byteLevel ? byteCharacters(normalize(group[0])) : normalize(group[0]))
    units += own
    for (let unit = 0; unit < own.length; unit++) spans.push(span)
  }
  return { text: units, spans }
}

/** The next place of a token: at the cursor, or past an unknown token at the beginning of a word if there is one. */
function find(
  units: Units,
  cursor: number,
  token: string,
  afterUnknown: boolean,
  { normalize, continuation, wordEnd: ending, byteLevel }: OffsetsOptions,
): { at: number; end: number } | undefined {
  const isContinuation = continuation !== '' && token.startsWith(continuation) && token !== continuation
  const bare = withoutSpaces(token.slice(isContinuation ? continuation.length : 0))
  const own = ending !== '' && bare.endsWith(ending) ? bare.slice(0, -ending.length) : bare
  // A token that was added to the vocabulary matches the text as it was written or as it was normalised.
  for (const surface of byteLevel ? [own] : [own, withoutSpaces(normalize(own))]) {
    if (units.text.startsWith(surface, cursor) && !afterUnknown) return { at: cursor, end: cursor + surface.length }
    if (!afterUnknown || surface === '') continue
    const at = placeAhead(units, cursor, surface, isContinuation)
    if (at !== undefined) return { at, end: at + surface.length }
  }
  return undefined
}

/** The next place of a text, at the beginning of a word if there is one and it must be. */
function placeAhead({ text, spans }: Units, from: number, surface: string, anywhere: boolean): number | undefined {
  const ahead = text.slice(from, from + mostUnitsAhead)
  let place = ahead.indexOf(surface)
  const first = place < 0 ? undefined : from + place
  for (let tried = 0; place >= 0 && tried < mostPlaces; tried++) {
    if (anywhere || beginsWord({ text, spans }, from + place)) return from + place
    place = ahead.indexOf(surface, place + 1)
  }
  return first
}

function beginsWord({ text, spans }: Units, at: number): boolean {
  if (at === 0) return true
  return spans[at - 1]![1] < spans[at]![0] || /[\p{P}\p{S}]/u.test(text[at]!) || /[\p{P}\p{S}]/u.test(text[at - 1]!)
}

/** Past the last unit of the word at a place. */
function wordEnd(text: string, { spans }: Units, from: number): number {
  for (let at = from + 1; at < spans.length; at++) {
    if (spans[at - 1]![1] < spans[at]![0] || /\s/.test(text.slice(spans[at - 1]![1], spans[at]![0]))) return at
  }
  return spans.length
}

/** `▁` and `Ġ` stand for the space before a word. */
function withoutSpaces(text: string): string {
  return text.replace(/[\s▁Ġ]/gu, '')
}

const encoder = new TextEncoder()

function byteCharacters(text: string): string {
  return Array.from(encoder.encode(text), (byte) => byteTable[byte]).join('')
}

/** GPT-2's printable stand-ins: bytes that print stand for themselves, the others follow from U+0100 on. */
const byteTable = makeByteTable()

function makeByteTable(): string[] {
  const prints = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(prints(byte) ? byte : next++))
}
