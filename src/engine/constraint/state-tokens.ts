/**
 * The tokens that may follow one state of the automaton, whatever lies below it: computed once for each state, so that a new
 * nesting of a text whose innermost state is known costs no new walk of the vocabulary.
 *
 * Tokens are grouped by how many more tokens the rule needs after them, since near a choice's last token only some groups remain.
 * Tokens that leave the rule depend on what lies below; of them the trie nodes are kept at which they leave.
 */
import { Frame, type GrammarTables } from './frame.ts'
import type { TokenWalk } from './token-walk.ts'

export interface StateTokens {
  groups: readonly TokenGroup[]
  /** Trie nodes at which the state's rule may have ended, none twice. */
  endings: Int32Array
  sizeBytes: number
}

interface TokenGroup {
  /** Tokens that the rule needs after one of these, at most. */
  left: number
  /** A set bit for each token where there are many, else the tokens. */
  bits: Uint32Array | null
  tokens: Int32Array | null
}

/** What one grammar keeps; those not used for longest are dropped and computed again. */
const mostKeptBytes = 8 * 1024 * 1024

/** An entry's objects beside its numbers, about. */
const entryBytes = 512

export class StateTokensCache {
  readonly #tables: GrammarTables
  readonly #walk: TokenWalk
  readonly #words: number
  readonly #groupOf: Int32Array
  readonly #kept = new Map<number, StateTokens>()
  #keptBytes = 0

  /** `groupOf` names for each state a state with the same tokens. */
  constructor(tables: GrammarTables, walk: TokenWalk, vocabularySize: number, groupOf: Int32Array) {
    this.#tables = tables
    this.#walk = walk
    this.#words = Math.ceil(vocabularySize / 32)
    this.#groupOf = groupOf
  }

  of(state: number): StateTokens {
    const key = this.#groupOf[state]!
    const tokens = this.#kept.get(key) ?? this.#compute(state)
    // Last used last, so that the first is the one to drop.
    this.#kept.delete(key)
    this.#kept.set(key, tokens)
    for (const [oldest, { sizeBytes }] of this.#kept) {
      if (this.#keptBytes <= mostKeptBytes || oldest === key) break
      this.#kept.delete(oldest)
      this.#keptBytes -= sizeBytes
    }
    return tokens
  }

  #compute(state: number): StateTokens {
    const byLeft = new Map<number, number[]>()
    let [group, groupLeft]: [number[], number] = [[], -1]
    this.#walk.fromState(Frame.bottom().push(state, this.#tables))
    const endings = this.#walk.finish((token, left) => {
      // Most tokens need as many after them as the one before.
      if (left !== groupLeft) {
        group = byLeft.get(left) ?? []
        byLeft.set(left, group)
        groupLeft = left
      }
      group.push(token)
    })
    const groups = [...byLeft].map(([left, tokens]) => this.#group(left, tokens))
    const groupBytes = groups.reduce((sum, { bits, tokens }) => sum + (bits ?? tokens!).byteLength, 0)
    const sizeBytes = groupBytes + endings.length * 4 + entryBytes
    this.#keptBytes += sizeBytes
    return { groups, endings: Int32Array.from(endings), sizeBytes }
  }

  #group(left: number, tokens: readonly number[]): TokenGroup {
    if (tokens.length < this.#words) return { left, bits: null, tokens: Int32Array.from(tokens) }
    const bits = new Uint32Array(this.#words)
    for (const token of tokens) bits[token >> 5]! |= 1 << (token & 31)
    return { left, bits, tokens: null }
  }
}
