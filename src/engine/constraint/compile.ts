/**
 * Constraints on a choice's text, compiled for one vocabulary: from what a request asks to automata over bytes, and from these to
 * the tokens that may come next.
 */
import { invalidParameter } from '#contracts/errors.ts'
import { type Constraint, constraintFields } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import type { CompiledConstraint, TokenVocabulary } from '../generation/seams.ts'
import { plainSpelling } from './characters.ts'
import { compileGrammar } from './compiled-grammar.ts'
import { either, text } from './expression.ts'
import { Grammar } from './grammar.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'
import { compactSpacing, JsonRules } from './json-rules.ts'
import { regexExpression, UnsupportedPattern } from './regex.ts'
import { SchemaGrammar } from './schema-grammar.ts'

/**
 * Compiles a constraint; the result serves any number of choices, and is worth keeping for requests that repeat it.
 *
 * @throws {ServingError} 400 for what is not supported (by path), outgrows `limits.constraintCharacters` or
 * `limits.constraintStates`, or cannot be fulfilled; never retryable.
 */
export function compileConstraint(constraint: Constraint, vocabulary: TokenVocabulary): CompiledConstraint {
  const field = constraintFields[constraint.kind]
  const grammar = new Grammar()
  try {
    addRules(constraint, grammar, field)
    return compileGrammar(grammar.finish(), vocabulary, field)
  } catch (error) {
    if (error instanceof GrammarTooLarge) throw invalidParameter(error.field ?? field, error.message)
    if (error instanceof UnsupportedPattern) throw invalidParameter(field, error.message)
    throw error
  }
}

function addRules(constraint: Constraint, grammar: Grammar, field: string): void {
  switch (constraint.kind) {
    case 'json': {
      // The first rule is where texts start, so it is made before those that it calls.
      const rules = new JsonRules(grammar, compactSpacing)
      grammar.expressionRule(() => rules.object)
      return
    }
    case 'json-schema':
      checkLength(JSON.stringify(constraint.schema) ?? '', field)
      new SchemaGrammar(new JsonRules(grammar, compactSpacing), constraint.schema, field).rootRule()
      return
    case 'regex': {
      checkLength(constraint.pattern, field)
      const expression = regexExpression(constraint.pattern, { spelling: plainSpelling, isSearch: false })
      grammar.expressionRule(() => expression)
      return
    }
    case 'choice': {
      checkLength(constraint.choices.join(''), field)
      const broken = constraint.choices.findIndex((choice) => !choice.isWellFormed())
      if (broken >= 0) throw invalidParameter(`${field}[${broken}]`, 'holds half of a surrogate pair.')
      if (constraint.choices.length === 0) throw invalidParameter(field, 'expected at least one choice; none came.')
      grammar.expressionRule(() => either(constraint.choices.map(text)))
    }
  }
}

export function checkLength(written: string, field: string): void {
  if (written.length > limits.constraintCharacters)
    throw invalidParameter(field, `may have at most ${limits.constraintCharacters} characters; ${written.length} came.`)
}
