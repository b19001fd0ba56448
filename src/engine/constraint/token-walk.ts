/**
 * Finds the tokens that may follow a position by walking the vocabulary's trie and the grammar side by side. Within a rule the walk
 * is a loop over table rows; only where a rule ends or calls another does it turn to the frames.
 */
import { unreachable } from './fewest-tokens.ts'
import type { Frame, GrammarTables } from './frame.ts'
import { byteGroups, type VocabularyTrie } from './vocabulary-trie.ts'

/** Working memory of walks, shared by all grammars of a vocabulary: a walk ends before another begins. */
interface WalkMemory {
  /** The tokens that complete the text after each token, at most; `unreachable` for tokens not found. */
  left: Int32Array
  found: Int32Array
  /** The states on the way to the node of the running loop, by depth. */
  path: Int32Array
}

const memories = new WeakMap<VocabularyTrie, WalkMemory>()

function walkMemory(trie: VocabularyTrie, vocabularySize: number): WalkMemory {
  const memory = memories.get(trie) ?? {
    left: new Int32Array(vocabularySize).fill(unreachable),
    found: new Int32Array(vocabularySize),
    path: new Int32Array(trie.longest + 1),
  }
  memories.set(trie, memory)
  return memory
}

export class TokenWalk {
  readonly #tables: GrammarTables
  readonly #trie: VocabularyTrie
  readonly #left: Int32Array
  readonly #found: Int32Array
  #foundCount = 0
  readonly #path: Int32Array
  /** Frames that were entered at a node, so that ambiguous grammars do not multiply the walk. */
  readonly #entered = new Set<number>()
  #endings: number[] = []
  /** By state: the byte groups that it stays at, once asked for. */
  readonly #stays = new Map<number, number>()

  constructor(tables: GrammarTables, trie: VocabularyTrie, vocabularySize: number) {
    this.#tables = tables
    this.#trie = trie
    const { left, found, path } = walkMemory(trie, vocabularySize)
    this.#left = left
    this.#found = found
    this.#path = path
  }

  /** Walks on from a frame at a node whose bytes have been read. Frames of one bottom may share a walk. */
  from(frame: Frame, node: number): void {
    if (frame.state < 0) {
      this.#endings.push(node)
      return
    }
    const entry = frame.id * this.#trie.nodeCount + node
    if (this.#entered.has(entry)) return
    this.#entered.add(entry)
    this.#leave(frame, frame.state, node)
    if (this.#tables.automaton.hasBytes[frame.state]) this.#descend(frame, node)
  }

  /** Walks the vocabulary from a frame's own state, leaving aside where that state's rule ends or what it calls before any byte. */
  fromState(frame: Frame): void {
    this.#descend(frame, 0)
  }

  /** Hands over each found token with the tokens left after it, then the nodes at which the bottom was reached. */
  finish(visit: (token: number, left: number) => void): readonly number[] {
    for (let index = 0; index < this.#foundCount; index++) {
      const token = this.#found[index]!
      visit(token, this.#left[token]!)
      this.#left[token] = unreachable
    }
    this.#foundCount = 0
    this.#entered.clear()
    const endings = this.#endings
    this.#endings = []
    return endings
  }

  #descend(frame: Frame, node: number): void {
    const { automaton, fewest } = this.#tables
    const { byte, depth, end, tokensFrom, groupsBelow } = this.#trie
    const { base, width, classOf, next } = automaton.ruleOf[frame.state]!
    const path = this.#path
    const below = frame.below!.total
    path[depth[node]!] = frame.state
    const last = end[node]!
    for (let at = node + 1; at < last; ) {
      const level = depth[at]!
      const state = next[(path[level - 1]! - base) * width + classOf[byte[at]!]!]!
      if (state < 0) {
        at = end[at]!
        continue
      }
      path[level] = state
      if (tokensFrom[at]! < tokensFrom[at + 1]!) this.#mark(at, fewest[state]! + below)
      if (automaton.final[state] || automaton.calls[state]!.length > 0) {
        this.#leave(frame, state, at)
        // Walks that went out from here have used the path below.
        path[level] = state
      } else if (at + 1 < end[at]! && (groupsBelow[at]! & ~this.#staysAt(state)) === 0) {
        // Wherever the text goes from here, it stays in this state.
        this.#mark(at + 1, fewest[state]! + below, end[at]!)
        at = end[at]!
        continue
      }
      at++
    }
  }

  /** Goes on where the state's rule ends, and in the rules that it calls. */
  #leave(frame: Frame, state: number, node: number): void {
    const { automaton } = this.#tables
    const below = frame.below!
    if (automaton.final[state]) this.from(below, node)
    for (const { start, target, isLast } of automaton.calls[state]!) {
      const returning = isLast ? below : below.push(target, this.#tables)
      this.from(returning.push(start, this.#tables), node)
    }
  }

  /** The groups all of whose bytes leave a state as it is. */
  #staysAt(state: number): number {
    const known = this.#stays.get(state)
    if (known !== undefined) return known
    const { base, width, classOf, next } = this.#tables.automaton.ruleOf[state]!
    let leaves = 0
    for (let byte = 0; byte < 256; byte++) {
      if (next[(state - base) * width + classOf[byte]!] !== state) leaves |= byteGroups[byte]!
    }
    const stays = 0xffff & ~leaves
    this.#stays.set(state, stays)
    return stays
  }

  /** Marks the tokens that end at a node, or at any from there to before `end`. */
  #mark(node: number, left: number, end = node + 1): void {
    if (left >= unreachable) return
    const last = this.#trie.tokensFrom[end]!
    for (let index = this.#trie.tokensFrom[node]!; index < last; index++) {
      const token = this.#trie.tokens[index]!
      if (this.#left[token] === unreachable) this.#found[this.#foundCount++] = token
      if (left < this.#left[token]!) this.#left[token] = left
    }
  }
}
