/**
 * A word into the longest pieces that the vocabulary has, from its beginning on.
 *
 * The word becomes bytes once, and the hashes of all its beginnings come out of one walk over them; so trying a piece makes no
 * string and hashes nothing again.
 */
import { hashBasis, hashStep } from './scan-vocabulary.ts'
import type { VocabularyTable } from './vocabulary-table.ts'

export interface MatchOptions {
  table: VocabularyTable
  /** What a piece begins with that continues a word. */
  prefix: string
  /** Of longer words in characters nothing is known. */
  mostCharacters: number
}

/** Appends the entries of a word's pieces; false, and nothing appended, for a word that has a part which is in no piece. */
export type MatchWord = (word: string, entries: number[]) => boolean

const encoder = new TextEncoder()
const noBytes = new Uint8Array()

export function wordMatcher({ table, prefix, mostCharacters }: MatchOptions): MatchWord {
  const prefixBytes = encoder.encode(prefix)
  const prefixHash = prefixBytes.reduce(hashStep, hashBasis)
  let bytes = new Uint8Array(256)
  let hashes = new Int32Array(256)

  return (word, entries) => {
    const most = 3 * word.length
    if (most > bytes.length) {
      bytes = new Uint8Array(2 * most)
      hashes = new Int32Array(2 * most)
    }
    let length = 0
    while (length < word.length) {
      const unit = word.charCodeAt(length)
      if (unit > 0x7f) break
      bytes[length++] = unit
    }
    let characters = length
    if (length < word.length) {
      // No piece has half a character.
      if (!word.isWellFormed()) return false
      length = encoder.encodeInto(word, bytes).written
      characters = 0
      for (let at = 0; at < length; at++) if (isFirst(bytes[at]!)) characters += 1
    }
    if (characters > mostCharacters) return false

    const known = entries.length
    for (let start = 0; start < length; ) {
      const own = start === 0 ? noBytes : prefixBytes
      const last = Math.min(length, start + table.longest - own.length)
      let hash = start === 0 ? hashBasis : prefixHash
      for (let at = start; at < last; at++) {
        hash = hashStep(hash, bytes[at]!)
        hashes[at] = hash
      }
      let entry = -1
      let end = last
      for (; end > start; end--) {
        if (end < length && !isFirst(bytes[end]!)) continue
        entry = table.find(hashes[end - 1]!, own, bytes, start, end)
        if (entry >= 0) break
      }
      if (entry < 0) {
        entries.length = known
        return false
      }
      entries.push(entry)
      start = end
    }
    return true
  }
}

/** Whether a byte begins a character. */
function isFirst(byte: number): boolean {
  return (byte & 0xc0) !== 0x80
}
