import type { TokenVocabulary } from '#src/engine/generation/seams.ts'
import type { Random } from './random.ts'

const encoder = new TextEncoder()

/** Tokens from bytes; then one control token and one end token. */
export function vocabularyOf(tokens: readonly Uint8Array[]): TokenVocabulary {
  return {
    size: tokens.length + 2,
    bytesOf: (token) => tokens[token] ?? null,
    endTokens: new Set([tokens.length + 1]),
  }
}

export const everyByte = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte))

export const pieces = [
  ...[
    '":"',
    '","',
    '":',
    '",',
    '{"',
    '"}',
    '":{"',
    '[{"',
    '[]',
    '},',
    '}}',
    ']}',
    '"}]',
    '}]}',
    '"]',
    '": ',
    ', "',
    '": {"',
  ],
  ...[
    'true',
    'null',
    'false',
    'name',
    'arguments',
    'the',
    ' a',
    ' the',
    '12',
    '100',
    '2024-',
    '-0',
    '0.',
    '1e',
    'a"',
    'ab',
    'abc',
  ],
  ...['日本', 'é', '日', '😀', 'ü"', '"\n', '\n', '  ', '\\u00', '\\u', '\\"', '\\n', '\\ud83d', '<tool_call>', ', "b'],
].map((piece) => encoder.encode(piece))

/** Every byte, fixed pieces, and random runs of JSON's characters, some of them twice. */
export function mixedVocabulary(random: Random, size: number): TokenVocabulary {
  const alphabet = [...encoder.encode('{}[]",:.-eabcdnprtuxyz019\\ '), 0xc3, 0xa9, 0xe6, 0x97, 0xa5]
  const runs = Array.from({ length: size }, () =>
    Uint8Array.from({ length: 2 + random.below(4) }, () => random.pick(alphabet)),
  )
  return vocabularyOf([...everyByte, ...pieces, ...runs, ...pieces.slice(0, 5)])
}

/** No token for a byte outside ASCII: other characters come whole, and only some. */
export function wholeCharacterVocabulary(): TokenVocabulary {
  const ascii = everyByte.slice(0x20, 0x7f)
  return vocabularyOf([...ascii, ...pieces])
}
