/**
 * Calls of tools in a choice's text: the grammar that makes a model write them, and the readers that take them out of the text
 * again while it is being written.
 *
 * A forced call is `{"name": "…", "arguments": {…}}`; where several are possible, a list of one to eight. A model that chooses by
 * itself writes `<tool_call>` tags around the same object, as it was trained to.
 */
import { invalidParameter } from '#contracts/errors.ts'
import type { Tool, ToolChoice } from '#contracts/generation.ts'
import type { CompiledConstraint, TokenVocabulary } from '../generation/seams.ts'
import { checkLength } from './compile.ts'
import { compileGrammar } from './compiled-grammar.ts'
import { call, type Expression, either, repeat, sequence, text } from './expression.ts'
import { ForcedCallReader } from './forced-call-reader.ts'
import { Grammar } from './grammar.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'
import { JsonRules, spacedSpacing } from './json-rules.ts'
import { SchemaGrammar } from './schema-grammar.ts'
import { isSchemaObject, pathOf, shownValue, typesOf } from './schema-keywords.ts'
import { TaggedCallReader } from './tagged-call-reader.ts'
import { afterArguments, beforeArguments, beforeName, betweenCalls } from './tool-call-text.ts'
import type { ToolCallReader } from './tool-call-types.ts'

const mostCalls = 8

/** `one` and `several`: text that `toolCallConstraint` forced, without and with `parallel`. `auto`: free text with tagged calls. */
export type ToolCallMode = 'one' | 'several' | 'auto'

export function createToolCallReader({ mode }: { mode: ToolCallMode }): ToolCallReader {
  return mode === 'auto' ? new TaggedCallReader() : new ForcedCallReader(mode === 'several')
}

/**
 * Forces calls of tools: of any for `required`, of one for a name. Null where the text is free (`none`, `auto`).
 *
 * @throws {ServingError} 400 for a parameter schema that is not supported (`tools[2].function.parameters.…`) or a name that no
 * tool has; never retryable.
 */
export function toolCallConstraint(
  tools: readonly Tool[],
  toolChoice: ToolChoice,
  parallel: boolean,
  vocabulary: TokenVocabulary,
): CompiledConstraint | null {
  if (toolChoice === 'none' || toolChoice === 'auto') return null
  const chosen = [...tools.entries()].filter(([, tool]) => toolChoice === 'required' || tool.name === toolChoice.name)
  if (chosen.length === 0) {
    const asked =
      toolChoice === 'required' ? 'a call is required' : `a call of ${shownValue(toolChoice.name)} is asked for`
    throw invalidParameter('tool_choice', `${asked}, but tools lists ${shownValue(tools.map(({ name }) => name))}.`)
  }
  const grammar = new Grammar()
  const rules = new JsonRules(grammar, spacedSpacing)
  try {
    let start: Expression | null = null
    // The first rule is where texts start; its body is built when those that it calls have their numbers.
    grammar.expressionRule(() => start!)
    const calls = chosen.map(([index, tool]) => callOf(tool, rules, pathOf('tools', index)))
    const one = call(grammar.expressionRule(() => either(calls)))
    const more = repeat(sequence(text(betweenCalls), one), 0, mostCalls - 1)
    start = parallel ? sequence(text('['), one, more, text(']')) : one
    return compileGrammar(grammar.finish(), vocabulary, 'tools')
  } catch (error) {
    throw error instanceof GrammarTooLarge ? invalidParameter(error.field ?? 'tools', error.message) : error
  }
}

function callOf(tool: Tool, rules: JsonRules, path: string): Expression {
  const field = `${path}.function.parameters`
  return sequence(
    text(`${beforeName}${JSON.stringify(tool.name)}${beforeArguments}`),
    tool.parameters === undefined
      ? rules.object
      : call(new SchemaGrammar(rules, objectSchema(tool.parameters, field), field).rootRule()),
    text(afterArguments),
  )
}

/** Arguments are an object, also where their schema does not say so. */
function objectSchema(parameters: unknown, field: string): unknown {
  checkLength(JSON.stringify(parameters) ?? '', field)
  if (parameters === true) return { type: 'object' }
  if (!isSchemaObject(parameters)) return parameters
  const types = parameters.type === undefined ? null : typesOf(parameters, field)
  if (types && !types.has('object'))
    throw invalidParameter(pathOf(field, 'type'), `expected "object"; ${shownValue(parameters.type)} came.`)
  return { ...parameters, type: 'object' }
}
