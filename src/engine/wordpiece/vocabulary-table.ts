/**
 * A vocabulary as four flat arrays: the bytes of all words, where each begins, their ids, and a hash table of their numbers.
 * 30,522 words take 0.8 MB with nothing for the garbage collector to walk; a `Map` of strings and what goes with it takes 3.6 MB.
 *
 * A word's entry is its number in this table; two words may have the same id.
 */
import { hashOf, type ScannedVocabulary } from './scan-vocabulary.ts'

/** So many steps to a free slot are no accident but made to cost time. */
const mostProbes = 512
const encoder = new TextEncoder()
const noBytes = new Uint8Array()

export class VocabularyTable {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #pool: Uint8Array
  readonly #starts: Uint32Array
  readonly #ids: Uint32Array
  /** Number of an entry and 1, or 0. */
  readonly #slots: Uint32Array
  #count: number
  /** The longest word in bytes. */
  longest = 0
  /** One more than the largest id, or the number of words where that is more. */
  size: number

  private constructor({ count, pool, starts, ids }: ScannedVocabulary, more: readonly string[]) {
    const words = count + more.length
    this.#pool = new Uint8Array(more.reduce((total, word) => total + 3 * word.length, pool.byteLength))
    this.#pool.set(pool)
    this.#starts = new Uint32Array(words + 1)
    this.#starts.set(starts.subarray(0, count + 1))
    this.#ids = new Uint32Array(words)
    this.#ids.set(ids.subarray(0, count))
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(2 * words, 2))))
    this.#count = count
    this.size = count
  }

  /** With room for some words more; undefined where words come twice or share too many hashes. */
  static of(vocabulary: ScannedVocabulary, more: readonly string[]): VocabularyTable | undefined {
    const table = new VocabularyTable(vocabulary, more)
    return table.#fill(vocabulary) ? table : undefined
  }

  #fill({ count, hashes, starts, ids }: ScannedVocabulary): boolean {
    const slots = this.#slots
    const mask = slots.length - 1
    let [longest, size] = [0, count]
    for (let entry = 0; entry < count; entry++) {
      const hash = hashes[entry]!
      let slot = spread(hash) & mask
      for (let probes = 0; slots[slot] !== 0; slot = (slot + 1) & mask) {
        const other = slots[slot]! - 1
        if (++probes > mostProbes || (hashes[other] === hash && this.#isSame(entry, other))) return false
      }
      slots[slot] = entry + 1
      const length = starts[entry + 1]! - starts[entry]!
      if (length > longest) longest = length
      if (ids[entry]! >= size) size = ids[entry]! + 1
    }
    this.longest = longest
    this.size = size
    return true
  }

  /** Sets the id of a word, which may be new: one of those that there is room for. */
  add(word: string, id: number): void {
    const known = this.entryOf(word)
    this.size = Math.max(this.size, id + 1)
    if (known >= 0) {
      this.#ids[known] = id
      return
    }
    const bytes = encoder.encode(word)
    const entry = this.#count++
    const start = this.#starts[entry]!
    this.#pool.set(bytes, start)
    this.#starts[entry + 1] = start + bytes.byteLength
    this.#ids[entry] = id
    this.longest = Math.max(this.longest, bytes.byteLength)
    const mask = this.#slots.length - 1
    let slot = spread(hashOf(bytes)) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry + 1
  }

  /** The entry of a word; -1 where there is none. */
  entryOf(word: string): number {
    // Half a character would become another one.
    if (!word.isWellFormed()) return -1
    const bytes = encoder.encode(word)
    return this.find(hashOf(bytes), noBytes, bytes, 0, bytes.byteLength)
  }

  /** The entry of `prefix` and then a part of some bytes, whose hash is that of both together; -1 where there is none. */
  find(hash: number, prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
    const [slots, starts, pool] = [this.#slots, this.#starts, this.#pool]
    const length = prefix.length + end - start
    const mask = slots.length - 1
    search: for (let slot = spread(hash) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = slots[slot]! - 1
      let at = starts[entry]!
      if (starts[entry + 1]! - at !== length) continue
      for (let index = 0; index < prefix.length; index++) if (pool[at++] !== prefix[index]) continue search
      for (let index = start; index < end; index++) if (pool[at++] !== bytes[index]) continue search
      return entry
    }
    return -1
  }

  idAt(entry: number): number {
    return this.#ids[entry]!
  }

  wordAt(entry: number): string {
    return this.#decoder.decode(this.#pool.subarray(this.#starts[entry]!, this.#starts[entry + 1]!))
  }

  get count(): number {
    return this.#count
  }

  #isSame(entry: number, other: number): boolean {
    const [pool, starts] = [this.#pool, this.#starts]
    const [start, otherStart] = [starts[entry]!, starts[other]!]
    const length = starts[entry + 1]! - start
    if (starts[other + 1]! - otherStart !== length) return false
    for (let at = 0; at < length; at++) if (pool[start + at] !== pool[otherStart + at]) return false
    return true
  }
}

/** The last byte of a word moves only the low bits of its hash far enough. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15)
}
