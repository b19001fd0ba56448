/**
 * What a choice's text must look like, and whether calls of tools are to be found in it. Compiling a grammar can take longer than
 * writing the text, so those of the last requests are kept, for their own tenant.
 */
import { invalidParameter } from '#contracts/errors.ts'
import type { GenerationRequest } from '#contracts/generation.ts'
import { compileConstraint } from '../constraint/compile.ts'
import { type ToolCallMode, toolCallConstraint } from '../constraint/tool-calls.ts'
import type { CompiledConstraint, TokenVocabulary } from './seams.ts'

export interface AnswerForm {
  constraint: CompiledConstraint | null
  /** Null where no calls are looked for. */
  toolCalls: ToolCallMode | null
}

const mostKept = 16

export class AnswerForms {
  readonly #vocabulary: TokenVocabulary
  /** Least recently used first. */
  readonly #kept = new Map<string, CompiledConstraint>()

  constructor(vocabulary: TokenVocabulary) {
    this.#vocabulary = vocabulary
  }

  /** @throws {ServingError} 400 for a constraint or tool that is not supported, or that `maxTokens` tokens cannot fulfil. */
  of(request: GenerationRequest, maxTokens: number): AnswerForm {
    const form = this.#formOf(request)
    const fewest = form.constraint?.fewestTokens ?? 0
    if (fewest > maxTokens) {
      throw invalidParameter(
        'max_tokens',
        `the text that is asked for has at least ${fewest} tokens; there is room for ${maxTokens}`,
      )
    }
    return form
  }

  #formOf({ prompt, constraint, tenant }: GenerationRequest): AnswerForm {
    if (prompt.kind === 'messages' && prompt.tools.length > 0 && prompt.toolChoice !== 'none') {
      const { tools, toolChoice, parallelToolCalls } = prompt
      if (toolChoice !== 'auto') {
        const forced = this.#compiled([tenant, tools, toolChoice, parallelToolCalls], () =>
          toolCallConstraint(tools, toolChoice, parallelToolCalls, this.#vocabulary),
        )
        return { constraint: forced, toolCalls: parallelToolCalls ? 'several' : 'one' }
      }
      if (!constraint) return { constraint: null, toolCalls: 'auto' }
    }
    if (!constraint) return { constraint: null, toolCalls: null }
    const compiled = this.#compiled([tenant, constraint], () => compileConstraint(constraint, this.#vocabulary))
    return { constraint: compiled, toolCalls: null }
  }

  #compiled(facts: unknown, compile: () => CompiledConstraint | null): CompiledConstraint | null {
    const key = JSON.stringify(facts)
    const constraint = this.#kept.get(key) ?? compile()
    if (!constraint) return null
    this.#kept.delete(key)
    this.#kept.set(key, constraint)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > mostKept) this.#kept.delete(oldest!)
    return constraint
  }
}
