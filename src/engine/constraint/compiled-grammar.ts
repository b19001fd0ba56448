/** A finished grammar for one vocabulary, and the positions of texts that follow it. */
import { invalidParameter } from '#contracts/errors.ts'
import type { CompiledConstraint, TokenConstraint, TokenVocabulary } from '../generation/seams.ts'
import { type Automaton, callsItselfAtOnce, linkAutomaton, step } from './automaton.ts'
import type { Dfa } from './dfa.ts'
import { fewestTokens, unreachable } from './fewest-tokens.ts'
import { addWithReach, Frame, type GrammarTables } from './frame.ts'
import { likeStates } from './like-states.ts'
import { StateTokensCache } from './state-tokens.ts'
import { TokenWalk } from './token-walk.ts'
import { type VocabularyTrie, vocabularyTrie } from './vocabulary-trie.ts'

/** Positions a text may have at once. Only grammars whose alternatives stay alike through nested values come near. */
const mostPositions = 256
/** Frames of positions that a text has left are dropped when there are more than this. */
const mostKeptFrames = 4_096

/**
 * Prepares rules for token by token use; the first is where texts start.
 *
 * @throws {ServingError} 400, naming `field`, if no text fulfils the grammar with the tokens of this vocabulary.
 */
export function compileGrammar(rules: readonly Dfa[], vocabulary: TokenVocabulary, field: string): CompiledConstraint {
  const automaton = linkAutomaton(rules)
  if (callsItselfAtOnce(automaton))
    throw invalidParameter(field, 'a schema refers to itself without any value around the reference.')
  const trie = vocabularyTrie(vocabulary)
  const grammar = new CompiledGrammar(automaton, trie, vocabulary)
  if (grammar.fewestTokens >= unreachable)
    throw invalidParameter(field, "no text fulfils it, or none that this model's tokens can spell.")
  return grammar
}

class CompiledGrammar implements CompiledConstraint {
  readonly fewestTokens: number
  readonly #tables: GrammarTables
  readonly #vocabulary: TokenVocabulary
  readonly #walk: TokenWalk
  readonly #stateTokens: StateTokensCache
  /** A bit for each token that may come next; scratch of one `mask` call. */
  readonly #allowed: Uint32Array

  constructor(automaton: Automaton, trie: VocabularyTrie, vocabulary: TokenVocabulary) {
    const fewest = fewestTokens(automaton, trie)
    this.#tables = { automaton, fewest }
    this.#vocabulary = vocabulary
    this.#walk = new TokenWalk(this.#tables, trie, vocabulary.size)
    const groupOf = likeStates(automaton, fewest, trie.longest)
    this.#stateTokens = new StateTokensCache(this.#tables, this.#walk, vocabulary.size, groupOf)
    this.#allowed = new Uint32Array(Math.ceil(vocabulary.size / 32))
    this.fewestTokens = fewest[0]!
  }

  start(): TokenConstraint {
    return new GrammarPosition(this.#tables, this.#vocabulary, (frames, budget) => this.#tokensAfter(frames, budget))
  }

  #tokensAfter(frames: readonly Frame[], budget: number): Uint32Array {
    try {
      return this.#findTokens(frames, budget)
    } catch (error) {
      // Half a walk must not leave its tokens to the next.
      this.#walk.finish(() => {})
      throw error
    }
  }

  /** The tokens after which at most `budget` more are needed. */
  #findTokens(frames: readonly Frame[], budget: number): Uint32Array {
    const allowed = this.#allowed.fill(0)
    // Tokens within the rules first: finding those of a new state takes the walk that tokens beyond the rules need afterwards.
    const tokensOf = frames.map(({ state }) => this.#stateTokens.of(state))
    for (const [index, { groups, endings }] of tokensOf.entries()) {
      const below = frames[index]!.below!
      for (const { left, bits, tokens } of groups) {
        if (left + below.total > budget) continue
        if (bits) for (let word = 0; word < allowed.length; word++) allowed[word]! |= bits[word]!
        else for (const token of tokens!) allowed[token >> 5]! |= 1 << (token & 31)
      }
      for (const node of endings) this.#walk.from(below, node)
    }
    this.#walk.finish((token, left) => {
      if (left <= budget) allowed[token >> 5]! |= 1 << (token & 31)
    })
    return allowed
  }
}

class GrammarPosition implements TokenConstraint {
  readonly #tables: GrammarTables
  readonly #vocabulary: TokenVocabulary
  readonly #tokensAfter: (frames: readonly Frame[], budget: number) => Uint32Array
  #bottom = Frame.bottom()
  #frames: Frame[] = []
  #mayEnd = false
  #hasEnded = false
  /** Tokens that complete the text from here, at most. */
  #total = 0

  constructor(
    tables: GrammarTables,
    vocabulary: TokenVocabulary,
    tokensAfter: (frames: readonly Frame[], budget: number) => Uint32Array,
  ) {
    this.#tables = tables
    this.#vocabulary = vocabulary
    this.#tokensAfter = tokensAfter
    const frames = new Set<Frame>()
    addWithReach(this.#bottom.push(0, tables), tables, frames)
    this.#moveTo(frames)
  }

  get isComplete(): boolean {
    return this.#hasEnded || (this.#mayEnd && this.#frames.length === 0)
  }

  mask(logits: Float32Array, tokensLeft: number): void {
    const { endTokens } = this.#vocabulary
    const mayEnd = this.#mayEnd || this.#hasEnded
    const endLogits = mayEnd ? [...endTokens].map((token) => [token, logits[token]] as const) : []
    // Where too few tokens were left from the start, the shortest way is still the best.
    const budget = Math.max(tokensLeft - 1, this.#total - 1)
    keepOnly(logits, this.#tokensAfter(this.#frames, budget))
    for (const [token, logit] of endLogits) if (logit !== undefined) logits[token] = logit
  }

  accept(token: number): void {
    if (this.#vocabulary.endTokens.has(token)) {
      this.#hasEnded = true
      this.#frames = []
      return
    }
    let frames: Iterable<Frame> = this.#frames
    let reached = new Set<Frame>()
    for (const byte of this.#vocabulary.bytesOf(token) ?? []) {
      reached = new Set()
      for (const frame of frames) {
        const next = frame.state < 0 ? -1 : step(this.#tables.automaton, frame.state, byte)
        if (next >= 0) addWithReach(frame.moveTo(next, this.#tables), this.#tables, reached)
      }
      frames = reached
    }
    if (reached.size === 0) throw new Error(`Token ${token} does not follow the constraint.`)
    this.#moveTo(reached)
  }

  #moveTo(reached: ReadonlySet<Frame>): void {
    this.#mayEnd = reached.has(this.#bottom)
    const { hasBytes } = this.#tables.automaton
    this.#frames = [...reached].filter(
      (frame) => frame.state >= 0 && hasBytes[frame.state] && frame.total < unreachable,
    )
    if (this.#frames.length > mostPositions)
      this.#frames = this.#frames.sort((a, b) => a.total - b.total).slice(0, mostPositions)
    if (this.#bottom.count > mostKeptFrames) {
      this.#bottom = Frame.bottom()
      this.#frames = this.#frames.map((frame) => frame.rebase(this.#bottom, this.#tables))
    }
    this.#total = Math.min(this.#mayEnd ? 0 : unreachable, ...this.#frames.map((frame) => frame.total))
  }
}

/** Sets all logits to -Infinity whose bit is not set. */
function keepOnly(logits: Float32Array, allowed: Uint32Array): void {
  for (let word = 0; word < allowed.length; word++) {
    const bits = allowed[word]!
    if (bits === 0xffffffff) continue
    const first = word * 32
    if (bits === 0) {
      logits.fill(-Infinity, first, first + 32)
      continue
    }
    const last = Math.min(first + 32, logits.length)
    for (let token = first; token < last; token++) {
      if (((bits >>> (token - first)) & 1) === 0) logits[token] = -Infinity
    }
  }
  logits.fill(-Infinity, allowed.length * 32)
}
