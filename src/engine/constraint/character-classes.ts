/** What the escapes of a pattern stand for, as ECMAScript has them. */
import { anyCodePoint, type CodePoints, codePoints, without } from './code-points.ts'

const digits: CodePoints = [[0x30, 0x39]]
const word = codePoints([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
])
const space = codePoints([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
])
const lineEnds = codePoints([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
])

export const dot = without(anyCodePoint, lineEnds)

const classes: Readonly<Record<string, CodePoints>> = {
  d: digits,
  D: without(anyCodePoint, digits),
  w: word,
  W: without(anyCodePoint, word),
  s: space,
  S: without(anyCodePoint, space),
}

export function classEscape(letter: string): CodePoints | undefined {
  return Object.hasOwn(classes, letter) ? classes[letter] : undefined
}

const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }

/** The character that an escape stands for, read from the letter after its backslash, and how many letters it takes. */
export function pointEscape(letters: readonly string[], at: number): { codePoint: number; length: number } | null {
  const letter = letters[at]!
  if (Object.hasOwn(controls, letter)) return { codePoint: controls[letter]!, length: 1 }
  const written = letters.slice(at, at + 12).join('')
  const control = /^c([A-Za-z])/.exec(written)
  if (control) return { codePoint: control[1]!.charCodeAt(0) % 32, length: 2 }
  const pair = /^u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(written)
  if (pair) {
    const codePoint = String.fromCharCode(Number.parseInt(pair[1]!, 16), Number.parseInt(pair[2]!, 16)).codePointAt(0)!
    return { codePoint, length: 11 }
  }
  const hex = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\})/.exec(written)
  if (hex) {
    const codePoint = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16)
    return codePoint <= 0x10ffff ? { codePoint, length: hex[0].length } : null
  }
  // Letters and digits are kept for meanings of their own; everything else stands for itself.
  return /^[A-Za-z0-9]/.test(letter) ? null : { codePoint: letter.codePointAt(0)!, length: 1 }
}
