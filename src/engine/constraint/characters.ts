/** How characters are written: as they are, or inside a JSON string. */
import {
  anyCodePoint,
  type ByteSequence,
  type CodePoints,
  codePoints,
  has,
  utf8Sequences,
  without,
} from './code-points.ts'
import { type Expression, either, oneOf, repeat, sequence, text } from './expression.ts'

/** Turns a set of characters into the texts that write one of them. */
export type Spelling = (characters: CodePoints) => Expression

export const plainSpelling: Spelling = (characters) => ({ kind: 'bytes', sequences: utf8Sequences(characters) })

const shortEscapes: ReadonlyMap<number, string> = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
])
const escaped = codePoints([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
])

/** One spelling for each character: itself, or its shortest escape where JSON asks for one. */
export const jsonSpelling: Spelling = (characters) => {
  const sequences: ByteSequence[] = utf8Sequences(without(characters, escaped))
  for (const [from, to] of escaped) {
    for (let codePoint = from; codePoint <= to; codePoint++) {
      if (!has(characters, codePoint)) continue
      const spelling = shortEscapes.get(codePoint) ?? `\\u${codePoint.toString(16).padStart(4, '0')}`
      sequences.push([...spelling].map((letter) => [letter.charCodeAt(0), letter.charCodeAt(0)]))
    }
  }
  return { kind: 'bytes', sequences }
}

export const anyJsonCharacter = jsonSpelling(anyCodePoint)

/** Any character that a text is likely to hold: without the control characters that have no short escape. */
export const textJsonCharacter = jsonSpelling(
  without(anyCodePoint, without(escaped, codePoints([...shortEscapes.keys()].map((point) => [point, point] as const)))),
)

const hex = oneOf(['0', '9'], ['a', 'f'], ['A', 'F'])

/** Any string in quotes, with every escape that JSON knows; surrogates come as pairs only. */
export function anyJsonString(): Expression {
  const plain = plainSpelling(without(anyCodePoint, escaped))
  const short = sequence(text('\\'), either([...'"\\/bfnrt'].map(text)))
  const notSurrogate = either([
    sequence(oneOf(['0', '9'], ['a', 'c'], ['A', 'C'], ['e', 'f'], ['E', 'F']), hex, hex, hex),
    sequence(oneOf(['d', 'd'], ['D', 'D']), oneOf(['0', '7']), hex, hex),
  ])
  const high = sequence(oneOf(['d', 'd'], ['D', 'D']), oneOf(['8', '9'], ['a', 'b'], ['A', 'B']), hex, hex)
  const low = sequence(oneOf(['d', 'd'], ['D', 'D']), oneOf(['c', 'f'], ['C', 'F']), hex, hex)
  const pair = sequence(text('\\u'), high, text('\\u'), low)
  return quoted(repeat(either([plain, short, sequence(text('\\u'), notSurrogate), pair]), 0, null))
}

export function quoted(content: Expression): Expression {
  return sequence(text('"'), content, text('"'))
}

/** Any string in quotes, in its one spelling, that is none of `names`. */
export function otherJsonString(names: readonly string[]): Expression {
  return quoted(otherText(names.map((name) => [...name].map((letter) => letter.codePointAt(0)!))))
}

function otherText(names: readonly (readonly number[])[]): Expression {
  const byFirst = Map.groupBy(
    names.filter((name) => name.length > 0),
    (name) => name[0]!,
  )
  const firsts = codePoints([...byFirst.keys()].map((first) => [first, first] as const))
  const different = sequence(jsonSpelling(without(anyCodePoint, firsts)), repeat(anyJsonCharacter, 0, null))
  const longer = [...byFirst].map(([first, rest]) =>
    sequence(jsonSpelling([[first, first]]), otherText(rest.map((name) => name.slice(1)))),
  )
  const mayEnd = names.every((name) => name.length > 0)
  return either([different, ...longer, ...(mayEnd ? [text('')] : [])])
}
