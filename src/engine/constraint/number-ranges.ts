/** Numbers between bounds, digit by digit: exactly the decimal spellings of the numbers that a schema allows. */
import { type Dfa, intersect } from './dfa.ts'
import { type Expression, either, impossible, oneOf, optional, repeat, sequence, text } from './expression.ts'
import { expressionAutomaton } from './grammar.ts'
import { mostFractionDigits, mostIntegerDigits, wholeDigits } from './json-rules.ts'

const digit = oneOf(['0', '9'])
export const largestInteger = 10 ** mostIntegerDigits - 1

export interface Bound {
  value: number
  isExclusive: boolean
}

/** Integers from `least` to `most`, both within `largestInteger` of zero. */
export function integersBetween(least: number, most: number): Expression {
  const negative = least < 0 ? [sequence(text('-'), wholeBetween(Math.max(1, -most), -least))] : []
  const positive = most >= 0 ? [wholeBetween(Math.max(0, least), most)] : []
  return either([...negative, ...positive, impossible])
}

function wholeBetween(least: number, most: number): Expression {
  const lengths: Expression[] = []
  for (let length = 1; length <= mostIntegerDigits; length++) {
    const from = Math.max(least, length === 1 ? 0 : 10 ** (length - 1))
    const to = Math.min(most, 10 ** length - 1)
    if (from <= to) lengths.push(digitsBetween(String(from), String(to)))
  }
  return either([...lengths, impossible])
}

/** Digit strings of one length, in order. */
function digitsBetween(from: string, to: string): Expression {
  if (from.length === 0) return text('')
  if (/^0*$/.test(from) && /^9*$/.test(to)) return repeat(digit, from.length, from.length)
  const [low, high] = [from[0]!, to[0]!]
  const rest = { from: from.slice(1), to: to.slice(1) }
  if (low === high) return sequence(text(low), digitsBetween(rest.from, rest.to))
  const options = [
    sequence(text(low), digitsBetween(rest.from, '9'.repeat(rest.from.length))),
    sequence(text(high), digitsBetween('0'.repeat(rest.to.length), rest.to)),
  ]
  if (Number(high) - Number(low) > 1) {
    const between = oneOf([String(Number(low) + 1), String(Number(high) - 1)])
    options.push(sequence(between, repeat(digit, rest.from.length, rest.from.length)))
  }
  return either(options)
}

/** Integers whose magnitude is a multiple of the factor; one state for each remainder. */
export function multiplesOf(factor: number): Dfa {
  const classOf = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) {
    const isDigit = byte >= 0x30 && byte <= 0x39
    classOf[byte] = byte === 0x2d ? 1 : byte < 0x2d ? 0 : byte < 0x30 ? 2 : isDigit ? byte - 0x30 + 3 : 13
  }
  const width = 14
  // State 0 is the start, then one for after the sign, then one for each remainder.
  const next: number[] = []
  for (let state = 0; state < factor + 2; state++) {
    const remainder = Math.max(0, state - 2)
    for (let byteClass = 0; byteClass < width; byteClass++) {
      const isDigit = byteClass >= 3 && byteClass <= 12
      if (isDigit) next.push(2 + ((remainder * 10 + byteClass - 3) % factor))
      else next.push(state === 0 && byteClass === 1 ? 1 : -1)
    }
  }
  const states = Array.from({ length: factor + 2 }, (_, state) => state)
  return { classOf, width, next, final: states.map((state) => state === 2), calls: states.map(() => []) }
}

/** Decimal numbers between bounds; without an exponent, since digits in order are what can be compared. */
export function numbersBetween(least: Bound | null, most: Bound | null): Dfa {
  const fractionDigits = Math.min(fractionRoom(least), fractionRoom(most))
  const sides = [least && numbersAbove(least, fractionDigits), most && numbersBelow(most, fractionDigits)].filter(
    (side) => side !== null,
  )
  return sides.map(expressionAutomaton).reduce(intersect)
}

/** Digits after the point, so few that rounding to a double never reaches an excluded bound. */
function fractionRoom(bound: Bound | null): number {
  if (!bound) return mostFractionDigits
  const { whole, fraction } = decimal(bound.value)
  return Math.max(fraction.length + 1, mostFractionDigits - whole.length)
}

function numbersAbove(bound: Bound, room: number): Expression {
  if (bound.value >= 0) return magnitudeAbove(bound, room)
  const negative = magnitudeBelow({ ...bound, value: -bound.value }, room)
  return either([magnitude(room), sequence(text('-'), negative)])
}

function numbersBelow(bound: Bound, room: number): Expression {
  const isNegative = bound.value < 0 || (bound.value === 0 && bound.isExclusive)
  if (isNegative) return sequence(text('-'), magnitudeAbove({ ...bound, value: -bound.value }, room))
  return either([magnitudeBelow(bound, room), sequence(text('-'), magnitude(room))])
}

function magnitude(room: number): Expression {
  return sequence(wholeDigits, anyFraction(room))
}

function anyFraction(room: number): Expression {
  return optional(sequence(text('.'), repeat(digit, 1, room)))
}

function magnitudeAbove({ value, isExclusive }: Bound, room: number): Expression {
  const { whole, fraction } = decimal(value)
  const larger = Number(whole) < largestInteger ? wholeBetween(Number(whole) + 1, largestInteger) : impossible
  const same = sequence(text(whole), fractionAbove(fraction, isExclusive, room))
  return either([sequence(larger, anyFraction(room)), same])
}

function magnitudeBelow({ value, isExclusive }: Bound, room: number): Expression {
  const { whole, fraction } = decimal(value)
  const smaller = Number(whole) > 0 ? wholeBetween(0, Number(whole) - 1) : impossible
  const same = sequence(text(whole), fractionBelow(fraction, isExclusive, room))
  return either([sequence(smaller, anyFraction(room)), same])
}

/** What may follow equal whole digits: nothing, or a point and digits, that is at least (or more than) the fraction. */
function fractionAbove(fraction: string, isExclusive: boolean, room: number): Expression {
  const options: Expression[] = []
  for (const [index, letter] of [...fraction].entries()) {
    if (letter === '9') continue
    const more = oneOf([String(Number(letter) + 1), '9'])
    options.push(sequence(text(fraction.slice(0, index)), more, repeat(digit, 0, room - index - 1)))
  }
  const left = room - fraction.length
  if (!isExclusive) options.push(sequence(text(fraction), repeat(digit, fraction === '' ? 1 : 0, left)))
  else
    for (let zeros = 0; zeros < left; zeros++) {
      const more = sequence(oneOf(['1', '9']), repeat(digit, 0, left - zeros - 1))
      options.push(sequence(text(fraction + '0'.repeat(zeros)), more))
    }
  const after = sequence(text('.'), either([...options, impossible]))
  return fraction === '' && !isExclusive ? optional(after) : after
}

function fractionBelow(fraction: string, isExclusive: boolean, room: number): Expression {
  const options: Expression[] = []
  for (const [index, letter] of [...fraction].entries()) {
    // The digits so far alone are less too: what they lack is not all zeros.
    if (index > 0) options.push(text(fraction.slice(0, index)))
    if (letter === '0') continue
    const fewer = oneOf(['0', String(Number(letter) - 1)])
    options.push(sequence(text(fraction.slice(0, index)), fewer, repeat(digit, 0, room - index - 1)))
  }
  if (!isExclusive) {
    const zeros = repeat(text('0'), fraction === '' ? 1 : 0, room - fraction.length)
    options.push(sequence(text(fraction), zeros))
  }
  const after = sequence(text('.'), either([...options, impossible]))
  return fraction === '' && isExclusive ? impossible : optional(after)
}

/** A magnitude's digits before and after the point, without an exponent and without zeros at the end. */
function decimal(value: number): { whole: string; fraction: string } {
  const [mantissa, exponent = '0'] = String(Math.abs(value)).split('e')
  const [whole, fraction = ''] = mantissa!.split('.') as [string, string?]
  const shift = Number(exponent)
  if (shift >= 0) return { whole: whole + fraction.slice(0, shift).padEnd(shift, '0'), fraction: fraction.slice(shift) }
  const digits = whole.padStart(1 - shift, '0')
  return { whole: digits.slice(0, shift), fraction: digits.slice(shift) + fraction }
}

/** Whether a bound's digits fit those that numbers may have. */
export function isWithinDigits(value: number): boolean {
  const { whole, fraction } = decimal(value)
  return whole.length <= mostIntegerDigits && fraction.length < mostFractionDigits
}
