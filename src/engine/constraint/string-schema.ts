/** Strings with a pattern, a format or a length; several at once are the intersection of their automata. */
import { invalidParameter } from '#contracts/errors.ts'
import { jsonSpelling, quoted, textJsonCharacter } from './characters.ts'
import { type Dfa, intersect } from './dfa.ts'
import { call, type Expression, repeat } from './expression.ts'
import { formats } from './formats.ts'
import { expressionAutomaton } from './grammar.ts'
import type { JsonRules } from './json-rules.ts'
import { regexExpression, UnsupportedPattern } from './regex.ts'
import { countKeyword, pathOf, type SchemaObject, shownValue } from './schema-keywords.ts'

export function stringExpression(rules: JsonRules, keywords: SchemaObject, path: string): Expression {
  const least = countKeyword(keywords, 'minLength', path) ?? 0
  const most = countKeyword(keywords, 'maxLength', path)
  if (most !== null && most < least)
    throw invalidParameter(pathOf(path, 'minLength'), `is ${least}, more than maxLength, which is ${most}.`)
  const parts: (() => Dfa)[] = []
  if (keywords.pattern !== undefined) {
    const pattern = patternExpression(keywords.pattern, pathOf(path, 'pattern'))
    parts.push(() => expressionAutomaton(quoted(pattern)))
  }
  if (keywords.format !== undefined) {
    const format = knownFormat(keywords.format, pathOf(path, 'format'))
    parts.push(() => formatAutomaton(format))
  }
  // Each position has states of its own, so that characters nobody writes would cost much.
  if (least > 0 || most !== null) parts.push(() => expressionAutomaton(quoted(repeat(textJsonCharacter, least, most))))
  if (parts.length === 0) return rules.string
  // All spell each character in the same one way, so texts are equal exactly where strings are.
  return call(rules.grammar.automatonRule(() => parts.map((part) => part()).reduce(intersect), path))
}

function patternExpression(pattern: unknown, path: string): Expression {
  if (typeof pattern !== 'string') throw invalidParameter(path, `expected a string; ${shownValue(pattern)} came.`)
  try {
    return regexExpression(pattern, { spelling: jsonSpelling, isSearch: true })
  } catch (error) {
    throw error instanceof UnsupportedPattern ? invalidParameter(path, error.message) : error
  }
}

function knownFormat(format: unknown, path: string): string {
  if (typeof format === 'string' && Object.hasOwn(formats, format)) return format
  throw invalidParameter(path, `expected one of ${Object.keys(formats).join(', ')}; ${shownValue(format)} came.`)
}

const formatAutomata = new Map<string, Dfa>()

/** Built once for each format: there are few, and they are the same for all. */
function formatAutomaton(format: string): Dfa {
  const built =
    formatAutomata.get(format) ??
    expressionAutomaton(quoted(regexExpression(formats[format]!, { spelling: jsonSpelling, isSearch: false })))
  formatAutomata.set(format, built)
  return built
}
