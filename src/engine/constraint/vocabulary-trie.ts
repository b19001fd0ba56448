/**
 * A vocabulary's tokens as a tree over their bytes, so that one walk finds all tokens that may come next and leaves a whole
 * subtree at its first impossible byte. Nodes are numbered in preorder: a node's subtree is the range up to `end`.
 */
import type { TokenVocabulary } from '../generation/seams.ts'

export interface VocabularyTrie {
  nodeCount: number
  /** The last byte on the path to a node; node 0 is the empty text. */
  byte: Uint8Array
  depth: Uint16Array
  /** The first node after a node's subtree. */
  end: Int32Array
  /** Where the tokens that end at a node begin in `tokens`; the next node's entry is their end. */
  tokensFrom: Int32Array
  tokens: Int32Array
  /** Bytes of the longest token. */
  longest: number
  /** 1 for each byte that a token of its own can write. */
  ownToken: Uint8Array
  /** The groups of the bytes below each node, as bits of `byteGroups`. */
  groupsBelow: Uint16Array
}

/**
 * Bytes in groups that rules seldom tell apart: the letters of a text, and by themselves those that end or escape one. A subtree
 * that holds only groups at which a state stays as it is needs no walk.
 */
export const byteGroups: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => 1 << groupOf(byte))

function groupOf(byte: number): number {
  const character = String.fromCharCode(byte)
  if (byte < 0x20) return 0
  if (byte >= 0x80) return byte < 0xc0 ? 1 : 2
  if (/[a-z]/.test(character)) return 3
  if (/[A-Z]/.test(character)) return 4
  if (/[0-9]/.test(character)) return 5
  const singles = [' ', '"', '\\', '\x7f', '.', '-', '_']
  const single = singles.indexOf(character)
  return 6 + (single >= 0 ? single : singles.length)
}

const tries = new WeakMap<TokenVocabulary, VocabularyTrie>()

/** Built once for each vocabulary. Control tokens, end tokens and tokens without bytes are in no trie. */
export function vocabularyTrie(vocabulary: TokenVocabulary): VocabularyTrie {
  const built = tries.get(vocabulary) ?? buildTrie(vocabulary)
  tries.set(vocabulary, built)
  return built
}

function buildTrie(vocabulary: TokenVocabulary): VocabularyTrie {
  const entries: { token: number; bytes: Uint8Array }[] = []
  for (let token = 0; token < vocabulary.size; token++) {
    const bytes = vocabulary.endTokens.has(token) ? null : vocabulary.bytesOf(token)
    // A depth is 16 bits wide.
    if (bytes && bytes.length > 0 && bytes.length < 65_536) entries.push({ token, bytes })
  }
  entries.sort((a, b) => compareBytes(a.bytes, b.bytes))

  const byte = [0]
  const depth = [0]
  const tokensFrom = [0]
  const ownToken = new Uint8Array(256)
  let longest = 0
  let previous: Uint8Array = new Uint8Array()
  for (const [index, { bytes }] of entries.entries()) {
    let shared = 0
    while (shared < previous.length && previous[shared] === bytes[shared]) shared++
    for (let at = shared; at < bytes.length; at++) {
      byte.push(bytes[at]!)
      depth.push(at + 1)
      // Only the last new node has this token; those on the way to it have none.
      tokensFrom.push(index)
    }
    if (bytes.length === 1) ownToken[bytes[0]!] = 1
    longest = Math.max(longest, bytes.length)
    previous = bytes
  }
  const nodeCount = byte.length
  tokensFrom.push(entries.length)
  const end = subtreeEnds(depth)
  return {
    nodeCount,
    byte: Uint8Array.from(byte),
    depth: Uint16Array.from(depth),
    end,
    tokensFrom: Int32Array.from(tokensFrom),
    tokens: Int32Array.from(entries, ({ token }) => token),
    longest,
    ownToken,
    groupsBelow: groupsBelow(byte, end),
  }
}

function groupsBelow(byte: readonly number[], end: Int32Array): Uint16Array {
  const groups = new Uint16Array(byte.length)
  // Children come after their parents.
  for (let node = byte.length - 1; node >= 0; node--) {
    for (let child = node + 1; child < end[node]!; child = end[child]!) {
      groups[node]! |= groups[child]! | byteGroups[byte[child]!]!
    }
  }
  return groups
}

function subtreeEnds(depth: readonly number[]): Int32Array {
  const end = new Int32Array(depth.length)
  const open: number[] = []
  for (const [node, level] of depth.entries()) {
    while (open.length > level) end[open.pop()!] = node
    open.push(node)
  }
  for (const node of open) end[node] = depth.length
  return end
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let at = 0; at < shared; at++) {
    const difference = a[at]! - b[at]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
