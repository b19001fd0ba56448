/** Numbers within bounds, and integers that are multiples of another. */
import { invalidParameter } from '#contracts/errors.ts'
import { intersect } from './dfa.ts'
import { call, type Expression } from './expression.ts'
import { expressionAutomaton } from './grammar.ts'
import { anyInteger, type JsonRules, mostIntegerDigits } from './json-rules.ts'
import {
  type Bound,
  integersBetween,
  isWithinDigits,
  largestInteger,
  multiplesOf,
  numbersBetween,
} from './number-ranges.ts'
import { numberKeyword, pathOf, type SchemaObject } from './schema-keywords.ts'

/** Each remainder is a state, for each digit of the bounds. */
const largestFactor = 1_000

export function numberExpression(
  rules: JsonRules,
  type: 'number' | 'integer',
  keywords: SchemaObject,
  path: string,
): Expression {
  const least = bound(keywords, 'minimum', 'exclusiveMinimum', path, Math.max)
  const most = bound(keywords, 'maximum', 'exclusiveMaximum', path, Math.min)
  const factor = numberKeyword(keywords, 'multipleOf', path)
  if (factor !== null && (!Number.isInteger(factor) || factor < 1 || factor > largestFactor))
    throw invalidParameter(
      pathOf(path, 'multipleOf'),
      `only whole numbers from 1 to ${largestFactor} are supported; ${factor} came.`,
    )
  // Multiples of a whole number are whole.
  if (type === 'integer' || factor !== null) return integerExpression(rules, least, most, factor ?? 1, path)
  if (!least && !most) return rules.number
  if (least && most && isEmpty(least, most)) throw nothingBetween(least, most, path)
  return call(rules.grammar.automatonRule(() => numbersBetween(least, most), path))
}

function integerExpression(
  rules: JsonRules,
  least: Bound | null,
  most: Bound | null,
  factor: number,
  path: string,
): Expression {
  if (!least && !most && factor === 1) return rules.integer
  const from = least
    ? Math.floor(least.value) + (Number.isInteger(least.value) && !least.isExclusive ? 0 : 1)
    : -largestInteger
  const to = most ? Math.ceil(most.value) - (Number.isInteger(most.value) && !most.isExclusive ? 0 : 1) : largestInteger
  if (Math.ceil(from / factor) > Math.floor(to / factor)) throw nothingBetween(least, most, path)
  const range = least || most ? integersBetween(from, to) : anyInteger
  if (factor === 1) return call(rules.grammar.expressionRule(() => range))
  return call(rules.grammar.automatonRule(() => intersect(expressionAutomaton(range), multiplesOf(factor)), path))
}

/** The stricter of an inclusive and an exclusive bound. */
function bound(
  keywords: SchemaObject,
  inclusive: string,
  exclusive: string,
  path: string,
  stricter: (a: number, b: number) => number,
): Bound | null {
  const [including, excluding] = [numberKeyword(keywords, inclusive, path), numberKeyword(keywords, exclusive, path)]
  for (const [keyword, value] of [
    [inclusive, including],
    [exclusive, excluding],
  ] as const) {
    if (value !== null && !isWithinDigits(value))
      throw invalidParameter(
        pathOf(path, keyword),
        `only bounds of at most ${mostIntegerDigits} digits before and fewer after the point are supported; ${value} came.`,
      )
  }
  if (excluding !== null && (including === null || stricter(including, excluding) === excluding))
    return { value: excluding, isExclusive: true }
  return including === null ? null : { value: including, isExclusive: false }
}

function isEmpty(least: Bound, most: Bound): boolean {
  return least.value > most.value || (least.value === most.value && (least.isExclusive || most.isExclusive))
}

function nothingBetween(least: Bound | null, most: Bound | null, path: string): Error {
  return invalidParameter(
    path,
    `no number lies between its bounds (${least?.value ?? 'none'} and ${most?.value ?? 'none'}).`,
  )
}
