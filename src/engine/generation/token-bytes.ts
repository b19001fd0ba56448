/**
 * The bytes that each token of a `tokenizer.json` stands for. Tokens are kept as bytes and not as text because one character may
 * be spread over several tokens, and grammars and detokenizers follow texts byte by byte.
 *
 * Two ways of writing bytes as token names exist. Byte-level tokenizers (GPT-2) give each byte a visible character of its own;
 * sentencepiece-style ones write "▁" for a space and `<0xNN>` for a byte that no other token holds. Which one a tokenizer uses is
 * read from its decoder, never guessed from the names. All bytes lie in one array: 49,152 small arrays would take megabytes of
 * an isolate's 128.
 */
import { badRequest } from '#contracts/errors.ts'
import { isObject, type JsonObject } from '../read-artifact.ts'

/** How a tokenizer's decoder turns token names into text. */
interface NameReading {
  byteLevel: boolean
  byteFallback: boolean
  /** Replacements within a name, such as "▁" by a space. */
  replacements: readonly (readonly [from: string, to: string])[]
  /** Decoding drops one space at the very start of a text: the one that encoding has put there. */
  stripsLeadingSpace: boolean
}

export interface TokenBytes {
  readonly stripsLeadingSpace: boolean
  readonly longestBytes: number
  /** A view that must not be written to; null for control tokens and ids without a token. */
  bytesOf(token: number): Uint8Array | null
}

/**
 * Reads the names of a vocabulary, in order of their ids, once.
 *
 * @param added Tokens whose names are plain text, by id; control tokens among them have no bytes.
 * @throws {ServingError} 400 where the tokenizer's decoder is of a kind that has no bytes for single tokens.
 */
export function readTokenBytes(
  definition: JsonObject,
  names: readonly (string | undefined)[],
  added: ReadonlyMap<number, { content: string; special: boolean }>,
): TokenBytes {
  const reading = nameReadingOf(definition)
  const starts = new Uint32Array(names.length + 1)
  const isText = new Uint8Array(names.length)
  let [bytes, at, longestBytes] = [new Uint8Array(8 * names.length + 1024), 0, 0]
  for (let token = 0; token < names.length; token++) {
    const name = names[token]
    const extra = added.get(token)
    if (name !== undefined && !extra?.special) {
      // UTF-8 takes at most three bytes for each UTF-16 unit.
      const text = extra ? extra.content : replaceAll(name, reading.replacements)
      if (at + 3 * text.length > bytes.length) bytes = grown(bytes, at + 3 * text.length)
      const size = extra ? writeText(text, bytes, at) : writeName(text, reading, bytes, at)
      isText[token] = 1
      longestBytes = Math.max(longestBytes, size)
      at += size
    }
    starts[token + 1] = at
  }
  return {
    stripsLeadingSpace: reading.stripsLeadingSpace,
    longestBytes,
    bytesOf: (token) => (isText[token] ? bytes.subarray(starts[token]!, starts[token + 1]!) : null),
  }
}

function nameReadingOf(definition: JsonObject): NameReading {
  const reading = { byteLevel: false, byteFallback: false, stripsLeadingSpace: false }
  const replacements: [string, string][] = []
  const steps = flattened(definition.decoder)
  if (steps.length === 0) throw undecodable('none')
  for (const step of steps) {
    const pattern = isObject(step.pattern) ? step.pattern.String : undefined
    if (step.type === 'ByteLevel') reading.byteLevel = true
    else if (step.type === 'ByteFallback') reading.byteFallback = true
    else if (step.type === 'Metaspace') {
      replacements.push([typeof step.replacement === 'string' ? step.replacement : '▁', ' '])
      reading.stripsLeadingSpace = step.prepend_scheme !== 'never' && step.add_prefix_space !== false
    } else if (step.type === 'Replace' && typeof pattern === 'string' && typeof step.content === 'string')
      replacements.push([pattern, step.content])
    else if (step.type === 'Strip' && step.content === ' ' && step.start === 1 && !step.stop)
      reading.stripsLeadingSpace = true
    else if (step.type !== 'Fuse') throw undecodable(String(step.type))
  }
  return { ...reading, replacements }
}

function flattened(decoder: unknown): JsonObject[] {
  if (!isObject(decoder)) return []
  if (decoder.type !== 'Sequence') return [decoder]
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(flattened) : []
}

function undecodable(decoder: string) {
  return badRequest(
    `The model's file "tokenizer.json" has a decoder ("${decoder}") from which the text of a single token cannot be known; ` +
      'byte-level and sentencepiece-style tokenizers can generate text.',
  )
}

function replaceAll(name: string, replacements: NameReading['replacements']): string {
  for (const [from, to] of replacements) if (name.includes(from)) name = name.replaceAll(from, to)
  return name
}

const encoder = new TextEncoder()
const byteName = /^<0x([0-9A-Fa-f]{2})>$/

/** Returns the number of bytes written. */
function writeName(name: string, reading: NameReading, bytes: Uint8Array, at: number): number {
  const byte = reading.byteFallback && name.length === 6 ? byteName.exec(name) : null
  if (byte) {
    bytes[at] = Number.parseInt(byte[1]!, 16)
    return 1
  }
  if (!reading.byteLevel) return writeText(name, bytes, at)
  for (let i = 0; i < name.length; i++) {
    const value = byteOfUnit[name.charCodeAt(i)]
    // A name with any other character was never made from bytes.
    if (value === undefined || value < 0) return writeText(name, bytes, at)
    bytes[at + i] = value
  }
  return name.length
}

function writeText(text: string, bytes: Uint8Array, at: number): number {
  return encoder.encodeInto(text, bytes.subarray(at)).written
}

function grown(bytes: Uint8Array<ArrayBuffer>, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, 2 * bytes.length))
  larger.set(bytes)
  return larger
}

/**
 * GPT-2's map, by UTF-16 unit: visible Latin-1 characters stand for their own byte, the others are numbered from U+0100 on.
 * -1 where a unit stands for no byte.
 */
const byteOfUnit = (() => {
  const isVisible = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  const map = new Int16Array(0x144).fill(-1)
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) map[isVisible(byte) ? byte : next++] = byte
  return map
})()
