/** JSON's own grammar: any value, and the pieces that schemas are put together from. Whitespace is fixed by the spacing. */
import { anyJsonString, otherJsonString } from './characters.ts'
import { call, type Expression, either, oneOf, optional, repeat, sequence, text } from './expression.ts'
import type { Grammar } from './grammar.ts'

export interface Spacing {
  colon: string
  comma: string
}

/** No whitespace at all: the fewest tokens. */
export const compactSpacing: Spacing = { colon: ':', comma: ',' }
/** As chat templates print JSON, and so as models were trained to write calls. */
export const spacedSpacing: Spacing = { colon: ': ', comma: ', ' }

const digit = oneOf(['0', '9'])

/**
 * Digits are bounded so that integers stay exact and other numbers finite when they are parsed, and so that a model that repeats
 * itself leaves a number again.
 */
export const mostIntegerDigits = 15
export const mostFractionDigits = 15

export const wholeDigits = either([text('0'), sequence(oneOf(['1', '9']), repeat(digit, 0, mostIntegerDigits - 1))])
const positiveDigits = sequence(oneOf(['1', '9']), repeat(digit, 0, mostIntegerDigits - 1))
export const anyInteger = either([text('0'), sequence(optional(text('-')), positiveDigits)])
export const anyNumber = sequence(
  optional(text('-')),
  wholeDigits,
  optional(sequence(text('.'), repeat(digit, 1, mostFractionDigits))),
  optional(sequence(oneOf(['e', 'e'], ['E', 'E']), optional(oneOf(['+', '+'], ['-', '-'])), repeat(digit, 1, 2))),
)

export class JsonRules {
  readonly grammar: Grammar
  readonly spacing: Spacing
  readonly #known = new Map<string, number>()

  constructor(grammar: Grammar, spacing: Spacing) {
    this.grammar = grammar
    this.spacing = spacing
  }

  get string(): Expression {
    return this.#shared('string', anyJsonString)
  }

  get integer(): Expression {
    return this.#shared('integer', () => anyInteger)
  }

  get number(): Expression {
    return this.#shared('number', () => anyNumber)
  }

  get boolean(): Expression {
    return either([text('true'), text('false')])
  }

  get value(): Expression {
    return this.#shared('value', () =>
      either([this.string, this.number, this.boolean, text('null'), this.object, this.array]),
    )
  }

  get object(): Expression {
    return this.#shared('object', () =>
      sequence(text('{'), this.list(sequence(this.string, text(this.spacing.colon), this.value)), text('}')),
    )
  }

  get array(): Expression {
    return this.#shared('array', () => sequence(text('['), this.list(this.value), text(']')))
  }

  /** Any string that is none of `names`, each in one spelling only. */
  otherString(names: readonly string[]): Expression {
    return call(this.grammar.expressionRule(() => otherJsonString(names)))
  }

  /** Any number of items with commas between. */
  list(item: Expression): Expression {
    return optional(sequence(item, repeat(sequence(text(this.spacing.comma), item), 0, null)))
  }

  /** A value as the grammar would write it. */
  literal(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map((item) => this.literal(item)).join(this.spacing.comma)}]`
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    const members = Object.entries(value).map(
      ([key, member]) => `${JSON.stringify(key)}${this.spacing.colon}${this.literal(member)}`,
    )
    return `{${members.join(this.spacing.comma)}}`
  }

  #shared(name: string, expression: () => Expression): Expression {
    const known = this.#known.get(name)
    if (known !== undefined) return call(known)
    const rule = this.grammar.expressionRule(expression)
    this.#known.set(name, rule)
    return call(rule)
  }
}
