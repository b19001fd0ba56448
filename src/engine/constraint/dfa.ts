/**
 * Deterministic automata over bytes, one for each rule. Bytes that no edge tells apart share a class, so that a row of the
 * transition table is a few numbers rather than 256.
 */
import { limits } from '#contracts/limits.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'
import type { Nfa } from './nfa.ts'

/** Members of all subsets met while making one automaton deterministic: bounds the time a pattern may take to compile. */
const mostMembers = 3_000_000

export interface Dfa {
  /** The class of each byte: 256 numbers below `width`, ascending. */
  classOf: Uint8Array
  width: number
  /** `width` targets for each state, -1 where no text goes on; state 0 is the start. */
  next: number[]
  final: boolean[]
  /** Rules that a state may step over, and the state after each. */
  calls: { rule: number; target: number }[][]
}

/** @throws {GrammarTooLarge} */
export function determinise(nfa: Nfa, start: number, end: number): Dfa {
  const { classOf, width } = byteClasses(nfa)
  const subsets: Int32Array[] = []
  const known = new Map<string, number>()
  const seen = new Int32Array(nfa.free.length)
  const byRoots = new Map<string | number, number>()
  let stamp = 0
  let members = 0

  /** The subset that the roots reach without a byte. Most bytes of most states lead to roots that were asked for before. */
  function stateOf(roots: readonly number[]): number {
    const key = roots.length === 1 ? roots[0]! : roots.join()
    const asked = byRoots.get(key)
    if (asked !== undefined) return asked
    const state = reach(roots)
    byRoots.set(key, state)
    return state
  }

  function reach(roots: readonly number[]): number {
    stamp++
    const pending = [...roots]
    const kept: number[] = []
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (seen[at] === stamp) continue
      seen[at] = stamp
      members++
      // States that only lead on without a byte say nothing that their successors do not.
      if (at === end || nfa.bytes[at]!.length > 0 || nfa.calls[at]!.length > 0) kept.push(at)
      pending.push(...nfa.free[at]!)
    }
    const subset = Int32Array.from(kept).sort()
    const key = subset.join()
    const same = known.get(key)
    if (same !== undefined) return same
    if (subsets.length >= limits.constraintStates || members > mostMembers) throw new GrammarTooLarge()
    known.set(key, subsets.length)
    subsets.push(subset)
    return subsets.length - 1
  }

  const dfa: Dfa = { classOf, width, next: [], final: [], calls: [] }
  stateOf([start])
  const targets: number[][] = Array.from({ length: width }, () => [])
  for (let state = 0; state < subsets.length; state++) {
    const subset = subsets[state]!
    const returns = new Map<number, number[]>()
    for (const member of subset) {
      for (const { from, to, target } of nfa.bytes[member]!) {
        for (let byteClass = classOf[from]!; byteClass <= classOf[to]!; byteClass++) targets[byteClass]!.push(target)
      }
      for (const { rule, target } of nfa.calls[member]!) {
        const known = returns.get(rule)
        if (known) known.push(target)
        else returns.set(rule, [target])
      }
    }
    for (const roots of targets) {
      dfa.next.push(roots.length === 0 ? -1 : stateOf(roots))
      roots.length = 0
    }
    dfa.final.push(subset.includes(end))
    dfa.calls.push([...returns].map(([rule, roots]) => ({ rule, target: stateOf(roots) })))
  }
  return dfa
}

/** The texts that fulfil both; neither may call rules. */
export function intersect(left: Dfa, right: Dfa): Dfa {
  const classOf = new Uint8Array(256)
  const pairs: [number, number][] = []
  for (let byte = 0; byte < 256; byte++) {
    const pair: [number, number] = [left.classOf[byte]!, right.classOf[byte]!]
    const last = pairs.at(-1)
    if (!last || last[0] !== pair[0] || last[1] !== pair[1]) pairs.push(pair)
    classOf[byte] = pairs.length - 1
  }
  const known = new Map<number, number>()
  const states: [number, number][] = []
  function stateOf(a: number, b: number): number {
    const key = a * right.final.length + b
    const same = known.get(key)
    if (same !== undefined) return same
    if (states.length >= limits.constraintStates) throw new GrammarTooLarge()
    known.set(key, states.length)
    states.push([a, b])
    return states.length - 1
  }
  const dfa: Dfa = { classOf, width: pairs.length, next: [], final: [], calls: [] }
  stateOf(0, 0)
  for (let state = 0; state < states.length; state++) {
    const [a, b] = states[state]!
    for (const [classA, classB] of pairs) {
      const nextA = left.next[a * left.width + classA]!
      const nextB = right.next[b * right.width + classB]!
      dfa.next.push(nextA < 0 || nextB < 0 ? -1 : stateOf(nextA, nextB))
    }
    dfa.final.push(left.final[a]! && right.final[b]!)
    dfa.calls.push([])
  }
  return dfa
}

function byteClasses(nfa: Nfa): { classOf: Uint8Array; width: number } {
  const begins = new Uint8Array(257)
  for (const edges of nfa.bytes) {
    for (const { from, to } of edges) {
      begins[from] = 1
      begins[to + 1] = 1
    }
  }
  const classOf = new Uint8Array(256)
  let last = 0
  for (let byte = 1; byte < 256; byte++) {
    last += begins[byte]!
    classOf[byte] = last
  }
  return { classOf, width: last + 1 }
}
