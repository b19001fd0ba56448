/**
 * A grammar is a list of rules; each is an automaton over bytes that may step over other rules. Rules are asked for while others
 * are being built (schemas refer to each other and to themselves), so bodies wait in a queue and nothing recurses.
 */
import { limits } from '#contracts/limits.ts'
import { type Dfa, determinise } from './dfa.ts'
import type { Expression } from './expression.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'
import { Nfa } from './nfa.ts'

/** Puts the rule's texts between the two states. */
export type Body = (nfa: Nfa, start: number, end: number) => void

export class Grammar {
  readonly #rules: (Dfa | null)[] = []
  readonly #waiting: (() => void)[] = []
  #states = 0

  /** A rule whose body is built later; usable in calls at once. */
  rule(body: Body, field: string | null = null): number {
    return this.automatonRule(() => automatonOf(body), field)
  }

  expressionRule(expression: () => Expression, field: string | null = null): number {
    return this.rule((nfa, start, end) => nfa.add(expression(), start, end), field)
  }

  /** `field` names the rule where it alone is too large. */
  automatonRule(build: () => Dfa, field: string | null = null): number {
    const index = this.#rules.push(null) - 1
    if (index >= limits.constraintStates) throw new GrammarTooLarge()
    this.#waiting.push(() => {
      const dfa = inField(build, field)
      this.#states += dfa.final.length
      if (this.#states > limits.constraintStates) throw new GrammarTooLarge()
      this.#rules[index] = dfa
    })
    return index
  }

  /**
   * Builds all bodies, those that building asks for too.
   *
   * @throws {GrammarTooLarge}
   */
  finish(): readonly Dfa[] {
    for (let build = this.#waiting.shift(); build; build = this.#waiting.shift()) build()
    return this.#rules.filter((rule) => rule !== null)
  }
}

/** The automaton of one expression without calls, for intersections. */
export function expressionAutomaton(expression: Expression): Dfa {
  return automatonOf((nfa, start, end) => nfa.add(expression, start, end))
}

function automatonOf(body: Body): Dfa {
  const nfa = new Nfa()
  const start = nfa.state()
  const end = nfa.state()
  body(nfa, start, end)
  return determinise(nfa, start, end)
}

function inField(build: () => Dfa, field: string | null): Dfa {
  try {
    return build()
  } catch (error) {
    throw error instanceof GrammarTooLarge && field ? new GrammarTooLarge(field) : error
  }
}
