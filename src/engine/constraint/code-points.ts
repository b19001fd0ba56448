/**
 * Sets of Unicode code points, and how such a set is spelled in UTF-8: as sequences of byte ranges, which is all that an
 * automaton over bytes needs to know about characters. Surrogates are in no set, since UTF-8 cannot spell them.
 */

/** Inclusive ranges, ascending and apart from each other. */
export type CodePoints = readonly (readonly [from: number, to: number])[]

/** Inclusive byte ranges, one for each byte of a character. */
export type ByteSequence = readonly (readonly [from: number, to: number])[]

export const anyCodePoint: CodePoints = [
  [0, 0xd7ff],
  [0xe000, 0x10ffff],
]

/** The union of any ranges in any order. */
export function codePoints(ranges: Iterable<readonly [number, number]>): CodePoints {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0])
  const merged: [number, number][] = []
  for (const [from, to] of sorted) {
    const last = merged.at(-1)
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

export function without(set: CodePoints, removed: CodePoints): CodePoints {
  const left: [number, number][] = []
  for (const [from, to] of set) {
    let next = from
    for (const [gapFrom, gapTo] of removed) {
      if (gapTo < next || gapFrom > to) continue
      if (gapFrom > next) left.push([next, gapFrom - 1])
      next = gapTo + 1
    }
    if (next <= to) left.push([next, to])
  }
  return left
}

export function has(set: CodePoints, codePoint: number): boolean {
  return set.some(([from, to]) => from <= codePoint && codePoint <= to)
}

/** The byte sequences that spell the set's characters, each character in exactly one of them. */
export function utf8Sequences(set: CodePoints): ByteSequence[] {
  const sequences: ByteSequence[] = []
  for (const [from, to] of without(set, [[0xd800, 0xdfff]])) {
    let next = from
    for (const [last, length] of [
      [0x7f, 1],
      [0x7ff, 2],
      [0xffff, 3],
      [0x10ffff, 4],
    ] as const) {
      if (next > to) break
      if (next > last) continue
      split(next, Math.min(to, last), length, sequences)
      next = last + 1
    }
  }
  return sequences
}

/** Cuts a range of characters of one byte length where it is not a product of byte ranges. */
function split(from: number, to: number, length: number, into: ByteSequence[]): void {
  for (let tail = 1; tail < length; tail++) {
    const mask = 2 ** (6 * tail) - 1
    if ((from & ~mask) === (to & ~mask)) continue
    if ((from & mask) !== 0) {
      split(from, from | mask, length, into)
      split((from | mask) + 1, to, length, into)
      return
    }
    if ((to & mask) !== mask) {
      split(from, (to & ~mask) - 1, length, into)
      split(to & ~mask, to, length, into)
      return
    }
  }
  const low = utf8(from, length)
  const high = utf8(to, length)
  into.push(low.map((byte, index) => [byte, high[index]!]))
}

function utf8(codePoint: number, length: number): number[] {
  if (length === 1) return [codePoint]
  const bytes: number[] = []
  for (let tail = length - 1; tail > 0; tail--) bytes.push(0x80 | ((codePoint >> (6 * (tail - 1))) & 0x3f))
  const lead = [0, 0, 0xc0, 0xe0, 0xf0][length]! | (codePoint >> (6 * (length - 1)))
  return [lead, ...bytes]
}
