/**
 * The regular part of ECMAScript's patterns as an expression over bytes. What automata cannot do (looking around, remembering
 * what a group matched) is refused by name, never approximated.
 */

import { classEscape, dot, pointEscape } from './character-classes.ts'
import type { Spelling } from './characters.ts'
import { anyCodePoint, type CodePoints, codePoints, without } from './code-points.ts'
import { type Expression, either, repeat, sequence } from './expression.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'

/** Why a pattern is refused; the compiler says in which field it came. */
export class UnsupportedPattern extends Error {}

export interface RegexOptions {
  spelling: Spelling
  /** Whether the pattern may lie anywhere in the text, as in JSON Schema, or must be all of it. */
  isSearch: boolean
}

const mostGroups = 100
const mostRepetitions = 20_000

/**
 * @throws {UnsupportedPattern}
 * @throws {GrammarTooLarge} for a repetition that could never be built.
 */
export function regexExpression(pattern: string, options: RegexOptions): Expression {
  return new PatternReader(pattern, options).read()
}

class PatternReader {
  readonly #letters: readonly string[]
  readonly #spelling: Spelling
  readonly #isSearch: boolean
  #at = 0
  #depth = 0

  constructor(pattern: string, { spelling, isSearch }: RegexOptions) {
    this.#letters = [...pattern]
    this.#spelling = spelling
    this.#isSearch = isSearch
  }

  read(): Expression {
    const options: Expression[] = []
    do {
      const startsAtStart = this.#take('^')
      const parts = this.#terms()
      const endsAtEnd = this.#take('$')
      const around = repeat(this.#spelling(anyCodePoint), 0, null)
      if (this.#isSearch && !startsAtStart) parts.unshift(around)
      if (this.#isSearch && !endsAtEnd) parts.push(around)
      options.push(sequence(...parts))
    } while (this.#take('|'))
    if (this.#at < this.#letters.length) throw this.#refusal(`has an unexpected ${this.#peek()}`)
    return either(options)
  }

  #terms(): Expression[] {
    const parts: Expression[] = []
    for (let letter = this.#peek(); letter !== undefined && letter !== '|' && letter !== ')'; letter = this.#peek()) {
      if (letter === '$' && this.#depth === 0 && [undefined, '|'].includes(this.#letters[this.#at + 1])) break
      if (letter === '^' || letter === '$')
        throw this.#refusal(
          `has ${letter} inside; anchors are possible at the ends of the pattern and of its outermost alternatives`,
        )
      parts.push(this.#quantified(this.#atom()))
    }
    return parts
  }

  #atom(): Expression {
    const letter = this.#next()
    switch (letter) {
      case '(':
        return this.#group()
      case '[':
        return this.#spelling(this.#characterClass())
      case '.':
        return this.#spelling(dot)
      case '\\':
        return this.#spelling(this.#escape())
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        throw this.#refusal(
          `has ${letter} where a character or group is expected (write \\${letter} for the character)`,
        )
      default:
        return this.#spelling(this.#point(letter.codePointAt(0)!))
    }
  }

  #group(): Expression {
    if (++this.#depth > mostGroups) throw this.#refusal(`nests more than ${mostGroups} groups`)
    if (this.#take('?')) this.#groupKind()
    const options: Expression[] = []
    do options.push(sequence(...this.#terms()))
    while (this.#take('|'))
    if (!this.#take(')')) throw this.#refusal('has a group without its closing parenthesis')
    this.#depth--
    return either(options)
  }

  #groupKind(): void {
    if (this.#take(':')) return
    const isBehind = this.#take('<')
    const letter = this.#peek()
    if (letter === '=' || letter === '!')
      throw this.#refusal(
        `uses ${isBehind ? 'lookbehind' : 'lookahead'} (?${isBehind ? '<' : ''}${letter}…), which is not supported`,
      )
    if (!isBehind) throw this.#refusal(`uses (?${letter ?? ''}…), which is not supported`)
    while (this.#peek() !== undefined && this.#peek() !== '>') this.#at++
    if (!this.#take('>')) throw this.#refusal('has a group name without >')
  }

  #quantified(atom: Expression): Expression {
    const bounds = this.#quantifier()
    if (!bounds) return atom
    // Lazy or greedy: the same texts.
    this.#take('?')
    const [least, most] = bounds
    if (most !== null && most < least)
      throw this.#refusal(`has the quantifier {${least},${most}}, whose bounds are out of order`)
    if (Math.max(least, most ?? 0) > mostRepetitions) throw new GrammarTooLarge()
    return repeat(atom, least, most)
  }

  #quantifier(): [number, number | null] | null {
    if (this.#take('*')) return [0, null]
    if (this.#take('+')) return [1, null]
    if (this.#take('?')) return [0, 1]
    if (this.#peek() !== '{') return null
    const close = this.#letters.indexOf('}', this.#at)
    const written = this.#letters.slice(this.#at, close + 1).join('')
    const [, least, comma, most] = /^\{(\d+)(,?)(\d*)\}$/.exec(written) ?? []
    if (least === undefined) throw this.#refusal('has { where a quantifier is expected (write \\{ for the character)')
    this.#at = close + 1
    if (comma === '') return [Number(least), Number(least)]
    return [Number(least), most === '' ? null : Number(most)]
  }

  #characterClass(): CodePoints {
    const isNegated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    while (!this.#take(']')) {
      const from = this.#classMember()
      if (this.#peek() !== '-' || this.#letters[this.#at + 1] === ']') {
        ranges.push(...from)
        continue
      }
      this.#at++
      const to = this.#classMember()
      if (!isSingle(from) || !isSingle(to) || from[0]![0] > to[0]![0])
        throw this.#refusal('has a class with a range whose ends are out of order or no characters')
      ranges.push([from[0]![0], to[0]![0]])
    }
    const listed = codePoints(ranges)
    return isNegated ? without(anyCodePoint, listed) : listed
  }

  #classMember(): CodePoints {
    const letter = this.#next()
    if (letter !== '\\') return this.#point(letter.codePointAt(0)!)
    // Inside a class, \b is the backspace.
    return this.#take('b') ? [[8, 8]] : this.#escape()
  }

  #escape(): CodePoints {
    const letter = this.#next()
    const named = classEscape(letter)
    if (named) return named
    if (/[1-9k]/.test(letter)) throw this.#refusal(`uses the back reference \\${letter}, which is not supported`)
    if (/[bB]/.test(letter)) throw this.#refusal(`uses the word boundary \\${letter}, which is not supported`)
    if (/[pP]/.test(letter)) throw this.#refusal(`uses the Unicode property \\${letter}, which is not supported`)
    const point = pointEscape(this.#letters, this.#at - 1)
    if (!point) throw this.#refusal(`has the unknown escape \\${letter}`)
    this.#at += point.length - 1
    return this.#point(point.codePoint)
  }

  #point(codePoint: number): CodePoints {
    if (codePoint >= 0xd800 && codePoint <= 0xdfff)
      throw this.#refusal('has half of a surrogate pair; write \\u{…} instead')
    return [[codePoint, codePoint]]
  }

  #peek(): string | undefined {
    return this.#letters[this.#at]
  }

  #next(): string {
    const letter = this.#letters[this.#at++]
    if (letter === undefined) throw this.#refusal('ends too early')
    return letter
  }

  #take(letter: string): boolean {
    if (this.#peek() !== letter) return false
    this.#at++
    return true
  }

  #refusal(problem: string): UnsupportedPattern {
    return new UnsupportedPattern(`the pattern ${problem} (at character ${Math.min(this.#at, this.#letters.length)}).`)
  }
}

function isSingle(set: CodePoints): boolean {
  return set.length === 1 && set[0]![0] === set[0]![1]
}
