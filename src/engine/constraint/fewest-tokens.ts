/**
 * How many tokens each state needs to reach its rule's end, at most: the measure by which a text always ends within its tokens.
 *
 * An exact count would need every token from every state. This one counts real tokens but only some of them, so it can be too
 * high and never too low for what it promises: each single byte that is a token, and longer tokens where few bytes may follow
 * (names of properties, words of a choice) or where the next byte is no token by itself. A state without such a way to its end
 * stays `unreachable` and is never entered.
 */
import type { Automaton } from './automaton.ts'
import type { VocabularyTrie } from './vocabulary-trie.ts'

export const unreachable = 0x3fffffff

/** Longer tokens are followed only from states with at most this many next bytes: wide states end by short tokens anyway. */
const narrow = 3

/** For each state, an upper bound of the tokens to its rule's end; rules that are called on the way are included. */
export function fewestTokens(automaton: Automaton, trie: VocabularyTrie): Int32Array {
  const steps = tokenSteps(automaton, trie)
  const callers = callSites(automaton)
  const fewest = new Int32Array(automaton.stateCount).fill(unreachable)
  // Dijkstra's algorithm from the ends backwards; a call's cost is that of the called rule, known once its start is settled.
  const buckets: number[][] = [[]]
  function offer(state: number, count: number): void {
    if (count >= fewest[state]!) return
    fewest[state] = count
    while (buckets.length <= count) buckets.push([])
    buckets[count]!.push(state)
  }
  for (let state = 0; state < automaton.stateCount; state++) if (automaton.final[state]) offer(state, 0)
  for (let count = 0; count < buckets.length; count++) {
    const bucket = buckets[count]!
    for (let state = bucket.pop(); state !== undefined; state = bucket.pop()) {
      if (fewest[state] !== count) continue
      for (let at = steps.from[state]!; at < steps.from[state + 1]!; at++) offer(steps.sources[at]!, count + 1)
      for (const { state: caller, other } of callers[state]!) {
        if (fewest[other]! < unreachable) offer(caller, count + fewest[other]!)
      }
    }
  }
  return fewest
}

interface CallSite {
  state: number
  other: number
}

/** For each state that is called or returned to: who calls, and the call's other half. */
function callSites(automaton: Automaton): CallSite[][] {
  const sites = Array.from({ length: automaton.stateCount }, (): CallSite[] => [])
  for (const [state, calls] of automaton.calls.entries()) {
    for (const { start, target } of calls) {
      sites[start]!.push({ state, other: target })
      sites[target]!.push({ state, other: start })
    }
  }
  return sites
}

/** The states that reach a state by one token: `sources` from `from[state]` to `from[state + 1]`. */
function tokenSteps(automaton: Automaton, trie: VocabularyTrie): { from: Int32Array; sources: Int32Array } {
  const sources: number[] = []
  const targets: number[] = []
  const widths = byteCounts(automaton)
  const ownsAll = trie.ownToken.every((own) => own === 1)
  const reached = new Set<number>()
  for (const rule of automaton.rules) {
    const ownClasses = new Set<number>()
    for (const [byte, own] of trie.ownToken.entries()) if (own) ownClasses.add(rule.classOf[byte]!)
    for (let state = rule.base; state < rule.base + rule.stateCount; state++) {
      reached.clear()
      for (const byteClass of ownClasses) {
        const to = rule.next[(state - rule.base) * rule.width + byteClass]!
        if (to >= 0) reached.add(to)
      }
      // From a wide state only bytes without tokens of their own would be followed.
      const nodeCount = widths[state]! > narrow && ownsAll ? 0 : trie.nodeCount
      const path = [state]
      for (let node = 1; node < nodeCount; ) {
        const depth = trie.depth[node]!
        const at = path[depth - 1]!
        const byte = trie.byte[node]!
        const to = rule.next[(at - rule.base) * rule.width + rule.classOf[byte]!]!
        if (to < 0 || (widths[at]! > narrow && trie.ownToken[byte])) {
          node = trie.end[node]!
          continue
        }
        path[depth] = to
        if (trie.tokensFrom[node]! < trie.tokensFrom[node + 1]!) reached.add(to)
        node++
      }
      for (const to of reached) {
        sources.push(state)
        targets.push(to)
      }
    }
  }
  return groupByTarget(automaton.stateCount, sources, targets)
}

function byteCounts(automaton: Automaton): Uint16Array {
  const counts = new Uint16Array(automaton.stateCount)
  for (const { base, width, classOf, next } of automaton.rules) {
    const sizes = new Uint16Array(width)
    for (const byteClass of classOf) sizes[byteClass]!++
    for (let edge = 0; edge < next.length; edge++) {
      if (next[edge]! >= 0) counts[base + Math.floor(edge / width)]! += sizes[edge % width]!
    }
  }
  return counts
}

function groupByTarget(stateCount: number, sources: readonly number[], targets: readonly number[]) {
  const from = new Int32Array(stateCount + 1)
  for (const target of targets) from[target + 1]!++
  for (let state = 0; state < stateCount; state++) from[state + 1]! += from[state]!
  const grouped = new Int32Array(sources.length)
  const filled = from.slice()
  for (const [index, target] of targets.entries()) grouped[filled[target]!++] = sources[index]!
  return { from, sources: grouped }
}
