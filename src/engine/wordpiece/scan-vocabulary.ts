/**
 * Reading the words of a `tokenizer.json` without parsing them into an object.
 *
 * `JSON.parse` makes 30,000 strings and a dictionary of them, which takes longer than everything else that a text model does at
 * a cold start. So the vocabulary is cut out of the bytes and its keys are copied into one buffer; only the small rest of the
 * file is parsed. Whatever the scanner has not expected is left to the parser, which also says what is wrong with it.
 */
import { isObject, type JsonObject } from '../read-artifact.ts'

/** Keys in their order in the file; a key that comes twice is here twice. */
export interface ScannedVocabulary {
  count: number
  /** The UTF-8 bytes of all keys, one after the other. */
  pool: Uint8Array
  /** Where each key begins in the pool, and at last where the last one ends. */
  starts: Uint32Array
  ids: Uint32Array
  /** `hashOf` each key. */
  hashes: Uint32Array
}

export interface ScannedDefinition {
  /** The file, its `model.vocab` replaced. */
  definition: JsonObject
  vocabulary: ScannedVocabulary
}

/** FNV-1a: one step a byte, so that a word's prefixes have their hashes on the way to its own. */
export const hashBasis = 0x811c9dc5 | 0
const hashPrime = 0x01000193

export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, hashPrime)
}

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()
const firstCapacity = 32_768
const mostDigits = 9

/** The definition and its words; undefined for anything but a JSON file whose `model.vocab` is an object of ids below 10⁹. */
export function scanDefinition(json: Uint8Array): ScannedDefinition | undefined {
  const at = vocabularyAt(json)
  const scanned = at === undefined ? undefined : scanVocabulary(json, at)
  if (at === undefined || !scanned) return undefined
  try {
    // Keys without a backslash were copied as they are; now they are known to be UTF-8, like the rest.
    decoder.decode(json.subarray(at, scanned.end))
    // Another "vocab" may come before the model's, so the parser must find this one in its place, which nobody can have foreseen.
    const mark = crypto.randomUUID()
    const [before, after] = [decoder.decode(json.subarray(0, at)), decoder.decode(json.subarray(scanned.end))]
    const definition: unknown = JSON.parse(`${before}"${mark}"${after}`)
    const isModels = isObject(definition) && isObject(definition.model) && definition.model.vocab === mark
    return isModels ? { definition, vocabulary: scanned.vocabulary } : undefined
  } catch {
    return undefined
  }
}

/** Where the value of the first key "vocab" begins, whosever it is. */
function vocabularyAt(json: Uint8Array): number | undefined {
  const key = encoder.encode('"vocab"')
  for (let from = json.indexOf(key[0]!); from >= 0; from = json.indexOf(key[0]!, from + 1)) {
    if (!key.every((byte, index) => json[from + index] === byte)) continue
    const colon = pastSpace(json, from + key.length)
    return json[colon] === 0x3a ? pastSpace(json, colon + 1) : undefined
  }
  return undefined
}

function scanVocabulary(json: Uint8Array, from: number): { vocabulary: ScannedVocabulary; end: number } | undefined {
  const pool = new Uint8Array(json.byteLength - from)
  let starts = new Uint32Array(firstCapacity + 1)
  let ids = new Uint32Array(firstCapacity)
  let hashes = new Uint32Array(firstCapacity)
  let [count, used] = [0, 0]
  if (json[from] !== 0x7b) return undefined
  let at = pastSpace(json, from + 1)
  let isOpen = json[at] !== 0x7d
  while (isOpen) {
    if (json[at] !== 0x22) return undefined
    const open = at
    let hash = hashBasis
    let byte = json[++at]
    for (; byte !== 0x22; byte = json[++at]) {
      // A control character or the end of the file.
      if (byte === undefined || byte < 0x20) return undefined
      if (byte === 0x5c) {
        at = pastString(json, open)
        const key = unescaped(json.subarray(open, at + 1))
        if (!key) return undefined
        used = starts[count]! + key.byteLength
        pool.set(key, starts[count]!)
        hash = hashOf(key)
        break
      }
      pool[used++] = byte
      hash = Math.imul(hash ^ byte, hashPrime)
    }
    at = pastSpace(json, at + 1)
    if (json[at] !== 0x3a) return undefined
    at = pastSpace(json, at + 1)
    let id = 0
    const first = at
    for (let digit = json[at]! - 0x30; digit >= 0 && digit <= 9; digit = json[++at]! - 0x30) id = 10 * id + digit
    if (at === first || at - first > mostDigits || (json[first] === 0x30 && at > first + 1)) return undefined
    if (count === ids.length) {
      starts = grown(starts, 2 * count + 1)
      ids = grown(ids, 2 * count)
      hashes = grown(hashes, 2 * count)
    }
    ids[count] = id
    hashes[count] = hash
    starts[++count] = used
    at = pastSpace(json, at)
    if (json[at] !== 0x2c && json[at] !== 0x7d) return undefined
    isOpen = json[at] === 0x2c
    if (isOpen) at = pastSpace(json, at + 1)
  }
  return { vocabulary: { count, pool: pool.subarray(0, used), starts, ids, hashes }, end: at + 1 }
}

export function hashOf(bytes: Uint8Array): number {
  let hash = hashBasis
  for (const byte of bytes) hash = hashStep(hash, byte)
  return hash
}

/** The closing quote of a string, or the end of the file. */
function pastString(json: Uint8Array, open: number): number {
  let at = open + 1
  while (at < json.byteLength && json[at] !== 0x22) at += json[at] === 0x5c ? 2 : 1
  return at
}

/** The bytes that a string with escapes stands for; undefined where it is none, or stands for half a character. */
function unescaped(literal: Uint8Array): Uint8Array | undefined {
  try {
    const text: unknown = JSON.parse(decoder.decode(literal))
    return typeof text === 'string' && text.isWellFormed() ? encoder.encode(text) : undefined
  } catch {
    return undefined
  }
}

function pastSpace(json: Uint8Array, from: number): number {
  let at = from
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at++
  return at
}

function grown(values: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length)
  larger.set(values)
  return larger
}
