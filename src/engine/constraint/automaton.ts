/**
 * A finished grammar with its rules linked into one numbering of states, as the token loop walks it: a text's position is a
 * state of the rule it is in, and below that the states to return to.
 */
import type { Dfa } from './dfa.ts'

export interface LinkedRule {
  /** Its first state in the common numbering, which is also its start. */
  base: number
  stateCount: number
  width: number
  classOf: Uint8Array
  /** `width` targets for each of its states, in the common numbering; -1 where no text goes on. */
  next: Int32Array
}

export interface Call {
  /** The start of the rule that is stepped over. */
  start: number
  target: number
  /** Nothing follows the call within its rule, so that it need not be returned to. */
  isLast: boolean
}

export interface Automaton {
  rules: readonly LinkedRule[]
  stateCount: number
  ruleOf: readonly LinkedRule[]
  /** 1 where the rule may end. */
  final: Uint8Array
  /** 1 where a byte may follow without a call. */
  hasBytes: Uint8Array
  calls: readonly (readonly Call[])[]
}

/** Links rules; the first is where texts start. */
export function linkAutomaton(dfas: readonly Dfa[]): Automaton {
  const bases: number[] = []
  let stateCount = 0
  for (const dfa of dfas) {
    bases.push(stateCount)
    stateCount += dfa.final.length
  }
  const final = new Uint8Array(stateCount)
  const hasBytes = new Uint8Array(stateCount)
  const ruleOf: LinkedRule[] = []
  const rules = dfas.map((dfa, index): LinkedRule => {
    const base = bases[index]!
    const next = new Int32Array(dfa.next.length)
    for (let edge = 0; edge < next.length; edge++) {
      const target = dfa.next[edge]!
      next[edge] = target < 0 ? -1 : target + base
      if (target >= 0) hasBytes[base + Math.floor(edge / dfa.width)] = 1
    }
    const rule = { base, stateCount: dfa.final.length, width: dfa.width, classOf: dfa.classOf, next }
    for (let state = 0; state < dfa.final.length; state++) {
      ruleOf.push(rule)
      final[base + state] = dfa.final[state] ? 1 : 0
    }
    return rule
  })
  const calls = dfas.flatMap((dfa, index) =>
    dfa.calls.map((edges) =>
      edges.map(({ rule, target }): Call => {
        const to = bases[index]! + target
        const isLast = final[to] === 1 && hasBytes[to] === 0 && dfa.calls[target]!.length === 0
        return { start: bases[rule]!, target: to, isLast }
      }),
    ),
  )
  return { rules, stateCount, ruleOf, final, hasBytes, calls }
}

export function step(automaton: Automaton, state: number, byte: number): number {
  const rule = automaton.ruleOf[state]!
  return rule.next[(state - rule.base) * rule.width + rule.classOf[byte]!]!
}

/** Whether some rule can call itself before a byte has passed: such a grammar describes nothing by that call. */
export function callsItselfAtOnce(automaton: Automaton): boolean {
  const done = new Set<number>()
  const open = new Set<number>()
  function visit(start: number): boolean {
    if (open.has(start)) return true
    if (done.has(start)) return false
    open.add(start)
    const found = automaton.calls[start]!.some((edge) => visit(edge.start))
    open.delete(start)
    done.add(start)
    return found
  }
  return automaton.rules.some((rule) => visit(rule.base))
}
